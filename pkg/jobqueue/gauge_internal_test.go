package jobqueue

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBacklog(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	b := &backlog{limit: time.Minute}
	for i, step := range []struct {
		at, age time.Duration
		news    backlogNews
	}{
		{0, 0, backlogSilent},
		{15 * time.Second, 61 * time.Second, backlogSilent}, // once is not enough
		{30 * time.Second, 61 * time.Second, backlogSilent}, // it does not grow
		{45 * time.Second, 70 * time.Second, backlogGrows},
		{60 * time.Second, 85 * time.Second, backlogSilent}, // said already
		{344 * time.Second, 100 * time.Second, backlogSilent},
		{345 * time.Second, 101 * time.Second, backlogGrows}, // said five minutes ago
		{360 * time.Second, 90 * time.Second, backlogSilent},
		{375 * time.Second, 60 * time.Second, backlogOver},
		{390 * time.Second, 0, backlogSilent},
		{405 * time.Second, 61 * time.Second, backlogSilent},
		{420 * time.Second, 62 * time.Second, backlogSilent}, // too soon
		{435 * time.Second, 0, backlogSilent},                // nothing was said of it
		{700 * time.Second, 61 * time.Second, backlogSilent},
		{715 * time.Second, 62 * time.Second, backlogGrows},
	} {
		require.Equal(t, step.news, b.check(start.Add(step.at), step.age), "step %d", i)
	}
}

// Every queue has a limit.
func TestBacklogLimits(t *testing.T) {
	t.Parallel()
	limits := backlogLimits()
	require.Len(t, limits, len(Queues()))
	for _, queue := range Queues() {
		require.Positive(t, limits[queue], queue)
	}
}
