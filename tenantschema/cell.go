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
// loaded; each backend thus keeps only its share of the tenants. A call takes its home if that is free, or another free connection that
// knows the tenant; otherwise it waits for one of these. Going anywhere else costs what several statements do, since that backend must
// load the tenant's tables and plan its statements first: it is done when [crowd] calls wait for the home already, or when a call has
// waited for many times what that costs. That is consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam, 2016): a
// tenant alone comes to use all connections, and many tenants keep to their own.
//
// Nobody in line is passed over for longer than [overdue]. A tenant has at most three quarters of the budget in hand or in line here;
// what it wants beyond waits in a line of its own.
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
	// busy counts the connections in use. demand is a moving average of those and of who is in line, as of weighed.
	busy    int
	demand  float64
	weighed time.Time
}

// guest is a tenant that holds connections or waits for some.
type guest struct {
	in   int // holding, or in its login's line
	line []*waiter
}

type counters struct {
	// hold is how long a call has a connection that knows its tenant, strange how long one that does not: moving averages, in which long
	// ones count as holdMost.
	hold, strange time.Duration
	// dial is how long it takes to open a connection: a moving average.
	dial     time.Duration
	waits    int64
	waitTime time.Duration
	replaced int64
	opened   int64
}

const (
	// crowd is how many wait for a home before another goes elsewhere at once.
	crowd = 4
	// A call loses patience after patienceTimes times what it costs to be served where its tenant is not known, within these bounds. Both
	// the cost and the wait grow with the load. It never waits for longer than [overdue] beside a connection that is free.
	patienceTimes                         = 4
	patienceLeast, patienceMost, holdMost = 3 * time.Millisecond, overdue, 100 * time.Millisecond
	// overdue is how long one in line may be passed over by others whose home has come free.
	overdue = 100 * time.Millisecond
	// handover is how long a login's line may stand before a connection of another login is closed in its favour.
	handover = 25 * time.Millisecond
	// demandOver is the time over which a login's demand is averaged.
	demandOver = 10 * time.Second
	// unused is how long a connection has been free when its login is taken not to need it.
	unused = 15 * time.Second
	// better is how many times as many calls one connection of a login must serve before it is given one of another login.
	better = 2
	// A connection in use is not closed in favour of another login before it has served for tenureTimes what it costs to have another
	// like it, so that this never takes most of the time: opening it, and residentCost for each tenant that it knows. For a login that has
	// none, only opening it counts, and never more than owedWithin: somebody waits who gets nothing at all.
	tenureTimes             = 10
	residentCost            = 4 * time.Millisecond
	tenureLeast, tenureMost = 50 * time.Millisecond, 5 * time.Second
	owedWithin              = 500 * time.Millisecond
	// guestsKept is how many tenants are remembered although they hold nothing, which saves making them anew for each call.
	guestsKept = 4096
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
	var w *waiter
	l := h.login(t)
	g := h.guests[t.Schema]
	if g == nil {
		g = &guest{}
		h.guests[t.Schema] = g
	}
	if g.in < h.share {
		g.in++
		c, home := h.choose(l, t)
		if c != nil {
			idle := h.occupy(c, t)
			h.mu.Unlock()
			return c, idle, nil
		}
		w = &waiter{t: t, home: home}
		h.enter(l, w)
	} else {
		w = &waiter{t: t}
		g.line = append(g.line, w)
	}
	w.given, w.since, w.patience = make(chan *conn, 1), time.Now(), h.patience()
	h.mu.Unlock()
	waitCtx, cancel := context.WithTimeout(ctx, h.db.cfg.AcquireTimeout)
	defer cancel()
	return h.wait(waitCtx, w)
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

func (h *house) occupy(c *conn, t Tenant) (idle time.Duration) {
	now := time.Now()
	idle, c.busy, c.since = now.Sub(c.since), true, now
	c.strange = !c.knows(t)
	c.login.weigh(now)
	c.login.busy++
	h.leases.Add(1)
	return idle
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
	now := time.Now()
	held := min(now.Sub(c.since), holdMost)
	if c.strange {
		h.counts.strange += (held - h.counts.strange) / 16
	} else {
		h.counts.hold += (held - h.counts.hold) / 64
	}
	c.login.weigh(now)
	c.login.busy--
	switch {
	case h.done:
		if clean && !worn {
			h.work.Go(c.close)
		}
		h.remove(c)
		h.depart(l.t)
		return
	case worn:
		h.counts.replaced++
		h.replace(c)
		h.depart(l.t)
		return
	case !clean:
		h.remove(c)
		h.depart(l.t)
		for waiting := range h.lines {
			h.settle(waiting)
		}
		return
	}
	c.busy, c.since = false, now
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
