package isolation

import (
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// pair is one probe.
type pair struct{ attacker, victim tenancy.Tenant }

// planAll chooses who attacks whom when all are probed: not all pairs, whose number is the square, but for each tenant
//
//   - the next one of all, so that each is attacked at least once,
//   - the next one on the same login, where the role can be changed,
//   - one on the login of another cell,
//   - one that is dedicated.
//
// tenants are in the order of their cells.
func planAll(tenants []tenancy.Tenant) []pair {
	g := group(tenants)
	var pairs []pair
	for i := range tenants {
		pairs = append(pairs, g.around(i, true)...)
	}
	return pairs
}

// planOne lets one tenant attack all others, and be attacked by one of each kind.
func planOne(tenants []tenancy.Tenant, one tenancy.Tenant) []pair {
	g := group(tenants)
	var pairs []pair
	for i, t := range tenants {
		if t.ID == one.ID {
			pairs = append(pairs, g.around(i, false)...)
			continue
		}
		pairs = append(pairs, pair{one, t})
	}
	return pairs
}

// groups are tenants by the login that serves them.
type groups struct {
	tenants []tenancy.Tenant
	// byCell are the indices of those that are not dedicated; place is where in its cell's, or among the dedicated, each stands.
	byCell    map[int][]int
	cells     []int
	dedicated []int
	place     []int
}

func group(tenants []tenancy.Tenant) groups {
	g := groups{tenants: tenants, byCell: map[int][]int{}, place: make([]int, len(tenants))}
	for i, t := range tenants {
		if t.Tier == tenantschema.TierDedicated {
			g.place[i] = len(g.dedicated)
			g.dedicated = append(g.dedicated, i)
			continue
		}
		if len(g.byCell[t.Cell]) == 0 {
			g.cells = append(g.cells, t.Cell)
		}
		g.place[i] = len(g.byCell[t.Cell])
		g.byCell[t.Cell] = append(g.byCell[t.Cell], i)
	}
	return g
}

// around gives the pairs of the tenant at i with one of each kind, as their attacker or as their victim.
func (g groups) around(i int, attacks bool) []pair {
	t := g.tenants[i]
	others := []int{(i + 1) % len(g.tenants)}
	for at, cell := range g.cells {
		if mates := g.byCell[cell]; t.Tier != tenantschema.TierDedicated && cell == t.Cell {
			others = append(others, mates[(g.place[i]+1)%len(mates)])
			if next := g.cells[(at+1)%len(g.cells)]; next != cell {
				strangers := g.byCell[next]
				others = append(others, strangers[g.place[i]%len(strangers)])
			}
		}
	}
	if n := len(g.dedicated); n > 0 {
		others = append(others, g.dedicated[(g.place[i]+1)%n])
	}
	if t.Tier == tenantschema.TierDedicated && len(g.cells) > 0 {
		strangers := g.byCell[g.cells[g.place[i]%len(g.cells)]]
		others = append(others, strangers[g.place[i]%len(strangers)])
	}
	var pairs []pair
	seen := map[int]bool{i: true}
	for _, other := range others {
		if seen[other] {
			continue
		}
		seen[other] = true
		if attacks {
			pairs = append(pairs, pair{t, g.tenants[other]})
		} else {
			pairs = append(pairs, pair{g.tenants[other], t})
		}
	}
	return pairs
}
