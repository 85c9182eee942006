package jobqueue_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
)

func TestMigrate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	current := func() bool {
		t.Helper()
		ok, err := jobqueue.MigrationsCurrent(t.Context(), b.Control)
		require.NoError(t, err)
		return ok
	}
	policies := func() map[string][]string {
		t.Helper()
		var got map[string][]string
		require.NoError(t, b.Owner.QueryRow(t.Context(), `select json_object_agg(policyname, roles) from pg_policies
			where schemaname = 'river' and tablename = 'river_job'`).Scan(&got))
		return got
	}
	control, enqueuer := b.Logins.Control(), b.Logins.Enqueuer()
	want := map[string][]string{
		"rowhouse_control": {control}, "rowhouse_enqueue_insert_own": {enqueuer}, "rowhouse_enqueue_select_own": {enqueuer},
		"rowhouse_enqueue_update_own": {enqueuer},
	}
	require.True(t, current())
	require.Equal(t, want, policies())

	// Repeating it changes nothing, and mends what somebody has changed.
	for _, sql := range []string{
		"alter policy rowhouse_enqueue_insert_own on river.river_job to public",
		"create policy own_goal on river.river_job for all to public using (true)",
		"drop policy rowhouse_control on river.river_job",
		"alter table river.river_job disable row level security",
	} {
		_, err := b.Owner.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	require.NoError(t, jobqueue.MigrateAs(t.Context(), b.Logins))
	require.NoError(t, jobqueue.MigrateAs(t.Context(), b.Logins))
	require.True(t, current())
	require.Equal(t, want, policies())
	var secured bool
	require.NoError(t, b.Owner.QueryRow(t.Context(), "select relrowsecurity from pg_class where oid = 'river.river_job'::regclass").Scan(&secured))
	require.True(t, secured)

	// The next version's migrations are no fault; a missing one is.
	_, err := b.Owner.Exec(t.Context(), "insert into river.river_migration (line, version) values ('main', 1000)")
	require.NoError(t, err)
	require.True(t, current())
	_, err = b.Owner.Exec(t.Context(), "delete from river.river_migration where version = 2")
	require.NoError(t, err)
	require.False(t, current())
	_, err = b.Owner.Exec(t.Context(), "drop schema river cascade")
	require.NoError(t, err)
	require.False(t, current())
	require.NoError(t, jobqueue.MigrateAs(t.Context(), b.Logins))
	require.True(t, current())

	require.Error(t, jobqueue.Migrate(t.Context(), b.Owner, jobqueue.Grants{ControlRole: control}))
	require.NotEmpty(t, jobqueue.SchemaKey())
}

func TestControlRoleCannotForgeMigrations(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.Control.Exec(t.Context(), "delete from river.river_migration")
	requireState(t, err, "42501")
}
