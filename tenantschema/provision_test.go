package tenantschema_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func sqlFile(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

// files are three migrations, the second outside a transaction.
func files() fstest.MapFS {
	return fstest.MapFS{
		"00001_a.sql": sqlFile("-- +goose Up\ncreate table a (id int constraint a_pkey primary key);\n-- +goose Down\ndrop table a;\n"),
		"00002_b.sql": sqlFile("-- +goose NO TRANSACTION\n-- +goose Up\ncreate index concurrently a_idx on a (id);\n-- +goose Down\ndrop index a_idx;\n"),
		"00003_c.sql": sqlFile("-- +goose Up\ncreate table c (id int constraint c_pkey primary key);\n-- +goose Down\ndrop table c;\n"),
	}
}

type provisioning struct {
	d    *pgtest.DB
	p    *tenantschema.Provisioner
	s    *tenantschema.Session
	name tenantschema.Name
}

func newProvisioning(t *testing.T, fsys fstest.MapFS, name string) *provisioning {
	t.Helper()
	d := pgtest.New(t)
	cfg, err := d.Logins.Owner()
	require.NoError(t, err)
	p, err := tenantschema.NewProvisioner(tenantschema.ProvisionerConfig{ConnConfig: cfg, Migrations: fsys})
	require.NoError(t, err)
	s, err := p.Connect(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() }) // Some tests break it.
	n, err := tenantschema.ParseName(name)
	require.NoError(t, err)
	made := &provisioning{d: d, p: p, s: s, name: n}
	made.dropAtEnd(t, n)
	return made
}

// dropAtEnd drops a schema and a role that the test makes: roles belong to the server.
func (p *provisioning) dropAtEnd(t *testing.T, n tenantschema.Name) {
	t.Helper()
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		_, _ = p.d.Owner.Exec(ctx, "drop schema if exists "+n.Quote()+" cascade")
		_, _ = p.d.Owner.Exec(ctx, "drop role if exists "+n.Quote())
	})
}

// connect opens a session of a program that has other files.
func (p *provisioning) connect(t *testing.T, fsys fstest.MapFS) *tenantschema.Session {
	t.Helper()
	cfg, err := p.d.Logins.Owner()
	require.NoError(t, err)
	other, err := tenantschema.NewProvisioner(tenantschema.ProvisionerConfig{ConnConfig: cfg, Migrations: fsys})
	require.NoError(t, err)
	s, err := other.Connect(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() }) // Some tests break it.
	return s
}

func (p *provisioning) spec() tenantschema.Spec {
	return tenantschema.Spec{Name: p.name, Member: p.d.Logins.Cell(1), Sealed: true}
}

// exists says what there is of the tenant: role, schema.
func (p *provisioning) exists(t *testing.T) (role, schema bool) {
	t.Helper()
	require.NoError(t, p.d.Owner.QueryRow(t.Context(), `select exists (select from pg_roles where rolname = $1),
		exists (select from pg_namespace where nspname = $1)`, p.name.String()).Scan(&role, &schema))
	return role, schema
}

func (p *provisioning) tables(t *testing.T) (names []string) {
	t.Helper()
	rows, err := p.d.Owner.Query(t.Context(), "select tablename::text from pg_tables where schemaname = $1 order by 1", p.name.String())
	require.NoError(t, err)
	names, err = pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return names
}

type recorded struct {
	version int64
	done    bool
}

func (p *provisioning) create(ctx context.Context, records *[]recorded) error {
	return p.s.Create(ctx, p.spec(), nil, func(_ context.Context, _ pgx.Tx, version int64, done bool) error {
		*records = append(*records, recorded{version, done})
		return nil
	})
}

func TestCreate_OneTransaction(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	fsys := files()
	delete(fsys, "00002_b.sql")
	p := newProvisioning(t, fsys, "t_create_one_tx")
	require.EqualValues(t, 3, p.p.Target())

	// Whatever fails last takes everything with it.
	mine := errors.New("mine")
	err := p.s.Create(ctx, p.spec(), nil, func(context.Context, pgx.Tx, int64, bool) error { return mine })
	require.ErrorIs(t, err, mine)
	role, schema := p.exists(t)
	require.False(t, role || schema)

	var records []recorded
	require.NoError(t, p.create(ctx, &records))
	require.Equal(t, []recorded{{3, true}}, records)
	require.Equal(t, []string{"a", "c", "goose_db_version"}, p.tables(t))
	require.NoError(t, p.create(ctx, &records), "repeated")
	require.Equal(t, []recorded{{3, true}, {3, true}}, records)

	var versions []int64
	rows, err := p.d.Owner.Query(ctx, "select version_id from "+p.name.Quote()+".goose_db_version order by 1")
	require.NoError(t, err)
	versions, err = pgx.CollectRows(rows, pgx.RowTo[int64])
	require.NoError(t, err)
	require.Equal(t, []int64{0, 1, 3}, versions)

	// Gone, and gone again.
	for range 2 {
		require.NoError(t, p.s.Drop(ctx, p.name, func(context.Context, pgx.Tx) error { return nil }))
		role, schema = p.exists(t)
		require.False(t, role || schema)
	}
}

// A file outside a transaction splits the work. Cut off at every step, the next call goes on.
func TestCreate_StepByStep(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := newProvisioning(t, files(), "t_create_steps")
	mine := errors.New("mine")
	for cut := range 2 {
		n := 0
		err := p.s.Create(ctx, p.spec(), nil, func(context.Context, pgx.Tx, int64, bool) error {
			if n++; n > cut {
				return mine
			}
			return nil
		})
		require.ErrorIs(t, err, mine)
	}
	var records []recorded
	require.NoError(t, p.create(ctx, &records))
	require.Equal(t, recorded{3, true}, records[len(records)-1])
	require.Equal(t, []string{"a", "c", "goose_db_version"}, p.tables(t))

	fresh := newProvisioning(t, files(), "t_create_steps_2")
	records = nil
	require.NoError(t, fresh.create(ctx, &records))
	require.Equal(t, []recorded{{1, false}, {3, true}}, records)
}

func TestCreate_AtOnce(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := newProvisioning(t, files(), "t_create_at_once")
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() {
			s, err := p.p.Connect(ctx)
			if err == nil {
				err = errors.Join(
					s.Create(ctx, p.spec(), nil, func(context.Context, pgx.Tx, int64, bool) error { return nil }), s.Close())
			}
			errs[i] = err
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	require.Equal(t, []string{"a", "c", "goose_db_version"}, p.tables(t))
}

func TestCreate_RefusesAPowerfulRole(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := newProvisioning(t, files(), "t_powerful")
	_, err := p.d.Owner.Exec(ctx, "create role t_powerful login")
	require.NoError(t, err)
	var records []recorded
	require.ErrorContains(t, p.create(ctx, &records), "more rights")
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	fsys := files()
	p := newProvisioning(t, fsys, "t_migrate")
	nothing := func(context.Context, pgx.Tx, int64, bool) error { return nil }
	require.ErrorIs(t, p.s.Migrate(ctx, p.spec(), nothing), tenantschema.ErrNoSchema)
	role, schema := p.exists(t)
	require.False(t, role || schema, "migrating makes no tenant")

	var records []recorded
	require.NoError(t, p.create(ctx, &records))

	// A file that fails half-way leaves nothing of itself, and the session usable.
	fsys["00004_bad.sql"] = sqlFile("-- +goose Up\ncreate table d (id int constraint d_pkey primary key);\nselect 1/0;\n")
	session := p.connect(t, fsys)
	requireState(t, session.Migrate(ctx, p.spec(), nothing), "22012")
	require.Equal(t, []string{"a", "c", "goose_db_version"}, p.tables(t))
	requireState(t, session.Migrate(ctx, p.spec(), nothing), "22012")

	// New tables are granted.
	fsys["00004_bad.sql"] = sqlFile("-- +goose Up\ncreate table d (id int constraint d_pkey primary key);\n")
	require.NoError(t, p.connect(t, fsys).Migrate(ctx, p.spec(), nothing))
	scope := p.d.Engine.Tenant(tenantschema.Tenant{ID: "x", Schema: p.name, Cell: 1})
	_, err := scope.Exec(ctx, "insert into d values (1)")
	require.NoError(t, err)
	_, err = scope.Exec(ctx, "update goose_db_version set version_id = 9")
	requireState(t, err, "42501")
}

func TestNewProvisioner_Refuses(t *testing.T) {
	t.Parallel()
	cfg, err := pgx.ParseConfig("")
	require.NoError(t, err)
	_, err = tenantschema.NewProvisioner(tenantschema.ProvisionerConfig{Migrations: files()})
	require.Error(t, err)
	_, err = tenantschema.NewProvisioner(tenantschema.ProvisionerConfig{ConnConfig: cfg, Migrations: fstest.MapFS{}})
	require.Error(t, err)
	_, err = tenantschema.NewProvisioner(tenantschema.ProvisionerConfig{ConnConfig: cfg, Migrations: files(), LockTimeout: -1})
	require.Error(t, err)
	_, err = tenantschema.Open(tenantschema.Config{})
	require.Error(t, err)
}
