package tenantschema_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// BenchmarkScope holds a scope's single statement against the bare prepared statement on a connection whose path was set once, turn by
// turn, on one connection each and one tenant. "x-bare" is the ratio of their times: 1 would be free.
func BenchmarkScope(b *testing.B) {
	ctx := b.Context()
	d := pgtest.New(b)
	t := d.Tenant("acme").Engine()
	db, err := tenantschema.Open(d.EngineConfig(tenantschema.Config{MaxConns: 1}))
	require.NoError(b, err)
	b.Cleanup(db.Close)
	scope := db.Tenant(t)
	cfg, err := d.Logins.As(d.Logins.Cell(1))
	require.NoError(b, err)
	cfg.RuntimeParams["search_path"] = t.Schema.String()
	cfg.RuntimeParams["role"] = t.Schema.String()
	conn, err := pgx.ConnectConfig(ctx, cfg)
	require.NoError(b, err)
	b.Cleanup(func() { _ = conn.Close(ctx) })

	const sql = "select count(*) from projects where name = $1"
	var n int
	bare := func() error { return conn.QueryRow(ctx, sql, "x").Scan(&n) }
	scoped := func() error { return scope.QueryRow(ctx, sql, "x").Scan(&n) }
	inTx := func() error {
		return scope.InTx(ctx, func(tx *tenantschema.Tx) error { return tx.QueryRow(ctx, sql, "x").Scan(&n) })
	}
	for name, fn := range map[string]func() error{"QueryRow": scoped, "InTx": inTx} {
		b.Run(name, func(b *testing.B) {
			require.NoError(b, bare())
			require.NoError(b, fn())
			var base, own time.Duration
			b.ReportAllocs()
			for b.Loop() {
				started := time.Now()
				if err := bare(); err != nil {
					b.Fatal(err)
				}
				between := time.Now()
				if err := fn(); err != nil {
					b.Fatal(err)
				}
				base, own = base+between.Sub(started), own+time.Since(between)
			}
			b.ReportMetric(float64(own)/float64(base), "x-bare")
		})
	}
}

// BenchmarkTenants asks one tenant after another, on one connection that knows them all. "x-one" are ratios to a prepared statement that
// always asks the same schema; the ways take turns. "schemas" is PostgreSQL's own share: statements that name their schema, prepared by a
// connection that changes neither role nor path, so that whatever it is slower by comes of the many tables, their descriptions and plans.
func BenchmarkTenants(b *testing.B) {
	ctx := b.Context()
	d := pgtest.New(b)
	db, err := tenantschema.Open(d.EngineConfig(tenantschema.Config{MaxConns: 1, MaxStatements: 1000, MaxRelations: 10_000}))
	require.NoError(b, err)
	b.Cleanup(db.Close)
	cfg, err := d.Logins.Owner()
	require.NoError(b, err)
	conn, err := pgx.ConnectConfig(ctx, cfg)
	require.NoError(b, err)
	b.Cleanup(func() { _ = conn.Close(ctx) })

	const most = 200
	scopes := make(map[tenantschema.Tier][]tenantschema.Scope)
	names := make([]string, most)
	creator := d.Manager.Creator()
	defer creator.Close()
	for _, tier := range []tenantschema.Tier{tenantschema.TierPooled, tenantschema.TierSealed} {
		for i := range most {
			t, _, err := creator.Create(ctx, tenancy.NewTenant{Slug: fmt.Sprintf("%s-%d", tier, i), Tier: string(tier)})
			require.NoError(b, err)
			scopes[tier] = append(scopes[tier], db.Tenant(t.Engine()))
			if tier == tenantschema.TierPooled {
				names[i] = fmt.Sprintf("s%d", i)
				_, err = conn.Prepare(ctx, names[i], fmt.Sprintf("select count(*) from %s.projects where name = $1", t.Schema.Quote()))
				require.NoError(b, err)
			}
		}
	}
	var found int
	bare := func(i int) error { return conn.QueryRow(ctx, names[i], "x").Scan(&found) }
	scoped := func(tier tenantschema.Tier) func(int) error {
		return func(i int) error {
			return scopes[tier][i].QueryRow(ctx, "select count(*) from projects where name = $1", "x").Scan(&found)
		}
	}
	ways := []struct {
		name string
		ask  func(i int) error
	}{
		{"one", func(int) error { return bare(0) }}, {"schemas", bare},
		{"pooled", scoped(tenantschema.TierPooled)}, {"sealed", scoped(tenantschema.TierSealed)},
	}
	for _, n := range []int{1, 20, most} {
		b.Run(fmt.Sprintf("tenants=%d", n), func(b *testing.B) {
			for range 7 { // PostgreSQL plans the first five executions anew.
				for i := range n {
					for _, way := range ways {
						require.NoError(b, way.ask(i))
					}
				}
			}
			spent := make([]time.Duration, len(ways))
			for b.Loop() { // All tenants, in each way.
				for w, way := range ways {
					started := time.Now()
					for i := range n {
						if err := way.ask(i); err != nil {
							b.Fatal(err)
						}
					}
					spent[w] += time.Since(started)
				}
			}
			for w, way := range ways[1:] {
				b.ReportMetric(float64(spent[w+1])/float64(spent[0]), way.name+"-x-one")
			}
		})
	}
}
