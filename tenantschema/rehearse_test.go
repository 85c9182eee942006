package tenantschema_test

import (
	"maps"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// A rehearsal shows what each migration does to a copy with all rows, and leaves nothing of it. The tenant is as it was.
func TestRehearse(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	later := fstest.MapFS{
		"00002_b.sql": sqlFile("-- +goose Up\nalter table a alter column m type bigint;\nalter table c add column x int;\n"),
		"00003_c.sql": sqlFile("-- +goose NO TRANSACTION\n-- +goose Up\ncreate index concurrently a_n_idx on a (n);\n"),
		"00004_d.sql": sqlFile("-- +goose Up\nalter table a add constraint a_n_check check (n > 0);\n"),
		"00005_e.sql": sqlFile("-- +goose Up\ncreate table never (id int constraint never_pkey primary key);\n"),
	}
	first := fstest.MapFS{"00001_a.sql": sqlFile(`-- +goose Up
create table a (id bigint generated always as identity constraint a_pkey primary key, n int, m int, doubled int generated always as (n * 2) stored,
	parent bigint constraint a_parent_fkey references a);
create table c (a bigint constraint c_a_fkey references a, constraint c_pkey primary key (a));
create view v as select n from a;
-- +goose StatementBegin
create function noisy() returns trigger language plpgsql as $$ begin raise 'not while copying'; end $$;
-- +goose StatementEnd
`)}
	p := newProvisioning(t, first, "t_rehearseaaaaaaaa")
	require.NoError(t, p.s.Create(ctx, p.spec(), nil, noRecord))
	schema := p.name.Quote()
	for _, sql := range []string{
		"insert into " + schema + ".a (n) select i from generate_series(1, 500) i",
		"update " + schema + ".a set parent = id + 1 where id < 500", // Forward: copied in any order, a row comes before the one it refers to.
		"insert into " + schema + ".c select id from " + schema + ".a where id % 2 = 0",
		"insert into " + schema + ".a (n) values (-1)",
		"create trigger noisy before insert on " + schema + ".a for each row execute function " + schema + ".noisy()",
	} {
		_, err := p.d.Owner.Exec(ctx, sql)
		require.NoError(t, err)
	}
	maps.Copy(first, later)
	s := p.connect(t, first)
	// What a killed one has left.
	for _, sql := range []string{"create role t_0copyaaaaaaaaaaa nologin", "create schema t_0copyaaaaaaaaaaa"} {
		_, err := p.d.Owner.Exec(ctx, sql)
		require.NoError(t, err)
	}

	spec := p.spec()
	spec.Version = 1
	r, err := s.Rehearse(ctx, spec, 5)
	require.NoError(t, err)
	require.Positive(t, r.Before)
	require.Positive(t, r.After)
	require.Len(t, r.Steps, 3, "the one after a failure is not tried")
	require.NoError(t, r.Steps[0].Err)
	require.Equal(t, []tenantschema.HeldLock{{Table: "a", Mode: "AccessExclusiveLock"}, {Table: "c", Mode: "AccessExclusiveLock"}}, r.Steps[0].Locks)
	require.Equal(t, []string{"a"}, r.Steps[0].Rewritten, "c only got a column")
	require.Positive(t, r.Steps[0].Took)
	require.NoError(t, r.Steps[1].Err)
	require.False(t, r.Steps[1].Tx)
	require.ErrorContains(t, r.Steps[2].Err, "a_n_check")
	require.EqualValues(t, 4, r.Steps[2].Version)

	var left, rows int
	require.NoError(t, p.d.Owner.QueryRow(ctx, `select (select count(*) from pg_namespace where nspname like 't\_0copy%')
		+ (select count(*) from pg_roles where rolname like 't\_0copy%')`).Scan(&left))
	require.Zero(t, left)
	require.NoError(t, p.d.Owner.QueryRow(ctx, "select count(*) from "+schema+".a").Scan(&rows))
	require.Equal(t, 501, rows)
	var version int64
	require.NoError(t, p.d.Owner.QueryRow(ctx, "select max(version_id) from "+schema+".goose_db_version").Scan(&version))
	require.EqualValues(t, 1, version)
}
