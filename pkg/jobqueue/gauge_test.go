package jobqueue_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/telemetry"
)

// counted is what a gauge saw.
type counted struct {
	queues  map[string]telemetry.JobQueueStat
	tenants map[string]int64
}

type counter struct {
	ear

	counts chan counted
}

func (c counter) ObserveQueues(queues map[string]telemetry.JobQueueStat, tenants map[string]int64) {
	select {
	case c.counts <- counted{queues, tenants}:
	default: // Nobody has read the last ones yet.
	}
}

// A process that works jobs counts them until it stops, and warns of those that wait for too long.
func TestGauge(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NoError(t, b.operator(t).Pause(t.Context(), job.QueueCritical))
	for range 2 {
		b.enqueue(t, b.globex, note{opts: job.Opts{Queue: job.QueueCritical}})
	}
	b.enqueue(t, b.acme, note{opts: job.Opts{Queue: job.QueueCritical}})
	_, err := b.Owner.Exec(t.Context(), "update river.river_job set scheduled_at = now() - interval '11 seconds'")
	require.NoError(t, err)

	w := jobqueue.NewWorkers()
	jobqueue.Handle(w, writeNote)
	cfg := b.config(w)
	seen := counter{ear: b.ear, counts: make(chan counted)}
	cfg.Metrics, cfg.GaugeInterval = seen, 10*time.Millisecond
	c := b.start(t, cfg)
	first := <-seen.counts
	require.Equal(t, map[string]int64{b.Tenant("globex").ID: 2, b.Tenant("acme").ID: 1}, first.tenants)
	require.ElementsMatch(t, jobqueue.Queues(), slices.Collect(maps.Keys(first.queues)))
	critical := first.queues[job.QueueCritical]
	require.True(t, critical.Paused)
	require.EqualValues(t, 3, critical.Waiting)
	require.GreaterOrEqual(t, critical.OldestAge, 11*time.Second)

	warnings := func() int { return b.logged.FilterMessage("jobs wait too long, and longer and longer").Len() }
	require.Eventually(t, func() bool { return warnings() == 1 }, patience, time.Millisecond)
	require.Equal(t, "critical", b.logged.FilterMessage("jobs wait too long, and longer and longer").All()[0].ContextMap()["queue"])
	_, err = b.operator(t).Cancel(t.Context(), list(t, b.operator(t), jobqueue.Filter{})...)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return b.logged.FilterMessage("jobs do not wait too long any more").Len() == 1 }, patience, time.Millisecond)
	require.Equal(t, 1, warnings(), "not at each count")

	require.NoError(t, c.Stop(t.Context()))
	require.NoError(t, c.Stop(t.Context()))
	select {
	case <-seen.counts:
		require.Fail(t, "it counts although it was stopped")
	default:
	}
}
