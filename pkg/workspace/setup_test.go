package workspace_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
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
}

func setup(t *testing.T) *bundle {
	t.Helper()
	db := pgtest.New(t)
	queue, err := jobqueue.New(jobqueue.Config{})
	require.NoError(t, err)
	b := &bundle{
		db: db, acme: db.Scope("acme"), globex: db.Scope("globex"),
		jobs:  &recorder{queue: queue},
		clock: &clock{now: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)},
	}
	b.Service, err = workspace.New(workspace.Config{Jobs: b.jobs, Clock: b.clock.Now})
	require.NoError(t, err)
	return b
}

// project makes a project for tests that are about something else.
func (b *bundle) project(t *testing.T, scope tenantschema.Scope, name string) workspace.Project {
	t.Helper()
	project, err := b.CreateProject(t.Context(), scope, workspace.NewProject{Name: name})
	require.NoError(t, err)
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
	fail error
}

func (r *recorder) Enqueue(ctx context.Context, tx *tenantschema.Tx, args job.Args, opts job.Opts) (job.Receipt, error) {
	receipt, err := r.queue.Enqueue(ctx, tx, args, opts)
	if err != nil {
		return receipt, err
	}
	event, ok := args.(workspace.ActivityRecorded)
	if !ok {
		return receipt, fmt.Errorf("the tests know no job %T", args)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.jobs = append(r.jobs, event)
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
