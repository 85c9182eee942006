package telemetry_test

import (
	"context"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/telemetry"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// counts are queries and statements.
type counts struct{ queries, statements int64 }

func countsOf(s *telemetry.DBStats) counts { return counts{s.Queries(), s.Statements()} }

// timedPool is a pool on a database of the test's own.
func timedPool(t *testing.T) *pgxpool.Pool {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(pgtest.Empty(t))
	require.NoError(t, err)
	cfg.ConnConfig.Tracer = telemetry.DBTimer{}
	cfg.MaxConns = 4
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func TestDBTimerCounts(t *testing.T) {
	t.Parallel()
	pool := timedPool(t)
	_, err := pool.Exec(t.Context(), `create table a (n int primary key)`)
	require.NoError(t, err)
	batch := func() *pgx.Batch {
		b := &pgx.Batch{}
		b.Queue(`select 1`)
		b.Queue(`select 2`)
		b.Queue(`select 3`)
		return b
	}
	for _, test := range []struct {
		name string
		work func(ctx context.Context, conn *pgx.Conn) error
		want counts
	}{
		{"nothing", func(context.Context, *pgx.Conn) error { return nil }, counts{0, 0}},
		{"exec", func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, `select 1`)
			return err
		}, counts{1, 1}},
		{"query that pgx prepares first", func(ctx context.Context, conn *pgx.Conn) error {
			var n int
			return conn.QueryRow(ctx, `select $1::int`, 1).Scan(&n)
		}, counts{2, 1}},
		{"query twice, prepared once", func(ctx context.Context, conn *pgx.Conn) error {
			for range 2 {
				if _, err := conn.Exec(ctx, `select $1::int + 1`, 1); err != nil {
					return err
				}
			}
			return nil
		}, counts{3, 2}},
		{"prepare", func(ctx context.Context, conn *pgx.Conn) error {
			for range 2 { // The second time nothing is sent.
				if _, err := conn.Prepare(ctx, "named", `select 1`); err != nil {
					return err
				}
			}
			return nil
		}, counts{1, 0}},
		{"batch", func(ctx context.Context, conn *pgx.Conn) error { return conn.SendBatch(ctx, batch()).Close() }, counts{1, 3}},
		{"transaction", func(ctx context.Context, conn *pgx.Conn) error {
			return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
				_, err := tx.Exec(ctx, `select 1`)
				return err
			})
		}, counts{3, 3}},
		{"copy, described first", func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.CopyFrom(ctx, pgx.Identifier{"a"}, []string{"n"}, pgx.CopyFromRows([][]any{{1}, {2}}))
			return err
		}, counts{2, 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			conn, err := pgx.ConnectConfig(t.Context(), pool.Config().ConnConfig)
			require.NoError(t, err)
			defer func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) }()
			ctx, stats := telemetry.WithDBStats(t.Context())
			require.NoError(t, test.work(ctx, conn))
			require.Equal(t, test.want, countsOf(stats))
			if test.want.queries == 0 {
				require.Zero(t, stats.Duration())
			} else {
				require.Positive(t, stats.Duration())
			}
		})
	}
	t.Run("errors count, and end once", func(t *testing.T) {
		t.Parallel()
		ctx, stats := telemetry.WithDBStats(t.Context())
		_, err := pool.Exec(ctx, `select 1/0`)
		require.Error(t, err)
		require.Equal(t, counts{1, 1}, countsOf(stats))
		b := batch()
		b.Queue(`select nonsense`)
		// pgx reports the end of a batch that could not be sent twice: when it fails and when it is closed.
		require.Error(t, pool.SendBatch(ctx, b).Close())
		require.Equal(t, counts{2, 5}, countsOf(stats))
	})
}

// TestDBTimerTimesUntilRowsAreClosed: what a query or batch took is added when its rows or results are closed, once.
func TestDBTimerTimesUntilRowsAreClosed(t *testing.T) {
	t.Parallel()
	pool := timedPool(t)
	ctx, stats := telemetry.WithDBStats(t.Context())
	rows, err := pool.Query(ctx, `select n from generate_series(1, 3) n`)
	require.NoError(t, err)
	for rows.Next() {
		require.Zero(t, stats.Duration(), "not before they are closed")
	}
	require.NoError(t, rows.Err())
	byQuery := stats.Duration()
	require.Positive(t, byQuery, "the last row closes them")
	rows.Close()
	require.Equal(t, byQuery, stats.Duration(), "only once")

	b := &pgx.Batch{}
	b.Queue(`select 1`)
	results := pool.SendBatch(ctx, b)
	_, err = results.Exec()
	require.NoError(t, err)
	require.Equal(t, byQuery, stats.Duration())
	require.NoError(t, results.Close())
	require.Greater(t, stats.Duration(), byQuery)
}

func TestDBTimerKeepsRequestsApart(t *testing.T) {
	t.Parallel()
	pool := timedPool(t)
	outer, all := telemetry.WithDBStats(t.Context())
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			ctx, own := telemetry.WithDBStats(t.Context())
			for range n {
				if _, err := pool.Exec(ctx, `select 1`); err != nil {
					t.Error(err)
				}
			}
			if got := own.Queries(); got != int64(n) {
				t.Errorf("%d queries, counted %d", n, got)
			}
			if _, err := pool.Exec(outer, `select 1`); err != nil {
				t.Error(err)
			}
			if _, err := pool.Exec(t.Context(), `select 1`); err != nil { // Nobody's.
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, counts{8, 8}, countsOf(all))
}

// A context for which nobody counts must cost nothing, because every statement of every pool passes here.
func TestDBTimerAllocatesNothingWithoutStats(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts those of all goroutines.
	require.Zero(t, testing.AllocsPerRun(100, func() { traceOnce(t.Context()) }))
}

// traceOnce is what pgx calls for one query.
func traceOnce(ctx context.Context) {
	var tracer telemetry.DBTimer
	ctx = tracer.TraceQueryStart(ctx, nil, pgx.TraceQueryStartData{})
	tracer.TraceQueryEnd(ctx, nil, pgx.TraceQueryEndData{})
}

func BenchmarkDBTimer(b *testing.B) {
	for name, ctx := range map[string]context.Context{
		"without stats": b.Context(),
		"with stats":    func() context.Context { ctx, _ := telemetry.WithDBStats(b.Context()); return ctx }(),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				traceOnce(ctx)
			}
		})
	}
}
