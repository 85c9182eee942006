package identity

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Invitation asks somebody to join the tenant. It is open until it is accepted, revoked or expired.
type Invitation struct {
	ID    uuid.UUID `json:"id"`
	Email string    `json:"email"`
	Role  Role      `json:"role"`
	// InvitedBy is who invites, if that is a person who is still here; InviterName is their name, or empty.
	InvitedBy   *uuid.UUID `json:"invited_by,omitempty"`
	InviterName string     `json:"inviter_name,omitempty"`
	CreatedAt   time.Time  `json:"created_at"`
	ExpiresAt   time.Time  `json:"expires_at"`
}

// NewInvitation is what an invitation is made from. Nobody is invited as owner: owners are made of members.
type NewInvitation struct {
	Email string
	Role  Role
}

// maxInvitations bounds those that are open, and so the mails that a tenant can have sent to strangers in a week.
const maxInvitations = 500

// resendAfter is how long the last mail must lie back before another one is sent.
const resendAfter = time.Minute

// Invite asks somebody to join, as p, by a mail with a link that works for a week. The error is apperr.Conflict if they are here or invited already.
func (s *Service) Invite(ctx context.Context, scope tenantschema.Scope, p Principal, in NewInvitation) (Invitation, error) {
	if err := permit(p, ActionManageMembers); err != nil {
		return Invitation{}, err
	}
	var c checker
	in.Email = c.email("email", in.Email)
	c.role("role", in.Role, RoleAdmin, RoleMember, RoleGuest)
	if err := c.err("The invitation cannot be made as asked."); err != nil {
		return Invitation{}, err
	}
	var made Invitation
	err := scope.InTx(ctx, func(tx *tenantschema.Tx) (err error) {
		made, err = s.invite(ctx, tx, p, in)
		return err
	})
	if taken(err, "invitations_email_key") {
		err = apperr.Wrap(err, apperr.Conflict, "This address is invited already. Send the mail again instead.").
			WithField("email", "This address is invited already.")
	}
	if err != nil {
		return Invitation{}, failed("invite", err)
	}
	return made, nil
}

func (s *Service) invite(ctx context.Context, tx *tenantschema.Tx, p Principal, in NewInvitation) (Invitation, error) {
	if _, err := lockOwners(ctx, tx); err != nil { // For the count of seats.
		return Invitation{}, err
	}
	now := s.now()
	b := &pgx.Batch{}
	// What has expired makes room for another of the same address.
	b.Queue(`UPDATE invitations SET revoked_at = $2
WHERE lower(email) = lower($1) AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at <= $2`, in.Email, now)
	b.Queue(`SELECT EXISTS (SELECT 1 FROM users WHERE lower(email) = lower($1)),
    (SELECT count(*) FROM invitations WHERE accepted_at IS NULL AND revoked_at IS NULL AND expires_at > $2)`, in.Email, now)
	results := tx.SendBatch(ctx, b)
	var here bool
	var open int
	_, err := results.Exec()
	if err == nil {
		err = results.QueryRow().Scan(&here, &open)
	}
	if closed := results.Close(); err == nil {
		err = closed
	}
	switch {
	case err != nil:
		return Invitation{}, err
	case here:
		return Invitation{}, apperr.New(apperr.Conflict, "There is somebody with this e-mail address already.").
			WithField("email", "Somebody here has this address already.")
	case open >= maxInvitations:
		return Invitation{}, apperr.New(apperr.Conflict, "There are %d open invitations. Revoke some, or wait until they are accepted.", open)
	}
	if err = s.roomFor(ctx, tx); err != nil {
		return Invitation{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Invitation{}, err
	}
	// The secret of the link is made when the mail is written. Until then no token fits.
	const sql = `INSERT INTO invitations AS i (id, email, role, token_hash, invited_by, created_at, expires_at)
VALUES ($1, $2, $3, $4, nullif($5, '00000000-0000-0000-0000-000000000000'::uuid), $6, $7) RETURNING ` + invitationColumns
	made, err := queryInvitation(ctx, tx, sql, id, in.Email, in.Role, newSecret().hash(), p.UserID, now, now.Add(invitationLife))
	if err != nil {
		return Invitation{}, err
	}
	return made, s.enqueueMail(ctx, tx, LetterInvitation, id)
}

// writeInvitation gives the invitation's link a new secret: older mails no longer open it.
func (s *Service) writeInvitation(ctx context.Context, tx *tenantschema.Tx, id uuid.UUID, site Site) (Letter, error) {
	fresh := newSecret()
	const sql = `UPDATE invitations AS i SET token_hash = $2 WHERE i.id = $1 AND i.accepted_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > $3
RETURNING ` + invitationColumns
	i, err := queryInvitation(ctx, tx, sql, id, fresh.hash(), s.now())
	by := i.InviterName
	or(&by, site.Name)
	return Letter{Address: i.Email, By: by, URL: site.Origin + "/invitations/" + formatSecret(invitationStart, fresh), ValidFor: invitationLife}, err
}

// ListInvitations gives the open invitations, the newest first.
func (s *Service) ListInvitations(ctx context.Context, scope tenantschema.Scope) ([]Invitation, error) {
	const sql = `SELECT ` + invitationColumns + ` FROM invitations i
WHERE i.accepted_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > $1 ORDER BY i.id DESC`
	rows, err := scope.Query(ctx, sql, s.now())
	if err != nil {
		return nil, failed("list invitations", err)
	}
	list, err := pgx.CollectRows(rows, scanInvitation)
	if err != nil {
		return nil, failed("list invitations", err)
	}
	return list, nil
}

// RevokeInvitation makes an open invitation worthless, as p.
func (s *Service) RevokeInvitation(ctx context.Context, scope tenantschema.Scope, p Principal, id uuid.UUID) error {
	if err := permit(p, ActionManageMembers); err != nil {
		return err
	}
	tag, err := scope.Exec(ctx, `UPDATE invitations SET revoked_at = $2 WHERE id = $1 AND accepted_at IS NULL AND revoked_at IS NULL`, id, s.now())
	if err == nil && tag.RowsAffected() == 0 {
		err = pgx.ErrNoRows
	}
	if err != nil {
		return failedOn("revoke invitation", "open invitation", id, err)
	}
	return nil
}

// ResendInvitation sends the mail again, as p, with a link that works for another week; older links stop working. The error is
// apperr.RateLimited if the last mail is less than a minute old.
func (s *Service) ResendInvitation(ctx context.Context, scope tenantschema.Scope, p Principal, id uuid.UUID) (Invitation, error) {
	if err := permit(p, ActionManageMembers); err != nil {
		return Invitation{}, err
	}
	var again Invitation
	err := scope.InTx(ctx, func(tx *tenantschema.Tx) (err error) {
		if _, err = lockOwners(ctx, tx); err != nil { // Before the invitation, like who makes one.
			return err
		}
		var expires time.Time
		const lock = `SELECT expires_at FROM invitations WHERE id = $1 AND accepted_at IS NULL AND revoked_at IS NULL FOR UPDATE`
		if err = tx.QueryRow(ctx, lock, id).Scan(&expires); err != nil {
			return err
		}
		now := s.now()
		if wait := expires.Add(resendAfter - invitationLife).Sub(now); wait > 0 {
			return &apperr.Error{Code: apperr.RateLimited, Message: "The mail has just been sent. Wait a minute before you send it again.", RetryAfter: wait}
		}
		if !expires.After(now) { // Nobody has kept its seat.
			if err = s.roomFor(ctx, tx); err != nil {
				return err
			}
		}
		const sql = `UPDATE invitations AS i SET expires_at = $2 WHERE i.id = $1 RETURNING ` + invitationColumns
		if again, err = queryInvitation(ctx, tx, sql, id, now.Add(invitationLife)); err != nil {
			return err
		}
		return s.enqueueMail(ctx, tx, LetterInvitation, id)
	})
	if err != nil {
		return Invitation{}, failedOn("resend invitation", "open invitation", id, err)
	}
	return again, nil
}

const openByToken = ` FROM invitations i WHERE i.token_hash = $1 AND i.accepted_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > $2`

// InvitationByToken gives the open invitation that a link leads to. The error is apperr.NotFound if there is none.
func (s *Service) InvitationByToken(ctx context.Context, scope tenantschema.Scope, token string) (Invitation, error) {
	given, ok := parseSecret(invitationStart, token)
	if !ok {
		return Invitation{}, errLink()
	}
	i, err := queryInvitation(ctx, scope, `SELECT `+invitationColumns+openByToken, given.hash(), s.now())
	if isNoRows(err) {
		return Invitation{}, errLink()
	}
	if err != nil {
		return Invitation{}, failed("find invitation", err)
	}
	return i, nil
}

// AcceptInvitation is what somebody says who joins.
type AcceptInvitation struct{ DisplayName, Password string }

// AcceptInvitation makes the person whom a link invites, whose address is verified by it, and signs them in. The link works once.
func (s *Service) AcceptInvitation(ctx context.Context, scope tenantschema.Scope, token string, in AcceptInvitation, c Client) (SignedIn, error) {
	i, err := s.InvitationByToken(ctx, scope, token)
	if err != nil {
		return SignedIn{}, err
	}
	u, err := NewUser{Email: i.Email, DisplayName: in.DisplayName}.valid()
	if err != nil {
		return SignedIn{}, err
	}
	if u.PasswordHash, err = s.HashPassword(ctx, in.Password); err != nil {
		return SignedIn{}, err
	}
	var signed SignedIn
	err = scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		made, err := s.join(ctx, tx, i.ID, u)
		if err != nil {
			return err
		}
		signed, err = s.enter(ctx, tx, made, "invitation", c)
		return err
	})
	if err != nil {
		return SignedIn{}, failed("accept invitation", err)
	}
	return signed, nil
}

// join closes an open invitation and makes the person.
func (s *Service) join(ctx context.Context, tx *tenantschema.Tx, invitation uuid.UUID, in NewUser) (User, error) {
	now := s.now()
	var role Role
	const sql = `UPDATE invitations SET accepted_at = $2
WHERE id = $1 AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > $2 RETURNING role`
	err := tx.QueryRow(ctx, sql, invitation, now).Scan(&role)
	if isNoRows(err) {
		return User{}, errLink()
	}
	if err != nil {
		return User{}, err
	}
	return s.insertUser(ctx, tx, in, role, &now)
}

const invitationColumns = `i.id, i.email, i.role, i.invited_by, coalesce((SELECT u.display_name FROM users u WHERE u.id = i.invited_by), ''),
i.created_at, i.expires_at`

func scanInvitation(row pgx.CollectableRow) (Invitation, error) {
	var i Invitation
	err := row.Scan(&i.ID, &i.Email, &i.Role, &i.InvitedBy, &i.InviterName, &i.CreatedAt, &i.ExpiresAt)
	i.CreatedAt, i.ExpiresAt = i.CreatedAt.UTC(), i.ExpiresAt.UTC()
	return i, err
}

func queryInvitation(ctx context.Context, db tenantschema.DBTX, sql string, args ...any) (Invitation, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return Invitation{}, err
	}
	return pgx.CollectOneRow(rows, scanInvitation)
}
