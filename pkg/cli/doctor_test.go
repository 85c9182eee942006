package cli_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
)

// What is left behind is found, mended, and then gone.
func TestDoctor(t *testing.T) {
	t.Parallel()
	d := pgtest.NewWith(t, pgtest.Options{Server: pgtest.OwnServer(t)}) // All its roles are ours.
	h := onDatabase(t, d)
	h.must("tenant", "create", "acme")
	h.must("doctor")
	_, err := d.Owner.Exec(t.Context(), "create schema t_aaaaaaaaaaaaaaaa; update rowhouse.tenants set schema_version = 1")
	require.NoError(t, err)
	r := h.run("doctor")
	require.Equal(t, 5, r.code)
	require.Contains(t, r.out, "t_aaaaaaaaaaaaaaaa")
	var report struct {
		Fixed, Left int
		Troubles    []struct{ Kind, Fix string }
	}
	h.json(&report, "doctor", "--fix")
	require.Equal(t, []int{2, 0}, []int{report.Fixed, report.Left})
	require.Equal(t, "orphan-schema", report.Troubles[0].Kind)
	h.must("doctor")
}
