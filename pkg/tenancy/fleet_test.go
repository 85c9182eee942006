package tenancy_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

// street is a fleet of so many tenants on version 1, whose managers know more.
func street(t *testing.T, tenants int, later fstest.MapFS) (*pgtest.DB, *tenancy.Manager) {
	t.Helper()
	files := fstest.MapFS{"00001_a.sql": sqlFile("-- +goose Up\ncreate table a (id int constraint a_pkey primary key);\n-- +goose Down\ndrop table a;\n")}
	d := pgtest.NewWith(t, pgtest.Options{TenantFiles: files})
	list := make([]tenancy.NewTenant, tenants)
	for i := range list {
		list[i] = tenancy.NewTenant{Slug: fmt.Sprintf("t%02d", i)}
	}
	require.NoError(t, d.Manager.CreateAll(t.Context(), list, 4, func(tenancy.Creation) {}))
	maps.Copy(files, later)
	return d, manager(t, d, files)
}

func addColumn() fstest.MapFS {
	return fstest.MapFS{"00002_b.sql": sqlFile("-- +goose Up\nalter table a add column b int;\n" +
		"alter table a add constraint a_id_check check (id > 0);\n-- +goose Down\nalter table a drop column b;\nalter table a drop constraint a_id_check;\n")}
}

// spoil makes the migration of a tenant fail.
func spoil(t *testing.T, d *pgtest.DB, slugs ...string) {
	t.Helper()
	for _, slug := range slugs {
		tenant, err := d.Manager.Get(t.Context(), slug)
		require.NoError(t, err)
		_, err = d.Owner.Exec(t.Context(), "insert into "+tenant.Schema.Quote()+".a values (-1)")
		require.NoError(t, err)
	}
}

func mend(t *testing.T, d *pgtest.DB, slugs ...string) {
	t.Helper()
	for _, slug := range slugs {
		tenant, err := d.Manager.Get(t.Context(), slug)
		require.NoError(t, err)
		_, err = d.Owner.Exec(t.Context(), "delete from "+tenant.Schema.Quote()+".a")
		require.NoError(t, err)
	}
}

func ignore(tenancy.MigrationResult) {}

// versions counts the tenants by version.
func versions(t *testing.T, m *tenancy.Manager) map[int64]int {
	t.Helper()
	counts, err := m.Versions(t.Context())
	require.NoError(t, err)
	found := map[int64]int{}
	for _, n := range counts {
		found[n.Version] += n.Tenants
	}
	return found
}

// A run stops when more have failed than may, and is resumed; who has failed is left alone until somebody asks for it.
func TestFleet_StopsResumesRetries(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d, m := street(t, 12, addColumn())
	spoil(t, d, "t03", "t07")
	plan, err := m.PlanRun(ctx, tenancy.RunOptions{Canary: tenancy.Share{Count: 2}})
	require.NoError(t, err)
	require.Equal(t, []int{2, 4, 6}, plan.Waves)
	require.Len(t, plan.Moves, 1)
	require.Equal(t, "00002_b.sql", plan.Moves[0].Steps[0].File)
	require.Equal(t, map[int64]int{1: 12}, versions(t, m), "a plan changes nothing")

	run, err := m.StartRun(ctx, tenancy.RunOptions{Canary: tenancy.Share{Count: 2}, Workers: 1, By: "ann"}, ignore)
	requireCode(t, err, apperr.Partial)
	require.ErrorContains(t, err, fmt.Sprintf("fleet resume %d", run.ID))
	require.Equal(t, tenancy.RunStopped, run.State)
	require.Equal(t, "too many tenants failed: 1", run.Reason)
	require.Equal(t, 1, run.Failed)
	require.Equal(t, 12, run.Pending+run.Done+run.Failed)
	require.Equal(t, run.Done, versions(t, m)[2], "the ledger and the catalog agree")

	run, err = m.ResumeRun(ctx, run.ID, false, "bob", ignore)
	requireCode(t, err, apperr.Partial)
	if run.State == tenancy.RunStopped { // By the second one: it may have been the last.
		run, err = m.ResumeRun(ctx, run.ID, false, "bob", ignore)
		requireCode(t, err, apperr.Partial)
	}
	require.Equal(t, tenancy.RunDone, run.State)
	require.Equal(t, "bob", run.By)
	require.Equal(t, 10, run.Done)
	require.Equal(t, map[int64]int{1: 2, 2: 10}, versions(t, m))
	failures, err := m.RunFailures(ctx, run.ID)
	require.NoError(t, err)
	require.Len(t, failures, 2)
	require.Equal(t, []string{"t03", "t07"}, []string{failures[0].Slug, failures[1].Slug})
	require.Contains(t, failures[0].Error, "version 2")
	require.Contains(t, failures[0].Error, "a_id_check")

	mend(t, d, "t03", "t07")
	run, err = m.ResumeRun(ctx, run.ID, true, "bob", ignore)
	require.NoError(t, err)
	require.Equal(t, 12, run.Done)
	require.Zero(t, run.Failed)
	run, err = m.StartRun(ctx, tenancy.RunOptions{}, ignore)
	require.NoError(t, err)
	require.Zero(t, run.ID, "nothing to do leaves nothing behind")
}

// Ctrl-C stops between tenants, and another process goes on. A new run takes over what an old one has left.
func TestFleet_InterruptedAndSuperseded(t *testing.T) {
	t.Parallel()
	d, m := street(t, 8, addColumn())
	_ = d
	ctx, interrupt := context.WithCancel(t.Context())
	told := 0
	first, err := m.StartRun(ctx, tenancy.RunOptions{Workers: 1, Canary: tenancy.Share{Count: 1}}, func(r tenancy.MigrationResult) {
		require.NoError(t, r.Err)
		if told++; told == 3 {
			interrupt()
		}
	})
	requireCode(t, err, apperr.Partial)
	require.Equal(t, tenancy.RunStopped, first.State)
	require.Equal(t, "interrupted", first.Reason)
	require.Equal(t, told, first.Done)
	require.Equal(t, map[int64]int{1: 8 - told, 2: told}, versions(t, m))

	second, err := m.StartRun(t.Context(), tenancy.RunOptions{}, ignore)
	require.NoError(t, err)
	require.Equal(t, 8-told, second.Done)
	_, err = m.ResumeRun(t.Context(), first.ID, false, "", ignore)
	requireCode(t, err, apperr.Conflict)
	runs, err := m.Runs(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, []tenancy.RunState{tenancy.RunDone, tenancy.RunSuperseded}, []tenancy.RunState{runs[0].State, runs[1].State})
	_, err = m.GetRun(t.Context(), 99)
	requireCode(t, err, apperr.NotFound)
}

// Tenants that share a transaction arrive together; where one of them fails, the others arrive all the same.
func TestFleet_Batch(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d, m := street(t, 9, addColumn())
	spoil(t, d, "t04")
	_, err := d.Manager.Suspend(ctx, "t05", "late")
	require.NoError(t, err)
	results := map[string]tenancy.MigrationResult{}
	run, err := m.StartRun(ctx, tenancy.RunOptions{Batch: 4, MaxFailures: 3}, func(r tenancy.MigrationResult) { results[r.Tenant.Slug] = r })
	requireCode(t, err, apperr.Partial)
	require.Len(t, results, 9)
	require.Equal(t, 8, run.Done)
	require.Equal(t, map[int64]int{1: 1, 2: 8}, versions(t, m))
	require.Error(t, results["t04"].Err)
	require.Equal(t, tenancy.StateSuspended, results["t05"].Tenant.State)
	t05, err := m.Get(ctx, "t05")
	require.NoError(t, err)
	require.Equal(t, tenancy.StateSuspended, t05.State)
	require.Equal(t, "late", t05.StateReason)
}

// Files outside a transaction go step by step, whatever the batch.
func TestFleet_BatchStepByStep(t *testing.T) {
	t.Parallel()
	later := addColumn()
	later["00003_c.sql"] = sqlFile("-- +goose NO TRANSACTION\n-- +goose Up\ncreate index concurrently a_b_idx on a (b);\n")
	_, m := street(t, 4, later)
	run, err := m.StartRun(t.Context(), tenancy.RunOptions{Batch: 4}, ignore)
	require.NoError(t, err)
	require.Equal(t, 4, run.Done)
	require.Equal(t, map[int64]int{3: 4}, versions(t, m))
}

// Migrations are taken back from those that have them, by the same kind of run.
func TestFleet_Down(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d, m := street(t, 3, addColumn())
	run, err := m.StartRun(ctx, tenancy.RunOptions{}, ignore)
	require.NoError(t, err)
	require.Equal(t, 3, run.Done)
	t00, err := m.Get(ctx, "t00")
	require.NoError(t, err)
	run, err = m.StartRun(ctx, tenancy.RunOptions{Down: true, Target: 1, Only: []string{t00.ID}}, ignore)
	require.NoError(t, err)
	require.Equal(t, 1, run.Done)
	require.Equal(t, map[int64]int{1: 1, 2: 2}, versions(t, m))
	var columns int
	require.NoError(t, d.Owner.QueryRow(ctx, "select count(*) from information_schema.columns where table_schema = $1 and table_name = 'a'",
		t00.Schema.String()).Scan(&columns))
	require.Equal(t, 1, columns)
	_, err = m.StartRun(ctx, tenancy.RunOptions{Down: true}, ignore)
	require.NoError(t, err)
	require.Equal(t, map[int64]int{0: 3}, versions(t, m))
	_, err = m.StartRun(ctx, tenancy.RunOptions{}, ignore)
	require.NoError(t, err)
	require.Equal(t, map[int64]int{2: 3}, versions(t, m))
}

// A paused run begins no further tenant.
func TestFleet_Pause(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	_, m := street(t, 12, fstest.MapFS{"00002_b.sql": sqlFile("-- +goose Up\nselect pg_sleep(0.4);\n")})
	run, err := m.StartRun(ctx, tenancy.RunOptions{Workers: 1}, func(tenancy.MigrationResult) {
		runs, err := m.Runs(ctx, 1)
		require.NoError(t, err)
		if runs[0].State == tenancy.RunRunning {
			_, err = m.PauseRun(ctx, runs[0].ID)
			require.NoError(t, err)
		}
	})
	requireCode(t, err, apperr.Partial)
	require.Equal(t, tenancy.RunPaused, run.State)
	require.Positive(t, run.Done)
	require.Positive(t, run.Pending)
	_, err = m.PauseRun(ctx, run.ID)
	requireCode(t, err, apperr.Conflict)
	run, err = m.ResumeRun(ctx, run.ID, false, "", ignore)
	require.NoError(t, err)
	require.Equal(t, 12, run.Done)
}

// What a run cannot do is refused before anything is touched.
func TestFleet_Refuses(t *testing.T) {
	t.Parallel()
	_, m := street(t, 1, addColumn())
	for _, opts := range []tenancy.RunOptions{
		{Target: 7}, {Target: -1}, {Workers: 65}, {Workers: -1}, {Batch: 501}, {Down: true, Batch: 2}, {LockTries: -1},
		{Waves: []tenancy.Share{{Percent: 50}, {Percent: 10}}},
	} {
		_, err := m.StartRun(t.Context(), opts, ignore)
		requireCode(t, err, apperr.Invalid)
	}
	require.Equal(t, map[int64]int{1: 1}, versions(t, m))
}

// Two at once: one runs, the other is told. Nobody is migrated twice.
func TestFleet_TwoAtOnce(t *testing.T) {
	t.Parallel()
	_, m := street(t, 6, fstest.MapFS{"00002_b.sql": sqlFile("-- +goose Up\nselect pg_sleep(0.2);\n")})
	errs := make(chan error, 4)
	var moved [4][]string
	for i := range 4 {
		go func() {
			_, err := m.StartRun(t.Context(), tenancy.RunOptions{By: "ann"}, func(r tenancy.MigrationResult) { moved[i] = append(moved[i], r.Tenant.Slug) })
			errs <- err
		}()
	}
	told := 0
	for range 4 {
		if err := <-errs; err != nil {
			requireCode(t, err, apperr.Conflict)
			told++
		}
	}
	require.Positive(t, told)
	all := slices.Concat(moved[:]...)
	slices.Sort(all)
	require.Equal(t, []string{"t00", "t01", "t02", "t03", "t04", "t05"}, all)
}

// Views that tenants get in one transaction are each made of the tenant's own tables.
func TestFleet_BatchKeepsViewsApart(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d, m := street(t, 4, fstest.MapFS{"00002_b.sql": sqlFile("-- +goose Up\ncreate view v with (security_barrier) as select id from a;\n" +
		"create table c (id int constraint c_pkey primary key);\n")})
	run, err := m.StartRun(ctx, tenancy.RunOptions{Batch: 4}, ignore)
	require.NoError(t, err)
	require.Equal(t, 4, run.Done)
	for i := range 4 {
		tenant, err := m.Get(ctx, fmt.Sprintf("t%02d", i))
		require.NoError(t, err)
		scope := d.Engine.Tenant(tenant.Engine())
		_, err = scope.Exec(ctx, "insert into a values ($1)", i+1)
		require.NoError(t, err)
		_, err = scope.Exec(ctx, "insert into c values ($1)", i+1)
		require.NoError(t, err, "new tables are granted and sealed")
		var seen []int
		require.NoError(t, scope.QueryRow(ctx, "select array_agg(id) from v").Scan(&seen))
		require.Equal(t, []int{i + 1}, seen)
		var barrier bool
		require.NoError(t, d.Owner.QueryRow(ctx, "select reloptions @> '{security_barrier=true}' from pg_class where oid = $1::regclass",
			tenant.Schema.Quote()+".v").Scan(&barrier))
		require.True(t, barrier)
	}
}
