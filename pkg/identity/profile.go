package identity

import (
	"context"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// ProfilePatch changes the fields that are not nil.
type ProfilePatch struct {
	DisplayName *string
	// Email is another address. It becomes the person's when they follow the link that is mailed there.
	Email *string
}

// ChangeProfile changes p's own data and gives them as they are now: another address is not among them before it is verified. To change that,
// p must have shown lately who it is (apperr.Refused).
func (s *Service) ChangeProfile(ctx context.Context, scope tenantschema.Scope, p Principal, patch ProfilePatch) (User, error) {
	if err := requireUser(p); err != nil {
		return User{}, err
	}
	var c checker
	if patch.DisplayName != nil {
		patch.DisplayName = new(c.line("display_name", *patch.DisplayName, maxName))
	}
	if patch.Email != nil {
		patch.Email = new(c.email("email", *patch.Email))
	}
	if err := c.err("The profile cannot be changed as asked."); err != nil {
		return User{}, err
	}
	var u User
	err := scope.InTx(ctx, func(tx *tenantschema.Tx) (err error) {
		const sql = `UPDATE users AS u SET display_name = coalesce($2, u.display_name), updated_at = $3 WHERE u.id = $1 RETURNING ` + userColumns
		if u, err = queryUser(ctx, tx, sql, p.UserID, patch.DisplayName, s.now()); err != nil {
			return err
		}
		if patch.Email == nil || strings.EqualFold(*patch.Email, u.Email) {
			return nil
		}
		if err = s.RequireRecent(p, recently); err != nil {
			return err
		}
		return s.enqueueVerification(ctx, tx, u.ID, *patch.Email)
	})
	if err != nil {
		return User{}, failedOn("change profile", "user", p.UserID, err)
	}
	return u, nil
}

// SendVerification mails p a link by which the address is shown to be theirs. If it is that already, nothing is sent.
func (s *Service) SendVerification(ctx context.Context, scope tenantschema.Scope, p Principal) error {
	if err := requireUser(p); err != nil {
		return err
	}
	err := scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		return s.SendVerificationTo(ctx, tx, p.UserID)
	})
	if err != nil {
		return failedOn("send verification", "user", p.UserID, err)
	}
	return nil
}

// SendVerificationTo is [Service.SendVerification] for somebody, as part of tx: for sign-up.
func (s *Service) SendVerificationTo(ctx context.Context, tx *tenantschema.Tx, user uuid.UUID) error {
	a, err := lockAccount(ctx, tx, user)
	if err != nil || a.EmailVerifiedAt != nil {
		return err
	}
	return s.enqueueVerification(ctx, tx, user, a.Email)
}

// verificationsPerHour bounds the mails that somebody can have sent to addresses that may not be theirs.
const verificationsPerHour = 5

// enqueueVerification notes the address that is to be verified, in place of another one, and has the link mailed there.
func (s *Service) enqueueVerification(ctx context.Context, tx *tenantschema.Tx, user uuid.UUID, address string) error {
	now := s.now()
	var recent int
	const sql = `SELECT count(*) FROM user_tokens WHERE user_id = $1 AND kind = 'verify' AND created_at > $2`
	if err := tx.QueryRow(ctx, sql, user, now.Add(-resetLife)).Scan(&recent); err != nil {
		return err
	}
	if recent >= verificationsPerHour {
		return &apperr.Error{
			Code: apperr.RateLimited, Message: "Several links were mailed already. Look into your mailbox, or try again in an hour.", RetryAfter: resetLife,
		}
	}
	const supersede = `UPDATE user_tokens SET used_at = $2 WHERE user_id = $1 AND kind = 'verify' AND used_at IS NULL`
	if _, err := tx.Exec(ctx, supersede, user, now); err != nil {
		return err
	}
	id, err := s.insertLink(ctx, tx, user, "verify", address, newSecret(), verifyLife) // The link's own secret is made when the mail is written.
	if err != nil {
		return err
	}
	return s.enqueueMail(ctx, tx, LetterVerify, id)
}

func (s *Service) writeVerification(ctx context.Context, tx *tenantschema.Tx, id uuid.UUID, site Site) (Letter, error) {
	fresh := newSecret()
	l := Letter{URL: site.Origin + "/verify/" + formatSecret(verifyStart, fresh), ValidFor: verifyLife}
	const sql = `UPDATE user_tokens AS t SET token_hash = $2 FROM users u
WHERE t.id = $1 AND t.used_at IS NULL AND t.expires_at > $3 AND u.id = t.user_id AND u.disabled_at IS NULL RETURNING u.display_name, t.subject`
	err := tx.QueryRow(ctx, sql, id, fresh.hash(), s.now()).Scan(&l.ToName, &l.Address)
	return l, err
}

// VerifyEmail takes a link as proof that an address is somebody's, and makes it theirs if it was another one. The error is apperr.NotFound
// if the link opens nothing, Conflict if the address has become somebody else's.
func (s *Service) VerifyEmail(ctx context.Context, scope tenantschema.Scope, token string) (User, error) {
	var u User
	err := scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		a, address, err := s.useLink(ctx, tx, verifyStart, "verify", token)
		if err != nil {
			return err
		}
		const sql = `UPDATE users AS u SET email = $2, email_verified_at = $3, updated_at = $3 WHERE u.id = $1 RETURNING ` + userColumns
		if u, err = queryUser(ctx, tx, sql, a.ID, address, s.now()); err != nil || strings.EqualFold(a.Email, address) {
			return err
		}
		// What was mailed to the old address opens nothing any more, and it is told.
		b := &pgx.Batch{}
		b.Queue(`DELETE FROM user_tokens WHERE user_id = $1 AND kind = 'reset'`, a.ID)
		if err = tx.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		return s.notify(ctx, tx, u, a.Email, "The e-mail address of your account was changed to "+address+".")
	})
	if err != nil {
		return User{}, failed("verify e-mail", err)
	}
	return u, nil
}
