package tenancy_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

// A plan that is changed, and a tenant that is given another, are seen by running processes; the other tenant keeps its own.
func TestPlans_AreFollowed(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	acme, globex := d.Tenant("acme"), d.Tenant("globex")
	require.Equal(t, tenancy.StandardPlan, acme.Plan)
	c := d.Catalog()
	standard := c.LimitsOf(globex.ID)
	require.Equal(t, tenancy.StandardPlan, standard.Plan)
	require.Positive(t, standard.Requests.PerSecond)

	rate, timeout := 7, 250*time.Millisecond
	made, isNew, err := d.Manager.SetPlan(ctx, "trial", tenancy.PlanChange{RequestsPerSecond: &rate, StatementTimeout: &timeout})
	require.NoError(t, err)
	require.True(t, isNew)
	want := tenancy.Limits{Plan: "trial", Requests: tenancy.Rate{PerSecond: 7, Burst: 21}, StatementTimeout: timeout}
	require.Equal(t, want, made)
	moved, err := d.Manager.SetTenantPlan(ctx, "acme", "trial")
	require.NoError(t, err)
	require.Equal(t, "trial", moved.Plan)
	soon(t, func() bool { return c.LimitsOf(acme.ID) == want })
	require.Equal(t, standard, c.LimitsOf(globex.ID))

	storage := int64(5) << 40 // A number larger than 32 bits, in a plan that has some already.
	changed, _, err := d.Manager.SetPlan(ctx, tenancy.StandardPlan, tenancy.PlanChange{MaxStorageBytes: &storage})
	require.NoError(t, err)
	standard.MaxStorageBytes = storage
	require.Equal(t, standard, changed, "what is not named stays")
	soon(t, func() bool { return c.LimitsOf(globex.ID) == standard })

	none, users := 0, int64(3)
	_, isNew, err = d.Manager.SetPlan(ctx, "trial", tenancy.PlanChange{RequestsPerSecond: &none, MaxUsers: &users})
	require.NoError(t, err)
	require.False(t, isNew)
	soon(t, func() bool {
		return c.LimitsOf(acme.ID) == tenancy.Limits{Plan: "trial", StatementTimeout: timeout, MaxUsers: 3}
	})
	require.Equal(t, standard, c.Limits("nobody's"), "a plan that is not known yet is no way around limits")
}

func TestPlans_Refused(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	d.Tenant("acme")
	_, err := d.Manager.SetTenantPlan(ctx, "acme", "gold")
	require.Equal(t, apperr.NotFound, apperr.CodeOf(err))
	require.ErrorContains(t, err, "enterprise, free, standard")
	_, err = d.Manager.SetTenantPlan(ctx, "nobody", "free")
	require.Equal(t, apperr.NotFound, apperr.CodeOf(err))
	for _, name := range []string{"", "-", "Gold", "a b", "plan_x", "a-", string(make([]byte, 33))} {
		_, _, err = d.Manager.SetPlan(ctx, name, tenancy.PlanChange{})
		require.Equal(t, apperr.Invalid, apperr.CodeOf(err), "%q", name)
	}
	minus, long, burst := -1, 25*time.Hour, 5
	for _, change := range []tenancy.PlanChange{
		{Concurrency: &minus}, {RequestsPerSecond: &minus}, {StatementTimeout: &long}, {RequestBurst: &burst},
	} {
		_, _, err = d.Manager.SetPlan(ctx, "new", change)
		require.Equal(t, apperr.Invalid, apperr.CodeOf(err))
	}
	plans, err := d.Manager.Plans(ctx)
	require.NoError(t, err)
	require.Len(t, plans, 3, "what was refused left nothing")
	_, err = d.Owner.Exec(ctx, "update rowhouse.tenants set plan = 'gold'")
	require.ErrorContains(t, err, "tenants_plan_fkey")
}
