package tenancy_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// BenchmarkFleetBeside asks 1,000 tenants, picked at random, 400 times a second for a row and a change of it, while a run brings them all by a
// new column forward, and turn by turn for as long while none does. "p50-x" and "p99-x" are what a request takes beside a run, by what it takes
// without, of all rounds together: with as many tenants a transaction as the run chooses (run), and with one (alone).
func BenchmarkFleetBeside(b *testing.B) {
	const tenants, rounds = 1000, 40
	ctx := b.Context()
	files := fstest.MapFS{"00001_a.sql": sqlFile("-- +goose Up\ncreate table a (id int constraint a_pkey primary key, n int not null default 0);\n" +
		"insert into a (id) values (1);\n")}
	d := pgtest.NewWith(b, pgtest.Options{TenantFiles: files})
	list := make([]tenancy.NewTenant, tenants)
	for i := range list {
		list[i] = tenancy.NewTenant{Slug: fmt.Sprintf("t%d", i)}
	}
	require.NoError(b, d.Manager.CreateAll(ctx, list, 4, func(tenancy.Creation) {}))
	for i := range rounds {
		files[fmt.Sprintf("%05d_b.sql", i+2)] = sqlFile(fmt.Sprintf("-- +goose Up\nalter table a add column x%d int;\n", i))
	}
	m := manager(b, d, files)
	all, err := m.List(ctx, tenancy.ListFilter{})
	require.NoError(b, err)
	scopes := make([]tenantschema.Scope, len(all))
	for i, t := range all {
		scopes[i] = d.Engine.Tenant(t.Engine())
		require.NoError(b, ask(ctx, scopes[i]))
	}
	target := int64(1)
	migrate := func(batch int) func() {
		return func() {
			target++
			_, err := m.StartRun(ctx, tenancy.RunOptions{Target: target, Batch: batch}, func(tenancy.MigrationResult) {})
			require.NoError(b, err)
		}
	}
	took := map[string][]time.Duration{}
	var last time.Duration
	ways := []struct {
		name string
		do   func()
	}{
		{"run", migrate(0)}, {"quiet", func() { <-time.After(last) }},
		{"alone", migrate(1)}, {"quiet", func() { <-time.After(last) }},
	}
	for b.Loop() {
		for _, way := range ways {
			started := time.Now()
			took[way.name] = append(took[way.name], beside(b, scopes, way.do)...)
			last = time.Since(started)
		}
	}
	for _, share := range []int{50, 99} {
		quiet := percentile(took["quiet"], share)
		b.ReportMetric(quiet.Seconds()*1000, fmt.Sprintf("quiet-p%d-ms", share))
		for _, name := range []string{"run", "alone"} {
			b.ReportMetric(float64(percentile(took[name], share))/float64(quiet), fmt.Sprintf("%s-p%d-x", name, share))
		}
	}
}

// beside asks tenants while do runs, and gives how long each took, the wait for a turn included: who is late is not let off.
func beside(b *testing.B, scopes []tenantschema.Scope, do func()) (took []time.Duration) {
	b.Helper()
	const every = 2500 * time.Microsecond
	ctx, stop := context.WithCancel(b.Context())
	var mu sync.Mutex
	var asking sync.WaitGroup
	asking.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			started := time.Now()
			asking.Go(func() {
				if err := ask(b.Context(), scopes[rand.IntN(len(scopes))]); err != nil {
					b.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				took = append(took, time.Since(started))
			})
		}
	})
	do()
	stop()
	asking.Wait()
	return took
}

func ask(ctx context.Context, scope tenantschema.Scope) error {
	var n int
	if err := scope.QueryRow(ctx, "select n from a where id = $1", 1).Scan(&n); err != nil {
		return err
	}
	_, err := scope.Exec(ctx, "update a set n = $2 where id = $1", 1, n+1)
	return err
}

func percentile(of []time.Duration, share int) time.Duration {
	return slices.Sorted(slices.Values(of))[(len(of)-1)*share/100]
}
