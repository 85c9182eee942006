package tenantschema

import (
	"slices"
	"time"
)

// relieve hands the place of c, which has just come free, over to a login whose line has stood for too long.
func (h *house) relieve(c *conn) bool {
	own := c.login
	var neediest *login
	for l := range h.lines {
		if l == own {
			continue
		}
		have := len(l.conns) + l.dialing
		// A login that has none is owed one at once; another must be much worse off than this one.
		owed := have == 0 || time.Since(l.line[0].since) > handover && len(l.line)*len(own.conns) > 2*have*(len(own.line)+1)
		if owed && (neediest == nil || l.line[0].since.Before(neediest.line[0].since)) {
			neediest = l
		}
	}
	if neediest == nil || len(own.line) > 0 && (own.line[0].since.Before(neediest.line[0].since) || time.Since(c.born) < h.tenure()) {
		return false
	}
	h.discard(c)
	h.grow(neediest)
	h.settle(own)
	return true
}

// tenure is how long a connection serves at least while its own login needs it.
func (h *house) tenure() time.Duration {
	return min(max(tenureDials*h.counts.dial, tenureLeast), tenureMost)
}

// discard closes a free connection without making anybody wait for that.
func (h *house) discard(c *conn) {
	h.remove(c)
	h.work.Go(c.close)
}

// grow opens a connection for l if somebody waits whom none of those being opened will serve, and the budget has room or a connection
// that nobody uses can be given up.
func (h *house) grow(l *login) {
	if h.done || l.dialing >= len(l.line) {
		return
	}
	if h.total >= h.most {
		// Closing what another will want again in a moment helps nobody, unless this login has nothing, or has waited.
		patient := len(l.conns)+l.dialing > 0 && time.Since(l.line[0].since) < handover
		if patient || !h.evict(l) {
			return
		}
	}
	h.total++
	l.dialing++
	as := l.as // It may be replaced while that one dials.
	h.work.Go(func() { h.dial(l, as) })
}

// evict gives up the free connection of another login that has been free for longest.
func (h *house) evict(wanting *login) bool {
	var victim *conn
	for _, l := range h.logins {
		if l == wanting || len(l.line) > 0 {
			continue
		}
		for _, c := range l.conns {
			if !c.busy && (victim == nil || c.since.Before(victim.since)) {
				victim = c
			}
		}
	}
	if victim == nil {
		return false
	}
	h.discard(victim)
	return true
}

// dial opens a connection and gives it to whoever waits.
func (h *house) dial(l *login, as Login) {
	began := time.Now()
	c, err := h.db.connect(h.ctx, as)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts.dial += (time.Since(began) - h.counts.dial) / 8
	l.dialing--
	if err == nil && h.done {
		h.total--
		h.work.Go(c.close)
		return
	}
	if err != nil {
		h.total--
		if len(l.line) > 0 { // It is told to one: the others try for themselves.
			w := h.leaveLine(l, 0)
			w.err = err
			w.given <- nil
			h.depart(w.t)
		}
		if len(l.line) > 0 {
			h.grow(l)
		}
		return
	}
	c.login, c.born, c.since = l, time.Now(), time.Now()
	l.conns = append(l.conns, c)
	h.serve(l, c)
}

// sweep closes what nobody has used for long.
func (h *house) sweep() {
	ticker := time.NewTicker(max(h.db.cfg.IdleTimeout/2, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-ticker.C:
		}
		h.mu.Lock()
		for _, l := range h.logins {
			for _, c := range slices.Clone(l.conns) {
				if !c.busy && time.Since(c.since) > h.db.cfg.IdleTimeout {
					h.discard(c)
				}
			}
		}
		h.mu.Unlock()
	}
}

func (h *house) close() {
	h.mu.Lock()
	if h.done {
		h.mu.Unlock()
		return
	}
	h.done = true
	clear(h.lines)
	for _, l := range h.logins {
		for _, w := range l.line {
			w.err = errClosed
			w.given <- nil
		}
		l.line = nil
		for _, c := range slices.Clone(l.conns) {
			if !c.busy {
				h.discard(c)
			}
		}
	}
	for _, g := range h.guests {
		for _, w := range g.line {
			w.err = errClosed
			w.given <- nil
		}
		g.line = nil
	}
	h.mu.Unlock()
	h.stop()
	h.leases.Wait()
	h.work.Wait()
}
