package cli_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
)

// All that the platform does, it does on a hardened database as well: what was there before, and what is made afterwards.
func TestHarden(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	h := onDatabase(t, d)
	h.must("tenant", "create", "before")
	require.Contains(t, h.must("harden"), "set_config")
	require.Equal(t, h.must("harden"), h.must("harden", "--print"))
	require.Equal(t, 2, h.run("harden", "--print", "--apply").code)
	r := h.run("harden", "--apply")
	require.Equal(t, 2, r.code)
	require.Contains(t, r.errOut, "ROWHOUSE_HARDEN_URL")
	hardening := newHouse(t, append(h.env, "ROWHOUSE_HARDEN_URL="+d.OwnerURL)...)
	require.Equal(t, 5, hardening.run("harden", "--apply").code)
	may := func() (may bool) {
		require.NoError(t, d.Owner.QueryRow(t.Context(), "select has_function_privilege('public', 'set_config(text, text, boolean)', 'execute')").Scan(&may))
		return may
	}
	require.True(t, may(), "nothing is changed yet")
	hardening.env[len(hardening.env)-1] = "ROWHOUSE_HARDEN_URL=" + d.AdminURL
	for range 2 {
		hardening.must("harden", "--apply")
		require.False(t, may())
	}

	h.must("migrate", "up")
	server, worker := h.start("serve"), h.start("work")
	h.must("tenant", "create", "after", "--tier", "dedicated")
	for _, slug := range []string{"before", "after"} {
		host, token := slug+".localhost", strings.TrimSpace(h.must("key", "create", slug, "--name", "test", "--token-only"))
		var project struct {
			ID string `json:"id"`
		}
		soon(t, func() bool {
			code, body := server.call(http.MethodPost, host, "/api/v1/projects", token, `{"name": "made"}`)
			return code == http.StatusCreated && json.Unmarshal([]byte(body), &project) == nil
		}, "the tenant works")
		code, body := server.call(http.MethodPost, host, "/api/v1/tasks", token, fmt.Sprintf(`{"project_id": %q, "title": "task"}`, project.ID))
		require.Equal(t, http.StatusCreated, code, body)
		soon(t, func() bool { // The job that fills the feed was enqueued and worked.
			_, body := server.call(http.MethodGet, host, "/api/v1/activity", token, "")
			return strings.Contains(body, "task.created")
		}, "the job is worked")
		h.must("isolation", "prove", slug)
		h.must("tenant", "suspend", slug)
		h.must("tenant", "resume", slug)
	}
	h.must("migrate", "status")
	h.must("tenant", "delete", "after", "--confirm", "after")
	server.stop(syscall.SIGTERM)
	worker.stop(syscall.SIGTERM)
	require.NotContains(t, server.errOut.String()+worker.errOut.String(), "permission denied")
}
