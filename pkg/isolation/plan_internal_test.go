package isolation

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// fleet makes tenants of cells, in the order of those; every nth of a cell is dedicated, if n is not 0.
func fleet(n int, cells ...int) (tenants []tenancy.Tenant) {
	for cell, size := range cells {
		for i := range size {
			t := tenancy.Tenant{ID: fmt.Sprintf("%d-%d", cell+1, i), Cell: cell + 1, Tier: tenantschema.TierSealed}
			if n > 0 && i%n == n-1 {
				t.Tier = tenantschema.TierDedicated
			}
			tenants = append(tenants, t)
		}
	}
	return tenants
}

// kind says which login serves a tenant.
func kind(t tenancy.Tenant) string {
	if t.Tier == tenantschema.TierDedicated {
		return "dedicated"
	}
	return fmt.Sprint(t.Cell)
}

// Each tenant attacks a neighbour, a stranger and a dedicated one, as far as there are any, and each is attacked.
func TestPlanAll(t *testing.T) {
	t.Parallel()
	for _, tenants := range [][]tenancy.Tenant{
		fleet(0, 2), fleet(0, 5), fleet(1, 4), fleet(3, 7), fleet(0, 1, 1), fleet(0, 1, 5), fleet(4, 20, 20, 1), fleet(2, 500, 500),
	} {
		of := map[string]int{}
		for _, one := range tenants {
			of[kind(one)]++
		}
		attacks, attacked := map[string]map[string]bool{}, map[string]int{}
		pairs := planAll(tenants)
		require.LessOrEqual(t, len(pairs), 4*len(tenants))
		seen := map[string]bool{}
		for _, p := range pairs {
			require.NotEqual(t, p.attacker.ID, p.victim.ID)
			name := p.attacker.ID + " " + p.victim.ID
			require.False(t, seen[name], "%s twice", name)
			seen[name] = true
			if attacks[p.attacker.ID] == nil {
				attacks[p.attacker.ID] = map[string]bool{}
			}
			attacks[p.attacker.ID][kind(p.victim)] = true
			attacked[p.victim.ID]++
		}
		for _, one := range tenants {
			require.Positive(t, attacked[one.ID], "nobody attacks %s", one.ID)
			if mine := kind(one); of[mine] > 1 {
				require.True(t, attacks[one.ID][mine], "%s attacks none of its kind", one.ID)
			}
			if of["dedicated"] > 1 {
				require.True(t, attacks[one.ID]["dedicated"], "%s attacks none that is dedicated", one.ID)
			}
			if len(of) > 1 {
				delete(attacks[one.ID], kind(one))
				require.NotEmpty(t, attacks[one.ID], "%s attacks only its kind", one.ID)
			}
		}
	}
}

// One tenant attacks all others, and some attack it.
func TestPlanOne(t *testing.T) {
	t.Parallel()
	tenants := fleet(4, 20, 20)
	for _, one := range []tenancy.Tenant{tenants[0], tenants[3], tenants[39]} {
		victims, attackers := map[string]bool{}, map[string]bool{}
		for _, p := range planOne(tenants, one) {
			if p.attacker.ID == one.ID {
				victims[p.victim.ID] = true
			} else {
				require.Equal(t, one.ID, p.victim.ID)
				attackers[kind(p.attacker)] = true
			}
		}
		require.Len(t, victims, len(tenants)-1)
		require.GreaterOrEqual(t, len(attackers), 2)
	}
}
