package identity

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// How links begin, and how long they work.
const (
	invitationStart = "ri_"
	resetStart      = "rr_"
	verifyStart     = "rv_"
	welcomeStart    = "rw_"

	invitationLife = 7 * 24 * time.Hour
	resetLife      = time.Hour
	verifyLife     = 2 * 24 * time.Hour
	welcomeLife    = 15 * time.Minute
)

// errLink is the one answer to links that open nothing.
func errLink() error {
	return apperr.New(apperr.NotFound, "This link is not valid here: it was used, has expired, or was never given. Ask for a new one.")
}

// insertLink makes a row of user_tokens.
func (s *Service) insertLink(
	ctx context.Context, db tenantschema.DBTX, user uuid.UUID, kind, subject string, fresh secret, life time.Duration,
) (uuid.UUID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.Nil, err
	}
	now := s.now()
	_, err = db.Exec(ctx, `INSERT INTO user_tokens (id, user_id, kind, token_hash, subject, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)`, id, user, kind, fresh.hash(), subject, now, now.Add(life))
	return id, err
}

// useLink takes a link, for ever, and gives whose it is and what it is about. The error is apperr.NotFound if it opens nothing.
func (s *Service) useLink(ctx context.Context, tx *tenantschema.Tx, start, kind, token string) (a account, subject string, err error) {
	given, ok := parseSecret(start, token)
	if !ok {
		return account{}, "", errLink()
	}
	var id, user uuid.UUID
	now := s.now()
	err = tx.QueryRow(ctx, `SELECT id, user_id FROM user_tokens WHERE token_hash = $1 AND kind = $2`, given.hash(), kind).Scan(&id, &user)
	if err == nil {
		a, err = lockAccount(ctx, tx, user) // Before the link, in the order of whoever shuts somebody out.
	}
	if err == nil {
		err = tx.QueryRow(ctx, `UPDATE user_tokens SET used_at = $2 WHERE id = $1 AND token_hash = $3 AND used_at IS NULL AND expires_at > $2
RETURNING subject`, id, now, given.hash()).Scan(&subject)
	}
	if isNoRows(err) || err == nil && a.DisabledAt != nil {
		return account{}, "", errLink()
	}
	return a, subject, err
}

// checkLink gives apperr.NotFound unless the link would open something now: before what costs time is done for it.
func (s *Service) checkLink(ctx context.Context, db tenantschema.DBTX, start, kind, token string) error {
	given, ok := parseSecret(start, token)
	if !ok {
		return errLink()
	}
	var found bool
	err := db.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM user_tokens t JOIN users u ON u.id = t.user_id
WHERE t.token_hash = $1 AND t.kind = $2 AND t.used_at IS NULL AND t.expires_at > $3 AND u.disabled_at IS NULL)`, given.hash(), kind, s.now()).
		Scan(&found)
	if err == nil && !found {
		return errLink()
	}
	return err
}

// NewWelcome makes the token that signs in somebody who has just signed up, once, within 15 minutes, as part of db's transaction.
func (s *Service) NewWelcome(ctx context.Context, db tenantschema.DBTX, user uuid.UUID) (string, error) {
	fresh := newSecret()
	if _, err := s.insertLink(ctx, db, user, "welcome", "", fresh, welcomeLife); err != nil {
		return "", failed("make welcome", err)
	}
	return formatSecret(welcomeStart, fresh), nil
}

// Welcome signs in by a token of [Service.NewWelcome]. The error is apperr.NotFound if it opens nothing.
func (s *Service) Welcome(ctx context.Context, scope tenantschema.Scope, token string, c Client) (SignedIn, error) {
	var in SignedIn
	err := scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		a, _, err := s.useLink(ctx, tx, welcomeStart, "welcome", token)
		if err != nil {
			return err
		}
		in, err = s.enter(ctx, tx, a.User, "welcome", c)
		return err
	})
	if err != nil {
		return SignedIn{}, failed("welcome", err)
	}
	return in, nil
}
