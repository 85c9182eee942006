package tenancy_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

// BenchmarkFleetOfMany looks over 10,000 tenants of the catalog alone. "queries" is what it asks the database where nobody is behind, and
// "nothing-ms" how long that takes. "heap-MB" is the most memory that the heap has had when a run has written all of them down and read them
// again; their schemas are not there, so that it stops at the first.
func BenchmarkFleetOfMany(b *testing.B) {
	const tenants = 10_000
	ctx := b.Context()
	files := fstest.MapFS{"00001_a.sql": sqlFile("-- +goose Up\ncreate table a (id int constraint a_pkey primary key);\n")}
	d := pgtest.NewWith(b, pgtest.Options{TenantFiles: files})
	_, err := d.Owner.Exec(ctx, `insert into rowhouse.tenants (id, slug, name, state, schema_version)
		select translate(substr(md5(i::text), 1, 16), '0', 'z'), 't' || i, 'T', 'ready', 1 from generate_series(1, $1) i`, tenants)
	require.NoError(b, err)
	asked := &queries{}
	cfg, err := pgxpool.ParseConfig(d.OwnerURL)
	require.NoError(b, err)
	cfg.ConnConfig.Tracer = asked
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	require.NoError(b, err)
	b.Cleanup(pool.Close)
	owner := *d
	owner.Owner = pool
	m := manager(b, &owner, files)
	files["00002_b.sql"] = sqlFile("-- +goose Up\nalter table a add column x int;\n")
	behind := manager(b, d, files)
	var took time.Duration
	for b.Loop() {
		started := time.Now()
		run, err := m.StartRun(ctx, tenancy.RunOptions{}, func(tenancy.MigrationResult) {})
		took += time.Since(started)
		require.NoError(b, err)
		require.Zero(b, run.ID)
	}
	b.ReportMetric(float64(asked.Load())/float64(b.N), "queries")
	b.ReportMetric(took.Seconds()*1000/float64(b.N), "nothing-ms")
	peak := watchHeap(b)
	run, err := behind.StartRun(ctx, tenancy.RunOptions{Workers: 1}, func(tenancy.MigrationResult) {})
	require.ErrorContains(b, err, "9999 of 10000", "%+v", run)
	b.ReportMetric(float64(peak())/(1<<20), "heap-MB")
}

// queries counts what is sent.
type queries struct{ atomic.Int64 }

func (q *queries) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	q.Add(1)
	return ctx
}
func (q *queries) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
