package workspace_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// TEMPORARY harness
func tempTenant(t *testing.T) tenantschema.Scope {
	ctx := context.Background()
	c, err := pgx.Connect(ctx, "postgres://postgres@127.0.0.1:54999/postgres")
	require.NoError(t, err)
	defer c.Close(ctx)
	id := strings.ToLower(rand.Text()[:16])
	n := "t_" + id
	up, _ := os.ReadFile("/tmp/ws-up.sql")
	_, err = c.Exec(ctx, fmt.Sprintf("create role %[1]s; create schema %[1]s; grant usage on schema %[1]s to %[1]s; set search_path=%[1]s; %[2]s ; grant select,insert,update,delete on all tables in schema %[1]s to %[1]s; grant %[1]s to cell", n, up))
	require.NoError(t, err)
	db, err := tenantschema.Open(tenantschema.Config{Connect: func(int) (*pgx.ConnConfig, error) { return pgx.ParseConfig("postgres://cell@127.0.0.1:54999/postgres") }, MaxConns: 3})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	name, err := tenantschema.ParseName(n)
	require.NoError(t, err)
	return db.Tenant(tenantschema.Tenant{ID: id, Schema: name, Cell: 1, Version: 3})
}

// bundle is what a test of the workspace works with: the service, two tenants, and what was enqueued.
type bundle struct {
	*workspace.Service

	acme, globex tenantschema.Scope
	jobs         *recorder
	clock        *clock
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{acme: tempTenant(t), globex: tempTenant(t), jobs: &recorder{}, clock: &clock{now: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)}}
	var err error
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

// recorder stands for the queue at the boundary where this package ends. It remembers the jobs of the transactions; whether they are
// stored and worked is the queue's to test.
type recorder struct {
	mu   sync.Mutex
	jobs []workspace.ActivityRecorded
	fail error
}

func (r *recorder) Enqueue(_ context.Context, _ *tenantschema.Tx, args workspace.JobArgs) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return r.fail
	}
	r.jobs = append(r.jobs, args.(workspace.ActivityRecorded)) //nolint:forcetypeassert // The package enqueues nothing else.
	return nil
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
