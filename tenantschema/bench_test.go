package tenantschema_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
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
