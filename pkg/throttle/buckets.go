package throttle

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rate is that of a token bucket: so many a second, and so many at once after a pause. The zero Rate is no limit.
type Rate struct {
	PerSecond float64
	Burst     int
}

// IsZero reports whether r is no limit.
func (r Rate) IsZero() bool { return r.PerSecond <= 0 || r.Burst <= 0 }

// Window is how long an empty bucket takes to be full again.
func (r Rate) Window() time.Duration {
	if r.IsZero() {
		return 0
	}
	return time.Duration(float64(r.Burst) / r.PerSecond * float64(time.Second))
}

// Standing is how a bucket stands.
type Standing struct {
	Rate Rate
	// OK says that there was a token.
	OK bool
	// Remaining are the tokens that are left.
	Remaining int
	// Reset is how long it takes until the bucket is full, RetryAfter until there is a token.
	Reset, RetryAfter time.Duration
}

// sweepLeast is how many buckets there are before anybody looks which are full.
const sweepLeast = 1024

// Buckets are token buckets by key. A bucket that is full again is forgotten, since a new one would be the same. When there are more than most
// that are not full, some are forgotten before they are: whoever makes up keys gains a burst for each, and takes no memory.
//
// A bucket's rate is that with which it was last asked. All methods are safe for concurrent use.
type Buckets[K comparable] struct {
	most int

	mu      sync.Mutex
	byKey   map[K]*rate.Limiter
	sweepAt int
}

// NewBuckets makes buckets, at most so many at a time.
func NewBuckets[K comparable](most int) *Buckets[K] {
	return &Buckets[K]{most: max(most, 1), byKey: map[K]*rate.Limiter{}, sweepAt: min(sweepLeast, max(most, 1))}
}

// Take takes a token of key's bucket, if there is one.
func (b *Buckets[K]) Take(key K, r Rate, now time.Time) Standing {
	if r.IsZero() {
		return Standing{OK: true}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.bucket(key, r, now)
	ok := l.AllowN(now, 1)
	return standing(l, r, ok, now)
}

// Look says how key's bucket stands, and takes nothing. OK says that there is a token.
func (b *Buckets[K]) Look(key K, r Rate, now time.Time) Standing {
	if r.IsZero() {
		return Standing{OK: true}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.byKey[key]
	if l == nil {
		return Standing{Rate: r, OK: true, Remaining: r.Burst}
	}
	return standing(l, r, l.TokensAt(now) >= 1, now)
}

// Len is how many buckets are remembered.
func (b *Buckets[K]) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.byKey)
}

func standing(l *rate.Limiter, r Rate, ok bool, now time.Time) Standing {
	tokens := l.TokensAt(now)
	after := func(missing float64) time.Duration {
		return time.Duration(math.Ceil(max(missing, 0) / r.PerSecond * float64(time.Second)))
	}
	s := Standing{Rate: r, OK: ok, Remaining: max(int(tokens), 0), Reset: after(float64(r.Burst) - tokens)}
	if !ok {
		s.RetryAfter = after(1 - tokens)
	}
	return s
}

// bucket finds key's bucket, or makes a full one.
func (b *Buckets[K]) bucket(key K, r Rate, now time.Time) *rate.Limiter {
	l := b.byKey[key]
	if l == nil {
		if len(b.byKey) >= b.sweepAt {
			b.sweep(now)
		}
		l = rate.NewLimiter(rate.Limit(r.PerSecond), r.Burst)
		b.byKey[key] = l
		return l
	}
	if l.Limit() != rate.Limit(r.PerSecond) {
		l.SetLimitAt(now, rate.Limit(r.PerSecond))
	}
	if l.Burst() != r.Burst {
		l.SetBurstAt(now, r.Burst)
	}
	return l
}

// sweep forgets full buckets, and others if that does not make room. It waits with the next time until as many as are left have come anew, so that
// its cost is that of a step for each that comes.
func (b *Buckets[K]) sweep(now time.Time) {
	for key, l := range b.byKey {
		if l.TokensAt(now) >= float64(l.Burst()) {
			delete(b.byKey, key)
		}
	}
	if keep := b.most * 3 / 4; len(b.byKey) > keep {
		for key := range b.byKey { // A map's order is nobody's to foresee.
			if len(b.byKey) <= keep {
				break
			}
			delete(b.byKey, key)
		}
	}
	b.sweepAt = min(max(2*len(b.byKey), sweepLeast), b.most)
}
