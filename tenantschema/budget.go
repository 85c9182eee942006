package tenantschema

import (
	"slices"
	"time"
)

// weigh brings l's demand up to date; it is called before who uses it or waits for it changes.
func (l *login) weigh(now time.Time) {
	part := min(1, float64(now.Sub(l.weighed))/float64(demandOver))
	l.demand += (float64(l.busy+len(l.line)) - l.demand) * part
	l.weighed = now
}

func (l *login) places() int { return len(l.conns) + l.dialing }

// deserves says whether wanting, in whose line somebody stands, is to have the place of c, which is free now. A login without any
// connection takes it from the login that has the most for what it serves; another must be much worse off than c's own.
func (h *house) deserves(wanting *login, c *conn, now time.Time) bool {
	if now.Sub(c.since) > unused {
		return true
	}
	from, waited := c.login, now.Sub(wanting.line[0].since)
	wanting.weigh(now)
	from.weigh(now)
	if wanting.places() == 0 {
		return now.Sub(c.born) > min(h.tenure(0), owedWithin) && (from == h.richest(now) || waited > overdue)
	}
	left := from.places() - 1
	return waited > handover && left > 0 && now.Sub(c.born) > h.tenure(len(c.seen)) &&
		wanting.demand*float64(left) > better*from.demand*float64(wanting.places())
}

// richest is the login that has the most connections for what it serves.
func (h *house) richest(now time.Time) (richest *login) {
	for _, l := range h.logins {
		if len(l.conns) == 0 {
			continue
		}
		l.weigh(now)
		if richest == nil || float64(len(l.conns))*richest.demand > float64(len(richest.conns))*l.demand {
			richest = l
		}
	}
	return richest
}

// tenure is how long a connection that knows so many tenants serves at least while its login needs it.
func (h *house) tenure(tenants int) time.Duration {
	return min(max(tenureTimes*(h.counts.dial+time.Duration(tenants)*residentCost), tenureLeast), tenureMost)
}

// relieve hands the place of c, which has just come free, over to a login that deserves it.
func (h *house) relieve(c *conn) bool {
	own, now := c.login, time.Now()
	var neediest *login
	for l := range h.lines {
		if l == own || l.dialing >= len(l.line) || !h.deserves(l, c, now) {
			continue
		}
		if neediest == nil || l.line[0].since.Before(neediest.line[0].since) {
			neediest = l
		}
	}
	if neediest == nil {
		return false
	}
	h.discard(c)
	h.grow(neediest)
	h.settle(own)
	return true
}

// discard closes a free connection without making anybody wait for that.
func (h *house) discard(c *conn) {
	h.remove(c)
	h.work.Go(c.close)
}

// grow opens a connection for l if somebody waits whom none of those being opened will serve, and the budget has room or another login
// can give one up.
func (h *house) grow(l *login) {
	if h.done || l.dialing >= len(l.line) || h.total >= h.most && !h.evict(l) {
		return
	}
	h.total++
	l.dialing++
	as := l.as // It may be replaced while that one dials.
	h.work.Go(func() { h.dial(l, as) })
}

// evict gives up the free connection of another login that wanting deserves, and that has been free for longest.
func (h *house) evict(wanting *login) bool {
	var victim *conn
	now := time.Now()
	for _, l := range h.logins {
		if l == wanting {
			continue
		}
		for _, c := range l.conns {
			if !c.busy && (victim == nil || c.since.Before(victim.since)) && h.deserves(wanting, c, now) {
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

// replace opens another connection in the place of c, which has been closed. It keeps c's place in the order, so that homes stay.
func (h *house) replace(c *conn) {
	as := c.login.as
	h.work.Go(func() {
		began := time.Now()
		fresh, err := h.db.connect(h.ctx, as)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.opened(began)
		l := c.login
		switch {
		case err != nil:
			h.remove(c)
			h.settle(l) // Whoever waits tries again, and is told.
		case h.done:
			h.remove(c)
			h.work.Go(fresh.close)
		default:
			fresh.login, fresh.born, fresh.since, fresh.waiters = l, time.Now(), time.Now(), c.waiters
			l.conns[slices.Index(l.conns, c)] = fresh
			for _, w := range l.line {
				if w.home == c {
					w.home = fresh
				}
			}
			h.serve(l, fresh)
		}
	})
}

// dial opens a connection and gives it to whoever waits.
func (h *house) dial(l *login, as Login) {
	began := time.Now()
	c, err := h.db.connect(h.ctx, as)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.opened(began)
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

// opened notes an attempt to open a connection.
func (h *house) opened(began time.Time) {
	h.counts.opened++
	h.counts.dial += (time.Since(began) - h.counts.dial) / 8
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
