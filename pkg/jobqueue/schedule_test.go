package jobqueue_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// report is a job that comes by a schedule.
type report struct {
	Due  string `json:"due"`
	Zone string `json:"zone"`
}

func (report) Kind() string { return "report" }

// sweep is one of the platform's.
type sweep struct {
	Due string `json:"due"`
}

func (sweep) PlatformKind() string { return "sweep" }

const timeFormat = "2006-01-02T15:04:05Z07"

// firings is told what schedules do.
type firings struct {
	mu    sync.Mutex
	fired map[string]int
	lag   time.Duration
}

func (c *firings) ScheduleFired(name string, jobs int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fired[name] += jobs
}

func (c *firings) ScheduleLag(age time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lag = age
}

// scheduler gives a client that is not started, so that a test says when its scheduler works. Its rows are there.
func (b *bundle) scheduler(t *testing.T, spec jobqueue.ScheduleSpec) (*jobqueue.Client, *firings) {
	t.Helper()
	w := jobqueue.NewWorkers()
	jobqueue.Handle(w, func(context.Context, tenantschema.Scope, report) error { return nil })
	jobqueue.HandlePlatform(w, func(context.Context, sweep) error { return nil })
	spec.Name = "report"
	jobqueue.Schedule(w, spec, func(due time.Time, zone *time.Location) report {
		return report{Due: due.Format(timeFormat), Zone: zone.String()}
	})
	jobqueue.SchedulePlatform(w, jobqueue.ScheduleSpec{Name: "sweep", Cron: "0 4 * * *"}, func(due time.Time, _ *time.Location) sweep {
		return sweep{Due: due.Format(timeFormat)}
	})
	cfg := b.config(w)
	metrics := &firings{fired: map[string]int{}}
	cfg.ScheduleMetrics = metrics
	c, err := jobqueue.New(cfg)
	require.NoError(t, err)
	require.NoError(t, jobqueue.SchedulePass(t.Context(), c))
	return c, metrics
}

func daily() jobqueue.ScheduleSpec { return jobqueue.ScheduleSpec{Cron: "0 6 * * *"} }

func (b *bundle) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	_, err := b.Owner.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}

// due lets the time of a tenant's schedule have come.
func (b *bundle) due(t *testing.T, tenantID, at string) {
	t.Helper()
	b.exec(t, "update river.rowhouse_schedule set due_at = $2, next_at = $2 where name = 'report' and tenant_id = $1", tenantID, at)
}

func (b *bundle) next(t *testing.T, name, tenantID string) (next *time.Time) {
	t.Helper()
	require.NoError(t, b.Owner.QueryRow(t.Context(), "select next_at from river.rowhouse_schedule where name = $1 and tenant_id = $2",
		name, tenantID).Scan(&next))
	return next
}

// scheduled lists the jobs that schedules have enqueued: whose, and for when.
func (b *bundle) scheduled(t *testing.T) []string {
	t.Helper()
	rows, err := b.Control.Query(t.Context(), `select concat_ws(' ', kind, t.slug, args ->> 'due') from river.river_job j
		left join rowhouse.tenants t on t.id = j.metadata ->> 'tenant' order by j.id`)
	require.NoError(t, err)
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return got
}

func pass(t *testing.T, c *jobqueue.Client) {
	t.Helper()
	require.NoError(t, jobqueue.SchedulePass(t.Context(), c))
}

func TestScheduleFollowsTheTenantsZone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	acme, globex := b.Tenant("acme").ID, b.Tenant("globex").ID
	_, err := b.Manager.SetTimeZone(t.Context(), "acme", "Europe/Berlin")
	require.NoError(t, err)
	_, err = b.Manager.SetTimeZone(t.Context(), "globex", "America/New_York")
	require.NoError(t, err)
	c, metrics := b.scheduler(t, jobqueue.ScheduleSpec{Cron: "30 2 * * *"})
	require.Empty(t, b.scheduled(t), "nothing is due")

	// The days before the clocks change in Berlin, one after the other.
	for _, day := range []struct{ now, next string }{
		{"2026-03-28T01:30:01Z", "2026-03-29T01:30:00Z"}, // 02:30 is skipped: 03:30 in summer time
		{"2026-03-29T01:30:01Z", "2026-03-30T00:30:00Z"},
		{"2026-10-24T00:30:01Z", "2026-10-25T00:30:00Z"}, // the first 02:30 of two
		{"2026-10-25T00:30:01Z", "2026-10-26T01:30:00Z"},
	} {
		now, err := time.Parse(time.RFC3339, day.now)
		require.NoError(t, err)
		jobqueue.SetScheduleClock(c, func(time.Time) time.Time { return now })
		b.due(t, acme, day.now)
		pass(t, c)
		require.Equal(t, day.next, b.next(t, "report", acme).UTC().Format(time.RFC3339))
	}
	require.Equal(t, []string{
		"report acme 2026-03-28T02:30:01+01", "report acme 2026-03-29T03:30:01+02",
		"report acme 2026-10-24T02:30:01+02", "report acme 2026-10-25T02:30:01+02",
	}, b.scheduled(t))
	require.Equal(t, map[string]int{"report": 4}, metrics.fired)

	b.exec(t, "update river.rowhouse_schedule set next_at = null where tenant_id = $1", acme)
	b.due(t, globex, "2026-03-28T06:30:00Z")
	pass(t, c)
	require.Equal(t, "report globex 2026-03-28T02:30:00-04", b.scheduled(t)[4])
	var zone string
	require.NoError(t, b.Owner.QueryRow(t.Context(), "select args ->> 'zone' from river.river_job order by id desc limit 1").Scan(&zone))
	require.Equal(t, "America/New_York", zone)

	// A tenant that moves, and one that is new.
	_, err = b.Manager.SetTimeZone(t.Context(), "acme", "Asia/Tokyo")
	require.NoError(t, err)
	initech := b.Tenant("initech").ID
	jobqueue.SetScheduleClock(c, func(now time.Time) time.Time { return now })
	b.exec(t, "update river.rowhouse_schedule set last_at = null, next_at = null") // Of other days.
	require.NoError(t, jobqueue.ScheduleSync(t.Context(), c))
	require.Equal(t, "17:30", b.next(t, "report", acme).UTC().Format("15:04"))
	require.Equal(t, "02:30", b.next(t, "report", initech).UTC().Format("15:04"))
	require.True(t, b.next(t, "report", initech).After(time.Now()), "a new tenant's first time is to come")
	require.Len(t, b.scheduled(t), 5)
}

func TestSchedulePlatform(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c, _ := b.scheduler(t, daily())
	b.exec(t, "update river.rowhouse_schedule set due_at = '2026-01-01 04:00Z', next_at = '2026-01-01 04:00Z' where name = 'sweep'")
	pass(t, c)
	pass(t, c)
	require.Equal(t, []string{"sweep 2026-01-01T04:00:00Z"}, b.scheduled(t))
	require.Equal(t, "04:00", b.next(t, "sweep", "").UTC().Format("15:04"))
	require.Nil(t, b.next(t, "report", ""), "a schedule of tenants never comes by itself")
}

func TestMissedTimesFireOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c, metrics := b.scheduler(t, daily())
	acme := b.Tenant("acme").ID
	// Nothing ran for a month; or the clock jumped ahead by one.
	b.exec(t, "update river.rowhouse_schedule set due_at = now() - interval '30 days', next_at = now() - interval '30 days' where tenant_id = $1", acme)
	pass(t, c)
	require.Greater(t, metrics.lag, 29*24*time.Hour)
	pass(t, c)
	require.Zero(t, metrics.lag)
	require.Len(t, b.scheduled(t), 1)
	next := b.next(t, "report", acme)
	require.True(t, next.After(time.Now()))

	// The clock is put back, and somebody changes the expression: what has come does not come again.
	now := next.Add(time.Second)
	b.exec(t, "update river.rowhouse_schedule set last_at = $2 where tenant_id = $1", acme, now)
	hour := now.Add(-time.Minute).UTC().Format("4 15 * * *")
	require.NoError(t, jobqueue.Schedules{Pool: b.Owner}.Set(t.Context(), "report", acme, jobqueue.ScheduleChange{Cron: &hour}))
	require.True(t, b.next(t, "report", acme).After(now))
}

func TestSchedulersFireOnceTogether(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one, _ := b.scheduler(t, daily())
	// Rows of tenants that are in the catalog, which is all that a scheduler looks at.
	b.exec(t, `insert into rowhouse.tenants (id, slug, name, state)
		select lpad(i::text, 16, 'x'), 'many-' || i, 'x', 'ready' from generate_series(1, 1200) i`)
	require.NoError(t, jobqueue.ScheduleSync(t.Context(), one))
	two, _ := b.scheduler(t, daily())
	for range 3 {
		b.exec(t, "update river.rowhouse_schedule set due_at = '2026-01-01 06:00Z', next_at = '2026-01-01 06:00Z' where tenant_id <> ''")
		var group sync.WaitGroup
		errs := make([]error, 4)
		for i, c := range []*jobqueue.Client{one, two, one, two} {
			group.Go(func() { errs[i] = jobqueue.SchedulePass(t.Context(), c) })
		}
		group.Wait()
		require.NoError(t, errors.Join(errs...))
		pass(t, one) // What one left because the other was at it.
		var jobs, tenants int
		require.NoError(t, b.Owner.QueryRow(t.Context(), "select count(*), count(distinct metadata ->> 'tenant') from river.river_job").Scan(&jobs, &tenants))
		require.Equal(t, 1202, jobs)
		require.Equal(t, 1202, tenants)
		b.exec(t, "delete from river.river_job")
	}
}

// A process that dies between the insert and the move leaves neither.
func TestKilledSchedulerFiresOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c, _ := b.scheduler(t, daily())
	b.due(t, b.Tenant("acme").ID, "2026-01-01T06:00:00Z")
	b.exec(t, `create function public.stall() returns trigger language plpgsql as 'begin perform pg_advisory_xact_lock(4711); return new; end';
		grant usage on schema public to `+b.Logins.Control()+`; create trigger stall before update of last_at on river.rowhouse_schedule
		for each row execute function public.stall()`)
	blocker, err := b.Owner.Begin(t.Context())
	require.NoError(t, err)
	_, err = blocker.Exec(t.Context(), "select pg_advisory_xact_lock(4711)")
	require.NoError(t, err)
	died := make(chan error)
	go func() { died <- jobqueue.SchedulePass(t.Context(), c) }()
	admin, err := pgx.Connect(t.Context(), b.AdminURL)
	require.NoError(t, err)
	t.Cleanup(func() { _ = admin.Close(context.WithoutCancel(t.Context())) }) // Only used here.
	require.Eventually(t, func() bool {
		var n int
		require.NoError(t, admin.QueryRow(t.Context(), `select count(pg_terminate_backend(pid)) from pg_stat_activity
			where datname = current_database() and wait_event = 'advisory'`).Scan(&n))
		return n > 0
	}, patience, 10*time.Millisecond)
	require.Error(t, <-died)
	require.Empty(t, b.scheduled(t))
	require.NoError(t, blocker.Rollback(t.Context()))

	require.Eventually(t, func() bool { return jobqueue.SchedulePass(t.Context(), c) == nil }, patience, 10*time.Millisecond)
	pass(t, c)
	require.Equal(t, []string{"report acme 2026-01-01T06:00:00Z"}, b.scheduled(t))
}

func TestScheduleObeysTheTenantsState(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c, metrics := b.scheduler(t, daily())
	acme, globex := b.Tenant("acme").ID, b.Tenant("globex").ID
	_, err := b.Manager.Suspend(t.Context(), "acme", "unpaid")
	require.NoError(t, err)
	b.due(t, acme, "2026-01-01T06:00:00Z")
	b.due(t, globex, "2026-01-02T06:00:00Z")
	pass(t, c)
	require.Equal(t, []string{"report globex 2026-01-02T06:00:00Z"}, b.scheduled(t))
	for _, state := range []string{"migrating", "quarantined", "provisioning"} {
		b.exec(t, "update rowhouse.tenants set state = $2 where id = $1", acme, state)
		require.NoError(t, jobqueue.ScheduleSync(t.Context(), c))
		require.Len(t, b.scheduled(t), 1, state)
		require.Zero(t, metrics.lag)
	}
	b.exec(t, "update rowhouse.tenants set state = 'suspended' where id = $1", acme)
	_, err = b.Manager.Resume(t.Context(), "acme")
	require.NoError(t, err)
	pass(t, c)
	pass(t, c)
	require.Equal(t, []string{"report globex 2026-01-02T06:00:00Z", "report acme 2026-01-01T06:00:00Z"}, b.scheduled(t))

	// A deleted tenant has no schedule left, nor has an archived one.
	rows := func(id string) (n int) {
		require.NoError(t, b.Owner.QueryRow(t.Context(), "select count(*) from river.rowhouse_schedule where tenant_id = $1", id).Scan(&n))
		return n
	}
	b.due(t, acme, "2026-01-01T06:00:00Z")
	_, err = b.Manager.Delete(t.Context(), "acme")
	require.NoError(t, err)
	require.Zero(t, rows(acme))
	b.exec(t, "update rowhouse.tenants set state = 'archived' where id = $1", globex)
	require.Equal(t, 1, rows(globex))
	require.NoError(t, jobqueue.ScheduleSync(t.Context(), c))
	require.Zero(t, rows(acme)+rows(globex))
	require.Equal(t, []string{"report globex 2026-01-02T06:00:00Z"}, b.scheduled(t), "the jobs of the deleted one went with it")
}

func TestOperatorsChangesSurviveADeployment(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	acme, globex := b.Tenant("acme").ID, b.Tenant("globex").ID
	b.scheduler(t, daily())
	s := jobqueue.Schedules{Pool: b.Owner}
	hour := func(tenantID string) string { return b.next(t, "report", tenantID).UTC().Format("15:04") }
	set := func(name, tenantID string, change jobqueue.ScheduleChange) {
		t.Helper()
		change.By = "ann"
		require.NoError(t, s.Set(ctx, name, tenantID, change))
	}
	require.Equal(t, "06:00", hour(acme))
	set("report", acme, jobqueue.ScheduleChange{Cron: new("0 9 * * *"), TimeZone: new("Asia/Kolkata")})
	require.Equal(t, "03:30", hour(acme))
	require.Equal(t, "06:00", hour(globex), "the other tenant's is as it was")

	// The next version of the program has another time.
	b.scheduler(t, jobqueue.ScheduleSpec{Cron: "0 7 * * *"})
	require.Equal(t, "03:30", hour(acme))
	require.Equal(t, "07:00", hour(globex))

	set("report", "", jobqueue.ScheduleChange{Cron: new("0 8 * * *")})
	require.Equal(t, "08:00", hour(globex))
	require.Equal(t, "03:30", hour(acme), "its own goes before that of all")
	initech := b.Tenant("initech").ID
	c, _ := b.scheduler(t, jobqueue.ScheduleSpec{Cron: "0 5 * * *"})
	require.Equal(t, "08:00", hour(initech), "that of all is for new tenants too")

	set("report", globex, jobqueue.ScheduleChange{Enabled: new(false)})
	require.Nil(t, b.next(t, "report", globex))
	n, err := s.Run(ctx, "report", globex)
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	pass(t, c)
	pass(t, c)
	require.Len(t, b.scheduled(t), 1)
	require.Nil(t, b.next(t, "report", globex), "it is still disabled")
	n, err = s.Run(ctx, "report", "")
	require.NoError(t, err)
	require.EqualValues(t, 3, n)
	pass(t, c)
	require.Len(t, b.scheduled(t), 4)
	require.Equal(t, "03:30", hour(acme), "running it now changes no other time")

	list, err := s.List(ctx, "")
	require.NoError(t, err)
	var lines []string
	for _, l := range list {
		lines = append(lines, fmt.Sprint(l.Name, " ", l.Tenant, " ", l.Cron, " ", l.DeclaredCron, " ", l.TimeZone, " ",
			l.Enabled, " ", l.Tenants, " ", l.Changed, l.ChangedBy))
	}
	require.ElementsMatch(t, []string{
		"report  0 8 * * * 0 5 * * *  true 3 trueann", "report acme 0 9 * * * 0 5 * * * Asia/Kolkata true 0 trueann",
		"report globex 0 8 * * * 0 5 * * * UTC false 0 trueann", "sweep  0 4 * * * 0 4 * * * UTC true 0 false",
	}, lines)

	require.NoError(t, s.Reset(ctx, "report", acme, "bob"))
	require.Equal(t, "08:00", hour(acme))
	require.NoError(t, s.Reset(ctx, "report", "", "bob"))
	require.Equal(t, "05:00", hour(acme))
	require.Nil(t, b.next(t, "report", globex), "what was set for one tenant stays")
	list, err = s.List(ctx, globex)
	require.NoError(t, err)
	require.Len(t, list, 1)
}

func TestSchedulesRefuse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.scheduler(t, daily())
	s := jobqueue.Schedules{Pool: b.Owner}
	acme := b.Tenant("acme").ID
	b.exec(t, "update rowhouse.tenants set state = 'archived' where slug = 'globex'")
	for _, c := range []struct {
		name, tenant string
		change       jobqueue.ScheduleChange
		code         apperr.Code
		says         string
	}{
		{"report", acme, jobqueue.ScheduleChange{Cron: new("0 25 * * *")}, apperr.Invalid, `the hour is "25"`},
		{"report", acme, jobqueue.ScheduleChange{TimeZone: new("Mars/Base")}, apperr.Invalid, "Europe/Berlin"},
		{"report", acme, jobqueue.ScheduleChange{TimeZone: new("Local")}, apperr.Invalid, "no time zone"},
		{"rapport", acme, jobqueue.ScheduleChange{}, apperr.NotFound, "schedule list"},
		{"sweep", acme, jobqueue.ScheduleChange{}, apperr.Invalid, "leave out --tenant"},
		{"report", b.anyTenant("globex"), jobqueue.ScheduleChange{}, apperr.NotFound, "archived"},
	} {
		err := s.Set(t.Context(), c.name, c.tenant, c.change)
		require.Equal(t, c.code, apperr.CodeOf(err), "%v", err)
		require.ErrorContains(t, err, c.says)
	}
}

// anyTenant gives the id of a tenant in whatever state.
func (b *bundle) anyTenant(slug string) string {
	t, err := b.Manager.Get(context.Background(), slug)
	if err != nil {
		panic(err)
	}
	return t.ID
}

// Whoever could write a row would have another tenant's jobs come, or not.
func TestTenantsCannotReachSchedules(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.scheduler(t, daily())
	for _, sql := range []string{
		"select name from river.rowhouse_schedule", "update river.rowhouse_schedule set next_at = now()", "delete from river.rowhouse_schedule",
		"insert into river.rowhouse_schedule (name, tenant_id) values ('report', 'x')",
	} {
		_, err := b.acme.Exec(t.Context(), sql)
		requireState(t, err, "42501")
		requireState(t, b.acme.InTx(t.Context(), func(tx *tenantschema.Tx) error {
			_, err := tx.AsPlatform().Exec(t.Context(), sql) // The enqueuing role's.
			return err
		}), "42501")
		cell, err := b.Logins.As(b.Logins.Cell(1))
		require.NoError(t, err)
		conn, err := pgx.ConnectConfig(t.Context(), cell)
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), sql)
		requireState(t, err, "42501")
		require.NoError(t, conn.Close(t.Context()))
	}
}

// A started client does all of it by itself, and ends.
func TestScheduledJobsAreWorked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := jobqueue.NewWorkers()
	jobqueue.Handle(w, func(ctx context.Context, s tenantschema.Scope, r report) error { return write(ctx, s, r.Due) })
	jobqueue.Schedule(w, jobqueue.ScheduleSpec{Name: "report", Cron: "0 6 * * *", Jitter: time.Hour}, func(due time.Time, _ *time.Location) report {
		return report{Due: due.Format(timeFormat)}
	})
	cfg := b.config(w)
	cfg.ScheduleInterval = 10 * time.Millisecond
	b.start(t, cfg)
	count := func() (n int) {
		require.NoError(t, b.Owner.QueryRow(t.Context(), "select count(*) from river.rowhouse_schedule where next_at > now()").Scan(&n))
		return n
	}
	require.Eventually(t, func() bool { return count() == 2 }, patience, 10*time.Millisecond)
	next := *b.next(t, "report", b.Tenant("acme").ID)
	require.Less(t, next.Sub(next.Add(-6*time.Hour).UTC().Truncate(24*time.Hour).Add(6*time.Hour)), time.Hour)
	// A day later.
	b.exec(t, "update river.rowhouse_schedule set due_at = '2026-01-01 06:00Z', next_at = '2026-01-01 06:17Z' where tenant_id = $1", b.Tenant("acme").ID)
	b.ear.next(t, jobqueue.OutcomeCompleted)
	require.Equal(t, []string{"2026-01-01T06:00:00Z"}, keys(t, b.acme), "the time of the expression, whatever the jitter")
	require.Empty(t, keys(t, b.globex))
	require.Equal(t, next, *b.next(t, "report", b.Tenant("acme").ID), "always at the same minute")
}

func TestNewRefusesABadSchedule(t *testing.T) {
	t.Parallel()
	b := setup(t)
	args := func(time.Time, *time.Location) report { return report{} }
	for says, spec := range map[string]jobqueue.ScheduleSpec{
		"the schedule's name":  {Name: "Report!", Cron: "0 6 * * *"},
		`the hour is "25"`:     {Name: "report", Cron: "0 25 * * *"},
		"jitter":               {Name: "report", Cron: "0 6 * * *", Jitter: -1},
		"Europe/Berlin":        {Name: "report", Cron: "0 6 * * *", Zone: "Berlin"},
		"nobody works a queue": {Name: "report", Cron: "0 6 * * *", Opts: job.Opts{Queue: "elsewhere"}},
		"leave out Opts.At":    {Name: "report", Cron: "0 6 * * *", Opts: job.Opts{At: time.Now()}},
		"a second schedule":    {Name: "there", Cron: "0 6 * * *"},
	} {
		w := jobqueue.NewWorkers()
		jobqueue.Handle(w, func(context.Context, tenantschema.Scope, report) error { return nil })
		jobqueue.Schedule(w, jobqueue.ScheduleSpec{Name: "there", Cron: "0 6 * * *"}, args)
		_, err := jobqueue.New(b.config(w))
		require.NoError(t, err)
		jobqueue.Schedule(w, spec, args)
		_, err = jobqueue.New(b.config(w))
		require.ErrorContains(t, err, says)
	}
	w := jobqueue.NewWorkers()
	jobqueue.Handle(w, writeNote)
	jobqueue.Schedule(w, jobqueue.ScheduleSpec{Name: "report", Cron: "0 6 * * *"}, args)
	_, err := jobqueue.New(b.config(w))
	require.ErrorContains(t, err, "no worker")
}

func TestFaultyScheduleKeepsNoOther(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := jobqueue.NewWorkers()
	jobqueue.Handle(w, func(context.Context, tenantschema.Scope, report) error { return nil })
	jobqueue.Handle(w, writeNote)
	jobqueue.Schedule(w, jobqueue.ScheduleSpec{Name: "bad", Cron: "0 6 * * *"}, func(time.Time, *time.Location) note { panic(errors.New("oh")) })
	jobqueue.Schedule(w, jobqueue.ScheduleSpec{Name: "good", Cron: "0 6 * * *"}, func(time.Time, *time.Location) report { return report{} })
	c, err := jobqueue.New(b.config(w))
	require.NoError(t, err)
	pass(t, c)
	b.exec(t, "update river.rowhouse_schedule set next_at = '2026-01-01 06:00Z' where tenant_id <> ''")
	require.ErrorContains(t, jobqueue.SchedulePass(t.Context(), c), "panicked: oh")
	require.Len(t, b.scheduled(t), 2)

	// What somebody wrote by hand that cannot be read stands still, without keeping the rest.
	b.exec(t, "update river.rowhouse_schedule set cron = 'never' where name = 'good' and tenant_id = $1", b.Tenant("acme").ID)
	require.Error(t, jobqueue.ScheduleSync(t.Context(), c))
	require.Nil(t, b.next(t, "good", b.Tenant("acme").ID))
	require.NotNil(t, b.next(t, "good", b.Tenant("globex").ID))
}
