package identity

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// UserPatch changes the fields that are not nil.
type UserPatch struct {
	DisplayName *string
	Role        *Role
	// Disabled shuts the person out, at once, or lets them in again.
	Disabled *bool
}

// ChangeUser changes somebody, as p. Only owners touch owners and make them; nobody disables themselves; and the last owner who is not disabled
// stays one: those are apperr.Forbidden and Conflict. Who is disabled loses sessions and links, and keeps keys, which outlive who made them.
func (s *Service) ChangeUser(ctx context.Context, scope tenantschema.Scope, p Principal, id uuid.UUID, patch UserPatch) (User, error) {
	if err := permit(p, ActionManageMembers); err != nil {
		return User{}, err
	}
	var c checker
	if patch.DisplayName != nil {
		patch.DisplayName = new(c.line("display_name", *patch.DisplayName, maxName))
	}
	if patch.Role != nil {
		c.role("role", *patch.Role, Roles()...)
	}
	if err := c.err("The person cannot be changed as asked."); err != nil {
		return User{}, err
	}
	var changed User
	err := scope.InTx(ctx, func(tx *tenantschema.Tx) (err error) {
		changed, err = s.changeUser(ctx, tx, p, id, patch)
		return err
	})
	if err != nil {
		return User{}, failedOn("change user", "user", id, err)
	}
	return changed, nil
}

func (s *Service) changeUser(ctx context.Context, tx *tenantschema.Tx, p Principal, id uuid.UUID, patch UserPatch) (User, error) {
	owners, err := lockOwners(ctx, tx)
	if err != nil {
		return User{}, err
	}
	before, err := lockAccount(ctx, tx, id)
	if err != nil {
		return User{}, err
	}
	role, disabled := before.Role, before.DisabledAt != nil
	if patch.Role != nil {
		role = *patch.Role
	}
	if patch.Disabled != nil {
		disabled = *patch.Disabled
	}
	if err = mayTouch(p, before.User, role); err != nil {
		return User{}, err
	}
	if disabled && before.DisabledAt == nil && id == p.UserID {
		return User{}, apperr.New(apperr.Conflict, "You cannot disable yourself. Ask another owner or admin.")
	}
	if (role != RoleOwner || disabled) && last(owners, id) {
		return User{}, errLastOwner()
	}
	if before.DisabledAt != nil && !disabled {
		if err = s.roomFor(ctx, tx); err != nil {
			return User{}, err
		}
	}
	now := s.now()
	const sql = `UPDATE users AS u SET display_name = coalesce($2, u.display_name), role = $3,
    disabled_at = CASE WHEN $4 THEN coalesce(u.disabled_at, $5) END, updated_at = $5
WHERE u.id = $1 RETURNING ` + userColumns
	after, err := queryUser(ctx, tx, sql, id, patch.DisplayName, role, disabled, now)
	if err != nil {
		return after, err
	}
	if role == RoleOwner && before.Role != RoleOwner { // Who manages a provider must not come in as one.
		if _, err = tx.Exec(ctx, `DELETE FROM oidc_identities WHERE user_id = $1`, id); err != nil {
			return after, err
		}
	}
	if !disabled {
		return after, nil
	}
	return after, s.shutOut(ctx, tx, id, uuid.Nil)
}

// RemoveUser removes somebody for ever, as p, under the rules of [Service.ChangeUser]. What they wrote stays.
func (s *Service) RemoveUser(ctx context.Context, scope tenantschema.Scope, p Principal, id uuid.UUID) error {
	if err := permit(p, ActionManageMembers); err != nil {
		return err
	}
	err := scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		owners, err := lockOwners(ctx, tx)
		if err != nil {
			return err
		}
		before, err := lockAccount(ctx, tx, id)
		if err != nil {
			return err
		}
		if err = mayTouch(p, before.User, before.Role); err != nil {
			return err
		}
		if last(owners, id) {
			return errLastOwner()
		}
		_, err = tx.Exec(ctx, `DELETE FROM users WHERE id = $1`, id)
		return err
	})
	if err != nil {
		return failedOn("remove user", "user", id, err)
	}
	return nil
}

// lockOwners gives the owners who are not disabled, and keeps them so until tx ends. All who change people come by here first, in the
// order of ids, so that of two who would each leave the other as the last owner the second waits, and then sees one.
func lockOwners(ctx context.Context, tx *tenantschema.Tx) ([]uuid.UUID, error) {
	rows, err := tx.Query(ctx, `SELECT id FROM users WHERE role = 'owner' AND disabled_at IS NULL ORDER BY id FOR NO KEY UPDATE`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
}

func last(owners []uuid.UUID, id uuid.UUID) bool {
	return len(owners) == 1 && slices.Contains(owners, id)
}

func errLastOwner() error {
	return apperr.New(apperr.Conflict, "This is the last owner of the workspace. Make somebody else an owner first.")
}

// mayTouch says whether p may change somebody who then has that role.
func mayTouch(p Principal, u User, role Role) error {
	if (u.Role == RoleOwner || role == RoleOwner) && !p.May(ActionOwn) {
		return apperr.New(apperr.Forbidden, "Only an owner may change owners, or make one.")
	}
	return nil
}

// shutOut ends all that lets somebody in without a password: sessions but one, links, and what has begun.
func (s *Service) shutOut(ctx context.Context, tx *tenantschema.Tx, id, but uuid.UUID) error {
	b := &pgx.Batch{}
	b.Queue(`UPDATE sessions SET revoked_at = $3 WHERE user_id = $1 AND id <> $2 AND revoked_at IS NULL`, id, but, s.now())
	b.Queue(`DELETE FROM user_tokens WHERE user_id = $1 AND kind <> 'verify'`, id)
	b.Queue(`DELETE FROM sign_in_steps WHERE user_id = $1`, id)
	return tx.SendBatch(ctx, b).Close()
}
