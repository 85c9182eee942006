package live

import (
	"slices"
	"sync"

	"github.com/google/uuid"
)

// Event is what a subscriber is told at once.
type Event struct {
	// ID is that of the latest change among them, for [Hub.Subscribe].
	ID uuid.UUID
	// All says that anything may have changed.
	All bool
	// Projects and Tasks are what changed: each once.
	Projects, Tasks []uuid.UUID
}

// Empty reports whether there is nothing to tell.
func (e Event) Empty() bool { return !e.All && len(e.Projects) == 0 && len(e.Tasks) == 0 }

// and gives both events as one.
func (e Event) and(next Event) Event {
	if next.ID != uuid.Nil {
		e.ID = next.ID
	}
	e.All = e.All || next.All
	for _, id := range next.Projects {
		e.Projects = with(e.Projects, id)
	}
	for _, id := range next.Tasks {
		e.Tasks = with(e.Tasks, id)
	}
	if e.All || len(e.Projects)+len(e.Tasks) > idsMost {
		return Event{ID: e.ID, All: true}
	}
	return e
}

func with(ids []uuid.UUID, id uuid.UUID) []uuid.UUID {
	if id == uuid.Nil || slices.Contains(ids, id) {
		return ids
	}
	return append(ids, id)
}

// Subscription is one who wants to know. What is not taken in time is gathered: it takes no more room.
type Subscription struct {
	tenant *tenant
	wake   chan struct{}
	since  uuid.UUID // Guarded by the hub's mutex; zero when it needs no catching up.

	mu      sync.Mutex
	waiting Event
}

// Ready has something in it when there may be something to [Subscription.Take].
func (s *Subscription) Ready() <-chan struct{} { return s.wake }

// Take gives what has happened since it was last called, which may be nothing.
func (s *Subscription) Take() Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.waiting
	s.waiting = Event{}
	return e
}

// Close ends it. It may be called again.
func (s *Subscription) Close() { s.tenant.hub.leave(s) }

func (s *Subscription) add(e Event) {
	s.mu.Lock()
	s.waiting = s.waiting.and(e)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
