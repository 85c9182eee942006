package tenancy

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Tiers lists the tiers that a tenant can have, from the weakest wall to the strongest.
func Tiers() []tenantschema.Tier {
	return []tenantschema.Tier{tenantschema.TierPooled, tenantschema.TierSealed, tenantschema.TierDedicated}
}

// ParseTier reads a tier's name. An empty one is [tenantschema.TierSealed].
func ParseTier(s string) (tenantschema.Tier, error) {
	if s == "" {
		return tenantschema.TierSealed, nil
	}
	for _, tier := range Tiers() {
		if string(tier) == s {
			return tier, nil
		}
	}
	if s == "database" {
		return "", apperr.New(apperr.Invalid, "the tier \"database\" is not there yet: the strongest is dedicated").
			WithField("tier", "is not there yet")
	}
	return "", apperr.New(apperr.Invalid, "the tier must be one of %v, not %q", Tiers(), s).
		WithField("tier", fmt.Sprintf("must be one of %v", Tiers()))
}

type execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// SetTier changes how a tenant is kept apart, while it is served. Whatever the change, the tenant can be entered by its old login and by its
// new one until settle has passed, so that requests under way and processes that have not seen the change lose nothing; then the old way
// is closed. It may be repeated, and finishes what a crash left.
func (m *Manager) SetTier(ctx context.Context, slug string, tier tenantschema.Tier, settle time.Duration) (Tenant, error) {
	t, err := m.Get(ctx, slug)
	if err != nil {
		return Tenant{}, err
	}
	switch t.State {
	case StateReady, StateSuspended, StateMigrating:
	case StateProvisioning, StateWarm, StateQuarantined, StateArchived, StateDeleted:
		return Tenant{}, apperr.New(apperr.Conflict, "the tenant %q is %s: only one that is ready or suspended can change its tier", t.Label(), t.State)
	}
	session, err := m.cfg.Provisioner.Connect(ctx)
	if err != nil {
		return Tenant{}, apperr.Wrap(err, apperr.Unavailable, "the database cannot be reached as its owner")
	}
	defer session.Close() //nolint:errcheck // Everything is committed by then.
	if err = m.openDoor(ctx, &t, tier); err != nil {
		return Tenant{}, explainOwner(fmt.Errorf("set tier of %s: %w", t.Slug, err))
	}
	moves := (t.Tier == tenantschema.TierDedicated) != (tier == tenantschema.TierDedicated)
	err = session.SetSealed(ctx, t.Schema, tier != tenantschema.TierPooled, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "update rowhouse.tenants set tier = $2, login = $3 where id = $1 and (tier, login) is distinct from ($2, $3)",
			t.ID, string(tier), t.Login)
		return err
	})
	if sqlState(err, "55P03") {
		return Tenant{}, apperr.Wrap(err, apperr.Unavailable, "a running query of %q holds one of its tables: run the same command again", t.Slug)
	}
	if err != nil {
		return Tenant{}, fmt.Errorf("set tier of %s: %w", t.Slug, err)
	}
	if moves {
		select {
		case <-ctx.Done():
			return Tenant{}, apperr.Wrap(ctx.Err(), apperr.Partial, "the tier of %q is changed, but its old login can still enter it: "+
				"run the same command again to finish", t.Slug)
		case <-time.After(settle):
		}
	}
	if err = m.closeDoor(ctx, t, tier); err != nil {
		return Tenant{}, explainOwner(fmt.Errorf("close the old way into %s: %w", t.Slug, err))
	}
	return m.byID(ctx, t.ID)
}

// openDoor lets the login of the tier enter the tenant, making it if it is a dedicated tenant's.
func (m *Manager) openDoor(ctx context.Context, t *Tenant, tier tenantschema.Tier) error {
	return pgx.BeginFunc(ctx, m.cfg.Pool, func(tx pgx.Tx) error {
		login := m.cfg.Logins.Cell(t.Cell)
		if tier == tenantschema.TierDedicated {
			login = m.cfg.Logins.Dedicated(t.Schema)
			if err := m.makeDedicated(ctx, tx, t, login); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, tenantschema.GrantRole(tx.Conn(), t.Schema.String(), login)); err != nil {
			return fmt.Errorf("grant role to %s: %w", login, err)
		}
		return nil
	})
}

// makeDedicated makes the login role of a dedicated tenant, with the password that the catalog has or with a new one.
func (m *Manager) makeDedicated(ctx context.Context, tx pgx.Tx, t *Tenant, login string) error {
	password, err := "", error(nil)
	if t.Login != nil {
		password, err = m.cfg.Logins.decrypt(login, t.Login)
	}
	if t.Login == nil || err != nil {
		if password, t.Login, err = m.cfg.Logins.newPassword(login); err != nil {
			return err
		}
	}
	secret, err := Verifier(password)
	if err != nil {
		return err
	}
	var exists bool
	if err = tx.QueryRow(ctx, existsRole, login).Scan(&exists); err != nil {
		return fmt.Errorf("look for role %s: %w", login, err)
	}
	verb := "create role "
	if exists {
		verb = "alter role "
	}
	if _, err = tx.Exec(ctx, verb+pgx.Identifier{login}.Sanitize()+" login noinherit password '"+secret+"'"); err != nil {
		return fmt.Errorf("make role %s: %w", login, err)
	}
	return admit(ctx, tx.Conn(), tx, m.cfg.Logins, login)
}

// closeDoor takes away the way in that the tier does not have.
func (m *Manager) closeDoor(ctx context.Context, t Tenant, tier tenantschema.Tier) error {
	if tier != tenantschema.TierDedicated {
		return pgx.BeginFunc(ctx, m.cfg.Pool, func(tx pgx.Tx) error { return m.dropDedicated(ctx, tx, t) })
	}
	_, err := m.cfg.Pool.Exec(ctx, "revoke "+t.Schema.Quote()+" from "+pgx.Identifier{m.cfg.Logins.Cell(t.Cell)}.Sanitize())
	return err
}

// dropDedicated removes a dedicated login and its password, if there are any. Sessions that it has can enter no tenant any more.
func (m *Manager) dropDedicated(ctx context.Context, tx pgx.Tx, t Tenant) error {
	login := m.cfg.Logins.Dedicated(t.Schema)
	var exists bool
	if err := tx.QueryRow(ctx, existsRole, login).Scan(&exists); err != nil {
		return fmt.Errorf("look for role %s: %w", login, err)
	}
	if exists {
		if err := dropLogin(ctx, tx, login); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, "update rowhouse.tenants set login = null where id = $1 and tier <> 'dedicated' and login is not null", t.ID)
	return err
}

// dropLogin drops a login of the engine with what it was given. See admit.
func dropLogin(ctx context.Context, tx pgx.Tx, login string) error {
	for _, sql := range []string{
		"revoke all on database " + pgx.Identifier{tx.Conn().Config().Database}.Sanitize() + " from " + pgx.Identifier{login}.Sanitize(),
		tenantschema.LoginSQL(login, true),
	} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return fmt.Errorf("take rights from %s: %w", login, err)
		}
	}
	return tenantschema.DropRole(ctx, tx, login)
}
