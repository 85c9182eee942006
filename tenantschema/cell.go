package tenantschema

import (
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"sync"
	"time"
)

// house holds all connections of a DB: one budget over all logins.
//
// A tenant has a home among the connections of its login, chosen by its name. There its statements are prepared and its tables are
// loaded; each backend thus keeps only its share of the tenants. A call takes its home if that is free, and otherwise waits for it for at
// most [patience], or, when somebody waits already, goes to another that is free: the one where the tenant was before if there is one.
// That is consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam, 2016), with a bound of one waiter: a tenant alone
// uses all connections, and many tenants keep to their own.
//
// Whoever has lost patience is served by the next connection that comes free, in the order of arrival. A tenant has at most three
// quarters of the budget in hand or in line here; what it wants beyond waits in a line of its own.
type house struct {
	db   *DB
	most int
	// share is the most that one tenant may hold or wait for in a login's line.
	share int
	seed  maphash.Seed

	mu     sync.Mutex
	logins map[loginKey]*login
	// lines are the logins in whose line somebody stands.
	lines  map[*login]struct{}
	guests map[Name]*guest
	// total counts the connections that are open or being opened.
	total  int
	done   bool
	counts counters

	work   sync.WaitGroup // everything that was started and must have ended before Close returns
	stop   context.CancelFunc
	ctx    context.Context //nolint:containedctx // It ends what the house itself started.
	leases sync.WaitGroup  // connections in use
}

type loginKey struct {
	cell   int
	tenant Name
}

// login is a login role's connections and who waits for them.
type login struct {
	as      Login
	conns   []*conn
	dialing int
	line    []*waiter
}

// guest is a tenant that holds connections or waits for some.
type guest struct {
	in   int // holding, or in its login's line
	line []*waiter
}

type waiter struct {
	t     Tenant
	home  *conn
	since time.Time
	// given is sent the connection, or nil with err set; it has room for it.
	given chan *conn
	err   error
	idle  time.Duration
	// at is the login in whose line it stands; nil in its tenant's own line.
	at *login
}

type counters struct {
	waits    int64
	waitTime time.Duration
	replaced int64
}

const (
	// patience is how long a call waits for its tenant's home while another connection is free: about what it costs to plan a
	// statement or two elsewhere.
	patience = 2 * time.Millisecond
	// handover is how long a login's line may stand before a connection of another login is closed in its favour.
	handover = 25 * time.Millisecond
	// lookAhead is how many in line are looked at for one whose home has just come free.
	lookAhead = 64
)

var errClosed = errors.New("tenantschema: the DB is closed")

func newHouse(db *DB) *house {
	ctx, stop := context.WithCancel(context.Background())
	h := &house{
		db: db, most: db.cfg.MaxConns, share: max(1, db.cfg.MaxConns-db.cfg.MaxConns/4), seed: maphash.MakeSeed(),
		logins: map[loginKey]*login{}, lines: map[*login]struct{}{}, guests: map[Name]*guest{}, ctx: ctx, stop: stop,
	}
	h.work.Go(h.sweep)
	return h
}

// take gives a connection for t, and how long it had been idle.
func (h *house) take(ctx context.Context, t Tenant) (*conn, time.Duration, error) {
	h.mu.Lock()
	if h.done {
		h.mu.Unlock()
		return nil, 0, errClosed
	}
	l := h.login(t)
	g := h.guests[t.Schema]
	if g == nil {
		g = &guest{}
		h.guests[t.Schema] = g
	}
	w := &waiter{t: t}
	if g.in < h.share {
		g.in++
		if c := h.choose(l, w); c != nil {
			idle := h.occupy(c)
			h.mu.Unlock()
			return c, idle, nil
		}
		h.enter(l, w)
	} else {
		g.line = append(g.line, w)
	}
	w.given, w.since = make(chan *conn, 1), time.Now()
	h.mu.Unlock()
	return h.wait(ctx, w)
}

// wait waits for what take could not have at once.
func (h *house) wait(ctx context.Context, w *waiter) (*conn, time.Duration, error) {
	impatient := time.NewTimer(patience)
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

func (h *house) login(t Tenant) *login {
	as := t.login()
	key := loginKey{as.Cell, as.Tenant}
	l := h.logins[key]
	if l == nil {
		l = &login{}
		h.logins[key] = l
	}
	l.as = as // A dedicated tenant's secret may have changed.
	return l
}

// home is the connection where t lives, by a hash that moves few tenants when connections come and go.
func (h *house) home(l *login, t Tenant) *conn {
	if len(l.conns) == 0 {
		return nil
	}
	// Jump consistent hash (Lamping, Veach, 2014): a connection that is added at the end moves only the tenants that it takes.
	key := maphash.String(h.seed, t.Schema.s)
	b, j := int64(-1), int64(0)
	for j < int64(len(l.conns)) {
		b = j
		key = key*2862933555777941757 + 1
		j = int64(float64(b+1) * (float64(int64(1)<<31) / float64((key>>33)+1)))
	}
	return l.conns[b]
}

// choose gives a free connection for w, or nil if it is to wait; then w knows its home.
func (h *house) choose(l *login, w *waiter) *conn {
	home := h.home(l, w.t)
	if home == nil || !home.busy {
		return home
	}
	w.home = home
	if home.waiters == 0 {
		return nil
	}
	return anyFree(l, w.t)
}

// anyFree gives a free connection, best one where the tenant is known.
func anyFree(l *login, t Tenant) (free *conn) {
	for _, c := range l.conns {
		if c.busy {
			continue
		}
		if _, known := c.seen[t.Schema]; known {
			return c
		}
		if free == nil {
			free = c
		}
	}
	return free
}

func (h *house) occupy(c *conn) (idle time.Duration) {
	c.busy = true
	h.leases.Add(1)
	return time.Since(c.idleSince)
}

// enter puts w into its login's line.
func (h *house) enter(l *login, w *waiter) {
	w.at = l
	l.line = append(l.line, w)
	h.lines[l] = struct{}{}
	if w.home != nil {
		w.home.waiters++
	}
	if anyFree(l, w.t) == nil {
		h.grow(l)
	}
}

// leaveLine takes w out of its login's line.
func (h *house) leaveLine(l *login, at int) *waiter {
	w := l.line[at]
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
		if c := h.choose(l, w); c != nil {
			h.give(w, c)
		} else {
			h.enter(l, w)
		}
	}
	if g.in == 0 {
		delete(h.guests, t.Schema)
	}
}

func (h *house) give(w *waiter, c *conn) {
	w.idle = h.occupy(c)
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

// serve gives a free connection to the first in line whose home it is, or who is known there, or who has lost patience.
func (h *house) serve(l *login, c *conn) bool {
	now := time.Now()
	for i, w := range l.line[:min(len(l.line), lookAhead)] {
		known := w.home == c || w.home == nil || now.Sub(w.since) >= patience
		if !known {
			_, known = c.seen[w.t.Schema]
		}
		if known {
			h.give(h.leaveLine(l, i), c)
			return true
		}
	}
	return false
}

// giveBack ends a lease. clean says that the connection may serve others.
func (h *house) giveBack(l *lease, clean bool) {
	c := l.c
	worn := c.load > h.db.cfg.MaxRelations
	if !clean || worn {
		c.close() // Before anybody can see its place as free.
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	defer h.leases.Done()
	c.busy, c.idleSince = false, time.Now()
	if !clean || worn || h.done {
		if worn {
			h.counts.replaced++
		}
		if clean && !worn {
			h.work.Go(c.close)
		}
		h.remove(c)
		h.depart(l.t)
		for waiting := range h.lines {
			h.settle(waiting)
		}
		return
	}
	h.depart(l.t)
	if !c.busy && !h.relieve(c) {
		h.serve(c.login, c)
	}
}

// remove forgets a connection. The last one takes its place in the order, so that the others' homes stay.
func (h *house) remove(c *conn) {
	l := c.login
	at := slices.Index(l.conns, c)
	if at < 0 {
		return
	}
	last := len(l.conns) - 1
	l.conns[at] = l.conns[last]
	l.conns = l.conns[:last]
	h.total--
	for _, w := range l.line { // Their home is another one now.
		if w.home == c {
			w.home = nil
		}
	}
	if len(l.conns) == 0 && l.dialing == 0 && len(l.line) == 0 {
		delete(h.logins, loginKey{l.as.Cell, l.as.Tenant})
	}
}

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
	if neediest == nil || len(own.line) > 0 && own.line[0].since.Before(neediest.line[0].since) {
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
	h.work.Go(func() { h.dial(l, l.as) })
}

// evict gives up the free connection of another login that has been free for longest.
func (h *house) evict(wanting *login) bool {
	var victim *conn
	for _, l := range h.logins {
		if l == wanting || len(l.line) > 0 {
			continue
		}
		for _, c := range l.conns {
			if !c.busy && (victim == nil || c.idleSince.Before(victim.idleSince)) {
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
	c, err := h.db.connect(h.ctx, as)
	h.mu.Lock()
	defer h.mu.Unlock()
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
	c.login, c.idleSince = l, time.Now()
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
				if !c.busy && time.Since(c.idleSince) > h.db.cfg.IdleTimeout {
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
