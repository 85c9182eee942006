package jobqueue_test

import (
	"context"
	"io/fs"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/telemetry"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// patience bounds every wait; nothing is measured by it.
const patience = time.Minute

// poll is how often what is waited for is looked at.
const poll = 10 * time.Millisecond

// effects is a tenant's whole schema in these tests: one table, into which jobs write.
func effects() fs.FS {
	return fstest.MapFS{"00001_effects.sql": {Data: []byte(`-- +goose Up
create table effects (key text not null, constraint effects_pkey primary key (key));
-- +goose Down
drop table effects;
`)}}
}

// note is a job that writes its key. Tenant is what a careless or bad caller might try.
type note struct {
	Key    string `json:"key"`
	Tenant string `json:"tenant,omitempty"`

	opts job.Opts
}

func (note) Kind() string { return "note" }

func (n note) JobOpts() job.Opts { return n.opts }

// write has its effect once, however often it runs.
func write(ctx context.Context, s tenantschema.DBTX, key string) error {
	_, err := s.Exec(ctx, "insert into effects (key) values ($1) on conflict do nothing", key)
	return err
}

func writeNote(ctx context.Context, s tenantschema.Scope, n note) error { return write(ctx, s, n.Key) }

func keys(t *testing.T, s tenantschema.Scope) []string {
	t.Helper()
	rows, err := s.Query(t.Context(), "select key from effects order by key")
	require.NoError(t, err)
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return got
}

// worked is what the observer was told of a run.
type worked struct {
	kind, outcome string
	wait, run     time.Duration
}

type ear chan worked

func (e ear) ObserveJob(kind, _, outcome string, wait, run time.Duration) {
	e <- worked{kind, outcome, wait, run}
}

func (ear) ObserveQueues(map[string]telemetry.JobQueueStat, map[string]int64) {}

// next waits for the next run of a job and requires its outcome.
func (e ear) next(t *testing.T, outcome string) {
	t.Helper()
	select {
	case w := <-e:
		require.Equal(t, outcome, w.outcome)
		require.NotEmpty(t, w.kind)
	case <-time.After(patience):
		require.Fail(t, "no job was worked", "waiting for outcome %s", outcome)
	}
}

type bundle struct {
	*pgtest.DB

	acme, globex tenantschema.Scope
	ear          ear
	log          *zap.Logger
	logged       *observer.ObservedLogs
	enqueuer     *jobqueue.Client
}

func setup(t *testing.T) *bundle {
	t.Helper()
	return setupOn(t, pgtest.NewWith(t, pgtest.Options{TenantFiles: effects()}))
}

func setupOn(t *testing.T, d *pgtest.DB) *bundle {
	t.Helper()
	b := &bundle{DB: d, ear: make(ear, 10_000)}
	b.acme, b.globex = b.Scope("acme"), b.Scope("globex")
	core, logged := observer.New(zapcore.DebugLevel)
	b.log, b.logged = zap.New(core), logged
	var err error
	b.enqueuer, err = jobqueue.New(jobqueue.Config{})
	require.NoError(t, err)
	return b
}

// config is that of a client that works.
func (b *bundle) config(w *jobqueue.Workers) jobqueue.Config {
	return jobqueue.Config{
		Workers: w, Pool: b.Control, DB: b.Engine, Tenants: b.Catalog(), Log: b.log, Metrics: b.ear, PollInterval: 10 * time.Millisecond,
	}
}

// start works jobs until the test ends.
func (b *bundle) start(t *testing.T, cfg jobqueue.Config) *jobqueue.Client {
	t.Helper()
	c, err := jobqueue.New(cfg)
	require.NoError(t, err)
	require.NoError(t, c.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience) //nolint:usetesting // t.Context has ended by then.
		defer cancel()
		require.NoError(t, c.Stop(ctx))
	})
	return c
}

// notes starts workers for note.
func (b *bundle) notes(t *testing.T, fn func(context.Context, tenantschema.Scope, note) error) *jobqueue.Client {
	t.Helper()
	w := jobqueue.NewWorkers()
	jobqueue.Handle(w, fn)
	return b.start(t, b.config(w))
}

// add enqueues a job in tx.
func (b *bundle) add(t *testing.T, tx *tenantschema.Tx, args job.Args) error {
	t.Helper()
	_, err := b.enqueuer.Enqueue(t.Context(), tx, args, job.Opts{})
	return err
}

// enqueue commits one job.
func (b *bundle) enqueue(t *testing.T, s tenantschema.Scope, args job.Args) {
	t.Helper()
	require.NoError(t, s.InTx(t.Context(), func(tx *tenantschema.Tx) error { return b.add(t, tx, args) }))
}

// jobRow is a row of the queue.
type jobRow struct {
	Tenant, Kind, State, Queue string
	Attempt, MaxAttempts       int
}

// jobs lists all that are in the queue, whoever's, in the order in which they came.
func (b *bundle) jobs(t *testing.T) []jobRow {
	t.Helper()
	rows, err := b.Control.Query(t.Context(), `select coalesce(metadata ->> 'tenant', ''), kind, state::text, queue, attempt, max_attempts
		from river.river_job order by id`)
	require.NoError(t, err)
	got, err := pgx.CollectRows(rows, pgx.RowToStructByPos[jobRow])
	require.NoError(t, err)
	return got
}

// states waits until the jobs are in these states: River writes down how a run ended a moment after it did.
func (b *bundle) states(t *testing.T, want ...string) {
	t.Helper()
	require.Eventually(t, func() bool {
		got := b.jobs(t)
		if len(got) != len(want) {
			return false
		}
		for i := range got {
			if got[i].State != want[i] {
				return false
			}
		}
		return true
	}, patience, 10*time.Millisecond, "want %v", want)
}

func requireState(t *testing.T, err error, sqlState string) {
	t.Helper()
	var pgErr *pgconn.PgError
	require.ErrorAs(t, err, &pgErr)
	require.Equal(t, sqlState, pgErr.Code, "%v", err)
}
