package tenantschema_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// subject makes a tenant and gives it with its tables.
func subject(t *testing.T, d *pgtest.DB, slug string, tier tenantschema.Tier) tenantschema.Subject {
	t.Helper()
	made, _, err := d.Manager.Create(t.Context(), tenancy.NewTenant{Slug: slug, Tier: string(tier)})
	require.NoError(t, err)
	found, err := tenantschema.Relations(t.Context(), d.Owner, []tenantschema.Name{made.Schema})
	require.NoError(t, err)
	require.Greater(t, len(found[made.Schema]), 10)
	return tenantschema.Subject{Tenant: made.Engine(), Relations: found[made.Schema]}
}

// What is refused depends on the tiers of the two, and the rows of the victim are as they were, whatever was reached.
func TestProbe_Tiers(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	tenants := make(map[tenantschema.Tier][2]tenantschema.Subject)
	for _, tier := range tenancy.Tiers() {
		tenants[tier] = [2]tenantschema.Subject{subject(t, d, string(tier)+"-1", tier), subject(t, d, string(tier)+"-2", tier)}
		victim := d.Engine.Tenant(tenants[tier][1].Tenant)
		_, err := victim.Exec(ctx, "insert into labels (id, name) values (gen_random_uuid(), 'mine')")
		require.NoError(t, err)
	}
	for from, attackers := range tenants {
		for into, victims := range tenants {
			victim := victims[1]
			result, err := d.Engine.Probe(ctx, attackers[0], victim)
			require.NoError(t, err)
			require.Greater(t, result.Tried, 130)
			require.False(t, result.Gone)
			require.Zero(t, result.Undecided, "%s into %s", from, into)
			require.Equal(t, result.Tried, result.Refused+result.Undecided+len(result.Open), "%s into %s", from, into)
			for _, a := range result.Open {
				require.True(t, a.ByDesign, "%s into %s: %+v", from, into, a)
			}
			if into == tenantschema.TierPooled && from != tenantschema.TierDedicated {
				require.Len(t, result.Open, 8*(len(victim.Relations)-1), "all tables but goose's, in each of eight ways")
				var all []string
				for _, a := range result.Open {
					all = append(all, strings.Join(a.Statements, "; "))
				}
				require.Contains(t, strings.Join(all, "\n"), `delete from "`+victim.Tenant.Schema.String()+`"."labels"`)
			} else {
				require.Empty(t, result.Open)
			}
		}
	}
	for _, victims := range tenants {
		var labels int
		require.NoError(t, d.Engine.Tenant(victims[1].Tenant).QueryRow(ctx, "select count(*) from labels where name = 'mine'").Scan(&labels))
		require.Equal(t, 1, labels)
	}
	attacker := d.Engine.Tenant(tenants[tenantschema.TierSealed][0].Tenant)
	require.NoError(t, attacker.QueryRow(ctx, "select 1").Scan(new(int)), "the connections serve on")
}

// A hole that somebody made by hand is reached, by just the ways that it opens.
func TestProbe_Holes(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	acme, globex := subject(t, d, "acme", tenantschema.TierSealed), subject(t, d, "globex", tenantschema.TierSealed)
	_, err := d.Engine.Tenant(globex.Tenant).Exec(ctx, "insert into labels (id, name) values (gen_random_uuid(), 'mine')")
	require.NoError(t, err)
	schema := globex.Tenant.Schema.Quote()
	for _, c := range []struct {
		name, make, undo string
		open             []string // parts of statements
	}{
		{
			"rights of everybody", "grant usage on schema %s to public; grant select, delete on %s.projects to public",
			"revoke usage on schema %s from public; revoke all on %s.projects from public",
			[]string{`lock table %s."projects"`}, // The seal still stands before the rows.
		},
		{
			"no policy", "drop policy seal on %s.labels", "create policy seal on %s.labels as restrictive using ((select seal.sealed('NAME')))",
			[]string{`insert into %s."labels"`, `delete from %s."labels"`, `update %s."labels"`, `select 1 from %s."labels"`, "xml"},
		},
		{
			"row level security off", "alter table %s.labels disable row level security", "alter table %s.labels enable row level security",
			[]string{`insert into %s."labels"`, `delete from %s."labels"`, `update %s."labels"`, `select 1 from %s."labels"`, "xml"},
		},
		{
			// Nobody may see the rows, but they are written without the seal.
			"a policy for reading alone", "drop policy seal on %s.labels; create policy seal on %s.labels as restrictive for select using ((select seal.sealed('NAME')))",
			"drop policy seal on %s.labels; create policy seal on %s.labels as restrictive using ((select seal.sealed('NAME')))",
			[]string{`insert into %s."labels"`},
		},
	} {
		fill := strings.NewReplacer("%s", schema, "NAME", globex.Tenant.Schema.String())
		_, err = d.Owner.Exec(ctx, fill.Replace(c.make))
		require.NoError(t, err)
		result, err := d.Engine.Probe(ctx, acme, globex)
		require.NoError(t, err)
		require.NotEmpty(t, result.Open, c.name)
		for _, part := range c.open {
			require.Condition(t, func() bool {
				for _, a := range result.Open {
					if !a.ByDesign && strings.Contains(a.Statements[len(a.Statements)-1], fill.Replace(part)) {
						return true
					}
				}
				return false
			}, "%s: %s is not among %+v", c.name, part, result.Open)
		}
		_, err = d.Owner.Exec(ctx, fill.Replace(c.undo))
		require.NoError(t, err)
		result, err = d.Engine.Probe(ctx, acme, globex)
		require.NoError(t, err)
		require.Empty(t, result.Open, c.name)
	}
	var labels int
	require.NoError(t, d.Engine.Tenant(globex.Tenant).QueryRow(ctx, "select count(*) from labels").Scan(&labels))
	require.Equal(t, 1, labels)
}

// A probe that could prove nothing fails.
func TestProbe_Fails(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	acme, globex := subject(t, d, "acme", tenantschema.TierSealed), subject(t, d, "globex", tenantschema.TierSealed)
	_, err := d.Engine.Probe(ctx, acme, acme)
	require.Error(t, err)
	_, err = d.Engine.Probe(ctx, acme, tenantschema.Subject{Tenant: globex.Tenant})
	require.ErrorIs(t, err, tenantschema.ErrNoSchema)
	_, err = d.Owner.Exec(ctx, "revoke usage on schema "+acme.Tenant.Schema.Quote()+" from "+acme.Tenant.Schema.Quote())
	require.NoError(t, err)
	_, err = d.Engine.Probe(ctx, acme, globex)
	require.ErrorContains(t, err, "even in its own schema")

	_, err = d.Manager.Delete(ctx, "acme")
	require.NoError(t, err)
	result, err := d.Engine.Probe(ctx, globex, acme)
	require.NoError(t, err)
	require.True(t, result.Gone)
	require.Empty(t, result.Open)
}
