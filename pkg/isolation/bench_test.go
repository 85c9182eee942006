package isolation_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/isolation"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// BenchmarkProveAll proves all of 20 tenants, or of as many as BENCH_TENANTS says: one in ten is pooled, one in a hundred dedicated, the
// others are sealed. With inspect-s the time of the inspection alone is told.
func BenchmarkProveAll(b *testing.B) {
	n := 20
	if s := os.Getenv("BENCH_TENANTS"); s != "" {
		var err error
		n, err = strconv.Atoi(s)
		require.NoError(b, err)
	}
	d := pgtest.New(b)
	for i := range n {
		tier := tenantschema.TierSealed
		switch {
		case i%100 == 1:
			tier = tenantschema.TierDedicated
		case i%10 == 0:
			tier = tenantschema.TierPooled
		}
		_, _, err := d.Manager.Create(b.Context(), tenancy.NewTenant{Slug: fmt.Sprintf("tenant-%d", i), Tier: string(tier)})
		require.NoError(b, err)
	}
	b.ResetTimer()
	var inspecting time.Duration
	for range b.N {
		r, err := isolation.Prove(b.Context(), config(d), nil)
		require.NoError(b, err)
		require.Zero(b, r.Counts.Breaches)
		require.Equal(b, n, r.Counts.Tenants)
		b.ReportMetric(float64(r.Counts.Attempts), "attempts")
		b.StopTimer()
		started := time.Now()
		_, err = d.Manager.Inspect(b.Context(), nil)
		require.NoError(b, err)
		inspecting += time.Since(started)
		b.StartTimer()
	}
	b.ReportMetric(inspecting.Seconds()/float64(b.N), "inspect-s")
}
