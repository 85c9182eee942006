package telemetry

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

// What was counted long ago is not shown as if it were so now.
func TestOldCountsOfQueuesVanish(t *testing.T) {
	t.Parallel()
	m, err := NewMetrics(MetricsConfig{})
	require.NoError(t, err)
	require.Zero(t, testutil.CollectAndCount(m.queues))
	m.ObserveQueues(map[string]JobQueueStat{"default": {}}, map[string]int64{"t1": 1})
	require.Equal(t, 8, testutil.CollectAndCount(m.queues))
	m.queues.seen = time.Now().Add(-2 * queuesStale)
	require.Zero(t, testutil.CollectAndCount(m.queues))
}
