package throttle

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// ErrFull is returned when as many wait as may.
var ErrFull = errors.New("throttle: as many wait as may")

// Gate lets so many of each key in at a time. So many more wait in line, first come, first served; who comes then is turned away at once. Keys know
// nothing of each other. All methods are safe for concurrent use.
type Gate[K comparable] struct {
	mu    sync.Mutex
	byKey map[K]*line
}

// line is those of one key. It is forgotten with the last.
type line struct {
	inside  int
	waiting []chan struct{}
}

// NewGate makes a gate.
func NewGate[K comparable]() *Gate[K] { return &Gate[K]{byKey: map[K]*line{}} }

// Enter waits until fewer than most of key are inside, and goes in. leave must be called once, by whoever is inside; more calls do nothing. The
// error is [ErrFull] if queue are waiting already, or why ctx ended. most 0 is no limit.
func (g *Gate[K]) Enter(ctx context.Context, key K, most, queue int) (leave func(), err error) {
	if most <= 0 {
		return func() {}, nil
	}
	g.mu.Lock()
	l := g.byKey[key]
	if l == nil {
		l = &line{}
		g.byKey[key] = l
	}
	switch {
	case l.inside < most && len(l.waiting) == 0:
		l.inside++
		g.mu.Unlock()
		return g.leaver(key, l, most), nil
	case len(l.waiting) >= queue:
		g.mu.Unlock()
		return nil, ErrFull
	}
	mine := make(chan struct{})
	l.waiting = append(l.waiting, mine)
	g.admit(l, most) // The limit may have been raised while others wait.
	g.mu.Unlock()
	select {
	case <-mine:
		return g.leaver(key, l, most), nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	if i := slices.Index(l.waiting, mine); i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
		g.forget(key, l)
		g.mu.Unlock()
		return nil, ctx.Err()
	}
	g.mu.Unlock()
	g.leaver(key, l, most)() // Let in at the same moment.
	return nil, ctx.Err()
}

// Counts gives how many of key are inside, and how many wait.
func (g *Gate[K]) Counts(key K) (inside, waiting int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if l := g.byKey[key]; l != nil {
		return l.inside, len(l.waiting)
	}
	return 0, 0
}

// Waiting gives how many wait, of all keys.
func (g *Gate[K]) Waiting() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range g.byKey {
		n += len(l.waiting)
	}
	return n
}

func (g *Gate[K]) leaver(key K, l *line, most int) func() {
	return sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		l.inside--
		g.admit(l, most)
		g.forget(key, l)
	})
}

// admit lets in who is first in line, as long as there is room.
func (g *Gate[K]) admit(l *line, most int) {
	for l.inside < most && len(l.waiting) > 0 {
		close(l.waiting[0])
		l.waiting = slices.Delete(l.waiting, 0, 1)
		l.inside++
	}
}

func (g *Gate[K]) forget(key K, l *line) {
	if l.inside == 0 && len(l.waiting) == 0 {
		delete(g.byKey, key)
	}
}
