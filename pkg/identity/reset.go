package identity

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// resetsPerHour bounds the mails that strangers can have sent to somebody.
const resetsPerHour = 3

// ForgotPassword has a link mailed by which somebody chooses a new password. It takes the same statements and answers the same whether the
// address is known or not: who it belongs to is asked again by the job that mails.
func (s *Service) ForgotPassword(ctx context.Context, scope tenantschema.Scope, email string) error {
	email, _ = canonicalEmail(cut(email, maxEmail))
	nobody, err := uuid.NewV7()
	if err != nil {
		return failed("forgot password", err)
	}
	err = scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		var user uuid.UUID
		const sql = `SELECT coalesce((SELECT id FROM users WHERE lower(email) = lower($1) AND disabled_at IS NULL), $2)`
		if err := tx.QueryRow(ctx, sql, email, nobody).Scan(&user); err != nil {
			return err
		}
		return s.enqueueMail(ctx, tx, LetterReset, user)
	})
	if err != nil {
		return failed("forgot password", err)
	}
	return nil
}

func (s *Service) writeReset(ctx context.Context, tx *tenantschema.Tx, user uuid.UUID, site Site) (Letter, error) {
	a, err := lockAccount(ctx, tx, user)
	if err != nil {
		return Letter{}, err
	}
	now := s.now()
	var recent int
	const sql = `SELECT count(*) FROM user_tokens WHERE user_id = $1 AND kind = 'reset' AND created_at > $2`
	if err = tx.QueryRow(ctx, sql, user, now.Add(-time.Hour)).Scan(&recent); err != nil {
		return Letter{}, err
	}
	if a.DisabledAt != nil || recent >= resetsPerHour {
		return Letter{}, pgx.ErrNoRows
	}
	token, err := s.newReset(ctx, tx, a.User)
	return Letter{ToName: a.DisplayName, Address: a.Email, URL: site.Origin + "/reset/" + token, ValidFor: resetLife}, err
}

// newReset makes a link's token. The address that it goes to stands in the row: when that is no longer the person's, the link is nothing.
func (s *Service) newReset(ctx context.Context, db tenantschema.DBTX, u User) (string, error) {
	fresh := newSecret()
	_, err := s.insertLink(ctx, db, u.ID, "reset", u.Email, fresh, resetLife)
	return formatSecret(resetStart, fresh), err
}

// ResetLink gives a link by which somebody chooses a password, once, within an hour: for the operator, to hand over.
func (s *Service) ResetLink(ctx context.Context, scope tenantschema.Scope, user uuid.UUID, site Site) (string, error) {
	u, err := s.GetUser(ctx, scope, user)
	if err != nil {
		return "", err
	}
	token, err := s.newReset(ctx, scope, u)
	if err != nil {
		return "", failed("make reset link", err)
	}
	return site.Origin + "/reset/" + token, nil
}

// ResetPassword sets a password by a link, which works once, ends all sessions, and signs in; with a second factor if the person has
// one. The error is apperr.NotFound if the link opens nothing, Invalid if the password is not good enough.
func (s *Service) ResetPassword(ctx context.Context, scope tenantschema.Scope, token, password string, c Client) (SignedIn, error) {
	if err := s.checkLink(ctx, scope, resetStart, "reset", token); err != nil {
		return SignedIn{}, failed("reset password", err)
	}
	hash, err := s.HashPassword(ctx, password)
	if err != nil {
		return SignedIn{}, err
	}
	var in SignedIn
	err = scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		a, address, err := s.useLink(ctx, tx, resetStart, "reset", token)
		if err != nil {
			return err
		}
		if !strings.EqualFold(address, a.Email) {
			return errLink()
		}
		if err = s.setPassword(ctx, tx, a.User, hash, uuid.Nil); err != nil {
			return err
		}
		now := s.now()
		b := &pgx.Batch{}
		// Who has the mail has the address, and has nothing to wait for.
		b.Queue(`UPDATE users SET email_verified_at = coalesce(email_verified_at, $2) WHERE id = $1`, a.ID, now)
		b.Queue(`DELETE FROM sign_in_failures WHERE subject = $1`, signInSubjects(a.Email, c).account)
		if err = tx.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		a.HasPassword = true
		or(&a.EmailVerifiedAt, &now)
		in, err = s.enter(ctx, tx, a.User, "reset", c)
		return err
	})
	if err != nil {
		return SignedIn{}, failed("reset password", err)
	}
	return in, nil
}

// setPassword stores a password, ends all other ways in that were open but the session but, and tells the person.
func (s *Service) setPassword(ctx context.Context, tx *tenantschema.Tx, u User, hash string, but uuid.UUID) error {
	if _, err := tx.Exec(ctx, `UPDATE users SET password_hash = $2, updated_at = $3 WHERE id = $1`, u.ID, hash, s.now()); err != nil {
		return err
	}
	if err := s.shutOut(ctx, tx, u.ID, but); err != nil {
		return err
	}
	return s.notify(ctx, tx, u, u.Email, "Your password was changed.")
}

// ChangePassword sets p's password and ends p's other sessions. The error is apperr.Invalid, on the field "current", if that is not the password of
// now; who has none gives none, and needs to have signed in lately (apperr.Refused).
func (s *Service) ChangePassword(ctx context.Context, scope tenantschema.Scope, p Principal, current, password string) error {
	u, err := s.GetUser(ctx, scope, p.UserID)
	if err != nil {
		return err
	}
	if u.HasPassword {
		err = s.Confirm(ctx, scope, p, current)
		if apperr.CodeOf(err) == apperr.Invalid {
			return errWrongPassword("current")
		}
	} else {
		err = s.RequireRecent(p, recently)
	}
	if err != nil {
		return err
	}
	hash, err := s.HashPassword(ctx, password)
	if err != nil {
		return err
	}
	err = scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		a, err := lockAccount(ctx, tx, p.UserID)
		if err != nil {
			return err
		}
		return s.setPassword(ctx, tx, a.User, hash, p.SessionID)
	})
	if err != nil {
		return failedOn("change password", "user", p.UserID, err)
	}
	return nil
}

// recently is how long a proof of who somebody is counts for what is dangerous.
const recently = 15 * time.Minute
