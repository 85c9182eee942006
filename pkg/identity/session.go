package identity

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Client is what is known of who makes a request.
type Client struct {
	// RemoteAddress is the address that the request came from, without a port. Attempts to enter are counted by it.
	RemoteAddress string
	UserAgent     string
	// Session is the token of the session that the browser shows, if any. It ends when another one begins.
	Session string
}

// Session is a browser in which somebody is signed in.
type Session struct {
	ID            uuid.UUID `json:"id"`
	UserID        uuid.UUID `json:"user_id"`
	UserAgent     string    `json:"user_agent"`
	RemoteAddress string    `json:"remote_address"`
	// Method is how it began, such as "password" or "passkey".
	Method     string     `json:"method"`
	CreatedAt  time.Time  `json:"created_at"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty"`
	ExpiresAt  time.Time  `json:"expires_at"`
	// Current says that it is the one that asks.
	Current bool `json:"current"`
}

const sessionTokenStart = "rs_"

// formatSecret gives a secret behind what says what it is for.
func formatSecret(start string, s secret) string {
	return start + base64.RawURLEncoding.EncodeToString(s[:])
}

// parseSecret accepts exactly what formatSecret makes.
func parseSecret(start, token string) (s secret, ok bool) {
	if len(token) != len(start)+secretLen || token[:len(start)] != start || !decode(s[:], token[len(start):]) {
		return secret{}, false
	}
	return s, true
}

// AuthenticateSession gives the person whose session it is. The error is apperr.Unauthenticated, always the same, unless the token opens a
// session of scope's tenant that has neither ended nor been idle for too long, of somebody who is not disabled.
func (s *Service) AuthenticateSession(ctx context.Context, scope tenantschema.Scope, token string) (Principal, error) {
	given, ok := parseSecret(sessionTokenStart, token)
	if !ok {
		return Principal{}, errSignedOut()
	}
	now := s.now()
	const sql = `SELECT s.id, s.user_id, s.last_used_at, coalesce(s.confirmed_at, s.created_at), u.display_name, u.email, u.role
FROM sessions s JOIN users u ON u.id = s.user_id
WHERE s.token_hash = $1 AND s.revoked_at IS NULL AND s.expires_at > $2 AND coalesce(s.last_used_at, s.created_at) > $3 AND u.disabled_at IS NULL`
	var (
		p    Principal
		last *time.Time
	)
	err := scope.QueryRow(ctx, sql, given.hash(), now, now.Add(-s.cfg.SessionIdle)).
		Scan(&p.SessionID, &p.UserID, &last, &p.ConfirmedAt, &p.Name, &p.Email, &p.Role)
	if isNoRows(err) {
		return Principal{}, errSignedOut()
	}
	if err != nil {
		return Principal{}, fmt.Errorf("identity: authenticate session: %w", err)
	}
	p.ConfirmedAt = p.ConfirmedAt.UTC()
	if stale := now.Add(-s.cfg.TouchInterval); last == nil || !last.After(stale) {
		// As for keys: of many requests that come at once, one writes.
		const touch = `WITH used AS (
    UPDATE sessions SET last_used_at = $2 WHERE id IN (
        SELECT id FROM sessions WHERE id = $1 AND (last_used_at IS NULL OR last_used_at <= $3) FOR NO KEY UPDATE SKIP LOCKED)
    RETURNING user_id)
UPDATE users SET last_seen_at = $2 WHERE id IN (
    SELECT id FROM users WHERE id IN (SELECT user_id FROM used) FOR NO KEY UPDATE SKIP LOCKED)`
		if _, err = scope.Exec(ctx, touch, p.SessionID, now, stale); err != nil {
			return Principal{}, fmt.Errorf("identity: authenticate session: note use: %w", err)
		}
	}
	return p, nil
}

func errSignedOut() error {
	return apperr.New(apperr.Unauthenticated, "You are not signed in here, or no longer. Sign in to go on.")
}

// insertSession begins a session of somebody who has just shown who it is, and ends the one that c shows. tx holds the person's row.
func (s *Service) insertSession(ctx context.Context, tx *tenantschema.Tx, u User, method string, c Client) (SignedIn, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return SignedIn{}, err
	}
	fresh, now := newSecret(), s.now()
	expires := now.Add(s.cfg.SessionLifetime)
	b := &pgx.Batch{}
	if old, ok := parseSecret(sessionTokenStart, c.Session); ok {
		b.Queue(`UPDATE sessions SET revoked_at = $2 WHERE token_hash = $1 AND revoked_at IS NULL`, old.hash(), now)
	}
	b.Queue(`INSERT INTO sessions (id, user_id, token_hash, user_agent, remote_address, method, created_at, confirmed_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8)`, id, u.ID, fresh.hash(), cut(c.UserAgent, maxUserAgent), cut(c.RemoteAddress, 100), method, now, expires)
	b.Queue(`UPDATE users SET last_seen_at = $2 WHERE id = $1`, u.ID, now)
	if err = tx.SendBatch(ctx, b).Close(); err != nil {
		return SignedIn{}, err
	}
	u.LastSeenAt = &now
	return SignedIn{Token: formatSecret(sessionTokenStart, fresh), Expires: expires, User: u}, nil
}

// SignOut ends the session that p came by.
func (s *Service) SignOut(ctx context.Context, scope tenantschema.Scope, p Principal) error {
	if _, err := s.revokeSessions(ctx, scope, `id = $2`, p.UserID, p.SessionID); err != nil {
		return failed("sign out", err)
	}
	return nil
}

// ListSessions gives p's sessions that have not ended, the newest first.
func (s *Service) ListSessions(ctx context.Context, scope tenantschema.Scope, p Principal) ([]Session, error) {
	if err := requireUser(p); err != nil {
		return nil, err
	}
	now := s.now()
	const sql = `SELECT id, user_id, user_agent, remote_address, method, created_at, last_used_at, expires_at FROM sessions
WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2 AND coalesce(last_used_at, created_at) > $3 ORDER BY id DESC LIMIT 200`
	rows, err := scope.Query(ctx, sql, p.UserID, now, now.Add(-s.cfg.SessionIdle))
	if err != nil {
		return nil, failed("list sessions", err)
	}
	sessions, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Session, error) {
		var v Session
		err := row.Scan(&v.ID, &v.UserID, &v.UserAgent, &v.RemoteAddress, &v.Method, &v.CreatedAt, &v.LastUsedAt, &v.ExpiresAt)
		v.CreatedAt, v.LastUsedAt, v.ExpiresAt = v.CreatedAt.UTC(), inUTC(v.LastUsedAt), v.ExpiresAt.UTC()
		v.Current = v.ID == p.SessionID
		return v, err
	})
	if err != nil {
		return nil, failed("list sessions", err)
	}
	return sessions, nil
}

// RevokeSession ends one of p's sessions, at once. The error is apperr.NotFound if p has none of that id.
func (s *Service) RevokeSession(ctx context.Context, scope tenantschema.Scope, p Principal, id uuid.UUID) error {
	n, err := s.revokeSessions(ctx, scope, `id = $2`, p.UserID, id)
	if err == nil && n == 0 {
		err = pgx.ErrNoRows
	}
	if err != nil {
		return failedOn("revoke session", "session", id, err)
	}
	return nil
}

// RevokeOtherSessions ends all of p's sessions but the one that asks, and gives how many.
func (s *Service) RevokeOtherSessions(ctx context.Context, scope tenantschema.Scope, p Principal) (int, error) {
	n, err := s.revokeSessions(ctx, scope, `id <> $2`, p.UserID, p.SessionID)
	if err != nil {
		return 0, failed("revoke other sessions", err)
	}
	return n, nil
}

func (s *Service) revokeSessions(ctx context.Context, db tenantschema.DBTX, which string, user, id uuid.UUID) (int, error) {
	tag, err := db.Exec(ctx, `UPDATE sessions SET revoked_at = $3 WHERE user_id = $1 AND `+which+` AND revoked_at IS NULL`, user, id, s.now())
	return int(tag.RowsAffected()), err
}
