package tenancy

import (
	"context"
	"fmt"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Rehearse tries the pending migrations up to the version to, 0 for the newest, on a copy of a tenant: the named one, or the largest of those
// that are behind. The tenant is zero if nobody is. See [tenantschema.Session.Rehearse].
func (m *Manager) Rehearse(ctx context.Context, slugOrID string, to int64) (t Tenant, target int64, r tenantschema.Rehearsal, err error) {
	opts, err := RunOptions{Target: to}.complete(m.Target())
	if err != nil {
		return t, 0, r, err
	}
	target = opts.Target
	session, err := m.cfg.Provisioner.Connect(ctx)
	if err != nil {
		return t, target, r, apperr.Wrap(err, apperr.Unavailable, "the database cannot be reached as its owner")
	}
	defer session.Close() //nolint:errcheck // Everything is committed by then.
	if slugOrID != "" {
		if t, err = m.Get(ctx, slugOrID); err != nil {
			return t, target, r, err
		}
		if t.State == StateProvisioning || t.State == StateArchived || t.State == StateDeleted {
			return t, target, r, apperr.New(apperr.Conflict, "the tenant %q is %s: there is nothing to rehearse", t.Slug, t.State)
		}
	} else if t, err = m.largestBehind(ctx, session, opts); err != nil || t.ID == "" {
		return t, target, r, err
	}
	spec := opts.spec(t)
	spec.Version = t.SchemaVersion
	r, err = session.Rehearse(ctx, spec, target)
	if err != nil {
		return t, target, r, fmt.Errorf("rehearse on a copy of %s: %w", t.Slug, err)
	}
	return t, target, r, nil
}

// largestBehind gives the largest tenant that a run would move; none if there is none.
func (m *Manager) largestBehind(ctx context.Context, session *tenantschema.Session, opts RunOptions) (Tenant, error) {
	tenants, err := m.affected(ctx, opts)
	if err != nil || len(tenants) == 0 {
		return Tenant{}, err
	}
	names := make([]tenantschema.Name, len(tenants))
	for i, t := range tenants {
		names[i] = t.Schema
	}
	largest, err := session.Largest(ctx, names)
	if err != nil {
		return Tenant{}, err
	}
	for _, t := range tenants {
		if t.Schema == largest {
			return t, nil
		}
	}
	return Tenant{}, tenantschema.ErrNoSchema
}
