package identity

import (
	"context"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Quota says how many people a tenant may have.
type Quota interface {
	// MaxUsers gives the most people of the tenant with that id, 0 for no limit, and what the limit's plan is called.
	MaxUsers(tenantID string) (most int64, plan string)
}

// roomFor refuses with apperr.Conflict if another person or invitation is more than the tenant's plan allows. Those count who are not disabled, and
// invitations that are open: whoever accepts one has been counted, and asks for no room. It locks the owners, as all who change people do, so that of
// two who would both take the last seat the second waits, and then sees none.
func (s *Service) roomFor(ctx context.Context, tx *tenantschema.Tx) error {
	if s.cfg.Quota == nil {
		return nil
	}
	most, plan := s.cfg.Quota.MaxUsers(tx.Tenant().ID)
	if most == 0 {
		return nil
	}
	if _, err := lockOwners(ctx, tx); err != nil {
		return err
	}
	const sql = `SELECT (SELECT count(*) FROM users WHERE disabled_at IS NULL) +
    (SELECT count(*) FROM invitations WHERE accepted_at IS NULL AND revoked_at IS NULL AND expires_at > $1)`
	var there int64
	if err := tx.QueryRow(ctx, sql, s.now()).Scan(&there); err != nil {
		return err
	}
	if there >= most {
		return apperr.New(apperr.Conflict, "The plan %q allows %d people, the invited ones included, and there are %d. "+
			"Remove or disable somebody, revoke an invitation, or ask for a larger plan.", plan, most, there)
	}
	return nil
}
