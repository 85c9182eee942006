package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zaptest"

	"github.com/rowhousehq/rowhouse/migrations"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

const (
	// rolePrefix keeps the tests' roles apart from those of a Rowhouse on the same server.
	rolePrefix = "rowhousetest"
	owner      = rolePrefix + "_owner"
	// Secret is the login secret of every test database. Roles belong to the server, so all databases share it.
	Secret = "a login secret for tests, of 32 characters and more"
)

// DB is a database with the control schema and River in it, and connections of each kind of role. Everything is closed and dropped when
// the test ends.
type DB struct {
	// AdminURL logs in as the server's administrator, OwnerURL as the owner of the database, who is no superuser.
	AdminURL, OwnerURL string
	Logins             *tenancy.Logins
	// Owner and Control are pools of those roles.
	Owner, Control *pgxpool.Pool
	// Engine runs SQL as tenants.
	Engine  *tenantschema.DB
	Manager *tenancy.Manager

	t testing.TB
}

// Options change what [NewWith] makes. The zero value is what [New] uses.
type Options struct {
	// TenantFiles replaces the tenants' migrations.
	TenantFiles fs.FS
	// MaxConns is how many connections Engine may hold. Default 4.
	MaxConns int32
	// SlugQuarantine is how long a deleted tenant's slug stays unused. Default an hour.
	SlugQuarantine time.Duration
}

// New gives a database of the test's own, cloned from a template.
func New(t testing.TB) *DB { return NewWith(t, Options{}) }

// NewWith is [New] with options.
func NewWith(t testing.TB, o Options) *DB {
	t.Helper()
	if o.TenantFiles == nil {
		o.TenantFiles = migrations.Tenant()
	}
	if o.MaxConns == 0 {
		o.MaxConns = 4
	}
	if o.SlugQuarantine == 0 {
		o.SlugQuarantine = time.Hour
	}
	ctx := context.Background()
	d := &DB{t: t}
	d.AdminURL = Clone(t, templateKey(t), buildTemplate)
	d.OwnerURL = asOwner(d.AdminURL)
	takeOver(t, d.AdminURL)

	var err error
	d.Logins, err = tenancy.NewLogins(d.OwnerURL, Secret, rolePrefix)
	require.NoError(t, err)
	ownerConfig, err := d.Logins.Owner()
	require.NoError(t, err)
	controlConfig, err := d.Logins.As(d.Logins.Control())
	require.NoError(t, err)
	d.Owner = pool(ctx, t, ownerConfig)
	d.Control = pool(ctx, t, controlConfig)
	d.Engine, err = tenantschema.Open(tenantschema.Config{
		Connect:  func(cell int) (*pgx.ConnConfig, error) { return d.Logins.As(d.Logins.Cell(cell)) },
		MaxConns: o.MaxConns,
	})
	require.NoError(t, err)
	t.Cleanup(d.Engine.Close)
	provisioner, err := tenantschema.NewProvisioner(tenantschema.ProvisionerConfig{ConnConfig: ownerConfig, Migrations: o.TenantFiles})
	require.NoError(t, err)
	d.Manager, err = tenancy.NewManager(tenancy.ManagerConfig{
		Pool: d.Owner, Provisioner: provisioner, Logins: d.Logins, SlugQuarantine: o.SlugQuarantine,
	})
	require.NoError(t, err)
	return d
}

// Tenant makes a tenant, or finds it.
func (d *DB) Tenant(slug string) tenancy.Tenant {
	d.t.Helper()
	t, _, err := d.Manager.Create(context.Background(), tenancy.NewTenant{Slug: slug})
	require.NoError(d.t, err)
	return t
}

// Scope makes a tenant, or finds it, and gives its scope.
func (d *DB) Scope(slug string) tenantschema.Scope {
	d.t.Helper()
	return d.Engine.Tenant(d.Tenant(slug).Engine())
}

// Catalog opens a catalog of this database.
func (d *DB) Catalog() *tenancy.Catalog {
	d.t.Helper()
	listen, err := d.Logins.As(d.Logins.Control())
	require.NoError(d.t, err)
	catalog, err := tenancy.OpenCatalog(context.Background(), tenancy.CatalogConfig{
		Pool: d.Control, Listen: listen, Log: zaptest.NewLogger(d.t),
	})
	require.NoError(d.t, err)
	d.t.Cleanup(catalog.Close)
	return catalog
}

func pool(ctx context.Context, t testing.TB, cfg *pgx.ConnConfig) *pgxpool.Pool {
	t.Helper()
	poolConfig, err := pgxpool.ParseConfig("")
	require.NoError(t, err)
	poolConfig.ConnConfig = cfg
	poolConfig.MaxConns = 8
	p, err := pgxpool.NewWithConfig(ctx, poolConfig)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p
}

// templateKey changes with whatever the template is made of.
func templateKey(t testing.TB) string {
	t.Helper()
	key := "rowhouse control plane, river"
	for _, fsys := range []fs.FS{migrations.Control()} {
		require.NoError(t, fs.WalkDir(fsys, ".", func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			text, err := fs.ReadFile(fsys, path)
			key += "\n" + path + "\n" + string(text)
			return err
		}))
	}
	return key + jobqueue.SchemaKey()
}

func buildTemplate(ctx context.Context, adminURL string) error {
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return err
	}
	defer conn.Close(ctx) //nolint:errcheck // Only used up to here.
	if _, err = conn.Exec(ctx, "create role "+owner+" login createrole password '"+owner+"'"); err != nil {
		if pgErr, ok := errors.AsType[*pgconn.PgError](err); !ok || pgErr.Code != "42710" && pgErr.Code != "23505" { // It is there already.
			return err
		}
	}
	if _, err = conn.Exec(ctx, fmt.Sprintf("alter database %s owner to %s", pgx.Identifier{conn.Config().Database}.Sanitize(), owner)); err != nil {
		return err
	}
	logins, err := tenancy.NewLogins(asOwner(adminURL), Secret, rolePrefix)
	if err != nil {
		return err
	}
	return tenancy.MigrateControl(ctx, logins, func(ctx context.Context) error { return jobqueue.MigrateAs(ctx, logins) })
}

// takeOver repeats what a clone does not inherit: the database's owner and its grants.
func takeOver(t testing.TB, adminURL string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, adminURL)
	require.NoError(t, err)
	defer conn.Close(ctx) //nolint:errcheck // Only used up to here.
	db := pgx.Identifier{conn.Config().Database}.Sanitize()
	for _, sql := range []string{
		"alter database " + db + " owner to " + owner,
		"revoke all on database " + db + " from public",
		fmt.Sprintf("grant connect on database %s to %s_control, %s_cell_01", db, rolePrefix, rolePrefix),
	} {
		_, err = conn.Exec(ctx, sql)
		require.NoError(t, err)
	}
}

func asOwner(adminURL string) string {
	u, err := url.Parse(adminURL)
	if err != nil {
		return adminURL // pgx will say what is wrong with it.
	}
	u.User = url.UserPassword(owner, owner)
	return u.String()
}
