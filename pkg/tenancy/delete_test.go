package tenancy_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

// A tenant with more tables than PostgreSQL can drop in one transaction is dropped all the same, with its role, its rights and its jobs; and,
// held up half-way, by calling again.
func TestManager_DeleteLarge(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	const tables = 2000
	d := pgtest.NewWith(t, pgtest.Options{
		TenantFiles: fstest.MapFS{"00001_a.sql": sqlFile(createA)},
		Server:      pgtest.OwnServerWith(t, map[string]string{"max_locks_per_transaction": "16", "max_connections": "40"}),
	})
	acme, globex := d.Tenant("acme"), d.Tenant("globex")
	for i := 0; i < tables; i += 50 {
		var sql strings.Builder
		for j := range 50 {
			fmt.Fprintf(&sql, "create table %[1]s.large_%04[2]d (id int);", acme.Schema.Quote(), i+j)
		}
		_, err := d.Owner.Exec(ctx, sql.String())
		require.NoError(t, err)
	}
	_, err := d.Owner.Exec(ctx, fmt.Sprintf(`create view %[1]s.a_view as select id from %[1]s.large_0001;
		create view %[1]s.b_view as select id from %[1]s.a_view;
		create function %[1]s.f() returns int language sql as 'select 1';
		create type %[1]s.mood as enum ('good');
		create sequence %[1]s.numbers;
		alter table %[1]s.large_0000 add column mood %[1]s.mood, add column a int references %[1]s.a (id);
		grant select on %[1]s.large_0001 to %[1]s`, acme.Schema.Quote()))
	require.NoError(t, err)
	_, err = d.Owner.Exec(ctx, `insert into river.river_job (args, kind, max_attempts, metadata) select '{}', 'note', 1,
		jsonb_build_object('tenant', id) from unnest($1::text[]) id`, []string{acme.ID, acme.ID, globex.ID})
	require.NoError(t, err)
	_, err = d.Owner.Exec(ctx, "drop schema "+acme.Schema.Quote()+" cascade")
	require.ErrorContains(t, err, "53200", "the server is too large for this test to show anything")

	left := func() (n int) {
		t.Helper()
		require.NoError(t, d.Owner.QueryRow(ctx, "select count(*) from pg_tables where schemaname = $1", acme.Schema.String()).Scan(&n))
		return n
	}
	tx, err := d.Owner.Begin(ctx)
	require.NoError(t, err)
	_, err = tx.Exec(ctx, "lock table "+acme.Schema.Quote()+".large_1000")
	require.NoError(t, err)
	_, err = d.Manager.Delete(ctx, "acme")
	requireCode(t, err, apperr.Unavailable)
	require.NoError(t, tx.Rollback(ctx))
	require.Greater(t, left(), tables/4)
	require.Less(t, left(), tables*3/4)
	half, err := d.Manager.Get(ctx, "acme")
	require.NoError(t, err)
	require.Equal(t, tenancy.StateArchived, half.State)

	deleted, err := d.Manager.Delete(ctx, "acme")
	require.NoError(t, err)
	require.Equal(t, tenancy.StateDeleted, deleted.State)
	require.EqualValues(t, 2, deleted.Jobs)
	var schemas, roles, rights, jobs int
	require.NoError(t, d.Owner.QueryRow(ctx, `select (select count(*) from pg_namespace where nspname = $1),
		(select count(*) from pg_roles where rolname = $1),
		(select count(*) from pg_shdepend s left join pg_roles r on r.oid = s.refobjid
			where s.refclassid = 'pg_authid'::regclass and r.oid is null),
		(select count(*) from river.river_job)`, acme.Schema.String()).Scan(&schemas, &roles, &rights, &jobs))
	require.Equal(t, []int{0, 0, 0, 1}, []int{schemas, roles, rights, jobs})
	again, err := d.Manager.Delete(ctx, acme.ID)
	require.NoError(t, err)
	require.Zero(t, again.Jobs)
	in, err := d.Manager.Inspect(ctx, nil)
	require.NoError(t, err)
	require.Empty(t, in.Findings)
	_, err = d.Manager.Delete(ctx, "globex")
	require.NoError(t, err)
}
