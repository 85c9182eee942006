package isolation_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
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
		require.Equal(t, row.Attempts, row.Refused+row.Empty+row.ByDesign)
	}
}
