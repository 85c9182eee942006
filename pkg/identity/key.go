package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/cache"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Key is an API key without its secret.
type Key struct {
	ID   uuid.UUID `json:"id"`
	Name string    `json:"name"`
	// Prefix is how the key's token begins: enough to tell which one lies in a configuration file.
	Prefix     string     `json:"prefix"`
	Scopes     []string   `json:"scopes"`
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  *time.Time `json:"expires_at,omitempty"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty"`
	RevokedAt  *time.Time `json:"revoked_at,omitempty"`
	// CreatedBy is who made it, if that was a person who is still here.
	CreatedBy *uuid.UUID `json:"created_by,omitempty"`
}

// Active reports whether the key opens anything at the time.
func (k Key) Active(at time.Time) bool {
	return k.RevokedAt == nil && (k.ExpiresAt == nil || at.Before(*k.ExpiresAt))
}

// NewKey is what a key is made from.
type NewKey struct {
	// Name says what the key is for: 1 to 100 characters.
	Name string
	// Scopes are what it may do: at least one of [KeyScopes].
	Scopes []string
	// ExpiresAt, if not nil, is when it stops working.
	ExpiresAt *time.Time
}

const maxKeyName = 100

// CreateKey makes a key, as the operator, and gives its token, which cannot be had again. The error is apperr.Invalid if in is wrong.
func (s *Service) CreateKey(ctx context.Context, scope tenantschema.Scope, in NewKey) (Key, string, error) {
	return s.createKey(ctx, scope, nil, in)
}

// CreateKeyAs is [Service.CreateKey], as p, who may give no scope that goes beyond what p may do: that is apperr.Forbidden.
func (s *Service) CreateKeyAs(ctx context.Context, scope tenantschema.Scope, p Principal, in NewKey) (Key, string, error) {
	if err := permit(p, ActionManageKeys); err != nil {
		return Key{}, "", err
	}
	for _, wanted := range in.Scopes {
		if !unknownScope(wanted) && !p.Can(wanted) {
			return Key{}, "", apperr.New(apperr.Forbidden, "You may not give a key the scope %s, which you do not have.", wanted)
		}
	}
	if p.IsUser() {
		return s.createKey(ctx, scope, &p.UserID, in)
	}
	return s.createKey(ctx, scope, nil, in)
}

func unknownScope(scope string) bool { return !slices.Contains(KeyScopes(), scope) }

func (s *Service) createKey(ctx context.Context, scope tenantschema.Scope, by *uuid.UUID, in NewKey) (Key, string, error) {
	now := s.now()
	in, err := in.valid(now)
	if err != nil {
		return Key{}, "", err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Key{}, "", fmt.Errorf("identity: create key: %w", err)
	}
	fresh := newSecret()
	token := formatToken(id, fresh)
	const sql = `INSERT INTO api_keys (id, name, prefix, hash, scopes, created_at, expires_at, created_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING ` + keyColumns
	key, err := queryKey(ctx, scope, sql, id, in.Name, token[:prefixLen], fresh.hash(), in.Scopes, now, in.ExpiresAt, by)
	if err != nil {
		return Key{}, "", fmt.Errorf("identity: create key: %w", err)
	}
	return key, token, nil
}

// ListKeys gives all keys, newest first, the revoked and expired ones too.
func (s *Service) ListKeys(ctx context.Context, scope tenantschema.Scope) ([]Key, error) {
	const sql = `SELECT ` + keyColumns + ` FROM api_keys ORDER BY id DESC`
	rows, err := scope.Query(ctx, sql)
	if err != nil {
		return nil, fmt.Errorf("identity: list keys: %w", err)
	}
	keys, err := pgx.CollectRows(rows, scanKey)
	if err != nil {
		return nil, fmt.Errorf("identity: list keys: %w", err)
	}
	return keys, nil
}

// RevokeKey makes a key worthless, at once and for ever, and gives it as it is now. A key that was revoked before keeps the time of
// that. The error is apperr.NotFound if there is no such key.
func (s *Service) RevokeKey(ctx context.Context, scope tenantschema.Scope, id uuid.UUID) (Key, error) {
	const sql = `UPDATE api_keys SET revoked_at = coalesce(revoked_at, $2) WHERE id = $1 RETURNING ` + keyColumns
	var key Key
	err := scope.InTx(ctx, func(tx *tenantschema.Tx) (err error) {
		if key, err = queryKey(ctx, tx, sql, id, s.now()); err != nil {
			return err
		}
		return cache.Changed(ctx, tx)
	})
	s.keys.Forget(scope.Tenant().Schema) // Whatever came of it: an answer may have been lost after the commit.
	if errors.Is(err, pgx.ErrNoRows) {
		return Key{}, apperr.New(apperr.NotFound, "There is no API key %s here. List the keys to see their ids.", id)
	}
	if err != nil {
		return Key{}, fmt.Errorf("identity: revoke key: %w", err)
	}
	return key, nil
}

const keyColumns = `id, name, prefix, scopes, created_at, expires_at, last_used_at, revoked_at, created_by`

func scanKey(row pgx.CollectableRow) (Key, error) {
	var k Key
	err := row.Scan(&k.ID, &k.Name, &k.Prefix, &k.Scopes, &k.CreatedAt, &k.ExpiresAt, &k.LastUsedAt, &k.RevokedAt, &k.CreatedBy)
	k.CreatedAt = k.CreatedAt.UTC()
	k.ExpiresAt, k.LastUsedAt, k.RevokedAt = inUTC(k.ExpiresAt), inUTC(k.LastUsedAt), inUTC(k.RevokedAt)
	return k, err
}

func queryKey(ctx context.Context, db tenantschema.DBTX, sql string, args ...any) (Key, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return Key{}, err
	}
	return pgx.CollectOneRow(rows, scanKey)
}

func inUTC(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}

// valid gives in as it is to be stored: the name trimmed, scopes sorted and without doubles, the expiry in PostgreSQL's precision.
func (in NewKey) valid(now time.Time) (NewKey, error) {
	wrong := apperr.New(apperr.Invalid, "The API key cannot be made as asked.")
	in.Name = strings.TrimSpace(in.Name)
	if in.Name == "" || !utf8.ValidString(in.Name) || utf8.RuneCountInString(in.Name) > maxKeyName ||
		strings.ContainsFunc(in.Name, unicode.IsControl) {
		wrong.WithField("name", fmt.Sprintf("Give a name of 1 to %d characters, without control characters.", maxKeyName))
	}
	in.Scopes = slices.Compact(slices.Sorted(slices.Values(in.Scopes)))
	if len(in.Scopes) == 0 || slices.ContainsFunc(in.Scopes, unknownScope) {
		wrong.WithField("scopes", "Give at least one of: "+strings.Join(KeyScopes(), ", ")+".")
	}
	if in.ExpiresAt != nil {
		at := in.ExpiresAt.UTC().Truncate(time.Microsecond)
		in.ExpiresAt = &at
		if !at.After(now) || at.Year() > maxYear {
			wrong.WithField("expires_at", "Give a time in the future, or none for a key that does not expire.")
		}
	}
	if len(wrong.Fields) > 0 {
		return NewKey{}, wrong
	}
	return in, nil
}

// maxYear is the last year that JSON's times can say.
const maxYear = 9999
