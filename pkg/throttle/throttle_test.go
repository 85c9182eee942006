package throttle_test

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/rowhousehq/rowhouse/pkg/throttle"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBuckets(t *testing.T) {
	t.Parallel()
	b := throttle.NewBuckets[string](10)
	r := throttle.Rate{PerSecond: 2, Burst: 3}
	require.Equal(t, 1500*time.Millisecond, r.Window())
	now := time.Unix(1000, 0)
	for left := 2; left >= 0; left-- {
		s := b.Take("a", r, now)
		require.True(t, s.OK)
		require.Equal(t, left, s.Remaining)
	}
	s := b.Take("a", r, now)
	require.False(t, s.OK)
	require.Equal(t, 500*time.Millisecond, s.RetryAfter)
	require.Equal(t, 1500*time.Millisecond, s.Reset)
	require.False(t, b.Look("a", r, now).OK)
	require.True(t, b.Take("b", r, now).OK, "another's bucket is its own")
	require.True(t, b.Look("c", r, now).OK)
	require.Equal(t, 2, b.Len(), "to look makes none")
	require.True(t, b.Take("a", r, now.Add(500*time.Millisecond)).OK)
	require.False(t, b.Take("a", r, now.Add(500*time.Millisecond)).OK)
	fast := throttle.Rate{PerSecond: 1000, Burst: 5}
	require.False(t, b.Take("a", fast, now.Add(600*time.Millisecond)).OK, "until now the old rate held")
	require.True(t, b.Take("a", fast, now.Add(610*time.Millisecond)).OK, "from now on the new one does")
	require.True(t, b.Take("a", throttle.Rate{}, now).OK, "no rate is no limit")
}

// However many keys come, so many are remembered at most, and whoever is out of tokens is not forgotten for those who are full.
func TestBuckets_AreBounded(t *testing.T) {
	t.Parallel()
	const most = 5000
	b := throttle.NewBuckets[int](most)
	r := throttle.Rate{PerSecond: 1, Burst: 2}
	now := time.Unix(1000, 0)
	long := throttle.Rate{PerSecond: 0.001, Burst: 1}
	require.True(t, b.Take(-1, long, now).OK)
	for i := range 6000 {
		now = now.Add(10 * time.Millisecond) // 200 at a time are not full.
		b.Take(i, r, now)
		require.LessOrEqual(t, b.Len(), most)
	}
	require.False(t, b.Look(-1, long, now).OK)
	for i := range 4 * most { // All at once: nobody is full.
		b.Take(1_000_000+i, r, now)
		require.LessOrEqual(t, b.Len(), most)
	}
}

// In any second after the first, a bucket lets through what its rate says, whatever the pattern of calls.
func TestBuckets_NeverGiveMore(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := throttle.Rate{PerSecond: float64(rapid.IntRange(1, 50).Draw(t, "rate")), Burst: rapid.IntRange(1, 20).Draw(t, "burst")}
		b := throttle.NewBuckets[string](rapid.IntRange(2, 4).Draw(t, "most"))
		start := time.Unix(1000, 0)
		now, given := start, map[string]int{}
		for _, pause := range rapid.SliceOfN(rapid.IntRange(0, 200), 1, 200).Draw(t, "pauses") {
			now = now.Add(time.Duration(pause) * time.Millisecond)
			key := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key")
			if b.Take(key, r, now).OK {
				given[key]++
			}
			if most := float64(r.Burst) + r.PerSecond*now.Sub(start).Seconds() + 1e-6; float64(given[key]) > most {
				t.Fatalf("%s was given %d, at most %f", key, given[key], most)
			}
		}
	})
}

func TestGate(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	g := throttle.NewGate[string]()
	first, err := g.Enter(ctx, "a", 1, 1)
	require.NoError(t, err)
	entered := make(chan func(), 1)
	go func() {
		leave, err := g.Enter(ctx, "a", 1, 1)
		if err == nil {
			entered <- leave
		}
	}()
	require.Eventually(t, func() bool { return g.Waiting() == 1 }, 20*time.Second, time.Millisecond)
	_, err = g.Enter(ctx, "a", 1, 1)
	require.ErrorIs(t, err, throttle.ErrFull)
	other, err := g.Enter(ctx, "b", 1, 0)
	require.NoError(t, err, "another key has its own room")
	other()
	first()
	first() // Once is enough.
	second := <-entered
	inside, waiting := g.Counts("a")
	require.Equal(t, []int{1, 0}, []int{inside, waiting})

	ending, end := context.WithCancel(ctx)
	gone := make(chan error, 1)
	go func() {
		_, err := g.Enter(ending, "a", 1, 1)
		gone <- err
	}()
	require.Eventually(t, func() bool { return g.Waiting() == 1 }, 20*time.Second, time.Millisecond)
	end()
	require.ErrorIs(t, <-gone, context.Canceled)
	second()
	inside, waiting = g.Counts("a")
	require.Equal(t, []int{0, 0}, []int{inside, waiting})
	free, err := g.Enter(ctx, "a", 0, 0)
	require.NoError(t, err, "0 is no limit")
	free()
}

// Never are more inside than may be, nobody who waits is forgotten, and in the end all have left.
func TestGate_Hammered(t *testing.T) {
	t.Parallel()
	const most = 3
	g := throttle.NewGate[string]()
	var inside [2]atomic.Int64
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for n := range 200 {
				ctx, cancel := context.WithCancel(t.Context())
				if (i+n)%7 == 0 {
					cancel() // Gives up at once.
				}
				leave, err := g.Enter(ctx, strconv.Itoa(i%2), most, 40)
				if err == nil {
					if now := inside[i%2].Add(1); now > most {
						t.Errorf("%d inside", now)
					}
					inside[i%2].Add(-1)
					leave()
				}
				cancel()
			}
		})
	}
	wg.Wait()
	for _, key := range []string{"0", "1"} {
		in, waiting := g.Counts(key)
		require.Equal(t, []int{0, 0}, []int{in, waiting})
	}
}
