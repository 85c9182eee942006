package tenancy

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// errNoWarm is returned by claimWarm when no tenant that was made ahead is ready.
var errNoWarm = errors.New("no tenant that was made ahead is ready")

// halfWay is the migration_error of a tenant between the transactions of a migration, or of its making.
const halfWay = "it has begun and not ended"

// claimableSQL is the condition of tenants made ahead that can be claimed, where $1 is the version of this program.
const claimableSQL = "schema_version = $1 and migration_error = ''"

// Claim gives n one of the tenants that were made ahead: one short transaction on the catalog, without DDL. found is false if none is ready on
// this program's version. The tenant is sealed, whatever n.Tier says. [apperr.Conflict] if the subdomain is another's, or nobody may have it;
// the one made ahead is then still there for the next.
//
// It needs no right of the owner's but to update slug, name, time_zone, request, state and created_at of rowhouse.tenants. See docs/provisioning.md
// for what a process without the owner's credentials would need instead.
func (m *Manager) Claim(ctx context.Context, n NewTenant) (t Tenant, found bool, err error) {
	if _, err = n.check(); err != nil {
		return Tenant{}, false, err
	}
	t, err = m.claimWarm(ctx, n)
	switch {
	case errors.Is(err, errNoWarm):
		return Tenant{}, false, nil
	case errors.Is(err, errClaimed):
		return Tenant{}, false, errSlugTaken(n.Slug)
	}
	return t, err == nil, err
}

// claimWarm is Claim for what has been checked. It fails with errNoWarm or errClaimed.
func (m *Manager) claimWarm(ctx context.Context, n NewTenant) (t Tenant, err error) {
	err = pgx.BeginFunc(ctx, m.cfg.Pool, func(tx pgx.Tx) error {
		// Before the slug's lock: where none is made ahead, that costs a creation no more than this question. Others pass over the locked row,
		// so nobody waits for it, least of all a holder of the slug's lock.
		var id string
		err := tx.QueryRow(ctx, "select id from rowhouse.tenants where state = 'warm' and "+claimableSQL+
			" order by created_at limit 1 for update skip locked", m.Target()).Scan(&id)
		if errors.Is(err, pgx.ErrNoRows) {
			return errNoWarm
		}
		if err != nil {
			return fmt.Errorf("look for a tenant made ahead: %w", err)
		}
		_, held, err := m.lockSlug(ctx, tx, n)
		if err != nil {
			return err
		}
		if held {
			return errClaimed
		}
		rows, err := tx.Query(ctx, `update rowhouse.tenants set slug = $2, name = coalesce(nullif($3, ''), $2), state = 'ready', time_zone = $4,
			request = nullif($5, '')::uuid, created_at = now() where id = $1 returning `+tenantColumns, id, n.Slug, n.Name, n.TimeZone, n.Request)
		if err != nil {
			return fmt.Errorf("claim %s: %w", id, err)
		}
		if t, err = pgx.CollectExactlyOneRow(rows, scanTenant); err != nil {
			return fmt.Errorf("claim %s: %w", id, err)
		}
		return nil
	})
	switch {
	case err == nil:
		m.countWarm(ctx, "rowhouse.warm_claims")
	case errors.Is(err, errNoWarm):
		m.countWarm(ctx, "rowhouse.warm_misses")
	}
	return t, err
}

// countWarm counts a creation that found one ready, or did not. A count that is lost is missed by nobody.
func (m *Manager) countWarm(ctx context.Context, sequence string) {
	_, _ = m.cfg.Pool.Exec(ctx, "select nextval($1::text::regclass)", sequence)
}

// WarmPool is how the tenants made ahead stand.
type WarmPool struct {
	// Ready can be claimed by this program. Unfinished ones are on another version, or half-way.
	Ready, Unfinished int
	// Claims and Misses are how many creations have found one ready, and how many have not, in all processes since the database was made.
	Claims, Misses int64
}

// WarmPool counts the tenants made ahead.
func (m *Manager) WarmPool(ctx context.Context) (p WarmPool, err error) {
	err = m.cfg.Pool.QueryRow(ctx, `select count(*) filter (where `+claimableSQL+`), count(*) filter (where not (`+claimableSQL+`)),
			(select case when is_called then last_value else 0 end from rowhouse.warm_claims),
			(select case when is_called then last_value else 0 end from rowhouse.warm_misses)
		from rowhouse.tenants where state = 'warm'`, m.Target()).Scan(&p.Ready, &p.Unfinished, &p.Claims, &p.Misses)
	if err != nil {
		return p, fmt.Errorf("count the tenants made ahead: %w", err)
	}
	return p, nil
}

// refill makes one tenant ahead if there are fewer than want, whatever version they are on, so that programs of two versions do not each fill
// a pool of their own; else it migrates those that are behind. It gives whether it did anything.
func (c *Creator) refill(ctx context.Context, want int) (worked bool, err error) {
	ahead, err := readTenants(ctx, c.m.cfg.Pool, "where state = 'warm' order by created_at")
	if err != nil {
		return false, err
	}
	if len(ahead) < want {
		err = c.makeWarm(ctx, want)
		if errors.Is(err, errWarmEnough) {
			return false, nil
		}
		if err != nil {
			c.sessions.close() // Whatever state it is in.
			return false, explainOwner(fmt.Errorf("make a tenant ahead: %w", err))
		}
		return true, nil
	}
	behind, err := readTenants(ctx, c.m.cfg.Pool, `where state = 'warm' and (schema_version < $1 or schema_version = $1 and migration_error <> '')
		order by created_at`, c.m.Target())
	for _, t := range behind {
		if failure := c.m.migrateOne(ctx, &c.sessions, t).Err; failure != nil {
			err = errors.Join(err, fmt.Errorf("migrate %s, which was made ahead: %w", t.Schema, failure))
		}
	}
	return len(behind) > 0, err
}

// errWarmEnough is returned by makeWarm when somebody else makes one at this moment, or has made the last.
var errWarmEnough = errors.New("there are enough tenants made ahead")

// makeWarm makes a tenant that is nobody's, and sealed, unless want are there. What a crash leaves of it is finished by refill and by
// [Manager.MigrateAll].
func (c *Creator) makeWarm(ctx context.Context, want int) (err error) {
	m := c.m
	session, err := c.sessions.get(ctx, 1)
	if err != nil {
		return err
	}
	role, err := m.takeSpare(ctx, session)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			m.returnSpare(ctx, role) // If it has not been used.
		}
	}()
	spec, err := m.spec(role.ID, role.Cell, tenantschema.TierSealed)
	if err != nil {
		return err
	}
	return session.Create(ctx, spec,
		func(ctx context.Context, tx pgx.Tx) error {
			if err := needWarm(ctx, tx, want); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `insert into rowhouse.tenants (id, name, cell, tier, state, migration_error)
				values ($1, $1, $2, $3, 'warm', $4)`, role.ID, role.Cell, string(tenantschema.TierSealed), halfWay)
			if err != nil {
				return fmt.Errorf("write catalog row: %w", err)
			}
			return useSpare(ctx, tx, role.ID)
		},
		func(ctx context.Context, tx pgx.Tx, version int64, done bool) error {
			_, err := tx.Exec(ctx, `update rowhouse.tenants set schema_version = $2, migration_error = case when $3 then '' else $4 end
				where id = $1 and state = 'warm'`, role.ID, version, done, halfWay)
			return err
		})
}

// needWarm makes sure that another tenant is to be made ahead. Whoever makes one holds a lock until its row can be seen; nobody waits for it.
func needWarm(ctx context.Context, tx pgx.Tx, want int) error {
	var mine bool
	if err := tx.QueryRow(ctx, "select pg_try_advisory_xact_lock(hashtextextended('rowhouse.warm', 0))").Scan(&mine); err != nil {
		return fmt.Errorf("lock the making of tenants ahead: %w", err)
	}
	var have int
	if err := tx.QueryRow(ctx, "select count(*) from rowhouse.tenants where state = 'warm'").Scan(&have); err != nil {
		return fmt.Errorf("count the tenants made ahead: %w", err)
	}
	if !mine || have >= want {
		return errWarmEnough
	}
	return nil
}
