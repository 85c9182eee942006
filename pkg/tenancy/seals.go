package tenancy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// sealKeysKept is how many keys of the seal are valid: the one in force, and the one before it for processes that do not know of it yet.
const sealKeysKept = 2

// rotationPause is the least time between two rotations: what every process needs to learn of the first, several times over. A second
// one within it would make the key invalid that some of them still use.
const rotationPause = 4 * fullEvery

// SealKeyInfo is what may be known of a key of the seal.
type SealKeyInfo struct {
	ID        string
	CreatedAt time.Time
	// Current says that it is the one in force; the others are still valid.
	Current bool
}

// readSealKey gives the newest key. Its secret derives from the login secret and a hint that stands beside the key's digest in the database;
// q may be the control role.
func readSealKey(ctx context.Context, q querier, logins *Logins) (tenantschema.SealKey, error) {
	rows, err := q.Query(ctx, "select id, hint from seal.keys order by created_at desc, id limit 1")
	if err != nil {
		return tenantschema.SealKey{}, fmt.Errorf("read seal key: %w", err)
	}
	key, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (key tenantschema.SealKey, err error) {
		var hint []byte
		if err = row.Scan(&key.ID, &hint); err == nil {
			key.Secret, err = logins.sealSecret(hint)
		}
		return key, err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return key, apperr.New(apperr.Unavailable, "the database has no seal key: run `rowhouse migrate up`")
	}
	if err != nil {
		return key, fmt.Errorf("read seal key: %w", err)
	}
	return key, nil
}

// addSealKey makes a new key the one in force.
func addSealKey(ctx context.Context, tx pgx.Tx, logins *Logins, keep int) (string, error) {
	hint := make([]byte, 32)
	_, _ = rand.Read(hint) // crypto/rand never fails: it ends the program instead.
	secret, err := logins.sealSecret(hint)
	if err != nil {
		return "", err
	}
	key := tenantschema.SealKey{ID: strings.ToLower(rand.Text()[:10]), Secret: secret}
	return key.ID, tenantschema.AddSealKey(ctx, tx, key, hint, keep)
}

// SealKey gives the key in force, for an engine of the owner's own.
func (m *Manager) SealKey(ctx context.Context) (tenantschema.SealKey, error) {
	return readSealKey(ctx, m.cfg.Pool, m.cfg.Logins)
}

// SealKeys lists the valid keys, the one in force first.
func (m *Manager) SealKeys(ctx context.Context) ([]SealKeyInfo, error) {
	rows, err := m.cfg.Pool.Query(ctx, "select id, created_at from seal.keys order by created_at desc, id")
	if err != nil {
		return nil, fmt.Errorf("list seal keys: %w", err)
	}
	keys, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (k SealKeyInfo, err error) {
		err = row.Scan(&k.ID, &k.CreatedAt)
		return k, err
	})
	if err != nil {
		return nil, fmt.Errorf("list seal keys: %w", err)
	}
	for i := range keys {
		keys[i].Current = i == 0
	}
	return keys, nil
}

// RotateSeal puts a new key of the seal in force. The one before stays valid until the next rotation, so that processes which have not
// learnt of the new one lose no request; older ones end. now allows it so soon after the last rotation that processes may still use a key
// which ends by it: their requests fail until they learn of the new one, for half a minute at most. That is for a secret that has leaked.
func (m *Manager) RotateSeal(ctx context.Context, now bool) (id string, err error) {
	err = pgx.BeginFunc(ctx, m.cfg.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "lock table seal.keys in share row exclusive mode"); err != nil {
			return fmt.Errorf("lock seal keys: %w", err)
		}
		var recent bool
		err := tx.QueryRow(ctx, "select count(*) > 1 and max(created_at) > clock_timestamp() - $1::interval from seal.keys", rotationPause).Scan(&recent)
		if err != nil {
			return fmt.Errorf("look for the last rotation: %w", err)
		}
		if recent && !now {
			return apperr.New(apperr.Conflict, "the seal key was rotated less than %s ago, and processes may still use the one before: "+
				"wait, or say --now if requests may fail for it", rotationPause)
		}
		id, err = addSealKey(ctx, tx, m.cfg.Logins, sealKeysKept)
		return err
	})
	return id, err
}
