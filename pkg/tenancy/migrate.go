package tenancy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// MigrationResult is what became of one tenant in [Manager.MigrateAll].
type MigrationResult struct {
	Tenant   Tenant
	From, To int64
	Duration time.Duration
	// Err is why the tenant is not on the newest version; nil if it is.
	Err error
}

// behind lists the tenants whose schema is older than this program's, in one query.
func (m *Manager) behind(ctx context.Context) ([]Tenant, error) {
	return readTenants(ctx, m.cfg.Pool, `where schema_version < $1 and state in ('warm', 'ready', 'suspended', 'migrating', 'quarantined')
		order by schema_version, slug`, m.Target())
}

// VersionCount is how many tenants of one state stand on one version.
type VersionCount struct {
	Version int64
	State   State
	Tenants int
}

// Versions counts the tenants by version and state.
func (m *Manager) Versions(ctx context.Context) ([]VersionCount, error) {
	rows, err := m.cfg.Pool.Query(ctx, `select schema_version, state, count(*) from rowhouse.tenants where state <> 'deleted'
		group by schema_version, state order by schema_version, state`)
	if err != nil {
		return nil, fmt.Errorf("count versions: %w", err)
	}
	counts, err := pgx.CollectRows(rows, pgx.RowToStructByPos[VersionCount])
	if err != nil {
		return nil, fmt.Errorf("count versions: %w", err)
	}
	return counts, nil
}

// MigrateAll brings every tenant that is behind to the newest version, one after another, and tells report of each. One tenant's
// failure leaves that tenant on its old version and the others untouched. It ends early only when ctx does.
//
// The error is of code [apperr.Partial] when some tenants failed.
func (m *Manager) MigrateAll(ctx context.Context, report func(MigrationResult)) error {
	behind, err := m.behind(ctx)
	if err != nil {
		return err
	}
	failed := 0
	pool := sessions{m: m}
	defer pool.close()
	for i, t := range behind {
		if ctx.Err() != nil {
			return apperr.Wrap(ctx.Err(), apperr.Partial, "stopped with %d of %d tenants still to migrate: run it again to go on",
				len(behind)-i, len(behind))
		}
		result := m.migrateOne(ctx, &pool, t)
		if result.Err != nil {
			failed++
		}
		report(result)
	}
	if failed > 0 {
		return apperr.New(apperr.Partial, "%d of %d tenants were not migrated: mend the cause and run it again", failed, len(behind))
	}
	return nil
}

// sessionUses is how many tenants one session migrates. Its backend keeps what it has seen of each, and slows down.
const sessionUses = 100

// sessions hands out one session, replaced when it is worn or broken.
type sessions struct {
	m    *Manager
	s    *tenantschema.Session
	uses int
}

func (p *sessions) get(ctx context.Context) (*tenantschema.Session, error) {
	if p.s != nil && p.uses < sessionUses {
		p.uses++
		return p.s, nil
	}
	p.close()
	s, err := p.m.cfg.Provisioner.Connect(ctx)
	if err != nil {
		return nil, err
	}
	p.s, p.uses = s, 1
	return s, nil
}

// close drops the session; the next get makes another.
func (p *sessions) close() {
	if p.s != nil {
		_ = p.s.Close() // What was to be kept is committed.
	}
	p.s = nil
}

func (m *Manager) migrateOne(ctx context.Context, pool *sessions, t Tenant) MigrationResult {
	started := time.Now()
	result := MigrationResult{Tenant: t, From: t.SchemaVersion, To: t.SchemaVersion}
	if result.Err = m.migrate(ctx, pool, t); result.Err != nil {
		pool.close()
	}
	result.Duration = time.Since(started)
	if fresh, err := m.byID(context.WithoutCancel(ctx), t.ID); err == nil {
		result.Tenant, result.To = fresh, fresh.SchemaVersion
	}
	return result
}

func (m *Manager) migrate(ctx context.Context, pool *sessions, t Tenant) error {
	session, err := pool.get(ctx)
	if err != nil {
		return err
	}
	began := false // Files outside a transaction: by this call, not by another that holds the schema's lock.
	spec := tenantschema.Spec{Name: t.Schema, Sealed: t.Tier != tenantschema.TierPooled}
	err = session.Migrate(ctx, spec, func(ctx context.Context, tx pgx.Tx, version int64, done bool) error {
		began = began || !done
		// Only files that run outside a transaction let anybody see "migrating". A suspended tenant stays suspended
		// throughout, and one made ahead stays nobody's.
		_, err := tx.Exec(ctx, `update rowhouse.tenants set schema_version = $2,
			state_reason = case when state = 'suspended' then state_reason else '' end,
			migration_error = case when $3 then '' else 'it has begun and not ended' end,
			state = case when state in ('warm', 'suspended') then state when $3 then 'ready' else 'migrating' end
			where id = $1 and state in ('warm', 'ready', 'suspended', 'migrating', 'quarantined')`, t.ID, version, done)
		return err
	})
	if err == nil || !began {
		return err
	}
	// Files outside a transaction may have done half their work: nobody should meet the tenant unawares. A suspended one stays suspended,
	// and cannot be resumed before it is mended.
	_, quarantineErr := m.cfg.Pool.Exec(context.WithoutCancel(ctx), `update rowhouse.tenants set migration_error = $2,
		state_reason = case when state = 'migrating' then 'migration failed: ' || $2 else state_reason end,
		state = case when state = 'migrating' then 'quarantined' else state end
		where id = $1 and state in ('migrating', 'suspended', 'warm')`, t.ID, err.Error())
	return errors.Join(err, quarantineErr)
}
