package main

import (
	"math/bits"
	"time"
)

// histogram counts durations in buckets that are 3 % wide at most.
type histogram struct {
	counts [64 * subBuckets]uint32
	total  uint64
}

// subBuckets is how many buckets each power of two has.
const subBuckets = 32

func bucket(ns uint64) int {
	if ns < subBuckets {
		return int(ns)
	}
	shift := bits.Len64(ns) - 6              // leaves 32 … 63
	return shift*subBuckets + int(ns>>shift) //nolint:gosec // Below 64.
}

// upper gives the greatest duration of a bucket.
func upper(b int) time.Duration {
	if b < 2*subBuckets {
		return time.Duration(b)
	}
	shift := b/subBuckets - 1
	return time.Duration((uint64(b-shift*subBuckets)+1)<<shift - 1) //nolint:gosec // b comes from a duration.
}

func (h *histogram) add(d time.Duration) {
	h.counts[bucket(uint64(max(0, d)))]++
	h.total++
}

func (h *histogram) merge(other *histogram) {
	for i, n := range &other.counts {
		h.counts[i] += n
	}
	h.total += other.total
}

// quantile gives the duration that the share q of all does not exceed, 0 if there are none.
func (h *histogram) quantile(q float64) time.Duration {
	rank, seen := uint64(q*float64(h.total)), uint64(0)
	for i, n := range &h.counts {
		if seen += uint64(n); n > 0 && seen > rank {
			return upper(i)
		}
	}
	for i := len(h.counts) - 1; i >= 0; i-- {
		if h.counts[i] > 0 {
			return upper(i)
		}
	}
	return 0
}
