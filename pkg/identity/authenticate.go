package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Authenticate gives the caller whose token it is. The error is apperr.Unauthenticated, always the same, unless the token opens a key
// of scope's tenant; any other error is a failure of the database and says nothing about the token.
func (s *Service) Authenticate(ctx context.Context, scope tenantschema.Scope, token string) (Principal, error) {
	id, given, ok := parseToken(token)
	if !ok {
		return Principal{}, errUnauthenticated()
	}
	kept := s.keys.For(scope.Tenant().Schema)
	known, err := kept.Get(ctx, string(id[:]), func(ctx context.Context) (keyRecord, error) { return findKey(ctx, scope, id) })
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return Principal{}, fmt.Errorf("identity: authenticate: %w", err)
	}
	now := s.now()
	// An unknown key leaves hash empty, which matches nothing.
	key := known.key
	if !given.matches(known.hash) || !key.Active(now) {
		return Principal{}, errUnauthenticated()
	}
	touched, err := s.touch(ctx, scope, id, key.LastUsedAt, now)
	if err != nil {
		return Principal{}, fmt.Errorf("identity: authenticate: %w", err)
	}
	if touched {
		kept.Drop(string(id[:]))
	}
	return Principal{KeyID: id, Name: key.Name, Scopes: slices.Clone(key.Scopes)}, nil
}

// keyRecord is what is kept of a key in memory. It opens nothing: hash is not what its holder shows.
type keyRecord struct {
	hash []byte
	key  Key
}

func findKey(ctx context.Context, scope tenantschema.Scope, id uuid.UUID) (r keyRecord, err error) {
	const sql = `SELECT hash, name, scopes, expires_at, last_used_at, revoked_at FROM api_keys WHERE id = $1`
	err = scope.QueryRow(ctx, sql, id).Scan(&r.hash, &r.key.Name, &r.key.Scopes, &r.key.ExpiresAt, &r.key.LastUsedAt, &r.key.RevokedAt)
	return r, err
}

// touch writes the time of last use if the one stored is stale, and says so. Of many requests that come at once, one writes: the others neither
// wait for its lock nor write again after it.
func (s *Service) touch(ctx context.Context, scope tenantschema.Scope, id uuid.UUID, last *time.Time, now time.Time) (bool, error) {
	stale := now.Add(-s.cfg.TouchInterval)
	if last != nil && last.After(stale) {
		return false, nil
	}
	const sql = `UPDATE api_keys SET last_used_at = $2 WHERE id IN (
    SELECT id FROM api_keys WHERE id = $1 AND (last_used_at IS NULL OR last_used_at <= $3) FOR NO KEY UPDATE SKIP LOCKED)`
	if _, err := scope.Exec(ctx, sql, id, now, stale); err != nil {
		return false, fmt.Errorf("note use of key: %w", err)
	}
	return true, nil
}

// errUnauthenticated makes the one answer to all bad credentials. Each caller gets its own, so that nobody can change another's.
func errUnauthenticated() error {
	return apperr.New(apperr.Unauthenticated,
		"The API key is missing or not valid here. Send one of this site's keys: Authorization: Bearer rh_…")
}
