package signup

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limiterMost is how many networks are told apart. What comes when so many are busy shares one bucket.
const limiterMost = 8192

// Limiter bounds how often a network may ask for something, in this process: a bucket of tokens for each. It is for what is cheap, where
// [Service.Begin] counts exactly. It is safe for concurrent use.
type Limiter struct {
	perSecond rate.Limit
	burst     int

	mu      sync.Mutex
	buckets map[netip.Prefix]*rate.Limiter
	shared  *rate.Limiter
	forgot  time.Time
}

// NewLimiter makes one that lets burst pass at once, and perSecond from then on.
func NewLimiter(perSecond float64, burst int) *Limiter {
	return &Limiter{
		perSecond: rate.Limit(perSecond), burst: burst, buckets: map[netip.Prefix]*rate.Limiter{},
		shared: rate.NewLimiter(rate.Limit(perSecond), burst),
	}
}

// Allow reports whether an address may ask now.
func (l *Limiter) Allow(address string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	from := network(address)
	bucket, ok := l.buckets[from]
	if !ok {
		if now := time.Now(); len(l.buckets) >= limiterMost && now.Sub(l.forgot) > time.Second { // It looks at all of them.
			l.forget()
			l.forgot = now
		}
		if len(l.buckets) >= limiterMost {
			return l.shared.Allow()
		}
		bucket = rate.NewLimiter(l.perSecond, l.burst)
		l.buckets[from] = bucket
	}
	return bucket.Allow()
}

// forget removes buckets that are full again: they say nothing.
func (l *Limiter) forget() {
	for from, bucket := range l.buckets {
		if bucket.Tokens() >= float64(l.burst) {
			delete(l.buckets, from)
		}
	}
}
