package jobqueue_test

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// hall is where jobs stand until each is let go, so that a test sees who runs beside whom.
type hall struct {
	entered chan string // the job's key, as it begins
	leave   chan struct{}
}

func newHall() hall { return hall{make(chan string, 1000), make(chan struct{}, 1000)} }

func (h hall) work(ctx context.Context, _ tenantschema.Scope, n note) error {
	h.entered <- n.Key
	select {
	case <-h.leave:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// next gives the key of the next job that begins.
func (h hall) next(t *testing.T) string {
	t.Helper()
	select {
	case key := <-h.entered:
		return key
	case <-time.After(patience):
		require.Fail(t, "no job began")
		return ""
	}
}

// open lets everybody go.
func (h hall) open() { close(h.leave) }

// startHall works jobs in a hall. Of workers, half are those of the default queue.
func (b *bundle) startHall(t *testing.T, workers int, change func(*jobqueue.Config)) hall {
	t.Helper()
	h := newHall()
	w := jobqueue.NewWorkers()
	jobqueue.Handle(w, h.work)
	cfg := b.config(w)
	cfg.MaxWorkers, cfg.Metrics = workers, nil
	if change != nil {
		change(&cfg)
	}
	b.start(t, cfg)
	t.Cleanup(h.open) // Before the client is stopped.
	return h
}

func (b *bundle) flood(t *testing.T, s tenantschema.Scope, key string, n int, opts job.Opts) {
	t.Helper()
	args := make([]job.Args, n)
	for i := range args {
		args[i] = note{Key: key}
	}
	require.NoError(t, s.InTx(t.Context(), func(tx *tenantschema.Tx) error {
		_, err := b.enqueuer.EnqueueMany(t.Context(), tx, args, opts)
		return err
	}))
}

func TestTenantsTakeTurns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.flood(t, b.acme, "acme", 100, job.Opts{Priority: 1})
	h := b.startHall(t, 4, nil) // Two for the default queue: one for whoever floods, one for others.
	require.Equal(t, "acme", h.next(t))
	// They come later and are less urgent, which counts among jobs of the same tenant alone.
	b.flood(t, b.globex, "globex", 10, job.Opts{Priority: 4})
	require.Equal(t, "globex", h.next(t), "a worker was kept for it")
	seen := map[string]int{}
	for range 18 {
		h.leave <- struct{}{}
		seen[h.next(t)]++
	}
	require.Equal(t, 9, seen["globex"], "%v", seen)
}

func TestNoTenantHasAllWorkers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.flood(t, b.acme, "acme", 100, job.Opts{})
	h := b.startHall(t, 80, nil) // 40 for the default queue, of which no tenant gets the last 2.
	for range 38 {
		require.Equal(t, "acme", h.next(t))
	}
	b.flood(t, b.globex, "globex", 1, job.Opts{})
	require.Equal(t, "globex", h.next(t))
}

func TestMaxPerTenantCountsAllProcesses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.flood(t, b.acme, "acme", 100, job.Opts{})
	limit := func(c *jobqueue.Config) { c.MaxPerTenant = 3 }
	one, two := b.startHall(t, 16, limit), b.startHall(t, 16, limit)
	running := func(tenant string) (n int) {
		require.NoError(t, b.Owner.QueryRow(t.Context(), `select count(*) from river.river_job
			where state = 'running' and metadata ->> 'tenant' = $1`, tenant).Scan(&n))
		return n
	}
	require.Eventually(t, func() bool { return running(b.Tenant("acme").ID) == 3 }, patience, 5*time.Millisecond)
	// Both have gone around again when these have run.
	for i := range 10 {
		b.flood(t, b.globex, strconv.Itoa(i), 1, job.Opts{})
		var h hall
		select {
		case <-one.entered:
			h = one
		case <-two.entered:
			h = two
		case <-time.After(patience):
			require.Fail(t, "no job began")
		}
		require.LessOrEqual(t, running(b.Tenant("acme").ID), 3)
		h.leave <- struct{}{} // It may let one of acme's go, whose place the next one takes.
	}
}

// A job of a kind that this process does not know, of a newer version of the program, stays and lets the others pass.
func TestUnknownKindsLetOthersPass(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 3 {
		b.enqueue(t, b.acme, other{})
	}
	b.flood(t, b.acme, "known", 2, job.Opts{Priority: 4})
	b.notes(t, writeNote)
	b.states(t, "available", "available", "available", "completed", "completed")
}

// All that is enqueued is worked, whoever takes it, in whatever turn: here by three processes, for 20 tenants of different need.
func TestEveryJobIsWorkedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var want []string
	for i := range 20 {
		for range i * i {
			want = append(want, strconv.Itoa(i))
		}
	}
	// No schemas are needed by jobs that write nothing.
	_, err := b.Owner.Exec(t.Context(), `insert into rowhouse.tenants (id, slug, name, state, schema_version)
		select 'tenant' || lpad(i::text, 10, '0'), 'many-' || i, 'many', 'ready', 1 from generate_series(0, 19) i`)
	require.NoError(t, err)
	_, err = b.Owner.Exec(t.Context(), `insert into river.river_job (args, kind, max_attempts, metadata)
		select jsonb_build_object('key', i::text), 'note', 1, jsonb_build_object('tenant', 'tenant' || lpad(i::text, 10, '0'))
		from generate_series(0, 19) i, generate_series(1, i * i)`)
	require.NoError(t, err)
	worked := make(chan string, len(want)+1)
	for range 3 {
		w := jobqueue.NewWorkers()
		jobqueue.Handle(w, func(_ context.Context, _ tenantschema.Scope, n note) error {
			worked <- n.Key
			return nil
		})
		cfg := b.config(w)
		cfg.Metrics = nil
		b.start(t, cfg)
	}
	require.Eventually(t, func() bool {
		var left int
		require.NoError(t, b.Owner.QueryRow(t.Context(), "select count(*) from river.river_job where state <> 'completed'").Scan(&left))
		return left == 0
	}, patience, 20*time.Millisecond)
	close(worked)
	got := []string{}
	for key := range worked {
		got = append(got, key)
	}
	slices.Sort(got)
	slices.Sort(want)
	require.Equal(t, want, got)
}
