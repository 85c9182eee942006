package workspace_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/rowhousehq/rowhouse/pkg/filestore"
	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/telemetry"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func TestMain(m *testing.M) {
	pgtest.Main(m, func() error { return goleak.Find() })
}

// bundle is what a test of the workspace works with: the service, two tenants, and what was enqueued.
type bundle struct {
	*workspace.Service

	db           *pgtest.DB
	acme, globex tenantschema.Scope
	jobs         *recorder
	clock        *clock
	// files lie in dir, a directory for each tenant.
	files *filestore.Store
	dir   string
}

func setup(tb testing.TB) *bundle {
	tb.Helper()
	db := pgtest.New(tb)
	queue, err := jobqueue.New(jobqueue.Config{})
	require.NoError(tb, err)
	b := &bundle{
		db: db, acme: db.Scope("acme"), globex: db.Scope("globex"),
		jobs:  &recorder{queue: queue},
		clock: &clock{now: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)}, dir: tb.TempDir(),
	}
	b.files, err = filestore.Open(b.dir)
	require.NoError(tb, err)
	b.Service, err = workspace.New(workspace.Config{Jobs: b.jobs, Files: b.files, MaxUploadBytes: 1 << 20, Clock: b.clock.Now})
	require.NoError(tb, err)
	return b
}

// project makes a project for tests that are about something else.
func (b *bundle) project(tb testing.TB, scope tenantschema.Scope, name string) workspace.Project {
	tb.Helper()
	project, err := b.CreateProject(tb.Context(), scope, workspace.NewProject{Name: name})
	require.NoError(tb, err)
	return project
}

// task makes a task for tests that are about something else.
func (b *bundle) task(t *testing.T, scope tenantschema.Scope, in workspace.NewTask) workspace.Task {
	t.Helper()
	task, err := b.CreateTask(t.Context(), scope, in)
	require.NoError(t, err)
	return task
}

// user adds a person to the tenant.
func (b *bundle) user(t *testing.T, scope tenantschema.Scope, email string) uuid.UUID {
	t.Helper()
	id, err := uuid.NewV7()
	require.NoError(t, err)
	_, err = scope.Exec(t.Context(), `INSERT INTO users (id, email, display_name) VALUES ($1, $2, $2)`, id, email)
	require.NoError(t, err)
	return id
}

// queued gives how many jobs the queue holds, as its workers would see them.
func (b *bundle) queued(t *testing.T) int {
	t.Helper()
	var count int
	require.NoError(t, b.db.Control.QueryRow(t.Context(), `SELECT count(*) FROM river.river_job`).Scan(&count))
	return count
}

// recorder is the real queue, and remembers what it was given.
type recorder struct {
	queue workspace.Jobs

	mu   sync.Mutex
	jobs []workspace.ActivityRecorded
	// due are the jobs of other kinds.
	due  []job.Args
	fail error
}

func (r *recorder) Enqueue(ctx context.Context, tx *tenantschema.Tx, args job.Args, opts job.Opts) (job.Receipt, error) {
	receipt, err := r.queue.Enqueue(ctx, tx, args, opts)
	if err != nil {
		return receipt, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if event, ok := args.(workspace.ActivityRecorded); ok {
		r.jobs = append(r.jobs, event)
	} else {
		r.due = append(r.due, args)
	}
	return receipt, r.fail
}

// failWith makes the transactions fail after their jobs were enqueued, or no longer if err is nil.
func (r *recorder) failWith(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = err
}

// take gives the jobs since the last take.
func (r *recorder) take() []workspace.ActivityRecorded {
	r.mu.Lock()
	defer r.mu.Unlock()
	jobs := r.jobs
	r.jobs = nil
	return jobs
}

// work runs workers of the service on the real queue until the test ends, and gives what tells of each run how it ended. A failed attempt
// is repeated at once.
func (b *bundle) work(t *testing.T, service *workspace.Service) <-chan string {
	t.Helper()
	workers, ended := jobqueue.NewWorkers(), make(outcomes, 1000)
	again := jobqueue.Backoff(func(int) time.Duration { return 0 })
	jobqueue.Handle(workers, service.RecordActivity, again)
	jobqueue.Handle(workers, service.DailyReport, again)
	jobqueue.Handle(workers, service.ImportTasks, again)
	jobqueue.Handle(workers, service.MakeThumbnail, again)
	jobqueue.Handle(workers, service.SweepFiles, again)
	client, err := jobqueue.New(jobqueue.Config{
		Workers: workers, Pool: b.db.Control, DB: b.db.Engine, Tenants: b.db.Catalog(), Log: zap.NewNop(), Metrics: ended,
		PollInterval: 10 * time.Millisecond,
	})
	require.NoError(t, err)
	require.NoError(t, client.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, client.Stop(context.WithoutCancel(t.Context()))) })
	return ended
}

// outcomes are those of the runs of jobs.
type outcomes chan string

func (o outcomes) ObserveJob(kind, _, outcome string, _, _ time.Duration) { o <- kind + " " + outcome }

func (outcomes) ObserveQueues(map[string]telemetry.JobQueueStat, map[string]int64) {}

// next waits for a run to end in that way, and gives how many others did before.
func next(t *testing.T, ended <-chan string, want string) (before int) {
	t.Helper()
	for {
		select {
		case got := <-ended:
			if got == want {
				return before
			}
			before++
		case <-time.After(time.Minute):
			require.Fail(t, "no job ended so", want)
		}
	}
}

// clock is a time that stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now
}
