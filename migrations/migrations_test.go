package migrations_test

import (
	"io/fs"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/migrations"
	"github.com/rowhousehq/rowhouse/pkg/migrationlint"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// The rules for tenants' schemas, asked of a real one. See the package's comment.
func TestTenantSchemaFollowsTheRules(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	schema := d.Tenant("acme").Schema.String()
	for rule, sql := range map[string]string{
		"every table has a primary key": `select c.relname from pg_class c where c.relnamespace = $1::regnamespace and c.relkind in ('r', 'p')
			and c.relname <> 'goose_db_version' and not exists (select from pg_constraint k where k.conrelid = c.oid and k.contype = 'p')`,
		"no triggers":       `select t.tgname from pg_trigger t join pg_class c on c.oid = t.tgrelid where c.relnamespace = $1::regnamespace and not t.tgisinternal`,
		"no functions":      `select proname from pg_proc where pronamespace = $1::regnamespace`,
		"no enums, domains": `select typname from pg_type where typnamespace = $1::regnamespace and typtype in ('e', 'd')`,
		"no sequences":      `select relname from pg_class where relnamespace = $1::regnamespace and relkind = 'S' and relname not like 'goose%'`,
		"no foreign key leaves the schema": `select k.conname from pg_constraint k join pg_class target on target.oid = k.confrelid
			where k.connamespace = $1::regnamespace and k.contype = 'f' and target.relnamespace <> k.connamespace`,
		"every foreign key has an index": `select k.conname from pg_constraint k where k.connamespace = $1::regnamespace and k.contype = 'f'
			and not exists (select from pg_index i where i.indrelid = k.conrelid and (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey)`,
		"timestamps have a time zone": `select c.relname || '.' || a.attname from pg_attribute a join pg_class c on c.oid = a.attrelid
			where c.relnamespace = $1::regnamespace and a.atttypid = 'timestamp'::regtype and c.relname <> 'goose_db_version'`,
	} {
		rows, err := d.Owner.Query(t.Context(), sql, schema)
		require.NoError(t, err, rule)
		offenders, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err, rule)
		require.Empty(t, offenders, rule)
	}
	var tables int
	require.NoError(t, d.Owner.QueryRow(t.Context(), "select count(*) from pg_tables where schemaname = $1", schema).Scan(&tables))
	require.GreaterOrEqual(t, tables, 13, "twelve of the product and goose's")
}

// A tenant's SQL runs in every tenant's schema. What `rowhouse migrations lint` finds is mended, or allowed by a comment that says why.
func TestTenantFilesPassTheLint(t *testing.T) {
	t.Parallel()
	findings, err := migrationlint.Lint(migrations.Tenant())
	require.NoError(t, err)
	for _, f := range findings {
		t.Errorf("%s; instead: %s", f, f.Fix)
	}
}

func TestTenantFilesCanBeTakenBack(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(migrations.Tenant(), "*.sql")
	require.NoError(t, err)
	for _, file := range files {
		text, err := fs.ReadFile(migrations.Tenant(), file)
		require.NoError(t, err)
		require.Contains(t, string(text), "-- +goose Down", file)
	}
}
