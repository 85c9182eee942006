package live

import (
	"bytes"
	"context"
	"encoding/binary"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// tenant is one with subscribers in this process.
type tenant struct {
	hub    *Hub
	scope  tenantschema.Scope
	cancel context.CancelFunc
	hints  chan struct{}

	// Guarded by the hub's mutex.
	subscribers map[*Subscription]struct{}
	head        uuid.UUID // the latest change that is known
	known       bool      // whether it was read once

	// Only follow's.
	seen   map[uuid.UUID]struct{}
	readAt time.Time // when it was last read, zero before
}

func (t *tenant) hint() {
	select {
	case t.hints <- struct{}{}:
	default:
	}
}

// follow reads what changed, when it is hinted at and every while, until ctx ends.
func (t *tenant) follow(ctx context.Context) {
	poll := time.NewTimer(0) // What there is by now is no news: see read.
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.hints:
		case <-poll.C:
		}
		if err := t.read(ctx); err != nil && ctx.Err() == nil {
			t.hub.cfg.Log.Debug("what changed could not be read; trying again", zap.String("tenant", t.scope.Tenant().ID), zap.Error(err))
		}
		// However many hints come: this long nothing is read.
		pause := time.NewTimer(t.hub.cfg.Pause)
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
		poll.Reset(t.hub.cfg.Poll)
	}
}

// read tells the subscribers of the changes that it has not seen before. The first reading only remembers them.
func (t *tenant) read(ctx context.Context) error {
	select {
	case t.hub.readers <- struct{}{}:
		defer func() { <-t.hub.readers }()
	case <-ctx.Done():
		return ctx.Err()
	}
	readCtx, cancel := context.WithTimeout(ctx, window/3)
	defer cancel()
	begun := time.Now()
	changes, err := t.hub.cfg.Read(readCtx, t.scope, Since(begun.Add(-window)), readMost)
	if err != nil {
		return err
	}
	var event Event
	seen := make(map[uuid.UUID]struct{}, len(changes))
	for i, c := range changes {
		if i == 0 { // The latest.
			event.ID = c.ID
		}
		seen[c.ID] = struct{}{}
		if _, known := t.seen[c.ID]; known {
			continue
		}
		if c.ProjectID == uuid.Nil && c.TaskID == uuid.Nil {
			event.All = true
		}
		event.Projects, event.Tasks = with(event.Projects, c.ProjectID), with(event.Tasks, c.TaskID)
	}
	// What is older than what fits into one reading, or happened while nothing could be read, is not known.
	first := t.readAt.IsZero()
	event.All = event.All || len(changes) == readMost && !event.Empty() || begun.Sub(t.readAt) > window*2/3
	t.seen, t.readAt = seen, begun
	t.tell(event, first)
	return nil
}

func (t *tenant) tell(event Event, first bool) {
	t.hub.mu.Lock()
	defer t.hub.mu.Unlock()
	if event.ID != uuid.Nil {
		t.head = event.ID
	}
	t.known = true
	for s := range t.subscribers {
		t.catchUp(s)
	}
	if first || event.Empty() {
		return
	}
	event.ID = t.head
	for s := range t.subscribers {
		s.add(Event{}.and(event))
	}
}

// catchUp tells s once, as soon as that is known, if it has missed something. It is called with the hub's mutex.
func (t *tenant) catchUp(s *Subscription) {
	if !t.known || s.since == uuid.Nil {
		return
	}
	// What the readings cannot see may have changed.
	missed := bytes.Compare(s.since[:], t.head[:]) < 0 || timeOf(s.since).Before(time.Now().Add(-window/2))
	s.since = uuid.Nil
	if missed {
		s.add(Event{ID: t.head, All: true})
	}
}

// timeOf gives the time of a UUIDv7.
func timeOf(id uuid.UUID) time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(id[:8]) >> 16))
}

// Since gives the least UUIDv7 of that time (RFC 9562).
func Since(at time.Time) uuid.UUID {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], uint64(at.UnixMilli())<<16|7<<12)
	id[8] = 0x80
	return id
}
