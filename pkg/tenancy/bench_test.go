package tenancy_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

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
