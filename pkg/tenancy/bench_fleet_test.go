package tenancy_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

// BenchmarkFleet brings 1,000 tenants by one migration, a new column, forward, turn by turn with what it is compared with: the same ALTER in
// each schema, a transaction each, by as many workers (raw). In between the migration is taken back, unmeasured. "x-raw" is the ratio of
// the medians. "nothing-ms" is a run that finds nothing to do, "peak-MB" the most memory that the heap has had.
func BenchmarkFleet(b *testing.B) {
	const tenants, workers = 1000, 4
	ctx := b.Context()
	files := fstest.MapFS{"00001_a.sql": sqlFile("-- +goose Up\ncreate table a (id int constraint a_pkey primary key);\n" +
		"create table b (id int constraint b_pkey primary key, a int constraint b_a_fkey references a);\n-- +goose Down\ndrop table b;\ndrop table a;\n")}
	d := pgtest.NewWith(b, pgtest.Options{TenantFiles: files})
	list := make([]tenancy.NewTenant, tenants)
	for i := range list {
		list[i] = tenancy.NewTenant{Slug: fmt.Sprintf("t%d", i)}
	}
	require.NoError(b, d.Manager.CreateAll(ctx, list, workers, func(tenancy.Creation) {}))
	files["00002_b.sql"] = sqlFile("-- +goose Up\nalter table a add column x int;\n-- +goose Down\nalter table a drop column x;\n")
	m := manager(b, d, files)
	all, err := m.List(ctx, tenancy.ListFilter{})
	require.NoError(b, err)
	run := func(opts tenancy.RunOptions) func() {
		return func() {
			opts.Workers = workers
			_, err := m.StartRun(ctx, opts, func(tenancy.MigrationResult) {})
			require.NoError(b, err)
		}
	}
	ways := []struct {
		name     string
		do, undo func()
		took     []time.Duration
	}{
		{name: "raw", do: func() { rawAlter(b, d, all, "alter table %s.a add column raw int", workers) },
			undo: func() { rawAlter(b, d, all, "alter table %s.a drop column raw", workers) }},
		{name: "run", do: run(tenancy.RunOptions{}), undo: run(tenancy.RunOptions{Down: true, Target: 1})},
		{name: "batch50", do: run(tenancy.RunOptions{Batch: 50}), undo: run(tenancy.RunOptions{Down: true, Target: 1})},
	}
	peak := watchHeap(b)
	for round := 0; b.Loop(); round++ {
		for i := range ways {
			way := &ways[(i+round)%len(ways)]
			started := time.Now()
			way.do()
			way.took = append(way.took, time.Since(started))
			way.undo()
		}
	}
	raw := middle(ways[0].took)
	for _, way := range ways {
		b.ReportMetric(middle(way.took).Seconds()*1000/tenants, way.name+"-ms/tenant")
		b.ReportMetric(float64(middle(way.took))/float64(raw), way.name+"-x-raw")
	}
	run(tenancy.RunOptions{})()
	started := time.Now()
	run(tenancy.RunOptions{})()
	b.ReportMetric(time.Since(started).Seconds()*1000, "nothing-ms")
	b.ReportMetric(float64(peak())/(1<<20), "peak-MB")
}

// rawAlter runs a statement in each schema.
func rawAlter(b *testing.B, d *pgtest.DB, all []tenancy.Tenant, sql string, workers int) {
	b.Helper()
	next := make(chan tenancy.Tenant)
	var group sync.WaitGroup
	for range workers {
		conn, err := pgx.Connect(b.Context(), d.OwnerURL)
		require.NoError(b, err)
		group.Go(func() {
			defer conn.Close(context.WithoutCancel(b.Context())) //nolint:errcheck // Everything is committed.
			for t := range next {
				if _, err := conn.PgConn().Exec(b.Context(), fmt.Sprintf(sql, t.Schema.Quote())).ReadAll(); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for _, t := range all {
		next <- t
	}
	close(next)
	group.Wait()
}

// watchHeap looks at the heap ten times a second; the function that it gives ends that, and says how large it has been.
func watchHeap(b *testing.B) func() uint64 {
	b.Helper()
	stop, peak := make(chan struct{}), make(chan uint64)
	go func() {
		var most uint64
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				peak <- most
				return
			case <-tick.C:
				var stats runtime.MemStats
				runtime.ReadMemStats(&stats)
				most = max(most, stats.HeapInuse)
			}
		}
	}()
	return func() uint64 {
		close(stop)
		return <-peak
	}
}

func middle(of []time.Duration) time.Duration { return slices.Sorted(slices.Values(of))[len(of)/2] }
