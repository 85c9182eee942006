package tenantschema_test

import (
	"io/fs"
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/migrations"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// plain makes the schema of name by goose alone, as its documentation says, and then gives it the grants and the seal.
func (p *provisioning) plain(t *testing.T, name tenantschema.Name, fsys fs.FS, code []*goose.Migration) {
	t.Helper()
	ctx := t.Context()
	for _, sql := range []string{"create role " + name.Quote() + " nologin noinherit", "create schema " + name.Quote()} {
		_, err := p.d.Owner.Exec(ctx, sql)
		require.NoError(t, err)
	}
	cfg, err := p.d.Logins.Owner()
	require.NoError(t, err)
	cfg.RuntimeParams["search_path"] = name.Quote()
	db := stdlib.OpenDB(*cfg)
	defer db.Close() //nolint:errcheck // Only used here.
	provider, err := goose.NewProvider(goose.DialectPostgres, db, fsys, goose.WithGoMigrations(code...),
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	require.NoError(t, err)
	_, err = provider.Up(ctx)
	require.NoError(t, err)
	require.NoError(t, pgx.BeginFunc(ctx, p.d.Owner, func(tx pgx.Tx) error {
		return tenantschema.Secure(ctx, tx, tenantschema.Spec{Name: name, Sealed: true})
	}))
}

type versionRow struct {
	ID, Version int64
	Applied     bool
}

func (p *provisioning) versionRows(t *testing.T, name tenantschema.Name) []versionRow {
	t.Helper()
	rows, err := p.d.Owner.Query(t.Context(), "select id, version_id, is_applied from "+name.Quote()+".goose_db_version order by id")
	require.NoError(t, err)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[versionRow])
	require.NoError(t, err)
	return found
}

// What Create makes in few round trips is what goose makes by itself, to the last row of its table.
func TestCreate_LikePlainGoose(t *testing.T) {
	t.Parallel()
	product, err := fs.ReadDir(migrations.Tenant(), ".")
	require.NoError(t, err)
	for name, c := range map[string]struct {
		fsys     fs.FS
		code     func() []*goose.Migration
		versions int
	}{
		"product": {migrations.Tenant(), func() []*goose.Migration { return nil }, len(product)},
		"rich":    {richFiles(), richGo, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			p := newProvisioning(t, files(), "t_goose_"+name)
			plain := newName(t, p, "t_plain_"+name)
			p.plain(t, plain, c.fsys, c.code())

			cfg, err := p.d.Logins.Owner()
			require.NoError(t, err)
			provisioner, err := tenantschema.NewProvisioner(tenantschema.ProvisionerConfig{
				ConnConfig: cfg, Migrations: c.fsys, GoMigrations: c.code(),
			})
			require.NoError(t, err)
			s, err := provisioner.Connect(ctx)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, s.Close()) })
			require.NoError(t, s.Create(ctx, p.spec(), nil, done))

			want, err := s.Fingerprint(ctx, plain)
			require.NoError(t, err)
			have, err := s.Fingerprint(ctx, p.name)
			require.NoError(t, err)
			require.Equal(t, lines(want), lines(have))
			require.Equal(t, want.Sum(), have.Sum())
			require.Greater(t, len(have.Lines), 50)
			require.Equal(t, p.versionRows(t, plain), p.versionRows(t, p.name))
			require.Len(t, p.versionRows(t, p.name), c.versions+1)
		})
	}
}

// newName gives another schema and role of the test's database, dropped at its end.
func newName(t *testing.T, p *provisioning, name string) tenantschema.Name {
	t.Helper()
	n, err := tenantschema.ParseName(name)
	require.NoError(t, err)
	p.dropAtEnd(t, n)
	return n
}

// An error names the version and the statement, wherever in the one round trip it comes from.
func TestCreate_NamesTheStatement(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 700)
	start := fstest.MapFS{
		"00001_a.sql": sqlFile("-- +goose Up\ncreate table a (id int, name text default '" + long + "');\ncomment on table a is '" + long + "';\n"),
		"00002_b.sql": sqlFile("-- +goose Up\ncreate table b (id int constraint b_pkey primary key);\ncreate table b2 (id int);\n"),
		"00003_c.sql": sqlFile("-- +goose Up\ncreate table c (id int);\ncreate table c2 (id int);\n"),
		"00004_d.sql": sqlFile("-- +goose Up\ncreate table d (id int);\n"),
	}
	for name, c := range map[string]struct{ file, text, state, version, statement string }{
		"syntax": {
			"00003_c.sql", "create table c (id int);\ncreate tabel c2 (id int);\ncreate table c3 (id int);\n",
			"42601", "version 3: ", "create tabel c2",
		},
		"runtime": {
			"00002_b.sql", "create table b (id int constraint b_pkey primary key);\ninsert into b values (1), (1);\ncreate table b2 (id int);\n",
			"23505", "version 2: ", "insert into b values (1), (1)",
		},
		"first": {"00002_b.sql", "select 1 / (length('" + long + "') - 700);\n", "22012", "version 2: ", "select 1 / (length("},
		"names": {"00003_c.sql", "create table c (id int);\nselect nothing from b;\n", "42703", "version 3: ", "select nothing from b"},
		"last":  {"00004_d.sql", "create table d (id int);\nselect 'ä', ö from b;\n", "42703", "version 4: ", "select 'ä', ö from b"},
		"many": {
			"00003_c.sql", "-- +goose StatementBegin\nselect 1; select 2;\n-- +goose StatementEnd\nselect 1/0;\n", "22012", "version 3: ", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			fsys := maps.Clone(start)
			fsys[c.file] = sqlFile("-- +goose Up\n" + c.text)
			p := newProvisioning(t, fsys, "t_statement_"+name)
			err := p.s.Create(ctx, p.spec(), nil, done)
			requireState(t, err, c.state)
			require.ErrorContains(t, err, c.version)
			require.ErrorContains(t, err, c.statement)
			if c.statement == "" { // Which of several is not told, and not guessed.
				require.NotContains(t, err.Error(), "select")
			}
			role, schema := p.exists(t)
			require.False(t, role || schema, "the tenant is untouched")
		})
	}
}
