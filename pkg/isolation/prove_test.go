package isolation_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func TestProve_Clean(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	tenant(t, d, "pooled-1", tenantschema.TierPooled)
	tenant(t, d, "pooled-2", tenantschema.TierPooled)
	tenant(t, d, "sealed-1", tenantschema.TierSealed)
	tenant(t, d, "sealed-2", tenantschema.TierSealed)
	tenant(t, d, "dedicated-1", tenantschema.TierDedicated)
	tenant(t, d, "dedicated-2", tenantschema.TierDedicated)
	r := prove(t, d, nil)
	for i, f := range ours(r.Findings) {
		if i < 10 {
			t.Errorf("%+v", f)
		}
	}
	t.Logf("%+v", r.Counts)
	for _, row := range r.Tenants {
		t.Logf("%+v", row)
		require.Positive(t, row.AttackedBy)
		require.Positive(t, row.Attacked)
		require.Equal(t, row.Attempts, row.Refused+row.Undecided+row.ByDesign)
	}
}

// Tenants that come, go and change their tiers meanwhile are no breach, and no failure.
func TestProve_WhileTenantsChange(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	acme := tenant(t, d, "acme", tenantschema.TierSealed)
	tenant(t, d, "globex", tenantschema.TierSealed)
	stop := make(chan struct{})
	churned := make(chan error, 1)
	go func() {
		for i := 0; ; i++ {
			slug := fmt.Sprintf("churn-%d", i)
			_, _, err := d.Manager.Create(t.Context(), tenancy.NewTenant{Slug: slug, Tier: string(tenancy.Tiers()[i%3])})
			if err == nil && i%2 == 0 {
				_, err = d.Manager.SetTier(t.Context(), slug, tenantschema.TierSealed, 0)
			}
			if err == nil {
				_, err = d.Manager.Delete(t.Context(), slug)
			}
			select {
			case <-stop:
				churned <- err
				return
			default:
			}
			if err != nil {
				churned <- err
				return
			}
		}
	}()
	for range 4 {
		for _, one := range []*tenancy.Tenant{nil, &acme} {
			r := prove(t, d, one)
			for _, f := range r.Findings {
				// While a tier changes two logins lead into the tenant, which is told.
				require.True(t, !f.Breach || f.Kind == "membership" && strings.HasPrefix(f.Tenant, "churn-"), "%+v", f)
			}
			require.Greater(t, r.Counts.Refused, 100)
		}
	}
	close(stop)
	require.NoError(t, <-churned)
}
