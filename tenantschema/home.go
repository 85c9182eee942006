package tenantschema

import (
	"hash/maphash"
	"time"
)

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

// choose gives a free connection for t, or else the home for which it is to wait.
func (h *house) choose(l *login, t Tenant) (free, home *conn) {
	home = h.home(l, t)
	if home == nil || !home.busy {
		return home, nil
	}
	free, known := anyFree(l, t)
	if known || home.waiters >= crowd {
		return free, home
	}
	return nil, home
}

// anyFree gives a free connection, if there is one, and whether it knows the tenant.
func anyFree(l *login, t Tenant) (free *conn, known bool) {
	for _, c := range l.conns {
		if c.busy {
			continue
		}
		if c.knows(t) {
			return c, true
		}
		if free == nil {
			free = c
		}
	}
	return free, false
}

func (c *conn) knows(t Tenant) bool {
	_, known := c.seen[t.Schema]
	return known
}

// patience is how long a call waits now before it goes anywhere.
func (h *house) patience() time.Duration {
	return min(max(patienceTimes*(h.counts.strange-h.counts.hold), patienceLeast), patienceMost)
}
