package tenancy

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

// Deletion is what became of a tenant by [Manager.Delete].
type Deletion struct {
	Tenant
	// Jobs is how many jobs were removed from the queue with it, by this call.
	Jobs int64
}

// Delete archives a tenant, so that nothing serves or works it any more, and then drops its schema and role, and its jobs. The catalog row stays,
// as deleted. Repeating it finishes what a crash left, and changes nothing after that.
func (m *Manager) Delete(ctx context.Context, slug string) (d Deletion, err error) {
	if d.Tenant, err = m.Get(ctx, slug); err != nil || d.State == StateDeleted {
		return d, err
	}
	from := []State{StateReady, StateSuspended, StateProvisioning, StateQuarantined, StateMigrating, StateArchived}
	if d.State == StateWarm {
		from = []State{StateWarm} // Not if it has become somebody's since.
	}
	if d.Tenant, err = m.change(ctx, d.Tenant, StateArchived, "deletion", from...); err != nil {
		return Deletion{}, err
	}
	session, err := m.cfg.Provisioner.Connect(ctx)
	if err != nil {
		return Deletion{}, apperr.Wrap(err, apperr.Unavailable, "the database cannot be reached as its owner")
	}
	defer session.Close() //nolint:errcheck // Everything is committed by then.
	err = session.Drop(ctx, d.Schema, func(ctx context.Context, tx pgx.Tx) error { return m.recordDeletion(ctx, tx, &d) })
	if sqlState(err, "55P03") {
		return Deletion{}, apperr.Wrap(err, apperr.Unavailable, "the tenant %q is archived, but still in use by a running query: "+
			"run the same command again in a moment to finish", d.Label())
	}
	if err != nil {
		return Deletion{}, fmt.Errorf("drop tenant %s: %w", d.Label(), err)
	}
	d.Tenant, err = m.byID(ctx, d.ID)
	return d, err
}

// recordDeletion ends all that belongs to a tenant and stands outside its schema.
func (m *Manager) recordDeletion(ctx context.Context, tx pgx.Tx, d *Deletion) (err error) {
	if err = m.dropDedicated(ctx, tx, d.Tenant); err != nil {
		return err
	}
	if m.cfg.Jobs != nil {
		if d.Jobs, err = m.cfg.Jobs.End(ctx, tx, d.ID); err != nil {
			return err
		}
	}
	// Not again, if two delete at once: the subdomain's quarantine counts from the first.
	_, err = tx.Exec(ctx, `update rowhouse.tenants set state = 'deleted', state_reason = '', deleted_at = now(), tier = 'sealed', login = null
		where id = $1 and state <> 'deleted'`, d.ID)
	return err
}
