package cli_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
)

// Through a PgBouncer in transaction mode it serves. Where a pooler would not be safe, it says what to do instead.
func TestPooler(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	h := onDatabase(t, d)
	h.must("tenant", "create", "acme")
	token := strings.TrimSpace(h.must("key", "create", "acme", "--name", "test", "--token-only"))

	t.Run("transaction mode serves", func(t *testing.T) {
		t.Parallel()
		pooled := onDatabase(t, d)
		pooled.env = append(pooled.env, "ROWHOUSE_DATABASE_POOLER_URL="+d.Pooler(pgtest.PoolerOptions{}))
		server := pooled.start("serve")
		code, body := server.call(http.MethodPost, "acme.localhost", "/api/v1/projects", token, `{"name": "through a pooler"}`)
		require.Equal(t, http.StatusCreated, code, body)
		code, body = server.call(http.MethodGet, "acme.localhost", "/api/v1/projects", token, "")
		require.Equal(t, http.StatusOK, code)
		require.Contains(t, body, "through a pooler")
	})
	for _, command := range []string{"serve", "work"} {
		t.Run(command+" refuses statement mode", func(t *testing.T) {
			t.Parallel()
			pooled := onDatabase(t, d)
			pooled.env = append(pooled.env, "ROWHOUSE_DATABASE_POOLER_URL="+d.Pooler(pgtest.PoolerOptions{Mode: "statement"}))
			args := []string{command, "--admin-addr", freeAddr(t)}
			if command == "serve" {
				args = append(args, "--addr", freeAddr(t))
			}
			r := pooled.run(args...)
			require.Equal(t, 5, r.code, r.errOut)
			require.Contains(t, r.errOut, "set its pool_mode to transaction")
		})
	}
	t.Run("a pooler that is not there", func(t *testing.T) {
		t.Parallel()
		pooled := onDatabase(t, d)
		pooled.env = append(pooled.env, "ROWHOUSE_DATABASE_POOLER_URL=postgres://"+freeAddr(t)+"/rowhouse")
		r := pooled.run("serve", "--addr", freeAddr(t), "--admin-addr", freeAddr(t))
		require.Equal(t, 1, r.code, r.errOut)
		require.Contains(t, r.errOut, "the pooler of database.pooler_url cannot be used as rowhousetest_cell_01")
	})
	t.Run("database.url through a pooler", func(t *testing.T) {
		t.Parallel()
		for _, mode := range []string{"transaction", "session"} {
			through := strings.TrimPrefix(d.Pooler(pgtest.PoolerOptions{Mode: mode, Ignore: []string{"search_path"}}), "postgres://")
			owner, _, _ := strings.Cut(strings.TrimPrefix(d.OwnerURL, "postgres://"), "@")
			pooled := onDatabase(t, d)
			pooled.env = append(pooled.env, "ROWHOUSE_DATABASE_URL=postgres://"+owner+"@"+through)
			for _, args := range [][]string{
				{"serve", "--addr", freeAddr(t), "--admin-addr", freeAddr(t)}, {"migrate", "up"}, {"tenant", "create", "globex"}, {"tenant", "list"},
			} {
				r := pooled.run(args...)
				require.Equal(t, 5, r.code, "%v: %s", args, r.errOut)
				require.Contains(t, r.errOut, "database.url leads through a pooler", "%v", args)
			}
		}
	})
}
