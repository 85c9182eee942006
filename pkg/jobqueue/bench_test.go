package jobqueue_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// The figures of all benchmarks here are those of one run: plain River, in a schema of its own in the same database, takes turns with ours.
// Both have the same pool, number of workers and fetch intervals.
const benchWorkers = 40 // of the default queue

// chore is a job that takes as long as work says.
type chore struct{}

func (chore) Kind() string { return "chore" }

// plainChore is the same for plain River.
type plainChore struct {
	river.WorkerDefaults[chore]

	work func(context.Context) error
}

func (p *plainChore) Work(ctx context.Context, _ *river.Job[chore]) error { return p.work(ctx) }

// side is one of the two that are compared.
type side struct {
	name, schema string
	start        func(work func(context.Context) error) (stop func())
}

type benchBundle struct {
	*pgtest.DB

	sides   [2]side
	tenants []string // ids; the first is the noisy one
}

// newBench makes a catalog with tenants that have no schemas: these jobs do not look into them.
func newBench(b *testing.B, tenants int) *benchBundle {
	b.Helper()
	d := &benchBundle{DB: pgtest.NewWith(b, pgtest.Options{TenantFiles: effects()})}
	ctx := b.Context()
	rows, err := d.Owner.Query(ctx, `insert into rowhouse.tenants (id, slug, name, state, schema_version)
		select substr(md5(i::text), 1, 16), 'bench-' || i, 'bench', 'ready', 1 from generate_series(1, $1) i returning id`, tenants)
	require.NoError(b, err)
	d.tenants, err = pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(b, err)
	_, err = d.Owner.Exec(ctx, "create schema plain")
	require.NoError(b, err)
	migrator, err := rivermigrate.New(riverpgxv5.New(d.Owner), &rivermigrate.Config{Schema: "plain"})
	require.NoError(b, err)
	_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	require.NoError(b, err)
	pools := [2]*pgxpool.Pool{}
	for i, from := range []*pgxpool.Pool{d.Control, d.Owner} {
		cfg := from.Config()
		cfg.MaxConns = 8
		pools[i], err = pgxpool.NewWithConfig(ctx, cfg)
		require.NoError(b, err)
		b.Cleanup(pools[i].Close)
	}
	catalog := d.Catalog()
	d.sides = [2]side{
		{"rowhouse", "river", func(work func(context.Context) error) func() {
			w := jobqueue.NewWorkers()
			jobqueue.Handle(w, func(ctx context.Context, _ tenantschema.Scope, _ chore) error { return work(ctx) })
			c, err := jobqueue.New(jobqueue.Config{
				Workers: w, Pool: pools[0], DB: d.Engine, Tenants: catalog, Log: zap.NewNop(), MaxWorkers: 2 * benchWorkers,
			})
			require.NoError(b, err)
			require.NoError(b, c.Start(ctx))
			return func() { require.NoError(b, c.Stop(context.WithoutCancel(ctx))) }
		}},
		{"plain", "plain", func(work func(context.Context) error) func() {
			w := river.NewWorkers()
			river.AddWorker(w, &plainChore{work: work})
			queue := func(n int) river.QueueConfig { return river.QueueConfig{MaxWorkers: n} }
			c, err := river.NewClient(riverpgxv5.New(pools[1]), &river.Config{
				Schema: "plain", Workers: w, PollOnly: true, FetchPollInterval: 100 * time.Millisecond, FetchCooldown: 5 * time.Millisecond,
				Queues: map[string]river.QueueConfig{
					"default": queue(benchWorkers), "critical": queue(benchWorkers / 2), "bulk": queue(benchWorkers / 2),
				},
			})
			require.NoError(b, err)
			require.NoError(b, c.Start(ctx))
			return func() { require.NoError(b, c.Stop(context.WithoutCancel(ctx))) }
		}},
	}
	return d
}

// clear empties both queues.
func (d *benchBundle) clear(b *testing.B) {
	b.Helper()
	for _, sql := range []string{
		"truncate river.river_job", "truncate plain.river_job", "vacuum analyze river.river_job", "vacuum analyze plain.river_job",
	} {
		_, err := d.Owner.Exec(b.Context(), sql)
		require.NoError(b, err)
	}
}

// add enqueues n jobs of a tenant.
func (d *benchBundle) add(b *testing.B, s side, tenant, queue string, n int) {
	b.Helper()
	_, err := d.Owner.Exec(b.Context(), fmt.Sprintf(`insert into %s.river_job (args, kind, queue, max_attempts, metadata)
		select '{}', 'chore', $1, 25, jsonb_build_object('tenant', $2::text) from generate_series(1, $3)`, s.schema), queue, tenant, n)
	require.NoError(b, err)
}

// waits gives how long the jobs that where chooses waited, in milliseconds, in order.
func (d *benchBundle) waits(b *testing.B, s side, where string, args ...any) []float64 {
	b.Helper()
	rows, err := d.Owner.Query(b.Context(), fmt.Sprintf(`select extract(epoch from attempted_at - created_at)::float8 * 1000 from %s.river_job
		where attempted_at is not null and %s order by 1`, s.schema, where), args...)
	require.NoError(b, err)
	got, err := pgx.CollectRows(rows, pgx.RowTo[float64])
	require.NoError(b, err)
	require.NotEmpty(b, got)
	return got
}

func at(sorted []float64, share float64) float64 { return sorted[int(share*float64(len(sorted)-1))] }

func median(of []float64) float64 { slices.Sort(of); return at(of, 0.5) }

// until waits for a number to be reached.
func until(b *testing.B, n *atomic.Int64, want int64) {
	b.Helper()
	for deadline := time.Now().Add(5 * time.Minute); n.Load() < want; {
		if time.Now().After(deadline) {
			b.Fatalf("%d of %d jobs after five minutes", n.Load(), want)
		}
		<-time.After(time.Millisecond)
	}
}

// BenchmarkTurns floods the default queue with 50,000 jobs of one tenant, and then lets 200 others come by with 10 jobs each, one tenant every
// 20 ms. A job takes 5 ms, 40 run at once. Reported are the waits of the small tenants' jobs, and the throughput as a share of plain
// River's.
func BenchmarkTurns(b *testing.B) {
	const flood, small, each, takes = 50_000, 200, 10, 5 * time.Millisecond
	d := newBench(b, small+1)
	waits, rates := map[string][2][]float64{}, map[string][]float64{}
	for round := 0; b.Loop(); round++ {
		for i := range d.sides {
			s := d.sides[(i+round)%2]
			d.clear(b)
			d.add(b, s, d.tenants[0], "default", flood)
			var done atomic.Int64
			started := time.Now()
			stop := s.start(func(context.Context) error { <-time.After(takes); done.Add(1); return nil })
			tick := time.NewTicker(20 * time.Millisecond)
			for _, tenant := range d.tenants[1:] {
				<-tick.C
				d.add(b, s, tenant, "default", each)
			}
			tick.Stop()
			until(b, &done, flood+small*each)
			rates[s.name] = append(rates[s.name], float64(done.Load())/time.Since(started).Seconds())
			stop()
			got := d.waits(b, s, "metadata ->> 'tenant' <> $1", d.tenants[0])
			w := waits[s.name]
			w[0], w[1] = append(w[0], at(got, 0.5)), append(w[1], at(got, 0.95))
			waits[s.name] = w
		}
	}
	for name, w := range waits {
		b.ReportMetric(median(w[0]), name+"-p50-ms")
		b.ReportMetric(median(w[1]), name+"-p95-ms")
		b.ReportMetric(median(rates[name]), name+"-jobs/s")
	}
	b.ReportMetric(median(rates["rowhouse"])/median(rates["plain"]), "x-plain")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkNoop works 40,000 jobs that do nothing, of 200 tenants: what a scope and turns cost a job. Reported is the throughput as a share of
// plain River's.
func BenchmarkNoop(b *testing.B) {
	const tenants, each = 200, 200
	d := newBench(b, tenants)
	rates := map[string][]float64{}
	for round := 0; b.Loop(); round++ {
		for i := range d.sides {
			s := d.sides[(i+round)%2]
			d.clear(b)
			for _, tenant := range d.tenants {
				d.add(b, s, tenant, "default", each)
			}
			var done atomic.Int64
			started := time.Now()
			stop := s.start(func(context.Context) error { done.Add(1); return nil })
			until(b, &done, tenants*each)
			rates[s.name] = append(rates[s.name], float64(done.Load())/time.Since(started).Seconds())
			stop()
		}
	}
	for name, r := range rates {
		b.ReportMetric(median(r), name+"-jobs/s")
	}
	b.ReportMetric(median(rates["rowhouse"])/median(rates["plain"]), "x-plain")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkUrgency has a million jobs in the queue bulk, at 5 ms each, and enqueues a critical one every 10 ms. Reported is how long
// those wait, beside what they wait while bulk is empty.
func BenchmarkUrgency(b *testing.B) {
	const flood, critical = 1_000_000, 500
	d := newBench(b, 1)
	s := d.sides[0]
	run := func(bulk int) []float64 {
		d.clear(b)
		if bulk > 0 {
			d.add(b, s, d.tenants[0], "bulk", bulk)
		}
		stop := s.start(func(context.Context) error { <-time.After(5 * time.Millisecond); return nil })
		defer stop()
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for range critical {
			<-tick.C
			d.add(b, s, d.tenants[0], "critical", 1)
		}
		require.Eventually(b, func() bool {
			var waiting int
			require.NoError(b, d.Owner.QueryRow(b.Context(),
				"select count(*) from river.river_job where queue = 'critical' and attempted_at is null").Scan(&waiting))
			return waiting == 0
		}, patience, 10*time.Millisecond)
		return d.waits(b, s, "queue = 'critical'")
	}
	var calm, flooded []float64
	for b.Loop() {
		calm = append(calm, run(0)...)
		flooded = append(flooded, run(flood)...)
	}
	slices.Sort(calm)
	slices.Sort(flooded)
	for name, w := range map[string][]float64{"calm": calm, "flooded": flooded} {
		b.ReportMetric(at(w, 0.5), name+"-p50-ms")
		b.ReportMetric(at(w, 0.99), name+"-p99-ms")
		b.ReportMetric(at(w, 1), name+"-max-ms")
	}
	b.ReportMetric(0, "ns/op")
}
