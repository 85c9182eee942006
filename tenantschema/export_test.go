package tenantschema

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

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

// Secure grants and seals as [Session.Create] does after the migrations.
func Secure(ctx context.Context, tx pgx.Tx, spec Spec) error {
	if err := enterSchema(ctx, tx, spec.Name); err != nil {
		return err
	}
	return secure(ctx, tx, spec)
}

// FingerprintSQL and FingerprintSettings are what [Session.Fingerprint] sends.
func FingerprintSQL() string { return fingerprintSQL() }

const FingerprintSettings = fingerprintSettings
