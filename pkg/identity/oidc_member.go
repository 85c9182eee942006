package identity

import (
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// memberOf gives who it is here that a provider speaks of, and keeps others from changing them until tx ends: who came by it before, else who has
// the address that it has verified, else who is invited or may join.
func (s *Service) memberOf(ctx context.Context, tx *tenantschema.Tx, p Provider, who claims) (User, error) {
	var id uuid.UUID
	const known = `SELECT user_id FROM oidc_identities WHERE provider_id = $1 AND subject = $2`
	err := tx.QueryRow(ctx, known, p.ID, who.subject).Scan(&id)
	if err == nil {
		return enterByProvider(ctx, tx, id)
	}
	if !isNoRows(err) {
		return User{}, err
	}
	email, ok := canonicalEmail(who.email)
	if !ok || !who.verified {
		return User{}, apperr.New(apperr.Forbidden, "%s has not verified your e-mail address, so nobody here can be found by it. Verify it there first.", p.Name)
	}
	var u User
	err = tx.QueryRow(ctx, `SELECT id FROM users WHERE lower(email) = lower($1)`, email).Scan(&id)
	switch {
	case err == nil:
		u, err = enterByProvider(ctx, tx, id)
	case isNoRows(err):
		u, err = s.joinByProvider(ctx, tx, p, email, who.name)
	}
	if err != nil {
		return User{}, err
	}
	now := s.now()
	_, err = tx.Exec(ctx, `INSERT INTO oidc_identities (provider_id, subject, user_id, created_at) VALUES ($1, $2, $3, $4)`,
		p.ID, who.subject, u.ID, now)
	if err == nil && u.EmailVerifiedAt == nil {
		u.EmailVerifiedAt = &now
		_, err = tx.Exec(ctx, `UPDATE users SET email_verified_at = $2 WHERE id = $1`, u.ID, now)
	}
	return u, err
}

// enterByProvider gives a member who may come in by a provider.
func enterByProvider(ctx context.Context, tx *tenantschema.Tx, id uuid.UUID) (User, error) {
	a, err := lockAccount(ctx, tx, id)
	switch {
	case err != nil:
		return User{}, err
	case a.DisabledAt != nil:
		return User{}, apperr.New(apperr.Forbidden, "Your account here is disabled. Ask an owner or admin of the workspace.")
	case a.Role == RoleOwner:
		return User{}, apperr.New(apperr.Forbidden, "Owners sign in by password or passkey, not at a provider.")
	}
	return a.User, nil
}

// joinByProvider makes the person who is invited, or who may join by the provider's rules.
func (s *Service) joinByProvider(ctx context.Context, tx *tenantschema.Tx, p Provider, email, name string) (User, error) {
	in := NewUser{Email: email, DisplayName: cut(strings.TrimSpace(name), maxName)}
	at := strings.LastIndexByte(email, '@')
	or(&in.DisplayName, cut(email[:at], maxName))
	now := s.now()
	var invitation uuid.UUID
	err := tx.QueryRow(ctx, `SELECT id FROM invitations
WHERE lower(email) = lower($1) AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > $2`, email, now).Scan(&invitation)
	if err == nil {
		return s.join(ctx, tx, invitation, in)
	}
	if !isNoRows(err) {
		return User{}, err
	}
	domain := strings.ToLower(email[at+1:])
	if p.JoinRole == "" || len(p.JoinDomains) > 0 && !slices.Contains(p.JoinDomains, domain) {
		return User{}, apperr.New(apperr.Forbidden, "There is nobody with your address here. Ask an owner or admin of the workspace to invite you.")
	}
	return s.insertSeated(ctx, tx, in, p.JoinRole, &now)
}
