package cli_test

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
)

func TestCLI_Schedules(t *testing.T) {
	t.Parallel()
	h := onDatabase(t, pgtest.New(t))
	var acme map[string]any
	h.json(&acme, "tenant", "create", "acme", "--time-zone", "Europe/Berlin")
	require.Equal(t, "Europe/Berlin", acme["time_zone"])
	require.Contains(t, h.must("tenant", "set-time-zone", "acme", "Asia/Kolkata"), "Asia/Kolkata")
	r := h.run("tenant", "set-time-zone", "acme", "Mars")
	require.Equal(t, 2, r.code)
	require.Contains(t, r.errOut, "Europe/Berlin")
	require.Equal(t, 2, h.run("tenant", "create", "globex", "--time-zone", "Mars").code)
	h.must("tenant", "create", "globex")
	require.Contains(t, h.run("jobs", "schedule", "list").errOut, "a process that works jobs")

	worker := h.start("work")
	const name = "jobs.forget_effects"
	type line struct {
		Name     string     `json:"name"`
		Tenant   string     `json:"tenant"`
		Cron     string     `json:"cron"`
		TimeZone string     `json:"time_zone"`
		Enabled  bool       `json:"enabled"`
		NextAt   *time.Time `json:"next_at"`
		LastAt   *time.Time `json:"last_at"`
		Tenants  int        `json:"tenants"`
	}
	list := func(args ...string) (lines []line) {
		h.json(&lines, append([]string{"jobs", "schedule", "list"}, args...)...)
		return slices.DeleteFunc(lines, func(l line) bool { return l.Name != name })
	}
	soon(t, func() bool { all := list(); return len(all) == 1 && all[0].Tenants == 2 && all[0].NextAt != nil }, "the worker declares it")
	require.Equal(t, "Asia/Kolkata", list("--tenant", "acme")[0].TimeZone)
	require.Contains(t, h.must("jobs", "schedule", "list"), "2 tenants")

	h.must("jobs", "schedule", "set", name, "--tenant", "acme", "--cron", "0 5 * * *", "--time-zone", "UTC")
	of := list("--tenant", "acme")[0]
	require.Equal(t, "0 5 * * *", of.Cron)
	require.Equal(t, "UTC", of.TimeZone)
	h.must("jobs", "schedule", "set", name, "--disable")
	require.False(t, list("--tenant", "globex")[0].Enabled)
	require.False(t, list("--tenant", "acme")[0].Enabled)
	h.must("jobs", "schedule", "set", name, "--tenant", "acme", "--enable")
	require.True(t, list("--tenant", "acme")[0].Enabled)
	h.must("jobs", "schedule", "reset", name)
	h.must("jobs", "schedule", "reset", name, "--tenant", "acme")
	require.True(t, list("--tenant", "globex")[0].Enabled)
	require.Equal(t, "Asia/Kolkata", list("--tenant", "acme")[0].TimeZone)

	h.must("jobs", "schedule", "run", name, "--tenant", "acme")
	soon(t, func() bool { return list("--tenant", "acme")[0].LastAt != nil }, "it comes now")
	require.Nil(t, list("--tenant", "globex")[0].LastAt, "for this tenant alone")
	worker.stop(syscall.SIGTERM)

	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{2, `the hour is "25"`, []string{"set", name, "--cron", "0 25 * * *"}},
		{2, "nothing to set", []string{"set", name}},
		{2, "one of --enable and --disable", []string{"set", name, "--enable", "--disable"}},
		{3, "there is no schedule", []string{"run", "nothing"}},
		{3, "there is no tenant", []string{"reset", name, "--tenant", "hooli"}},
	} {
		r := h.run(append([]string{"jobs", "schedule"}, c.args...)...)
		require.Equal(t, c.code, r.code, r.errOut)
		require.Contains(t, r.errOut, c.says)
	}
}
