package tenancy

import (
	"context"
	"errors"
	"sync"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// DriftResult is what [Manager.Drift] found of one tenant.
type DriftResult struct {
	Tenant Tenant
	// Differences are what its schema holds otherwise than it should; none if all is well.
	Differences []tenantschema.Difference
	// Err says why it could not be compared: [tenantschema.ErrUnknownVersion] if its version is none of this program's.
	Err error
}

// Comparable lists the tenants that have a complete schema: those of the names (slugs or ids), or all, in the order of their slugs.
// [apperr.NotFound] and [apperr.Conflict] for a name that is nobody's, or of a tenant without a schema.
func (m *Manager) Comparable(ctx context.Context, names []string) ([]Tenant, error) {
	if len(names) == 0 {
		return readTenants(ctx, m.cfg.Pool, "where state not in ('provisioning', 'deleted') order by slug")
	}
	var tenants []Tenant
	seen := map[string]bool{}
	for _, name := range names {
		t, err := m.Get(ctx, name)
		if err != nil {
			return nil, err
		}
		if !t.hasSchema() {
			return nil, apperr.New(apperr.Conflict, "the tenant %q is %s: it has no complete schema", t.Slug, t.State)
		}
		if !seen[t.ID] {
			tenants = append(tenants, t)
		}
		seen[t.ID] = true
	}
	return tenants, nil
}

func (t Tenant) hasSchema() bool { return t.State != StateProvisioning && t.State != StateDeleted }

// Drift compares tenants' schemas with what they should be at their version and in their tier, by so many workers, each over a connection of its
// own. It changes nothing. report is told of each tenant, by one goroutine at a time and in the order in which they are done.
//
// The error is [apperr.Partial] if any has drifted or could not be compared, or if it stopped because ctx ended or the database cannot be
// reached any more.
func (m *Manager) Drift(ctx context.Context, tenants []Tenant, workers int, report func(DriftResult)) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var mu sync.Mutex
	next, done, drifted, failed := 0, 0, 0, 0
	take := func() (t Tenant, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		if ctx.Err() != nil || next == len(tenants) {
			return Tenant{}, false
		}
		next++
		return tenants[next-1], true
	}
	tell := func(r DriftResult) {
		mu.Lock()
		defer mu.Unlock()
		if r.Err != nil && ctx.Err() != nil { // It failed because all was stopped.
			return
		}
		done++
		switch {
		case r.Err != nil:
			failed++
			if apperr.CodeOf(r.Err) == apperr.Unavailable {
				stop()
			}
		case len(r.Differences) > 0:
			drifted++
		}
		report(r)
	}
	var group sync.WaitGroup
	for range min(max(workers, 1), len(tenants)) {
		group.Go(func() {
			pool := sessions{m: m, most: sessionCreates}
			defer pool.close()
			for {
				t, ok := take()
				if !ok {
					return
				}
				tell(m.driftOne(ctx, &pool, t))
			}
		})
	}
	group.Wait()
	switch {
	case done < len(tenants):
		return apperr.New(apperr.Partial, "stopped with %d of %d tenants compared, %d drifted, %d failed", done, len(tenants), drifted, failed)
	case failed > 0:
		return apperr.New(apperr.Partial, "%d of %d tenants have drifted, and %d could not be compared", drifted, len(tenants), failed)
	case drifted > 0:
		return apperr.New(apperr.Partial, "%d of %d tenants have drifted", drifted, len(tenants))
	}
	return nil
}

// driftOne compares one tenant. Whatever changes a schema rightly changes its row in the same transaction: what was found is true of the row
// that was known before if that is still the same after.
func (m *Manager) driftOne(ctx context.Context, pool *sessions, t Tenant) DriftResult {
	for {
		r := DriftResult{Tenant: t}
		if r.Differences, r.Err = m.drift(ctx, pool, t); r.Err == nil && len(r.Differences) == 0 {
			return r
		}
		now, err := m.byID(ctx, t.ID)
		switch {
		case err != nil:
			r.Err = errors.Join(r.Err, err)
			return r
		case !now.hasSchema():
			return DriftResult{Tenant: now}
		case now.State == t.State && now.SchemaVersion == t.SchemaVersion && now.Tier == t.Tier:
			return r
		}
		t = now
	}
}

func (m *Manager) drift(ctx context.Context, pool *sessions, t Tenant) ([]tenantschema.Difference, error) {
	session, err := pool.get(ctx, 1)
	if err != nil {
		return nil, apperr.Wrap(err, apperr.Unavailable, "the database cannot be reached as its owner")
	}
	differences, err := session.Drift(ctx, t.Schema, t.SchemaVersion, t.Tier != tenantschema.TierPooled)
	if err != nil && !errors.Is(err, tenantschema.ErrUnknownVersion) && !errors.Is(err, tenantschema.ErrNoSchema) {
		pool.close() // Whatever state it is in.
	}
	return differences, err
}
