package cli_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
)

// load sends requests of two tenants all the time, until done is called, which gives how many there were. None may fail.
func load(t *testing.T, h *house, server *process) (done func() int64) {
	t.Helper()
	h.unlimited()
	var n atomic.Int64
	var wg sync.WaitGroup
	stop := make(chan struct{})
	end := sync.OnceFunc(func() { close(stop); wg.Wait() })
	t.Cleanup(end)
	for _, slug := range []string{"acme", "globex"} {
		h.must("tenant", "create", slug)
		token := strings.TrimSpace(h.must("key", "create", slug, "--name", "load", "--token-only"))
		host := slug + ".localhost"
		soon(t, func() bool {
			code, _ := server.call(http.MethodGet, host, "/api/v1/projects", token, "")
			return code == http.StatusOK
		}, "the tenant answers")
		for range 2 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					method, body, want := http.MethodGet, "", http.StatusOK
					if n.Add(1)%4 == 0 {
						method, body, want = http.MethodPost, `{"name": "load"}`, http.StatusCreated
					}
					if code, answer := server.call(method, host, "/api/v1/projects", token, body); code != want {
						t.Errorf("%s was answered %d: %s", host, code, answer)
						return
					}
				}
			})
		}
	}
	return func() int64 { end(); return n.Load() }
}

// A tenant changes its tier to and fro while a server answers its requests and those of its neighbour.
func TestServe_TierChangesUnderLoad(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	h := onDatabase(t, d)
	server := h.start("serve")
	done := load(t, h, server)
	for _, tier := range []string{"dedicated", "sealed", "pooled", "sealed"} {
		var acme map[string]any
		h.json(&acme, "tenant", "set-tier", "acme", tier, "--settle", "3s")
		require.Equal(t, tier, acme["tier"])
		require.Contains(t, h.must("tenant", "show", "acme"), tier)
		h.must("isolation", "prove", "acme")
	}
	require.Positive(t, done())
	var globex map[string]any
	h.json(&globex, "tenant", "show", "globex")
	require.Equal(t, "sealed", globex["tier"])
}

// The seal's key is rotated while a server answers. A second rotation right after it is refused, because that could cost requests.
func TestServe_SealRotatesUnderLoad(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	h := onDatabase(t, d)
	server := h.start("serve")
	done := load(t, h, server)
	var first, keys []struct{ ID, State string }
	h.json(&first, "secrets", "list")
	require.Len(t, first, 1)
	h.json(&keys, "secrets", "rotate")
	require.Len(t, keys, 2)
	require.Equal(t, "in force", keys[0].State)
	require.NotEqual(t, first[0].ID, keys[0].ID)
	require.Equal(t, first[0].ID, keys[1].ID)
	r := h.run("secrets", "rotate")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.errOut, "--now")
	require.Empty(t, r.out)
	h.must("isolation", "prove", "acme")
	require.Positive(t, done())

	out := h.must("secrets", "rotate", "--now")
	require.Contains(t, out, keys[0].ID)
	require.NotContains(t, out, first[0].ID, "it has ended")
	h.must("isolation", "prove", "acme")
}
