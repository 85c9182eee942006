package tenancy_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Logins that were there when the database was hardened, and those that are made later, serve their tenants, step out to the platform and
// back, and go.
func TestHardened_Logins(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.NewWith(t, pgtest.Options{CellSize: 2})
	create := func(slug string, tier tenantschema.Tier) tenancy.Tenant {
		tenant, _, err := d.Manager.Create(ctx, tenancy.NewTenant{Slug: slug, Tier: string(tier)})
		require.NoError(t, err)
		return tenant
	}
	tenants := []tenancy.Tenant{create("old-sealed", tenantschema.TierSealed), create("old-dedicated", tenantschema.TierDedicated)}
	d.Harden()
	tenants = append(tenants, create("new-cell", tenantschema.TierPooled), create("new-dedicated", tenantschema.TierDedicated))
	require.NotEqual(t, tenants[0].Cell, tenants[2].Cell)
	moved, err := d.Manager.SetTier(ctx, "old-sealed", tenantschema.TierDedicated, 0)
	require.NoError(t, err)
	tenants[0] = moved

	pooler, err := tenantschema.Open(d.EngineConfig(tenantschema.Config{Pooler: true, MaxConns: 2})) // Its way of entering is another.
	require.NoError(t, err)
	t.Cleanup(pooler.Close)
	for _, tenant := range tenants {
		for _, engine := range []*tenantschema.DB{d.Engine, pooler} {
			const who = "select current_user::text"
			var outside, inside string
			require.NoError(t, engine.Tenant(tenant.Engine()).InTx(ctx, func(tx *tenantschema.Tx) error {
				if err := tx.AsPlatform().QueryRow(ctx, who).Scan(&outside); err != nil {
					return err
				}
				return tx.QueryRow(ctx, who).Scan(&inside)
			}), tenant.Slug)
			require.Equal(t, d.Logins.Enqueuer(), outside)
			require.Equal(t, tenant.Schema.String(), inside)
			_, err = engine.Tenant(tenant.Engine()).Exec(ctx, "select pg_notify('a', 'b')")
			require.ErrorContains(t, err, "42501")
		}
		back, err := d.Manager.SetTier(ctx, tenant.Slug, tenantschema.TierSealed, 0) // Which drops a login that was dedicated.
		require.NoError(t, err, tenant.Slug)
		_, err = d.Engine.Tenant(back.Engine()).Exec(ctx, "select 1")
		require.NoError(t, err)
		_, err = d.Manager.Delete(ctx, tenant.Slug)
		require.NoError(t, err)
	}
}
