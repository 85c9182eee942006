package cli_test

import (
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

// metrics gives what a process shows on its admin address.
func (p *process) metrics() string {
	p.t.Helper()
	response, err := http.Get("http://" + p.admin + "/metrics")
	require.NoError(p.t, err)
	defer response.Body.Close() //nolint:errcheck // Read to its end.
	text, err := io.ReadAll(response.Body)
	require.NoError(p.t, err)
	return string(text)
}

// A provisioner keeps tenants ready, `tenant create` takes one, and its place is filled again.
func TestProvision(t *testing.T) {
	t.Parallel()
	h := onDatabase(t, pgtest.New(t))
	h.env = append(h.env, "ROWHOUSE_PROVISIONING_WARM=2")
	p := h.start("provision")
	shows := func(lines ...string) {
		t.Helper()
		soon(t, func() bool {
			text := p.metrics()
			for _, line := range lines {
				if !strings.Contains(text, line+"\n") {
					return false
				}
			}
			return true
		}, strings.Join(lines, ", "))
	}
	shows(`rowhouse_warm_tenants{state="ready"} 2`, "rowhouse_warm_claims_total 0")
	require.Contains(t, h.run("tenant", "list").errOut, "there are none")
	var acme map[string]any
	h.json(&acme, "tenant", "create", "acme")
	require.Equal(t, "ready", acme["state"])
	require.Equal(t, true, acme["created"])
	shows(`rowhouse_warm_tenants{state="ready"} 2`, "rowhouse_warm_claims_total 1", "rowhouse_warm_misses_total 0",
		`rowhouse_warm_refill_duration_seconds_count{outcome="ok"} 3`)
	h.must("isolation", "prove", "--all")
	require.NotContains(t, h.must("tenant", "list"), "warm")
	require.Equal(t, 2, strings.Count(h.must("tenant", "list", "--state", "warm"), " warm "))
	p.stop(syscall.SIGTERM)
}

// Who holds no owner's credentials has tenants made by a job. Another name for a slug that is taken ends the job, and the tenant is as it was.
func TestProvision_ByJob(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	h := onDatabase(t, d)
	client, err := jobqueue.New(jobqueue.Config{})
	require.NoError(t, err)
	enqueue := func(args tenancy.CreateTenant) (receipt job.Receipt) {
		require.NoError(t, args.Check())
		require.NoError(t, pgx.BeginFunc(t.Context(), d.Control, func(tx pgx.Tx) (err error) {
			receipt, err = client.EnqueuePlatform(t.Context(), tx, args, job.Opts{})
			return err
		}))
		return receipt
	}
	state := func(r job.Receipt) (state string) {
		require.NoError(t, d.Control.QueryRow(t.Context(), "select state from river.river_job where id = $1", r.ID).Scan(&state))
		return state
	}
	first := enqueue(tenancy.CreateTenant{Slug: "acme", Name: "Acme"})
	require.True(t, enqueue(tenancy.CreateTenant{Slug: "acme", Name: "Acme"}).Duplicate)

	work := h.start("work") // It holds no owner's credentials, and leaves the job alone.
	p := h.start("provision")
	soon(t, func() bool { return state(first) == "completed" }, "acme is made")
	require.Equal(t, "ready", string(d.Tenant("acme").State))

	taken := enqueue(tenancy.CreateTenant{Slug: "acme", Name: "Another"})
	again := enqueue(tenancy.CreateTenant{Slug: "globex", Name: "Globex"})
	soon(t, func() bool { return state(taken) == "cancelled" && state(again) == "completed" }, "each has its end")
	require.Equal(t, "Acme", d.Tenant("acme").Name)
	p.stop(syscall.SIGTERM)
	work.stop(syscall.SIGTERM)
}

// `up` makes tenants ahead by itself.
func TestUp_KeepsTenantsReady(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	h := onDatabase(t, d)
	h.env = append(h.env, "ROWHOUSE_PROVISIONING_WARM=1")
	p := h.start("up", "--no-demo")
	soon(t, func() bool { return strings.Contains(p.metrics(), `rowhouse_warm_tenants{state="ready"} 1`) }, "one is ready")
	h.must("tenant", "create", "acme")
	soon(t, func() bool { return strings.Contains(p.metrics(), "rowhouse_warm_claims_total 1\n") }, "it is claimed")
	p.stop(syscall.SIGTERM)
}
