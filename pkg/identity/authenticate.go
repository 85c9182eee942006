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

// What a key may do.
const (
	// ScopeRead allows to see everything in the tenant.
	ScopeRead = "read"
	// ScopeWrite allows to change it, and to see it.
	ScopeWrite = "write"
)

func unknownScope(scope string) bool { return scope != ScopeRead && scope != ScopeWrite }

// Principal is a caller whose credentials were good.
type Principal struct {
	UserID, KeyID, SessionID uuid.UUID
	Name, Email              string
	Role                     Role
	Scopes                   []string
	// ConfirmedAt is the last proof of who it is.
	ConfirmedAt time.Time
}

// Can reports whether the caller may do what scope stands for. Who may write may read. The zero Principal may do nothing.
func (p Principal) Can(scope string) bool {
	return slices.Contains(p.Scopes, scope) || scope == ScopeRead && slices.Contains(p.Scopes, ScopeWrite)
}

// Authenticate gives the caller whose token it is. The error is apperr.Unauthenticated, always the same, unless the token opens a key
// of scope's tenant; any other error is a failure of the database and says nothing about the token.
func (s *Service) Authenticate(ctx context.Context, scope tenantschema.Scope, token string) (Principal, error) {
	id, given, ok := parseToken(token)
	if !ok {
		return Principal{}, errUnauthenticated()
	}
	const sql = `SELECT hash, scopes, expires_at, last_used_at, revoked_at FROM api_keys WHERE id = $1`
	var (
		hash []byte
		key  Key
		err  = scope.QueryRow(ctx, sql, id).Scan(&hash, &key.Scopes, &key.ExpiresAt, &key.LastUsedAt, &key.RevokedAt)
	)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return Principal{}, fmt.Errorf("identity: authenticate: %w", err)
	}
	now := s.now()
	// An unknown key leaves hash empty, which matches nothing.
	if !given.matches(hash) || !key.Active(now) {
		return Principal{}, errUnauthenticated()
	}
	if err = s.touch(ctx, scope, id, key.LastUsedAt, now); err != nil {
		return Principal{}, fmt.Errorf("identity: authenticate: %w", err)
	}
	return Principal{KeyID: id, Scopes: key.Scopes}, nil
}

// touch writes the time of last use if the one stored is stale. Of many requests that come at once, one writes: the others neither
// wait for its lock nor write again after it.
func (s *Service) touch(ctx context.Context, scope tenantschema.Scope, id uuid.UUID, last *time.Time, now time.Time) error {
	stale := now.Add(-s.touchInterval)
	if last != nil && last.After(stale) {
		return nil
	}
	const sql = `UPDATE api_keys SET last_used_at = $2 WHERE id IN (
    SELECT id FROM api_keys WHERE id = $1 AND (last_used_at IS NULL OR last_used_at <= $3) FOR NO KEY UPDATE SKIP LOCKED)`
	if _, err := scope.Exec(ctx, sql, id, now, stale); err != nil {
		return fmt.Errorf("note use of key: %w", err)
	}
	return nil
}

// errUnauthenticated makes the one answer to all bad credentials. Each caller gets its own, so that nobody can change another's.
func errUnauthenticated() error {
	return apperr.New(apperr.Unauthenticated,
		"The API key is missing or not valid here. Send one of this site's keys: Authorization: Bearer rh_…")
}
