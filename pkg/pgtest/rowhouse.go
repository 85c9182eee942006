package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
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

	tb testing.TB
}

// Options change what [NewWith] makes. The zero value is what [New] uses.
type Options struct {
	// Migrations are a product's own, which stand behind the platform's in place of the workspace's. See [migrations.With].
	Migrations fs.FS
	// TenantFiles replaces all of the tenants' migrations.
	TenantFiles fs.FS
	// MaxConns is how many connections Engine may hold. Default 4.
	MaxConns int
	// CellSize is how many tenants share a login role. Default that of the manager.
	CellSize int
	// SlugQuarantine is how long a deleted tenant's slug stays unused. Default an hour.
	SlugQuarantine time.Duration
	// Server is where the database is to be. Default the one that all tests share.
	Server *Server
}

// New gives a database of the test's own, cloned from a template.
func New(tb testing.TB) *DB {
	tb.Helper()
	return NewWith(tb, Options{})
}

// NewWith is [New] with options.
func NewWith(tb testing.TB, o Options) *DB {
	tb.Helper()
	if o.TenantFiles == nil && o.Migrations != nil {
		files, err := migrations.With(o.Migrations)
		require.NoError(tb, err)
		o.TenantFiles = files
	}
	if o.TenantFiles == nil {
		o.TenantFiles = migrations.Tenant()
	}
	if o.MaxConns == 0 {
		o.MaxConns = 4
	}
	if o.SlugQuarantine == 0 {
		o.SlugQuarantine = time.Hour
	}
	d := &DB{tb: tb}
	if o.Server != nil {
		d.AdminURL = cloneOn(tb, o.Server.server.URL, templateKey(tb), buildTemplate)
	} else {
		d.AdminURL = Clone(tb, templateKey(tb), buildTemplate)
	}
	d.OwnerURL = asOwner(d.AdminURL)
	takeOver(tb, d.AdminURL)

	var err error
	d.Logins, err = tenancy.NewLogins(d.OwnerURL, Secret, rolePrefix)
	require.NoError(tb, err)
	ownerConfig, err := d.Logins.Owner()
	require.NoError(tb, err)
	controlConfig, err := d.Logins.As(d.Logins.Control())
	require.NoError(tb, err)
	d.Owner = pool(tb, ownerConfig)
	d.Control = pool(tb, controlConfig)
	provisioner, err := tenantschema.NewProvisioner(tenantschema.ProvisionerConfig{ConnConfig: ownerConfig, Migrations: o.TenantFiles})
	require.NoError(tb, err)
	d.Manager, err = tenancy.NewManager(tenancy.ManagerConfig{
		Pool: d.Owner, Provisioner: provisioner, Logins: d.Logins, SlugQuarantine: o.SlugQuarantine, CellSize: o.CellSize, RoleBlock: 1,
		Jobs: jobqueue.Tenancy{},
	})
	require.NoError(tb, err)
	d.Engine, err = tenantschema.Open(d.EngineConfig(tenantschema.Config{MaxConns: o.MaxConns}))
	require.NoError(tb, err)
	tb.Cleanup(d.Engine.Close)
	return d
}

// EngineConfig adds to cfg what an engine for this database needs.
func (d *DB) EngineConfig(cfg tenantschema.Config) tenantschema.Config {
	d.tb.Helper()
	key, err := d.Manager.SealKey(d.tb.Context())
	require.NoError(d.tb, err)
	cfg.SealKey = func() tenantschema.SealKey { return key }
	cfg.PlatformRole = d.Logins.Enqueuer()
	if cfg.Connect == nil {
		cfg.Connect = d.Logins.Engine
	}
	return cfg
}

// RolePrefix gives a prefix for roles that nobody else on the server has. The login roles of that prefix are dropped when the test ends.
func (d *DB) RolePrefix() string {
	d.tb.Helper()
	prefix := rolePrefix + "_" + strings.ToLower(rand.Text()[:10])
	d.tb.Cleanup(func() { // Before the database is dropped, and with it what the roles may do there.
		ctx := context.WithoutCancel(d.tb.Context())
		conn, err := pgx.Connect(ctx, d.AdminURL)
		require.NoError(d.tb, err)
		defer conn.Close(ctx) //nolint:errcheck // Only used here.
		for _, role := range []string{prefix + "_control", prefix + "_cell_01", prefix + "_enqueue"} {
			if _, err = conn.Exec(ctx, "drop owned by "+role); err == nil { // It may never have been made.
				_, err = conn.Exec(ctx, "drop role "+role)
				require.NoError(d.tb, err)
			}
		}
	})
	return prefix
}

// Harden does to the database what `rowhouse harden --apply` does.
func (d *DB) Harden() {
	d.tb.Helper()
	roles, err := d.Logins.HardenRoles()
	require.NoError(d.tb, err)
	require.NoError(d.tb, withConn(d.tb.Context(), d.AdminURL, func(conn *pgx.Conn) error {
		_, err := conn.Exec(d.tb.Context(), tenantschema.HardenSQL(roles))
		return err
	}))
}

// Tenant makes a tenant, or finds it.
func (d *DB) Tenant(slug string) tenancy.Tenant {
	d.tb.Helper()
	t, _, err := d.Manager.Create(d.tb.Context(), tenancy.NewTenant{Slug: slug})
	require.NoError(d.tb, err)
	return t
}

// Scope makes a tenant, or finds it, and gives its scope.
func (d *DB) Scope(slug string) tenantschema.Scope {
	d.tb.Helper()
	return d.Engine.Tenant(d.Tenant(slug).Engine())
}

// Catalog opens a catalog of this database.
func (d *DB) Catalog() *tenancy.Catalog {
	d.tb.Helper()
	listen, err := d.Logins.As(d.Logins.Control())
	require.NoError(d.tb, err)
	catalog, err := tenancy.OpenCatalog(d.tb.Context(), tenancy.CatalogConfig{
		Pool: d.Control, Logins: d.Logins, Listen: listen, Log: zaptest.NewLogger(d.tb),
	})
	require.NoError(d.tb, err)
	d.tb.Cleanup(catalog.Close)
	return catalog
}

// pool outlives the test's own context, as cleanups may need it, and is closed after them.
func pool(tb testing.TB, cfg *pgx.ConnConfig) *pgxpool.Pool {
	tb.Helper()
	poolConfig, err := pgxpool.ParseConfig("")
	require.NoError(tb, err)
	poolConfig.ConnConfig = cfg
	poolConfig.MaxConns = 8
	p, err := pgxpool.NewWithConfig(context.WithoutCancel(tb.Context()), poolConfig)
	require.NoError(tb, err)
	tb.Cleanup(p.Close)
	return p
}

// templateKey changes with whatever the template is made of.
func templateKey(tb testing.TB) string {
	tb.Helper()
	var key strings.Builder
	key.WriteString("rowhouse control plane, river")
	files := migrations.Control()
	require.NoError(tb, fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, path)
		key.WriteString("\n" + path + "\n" + string(text))
		return err
	}))
	key.WriteString(jobqueue.SchemaKey())
	key.WriteString(tenantschema.SealSchemaKey())
	return key.String()
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
	// Databases are named by this package, of letters, digits and underscores.
	if _, err = conn.Exec(ctx, "alter database "+conn.Config().Database+" owner to "+owner); err != nil {
		return err
	}
	logins, err := tenancy.NewLogins(asOwner(adminURL), Secret, rolePrefix)
	if err != nil {
		return err
	}
	return tenancy.MigrateControl(ctx, tenancy.ControlMigration{
		Logins: logins, Then: func(ctx context.Context) error { return jobqueue.MigrateAs(ctx, logins) },
	})
}

// takeOver repeats what a clone does not inherit: the database's owner and its grants.
func takeOver(tb testing.TB, adminURL string) {
	tb.Helper()
	ctx := tb.Context()
	conn, err := pgx.Connect(ctx, adminURL)
	require.NoError(tb, err)
	defer conn.Close(ctx)        //nolint:errcheck // Only used up to here.
	db := conn.Config().Database // See buildTemplate.
	for _, sql := range []string{
		"alter database " + db + " owner to " + owner,
		"revoke all on database " + db + " from public",
		fmt.Sprintf("grant connect on database %s to %s_control, %s_cell_01", db, rolePrefix, rolePrefix),
	} {
		_, err = conn.Exec(ctx, sql)
		require.NoError(tb, err)
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
