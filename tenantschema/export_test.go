package tenantschema

import (
	"context"
	"strings"
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

// RawCreation makes the schema of spec and gives the SQL that does so, as one text. The role must be there.
func (s *Session) RawCreation(ctx context.Context, spec Spec) (string, error) {
	var texts []string
	keep := func(sql ...string) { texts = append(texts, sql...) }
	err := pgx.BeginFunc(ctx, s.conn, func(tx pgx.Tx) error {
		name := spec.Name.Quote()
		for _, sql := range []string{GrantRole(s.conn, spec.Name.s, spec.Member), "create schema " + name, "set local search_path to " + name} {
			keep(sql)
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		s.versions.expect(true, nil)
		if err := s.goose(ctx, s.p.Target(), false); err != nil {
			return err
		}
		keep(s.script.texts...)
		if err := s.script.flush(ctx, s.conn); err != nil {
			return err
		}
		statements, err := lacking(ctx, tx, spec)
		if err != nil {
			return err
		}
		keep(statements...)
		return sendDDL(ctx, tx, statements, "raw")
	})
	return "begin;\n" + strings.Join(texts, "\n;\n") + ";\ncommit", err
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
