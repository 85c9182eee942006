package tenantschema

import (
	"context"
	"slices"
	"time"
)

// Who waits for a connection, in which line, and who is served next. See [house].

type waiter struct {
	t     Tenant
	home  *conn
	since time.Time
	// patience is how long it waits for a connection that knows its tenant.
	patience time.Duration
	// given is sent the connection, or nil with err set; it has room for it.
	given chan *conn
	err   error
	idle  time.Duration
	// at is the login in whose line it stands; nil in its tenant's own line.
	at *login
}

// wait waits for what take could not have at once.
func (h *house) wait(ctx context.Context, w *waiter) (*conn, time.Duration, error) {
	impatient := time.NewTimer(w.patience)
	defer impatient.Stop()
	for {
		select {
		case c := <-w.given:
			h.mu.Lock()
			h.counts.waits++
			h.counts.waitTime += time.Since(w.since)
			h.mu.Unlock()
			return c, w.idle, w.err
		case <-impatient.C:
			h.mu.Lock()
			if w.at != nil {
				h.settle(w.at)
			}
			h.mu.Unlock()
			impatient.Reset(handover)
		case <-ctx.Done():
			h.mu.Lock()
			gone := h.abandon(w)
			h.mu.Unlock()
			if gone {
				return nil, 0, ctx.Err()
			}
			if c := <-w.given; c != nil { // It was given at the same moment.
				return c, w.idle, nil
			}
			return nil, 0, w.err
		}
	}
}

// enter puts w into its login's line.
func (h *house) enter(l *login, w *waiter) {
	w.at = l
	l.weigh(time.Now())
	l.line = append(l.line, w)
	h.lines[l] = struct{}{}
	if w.home != nil {
		w.home.waiters++
	}
	if free, _ := anyFree(l, w.t); free == nil {
		h.grow(l)
	}
}

// leaveLine takes w out of its login's line.
func (h *house) leaveLine(l *login, at int) *waiter {
	w := l.line[at]
	l.weigh(time.Now())
	if l.line = slices.Delete(l.line, at, at+1); len(l.line) == 0 {
		delete(h.lines, l)
	}
	if w.home != nil {
		w.home.waiters--
	}
	return w
}

// abandon takes w out of whatever line it is in; false if it has just been served.
func (h *house) abandon(w *waiter) bool {
	if w.at != nil {
		at := slices.Index(w.at.line, w)
		if at < 0 {
			return false
		}
		h.leaveLine(w.at, at)
		h.depart(w.t)
		return true
	}
	g := h.guests[w.t.Schema]
	at := slices.Index(g.line, w)
	if at < 0 {
		return false
	}
	g.line = slices.Delete(g.line, at, at+1)
	return true
}

// depart says that t holds or wants one connection less, and lets the next of its own line in.
func (h *house) depart(t Tenant) {
	g := h.guests[t.Schema]
	g.in--
	if len(g.line) > 0 {
		w := g.line[0]
		g.line = slices.Delete(g.line, 0, 1)
		g.in++
		l := h.login(w.t)
		var c *conn
		if c, w.home = h.choose(l, w.t); c != nil {
			h.give(w, c)
		} else {
			h.enter(l, w)
		}
	}
	if g.in == 0 && len(h.guests) > guestsKept {
		delete(h.guests, t.Schema)
	}
}

func (h *house) give(w *waiter, c *conn) {
	w.idle = h.occupy(c, w.t)
	w.given <- c
}

// settle serves those in l's line whom a free connection can serve, and makes room for the others.
func (h *house) settle(l *login) {
	for _, c := range l.conns {
		if !c.busy {
			h.serve(l, c)
		}
	}
	if len(l.line) > 0 {
		h.grow(l)
	}
}

// serve gives a free connection to the first in line who is at home there or known, else to the first who has lost patience.
func (h *house) serve(l *login, c *conn) {
	if len(l.line) == 0 {
		return
	}
	now := time.Now()
	chosen := -1
	for i, w := range l.line[:min(len(l.line), lookAhead)] {
		waited := now.Sub(w.since)
		if w.home == c || w.home == nil || c.knows(w.t) || waited >= overdue {
			chosen = i
			break
		}
		if chosen < 0 && waited >= w.patience {
			chosen = i
		}
	}
	if chosen >= 0 {
		h.give(h.leaveLine(l, chosen), c)
	}
}
