package tenantschema

import "time"

// SealFor is how long a seal may wait for its transaction.
const SealFor = sealFor

// Seal gives the seal that a scope would make.
func (k SealKey) Seal(name Name, pid uint32, expiry time.Time) string {
	return string(k.seal(name, pid, expiry))
}

// ShiftClocks makes the connections that nobody uses believe that the server's time is off by d.
func (db *DB) ShiftClocks(d time.Duration) {
	db.house.mu.Lock()
	defer db.house.mu.Unlock()
	for _, l := range db.house.logins {
		for _, c := range l.conns {
			if !c.busy {
				c.clock = c.clock.Add(d)
				for _, r := range c.seen {
					r.renew = time.Time{}
				}
			}
		}
	}
}
