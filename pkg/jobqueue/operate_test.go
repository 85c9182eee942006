package jobqueue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func (b *bundle) operator(t *testing.T) *jobqueue.Operator {
	t.Helper()
	o, err := jobqueue.NewOperator(b.Owner)
	require.NoError(t, err)
	return o
}

// list gives the ids of a filter, the oldest first.
func list(t *testing.T, o *jobqueue.Operator, f jobqueue.Filter) (ids []int64) {
	t.Helper()
	if f.Limit == 0 {
		f.Limit = 100
	}
	jobs, err := o.List(t.Context(), f)
	require.NoError(t, err)
	for _, j := range jobs {
		ids = append(ids, j.ID)
	}
	slices.Reverse(ids)
	return ids
}

func TestOperator_List(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o := b.operator(t)
	acme, globex := b.Tenant("acme").ID, b.Tenant("globex").ID
	b.enqueue(t, b.acme, note{Key: "a1"})
	b.enqueue(t, b.globex, note{Key: "g1", opts: job.Opts{Queue: job.QueueBulk, Priority: 3}})
	b.enqueue(t, b.acme, note{Key: "a2", opts: job.Opts{At: time.Now().Add(time.Hour)}})
	all := list(t, o, jobqueue.Filter{})
	require.Len(t, all, 3)

	require.Equal(t, []int64{all[0], all[2]}, list(t, o, jobqueue.Filter{TenantID: acme}))
	require.Equal(t, []int64{all[1]}, list(t, o, jobqueue.Filter{TenantID: globex}))
	require.Equal(t, []int64{all[2]}, list(t, o, jobqueue.Filter{States: []string{"scheduled", "discarded"}}))
	require.Equal(t, []int64{all[1]}, list(t, o, jobqueue.Filter{Queue: job.QueueBulk}))
	require.Empty(t, list(t, o, jobqueue.Filter{Queue: job.QueueBulk, TenantID: acme}))
	require.Equal(t, all, list(t, o, jobqueue.Filter{Kind: "note"}))
	require.Empty(t, list(t, o, jobqueue.Filter{Kind: "other"}))
	require.Equal(t, []int64{all[2]}, list(t, o, jobqueue.Filter{Limit: 1}))
	require.Equal(t, []int64{all[1]}, list(t, o, jobqueue.Filter{Limit: 1, Before: all[2]}))
	require.Equal(t, []int64{all[0]}, list(t, o, jobqueue.Filter{TenantID: acme, Before: all[2], States: []string{"available"}}))

	d, err := o.Get(t.Context(), all[1])
	require.NoError(t, err)
	require.Equal(t, globex, d.TenantID)
	require.Equal(t, 3, d.Priority)
	require.JSONEq(t, `{"key":"g1"}`, string(d.Args))
	require.Empty(t, d.Failures)
	_, err = o.Get(t.Context(), 99)
	require.ErrorIs(t, err, &apperr.Error{Code: apperr.NotFound})

	for _, f := range []jobqueue.Filter{
		{}, {Limit: jobqueue.MaxJobs + 1}, {Limit: 1, Queue: "other"}, {Limit: 1, States: []string{"gone"}}, {Limit: 1, TenantID: "acme"},
	} {
		_, err = o.List(t.Context(), f)
		require.ErrorIs(t, err, &apperr.Error{Code: apperr.Invalid})
	}
	_, err = jobqueue.NewOperator(nil)
	require.Error(t, err)
}

// A job that nobody can work is discarded when its attempts are used up, found by the operator with what went wrong, and worked once more when
// he says so.
func TestOperator_PoisonJob(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o := b.operator(t)
	w := jobqueue.NewWorkers()
	cured := make(chan struct{})
	jobqueue.Handle(w, func(ctx context.Context, s tenantschema.Scope, n note) error {
		select {
		case <-cured:
			return writeNote(ctx, s, n)
		default:
		}
		if job.FromContext(ctx).Last() {
			panic("poison")
		}
		return errors.New("a bitter taste")
	}, jobqueue.Backoff(func(int) time.Duration { return 0 }))
	b.start(t, b.config(w))
	b.enqueue(t, b.acme, note{Key: "poison", opts: job.Opts{MaxAttempts: 3}})
	b.ear.next(t, jobqueue.OutcomeFailed)
	b.ear.next(t, jobqueue.OutcomeFailed)
	b.ear.next(t, jobqueue.OutcomeDiscarded)
	b.states(t, "discarded")

	found, err := o.List(t.Context(), jobqueue.Filter{States: []string{"discarded"}, Limit: 10})
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, b.Tenant("acme").ID, found[0].TenantID)
	require.Contains(t, found[0].LastError, "poison")
	require.NotEmpty(t, found[0].Worker)
	d, err := o.Get(t.Context(), found[0].ID)
	require.NoError(t, err)
	require.Len(t, d.Failures, 3)
	require.Equal(t, "a bitter taste", d.Failures[0].Error)
	require.Contains(t, d.Failures[2].Trace, "operate_test.go")

	close(cured)
	changed, err := o.Retry(t.Context(), d.ID)
	require.NoError(t, err)
	require.Equal(t, []int64{d.ID}, changed.Done)
	b.ear.next(t, jobqueue.OutcomeCompleted)
	b.states(t, "completed")
	require.Equal(t, []string{"poison"}, keys(t, b.acme))
}

func TestOperator_Retry(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o := b.operator(t)
	b.enqueue(t, b.acme, note{Key: "1", opts: job.Opts{Unique: "one"}})
	id := list(t, o, jobqueue.Filter{})[0]

	changed, err := o.Retry(t.Context(), id, 99)
	require.NoError(t, err)
	require.Empty(t, changed.Done)
	require.Equal(t, []int64{id, 99}, []int64{changed.Left[0].ID, changed.Left[1].ID})
	require.Contains(t, changed.Left[0].Why, "available")

	_, err = o.Cancel(t.Context(), id)
	require.NoError(t, err)
	b.enqueue(t, b.acme, note{Key: "2", opts: job.Opts{Unique: "one"}})
	b.enqueue(t, b.acme, note{Key: "3"})
	other := list(t, o, jobqueue.Filter{})[2]
	_, err = o.Cancel(t.Context(), other)
	require.NoError(t, err)

	// One that may not come back keeps no other from it.
	changed, err = o.Retry(t.Context(), id, other)
	require.NoError(t, err)
	require.Equal(t, []int64{other}, changed.Done)
	require.Len(t, changed.Left, 1)
	require.Contains(t, changed.Left[0].Why, "only one of its key")
	b.states(t, "cancelled", "available", "available")
}

func TestOperator_Cancel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o := b.operator(t)
	running := make(chan struct{})
	b.notes(t, func(ctx context.Context, s tenantschema.Scope, n note) error {
		if n.Key != "long" {
			return writeNote(ctx, s, n)
		}
		close(running)
		<-ctx.Done()
		return ctx.Err()
	})
	later := job.Opts{At: time.Now().Add(time.Hour)}
	b.enqueue(t, b.globex, note{Key: "another's", opts: later})
	b.enqueue(t, b.acme, note{Key: "waiting", opts: later})
	b.enqueue(t, b.acme, note{Key: "long"})
	<-running
	ids := list(t, o, jobqueue.Filter{TenantID: b.Tenant("acme").ID})
	require.Len(t, ids, 2)

	changed, err := o.Cancel(t.Context(), ids...)
	require.NoError(t, err)
	require.Equal(t, jobqueue.Changed{Done: ids[:1], Told: ids[1:], Left: []jobqueue.Left{}}, changed)
	// No notification tells the process: it asks.
	b.ear.next(t, jobqueue.OutcomeCancelled)
	b.states(t, "scheduled", "cancelled", "cancelled")
	still, err := o.Running(t.Context(), ids...)
	require.NoError(t, err)
	require.Empty(t, still)

	changed, err = o.Cancel(t.Context(), ids...)
	require.NoError(t, err)
	require.Len(t, changed.Left, 2, "it is safe to repeat")
}

// Two processes poll; both obey a pause of a queue, and work its jobs after it is resumed. Other queues go on meanwhile.
func TestOperator_Pause(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o := b.operator(t)
	require.NoError(t, o.Resume(t.Context(), job.QueueBulk), "nobody has worked it yet")
	require.NoError(t, o.Pause(t.Context(), job.QueueBulk))
	require.ErrorIs(t, o.Pause(t.Context(), "other"), &apperr.Error{Code: apperr.Invalid})
	require.ErrorIs(t, o.Resume(t.Context(), "other"), &apperr.Error{Code: apperr.Invalid})
	b.notes(t, writeNote)
	b.notes(t, writeNote)

	// A queue that was paused before they began, and one that is paused while they work.
	bulk := note{Key: "bulk", opts: job.Opts{Queue: job.QueueBulk}}
	b.enqueue(t, b.acme, bulk)
	require.NoError(t, o.Pause(t.Context(), job.QueueDefault))
	require.NoError(t, o.Pause(t.Context(), job.QueueDefault))
	number := 0
	require.Eventually(t, func() bool { // Until both have heard of it, some are worked.
		number++
		b.enqueue(t, b.acme, note{Key: fmt.Sprint(number)})
		b.enqueue(t, b.acme, note{Key: fmt.Sprint("critical ", number), opts: job.Opts{Queue: job.QueueCritical}})
		waiting := list(t, o, jobqueue.Filter{Queue: job.QueueDefault, States: []string{"available"}})
		return len(waiting) >= 10
	}, patience, 50*time.Millisecond)
	require.Eventually(t, func() bool {
		return len(list(t, o, jobqueue.Filter{Queue: job.QueueCritical, States: []string{"completed"}, Limit: 10_000})) == number
	}, patience, 10*time.Millisecond, "the critical queue goes on")
	require.Len(t, list(t, o, jobqueue.Filter{Queue: job.QueueBulk, States: []string{"available"}}), 1)
	stats, err := o.Stats(t.Context(), 10)
	require.NoError(t, err)
	require.True(t, stats.Queues[job.QueueBulk].Paused)
	require.False(t, stats.Queues[job.QueueCritical].Paused)

	require.NoError(t, o.Resume(t.Context(), job.QueueBulk))
	require.NoError(t, o.Resume(t.Context(), job.QueueDefault))
	require.Eventually(t, func() bool {
		return len(list(t, o, jobqueue.Filter{States: []string{"completed"}, Limit: 10_000})) == 2*number+1
	}, patience, 10*time.Millisecond)
}

func TestOperator_Stats(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o := b.operator(t)
	for range 3 {
		b.enqueue(t, b.globex, note{})
	}
	b.enqueue(t, b.acme, note{opts: job.Opts{Priority: 2}})
	b.enqueue(t, b.acme, note{opts: job.Opts{Queue: job.QueueBulk, At: time.Now().Add(time.Hour)}})
	_, err := b.Owner.Exec(t.Context(), `update river.river_job set scheduled_at = now() - interval '1 hour' where priority = 2`)
	require.NoError(t, err)
	_, err = b.Owner.Exec(t.Context(), `insert into river.river_job (args, kind, state, finalized_at)
		select '{}', 'note', state::river.river_job_state, case when state = 'discarded' then now() end
		from unnest('{discarded,retryable,retryable,running}'::text[]) as state`)
	require.NoError(t, err)

	stats, err := o.Stats(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, []jobqueue.TenantStat{{TenantID: b.Tenant("globex").ID, Waiting: 3}}, stats.Tenants)
	s := stats.Queues[job.QueueDefault]
	require.InDelta(t, time.Hour, s.OldestAge, float64(time.Minute))
	require.Equal(t, []int64{4, 0, 1, 2, 1}, []int64{s.Waiting, s.Scheduled, s.Running, s.Retryable, s.Discarded})
	bulk := stats.Queues[job.QueueBulk]
	require.Zero(t, bulk.OldestAge, "what is to come does not wait")
	require.EqualValues(t, 1, bulk.Scheduled)
	require.Len(t, stats.Queues, len(jobqueue.Queues()))
}

// The plans of what is asked of a large queue use its indexes.
func TestOperator_Plans(t *testing.T) {
	t.Parallel()
	b := setup(t)
	acme := b.Tenant("acme").ID
	b.enqueue(t, b.acme, note{})
	_, err := b.Owner.Exec(t.Context(), `insert into river.river_job (args, kind, metadata, state, finalized_at)
		select '{}', 'note', jsonb_build_object('tenant', 'other' || n % 50),
			case when n % 20 = 0 then 'available' else 'completed' end::river.river_job_state,
			case when n % 20 <> 0 then now() end from generate_series(1, 20000) as n`)
	require.NoError(t, err)
	_, err = b.Owner.Exec(t.Context(), "vacuum analyze river.river_job")
	require.NoError(t, err)
	for name, f := range map[string]jobqueue.Filter{
		"tenant":           {TenantID: acme, Limit: 10},
		"tenant and state": {TenantID: acme, States: []string{"available"}, Limit: 10},
		"tenant's next":    {TenantID: acme, Before: 10_000, Limit: 10},
	} {
		sql, args := jobqueue.QueryOf(f)
		plan := explain(t, b, sql, args...)
		require.Contains(t, plan, "river_job_metadata_index", "%s: %s", name, plan)
		require.NotContains(t, plan, "Seq Scan on river_job", "%s: %s", name, plan)
	}
	sql, args := jobqueue.QueryOf(jobqueue.Filter{Limit: 10})
	require.Contains(t, explain(t, b, sql, args...), "Index Scan Backward using river_job_pkey")
	plan := explain(t, b, jobqueue.QueueStatsSQL, jobqueue.Queues(), jobqueue.MaxCount)
	require.NotContains(t, plan, "Seq Scan on river_job")
	require.Contains(t, plan, "Index Only Scan using river_job_prioritized_fetching_index")
}

func explain(t *testing.T, b *bundle, sql string, args ...any) (plan string) {
	t.Helper()
	rows, err := b.Owner.Query(t.Context(), "explain "+sql, args...)
	require.NoError(t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	for _, line := range lines {
		plan += line + "\n"
	}
	return plan
}
