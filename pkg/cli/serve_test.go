package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
)

// Two servers that know nothing of each other obey what the CLI does to a tenant.
func TestServe_TwoServersObey(t *testing.T) {
	t.Parallel()
	h := onDatabase(t, pgtest.New(t))
	servers := []*process{h.start("serve"), h.start("serve")}
	answers := func(want int, host, token string) {
		t.Helper()
		for _, p := range servers {
			soon(t, func() bool {
				code, _ := p.call(http.MethodGet, host, "/api/v1/projects", token, "")
				return code == want
			},
				fmt.Sprintf("%s should answer %d", host, want))
		}
	}
	answers(404, "acme.localhost", "")
	h.must("tenant", "create", "acme")
	h.must("tenant", "create", "globex")
	answers(401, "acme.localhost", "")
	token := strings.TrimSpace(h.must("key", "create", "acme", "--name", "test", "--token-only"))
	answers(200, "acme.localhost", token)
	answers(401, "globex.localhost", token)
	h.must("tenant", "suspend", "acme", "--reason", "a secret of the operators")
	answers(403, "acme.localhost", token)
	_, body := servers[0].call(http.MethodGet, "acme.localhost", "/api/v1/projects", token, "")
	require.NotContains(t, body, "secret")
	answers(401, "globex.localhost", token)
	h.must("tenant", "resume", "acme")
	answers(200, "acme.localhost", token)
	h.must("tenant", "delete", "acme", "--confirm", "acme")
	answers(404, "acme.localhost", token)
	for _, p := range servers {
		code, _ := p.call(http.MethodGet, "acme.localhost", "/readyz", "", "")
		require.Equal(t, 404, code, "health is none of the public's business")
		p.stop(syscall.SIGTERM)
		require.NotContains(t, p.errOut.String(), token)
		require.NotContains(t, p.errOut.String(), "panic")
	}
}

// A server that is told to end under load answers every request that it accepted, and every job that was committed is worked once, by
// workers that are told to end, too.
func TestServe_EndsUnderLoad(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	h := onDatabase(t, d)
	h.unlimited()
	server, worker := h.start("serve"), h.start("work")
	tokens := map[string]string{}
	projects := map[string]string{}
	for _, slug := range []string{"acme", "globex"} {
		h.must("tenant", "create", slug)
		tokens[slug] = strings.TrimSpace(h.must("key", "create", slug, "--name", "load", "--token-only"))
		host := slug + ".localhost"
		soon(t, func() bool {
			code, _ := server.call(http.MethodGet, host, "/api/v1/projects", tokens[slug], "")
			return code == http.StatusOK
		}, "the tenant answers")
		code, body := server.call(http.MethodPost, host, "/api/v1/projects", tokens[slug], `{"name": "load"}`)
		require.Equal(t, http.StatusCreated, code, body)
		var project struct {
			ID string `json:"id"`
		}
		require.NoError(t, json.Unmarshal([]byte(body), &project))
		projects[slug] = project.ID
	}

	var wg sync.WaitGroup
	var created, cutOff atomic.Int64
	enough := make(chan struct{})
	for i := range 8 {
		slug := []string{"acme", "globex"}[i%2]
		wg.Go(func() {
			// Each has one connection, kept alive. A new one may find the door shut, at the latest in the kernel's queue of those that were
			// not accepted yet; one that was kept may not be cut. Had a request on a new one been accepted and not answered, there would
			// be more tasks than answers.
			client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}, Timeout: 30 * time.Second}
			defer client.CloseIdleConnections()
			for range 5000 { // Far more than there is time for.
				body := fmt.Sprintf(`{"project_id": %q, "title": "task"}`, projects[slug])
				kept := false
				ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
					GotConn: func(info httptrace.GotConnInfo) { kept = info.Reused },
				})
				request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+server.addr+"/api/v1/tasks", bytes.NewBufferString(body))
				if err != nil {
					cutOff.Add(1)
					return
				}
				// A body that cannot be sent again keeps net/http from trying a broken connection's request once more by itself.
				request.GetBody = nil
				request.Host = slug + ".localhost"
				request.Header.Set("Authorization", "Bearer "+tokens[slug])
				request.Header.Set("Content-Type", "application/json")
				response, err := client.Do(request)
				if err != nil {
					if kept {
						cutOff.Add(1)
						t.Errorf("cut off: %v", err)
					}
					return
				}
				_ = response.Body.Close() // Only the status is wanted.
				if response.StatusCode != http.StatusCreated {
					cutOff.Add(1)
					t.Errorf("answered %d", response.StatusCode)
					return
				}
				if created.Add(1) == 100 {
					close(enough)
				}
			}
		})
	}
	gone := make(chan struct{})
	go func() { wg.Wait(); close(gone) }()
	select {
	case <-enough:
	case <-gone:
		require.FailNow(t, "all clients gave up")
	}
	worker.stop(syscall.SIGTERM)
	server.stop(syscall.SIGTERM)
	wg.Wait()
	require.Zero(t, cutOff.Load())

	// What was answered is there, with a job each.
	count := func(table string) (n int64) {
		for _, slug := range []string{"acme", "globex"} {
			var one int64
			require.NoError(t, d.Scope(slug).QueryRow(t.Context(), "select count(*) from "+table).Scan(&one))
			n += one
		}
		return n
	}
	require.Equal(t, created.Load(), count("tasks"))
	h.start("work")
	soon(t, func() bool { return count("activity") >= created.Load() }, "the remaining jobs are worked")
	soon(t, func() bool {
		var open int
		err := d.Owner.QueryRow(t.Context(), "select count(*) from river.river_job where state <> 'completed'").Scan(&open)
		return err == nil && open == 0
	}, "no job is left open")
	require.Equal(t, created.Load(), count("activity"), "each once")
}

// A database that was not migrated is told apart from one that is not there.
func TestServe_NeedsMigrations(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	h := onDatabase(t, d)
	_, err := d.Owner.Exec(t.Context(), "delete from rowhouse.goose_db_version where version_id > 0")
	require.NoError(t, err)
	r := h.run("serve", "--addr", freeAddr(t), "--admin-addr", freeAddr(t))
	require.Equal(t, 1, r.code)
	require.Contains(t, r.errOut, "rowhouse migrate up")
}

// Neither a server nor a worker starts on credentials that can do more than it needs. What the owner can take away, migrating takes away.
func TestServe_RefusesRightsTooMany(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	prefix := d.RolePrefix()
	h := onDatabase(t, d)
	h.env = append(h.env, "ROWHOUSE_DATABASE_ROLE_PREFIX="+prefix)
	h.must("migrate", "up")
	cell := prefix + "_cell_01"
	admin, err := pgx.Connect(t.Context(), d.AdminURL)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, admin.Close(context.WithoutCancel(t.Context()))) })
	give := func(sql string) {
		t.Helper()
		_, err := admin.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	give("alter role " + cell + " createdb")
	give("grant update on rowhouse.tenants to " + prefix + "_control")
	for _, args := range [][]string{{"serve", "--addr", freeAddr(t), "--admin-addr", freeAddr(t)}, {"work", "--admin-addr", freeAddr(t)}} {
		r := h.run(args...)
		require.Equal(t, 5, r.code, r.errOut)
		require.Contains(t, r.errOut, cell+": may create databases: ALTER ROLE "+cell+" NOCREATEDB\n")
		require.Contains(t, r.errOut, prefix+"_control: has UPDATE on table rowhouse.tenants: REVOKE UPDATE ON TABLE rowhouse.tenants FROM "+prefix+"_control\n")
	}
	give("revoke update on rowhouse.tenants from " + prefix + "_control")
	give("alter role " + cell + " nocreatedb createrole")
	h.must("migrate", "up")
	h.start("serve").stop(syscall.SIGTERM)
}
