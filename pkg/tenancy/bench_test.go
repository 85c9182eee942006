package tenancy_test

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/migrations"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

// BenchmarkDrift compares the product's schema in 200 tenants. "ms/tenant" is the time of the whole by the number of tenants, connecting
// and the reference included.
func BenchmarkDrift(b *testing.B) {
	ctx := b.Context()
	d := pgtest.New(b)
	var fleet []tenancy.NewTenant
	for i := range 200 {
		fleet = append(fleet, tenancy.NewTenant{Slug: fmt.Sprintf("tenant-%d", i)})
	}
	require.NoError(b, d.Manager.CreateAll(ctx, fleet, 2, func(tenancy.Creation) {}))
	tenants, err := d.Manager.Comparable(ctx, nil)
	require.NoError(b, err)
	for _, workers := range []int{1, 2, 4} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			for b.Loop() {
				require.NoError(b, d.Manager.Drift(ctx, tenants, workers, func(tenancy.DriftResult) {}))
			}
			b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N*len(tenants)), "ms/tenant")
		})
	}
}

// BenchmarkCreate makes tenants in three ways that take turns: "claim" takes one made ahead, "create" makes all of one over a connection that
// is kept, and "raw" sends the same files' SQL in one round trip and one transaction, without role, grants, seal or anybody who remembers what
// was applied. "x-raw" are ratios to that.
func BenchmarkCreate(b *testing.B) {
	ctx := b.Context()
	d := pgtest.New(b)
	creator, keeper := d.Manager.Creator(), d.Manager
	defer creator.Close()
	cfg, err := d.Logins.Owner()
	require.NoError(b, err)
	conn, err := pgx.ConnectConfig(ctx, cfg)
	require.NoError(b, err)
	b.Cleanup(func() { _ = conn.Close(ctx) })
	files := upSQL(b)
	n := 0
	ways := []struct {
		name string
		make func() error
	}{
		{"raw", func() error {
			schema := fmt.Sprintf("raw_%d", n)
			_, err := conn.Exec(ctx, "begin; create schema "+schema+"; set local search_path = "+schema+";\n"+files+"; commit")
			return err
		}},
		{"create", func() error {
			_, _, err := creator.Create(ctx, tenancy.NewTenant{Slug: fmt.Sprintf("full-%d", n)})
			return err
		}},
		{"claim", func() error {
			_, found, err := d.Manager.Claim(ctx, tenancy.NewTenant{Slug: fmt.Sprintf("claim-%d", n)})
			if err == nil && !found {
				err = fmt.Errorf("none is ready for claim-%d", n)
			}
			return err
		}},
	}
	spent := make([]time.Duration, len(ways))
	for b.Loop() {
		n++
		for w, way := range ways {
			if way.name == "claim" {
				fill(b, keeper, 1)
			}
			started := time.Now()
			if err := way.make(); err != nil {
				b.Fatal(err)
			}
			spent[w] += time.Since(started)
		}
	}
	for w, way := range ways {
		b.ReportMetric(spent[w].Seconds()*1000/float64(n), way.name+"-ms")
		if w > 0 {
			b.ReportMetric(float64(spent[w])/float64(spent[0]), way.name+"-x-raw")
		}
	}
}

// upSQL gives the tenants' files without goose's marks, and without what takes them back.
func upSQL(tb testing.TB) string {
	tb.Helper()
	names, err := fs.Glob(migrations.Tenant(), "*.sql")
	require.NoError(tb, err)
	var all strings.Builder
	for _, name := range names {
		text, err := fs.ReadFile(migrations.Tenant(), name)
		require.NoError(tb, err)
		up, _, _ := strings.Cut(string(text), "-- +goose Down")
		all.WriteString(up + "\n")
	}
	return all.String()
}
