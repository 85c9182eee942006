package cli_test

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgserver"
)

// TestNew makes a product as somebody outside of this repository would, without a network, and calls it.
func TestNew(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "GOCACHE="+goEnv(t, "GOCACHE"), "GOMODCACHE="+goEnv(t, "GOMODCACHE"), "GOPROXY=off", "GOFLAGS=-buildvcs=false",
		"TEST_DATABASE_URL="+os.Getenv("TEST_DATABASE_URL"))
	source, err := filepath.Abs(repository)
	require.NoError(t, err)
	require.Equal(t, 2, h.run("new", "street").code, "what was built by a test is no release")
	r := h.run("new", "street", "--module", "example.com/acme/ledger", "--replace", source)
	require.Zero(t, r.code, r.errOut)
	require.Contains(t, r.errOut, "next: cd street && make test && make up")
	h.must("new", "street", "--module", "example.com/acme/ledger", "--replace", source)
	require.Equal(t, 5, h.run("new", ".", "--module", "example.com/acme/ledger", "--replace", source).code)

	h.dir = filepath.Join(h.dir, "street")
	t.Cleanup(func() { _ = pgserver.Destroy(context.WithoutCancel(t.Context()), filepath.Join(h.dir, ".rowhouse")) })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	t.Cleanup(cancel)
	for _, args := range [][]string{{"gofmt", "-l", "."}, {"make", "build"}, {"make", "test"}} {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Dir, cmd.Env = h.dir, h.env
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		if args[0] == "gofmt" {
			require.Empty(t, string(out))
		}
	}

	h.binary = filepath.Join(h.dir, "bin", "ledger")
	require.Equal(t, 2, h.run("new", "another").code, "a product's program has no skeletons")
	up := h.start("up")
	require.Contains(t, up.out.String(), "Ledger is up.")
	curls := regexp.MustCompile(`Bearer (\S+)' http://\S+/api/v1/notes\n`).FindAllStringSubmatch(up.out.String(), -1)
	require.Len(t, curls, 2, up.out.String())
	acme, globex := curls[0][1], curls[1][1]
	code, body := up.call(http.MethodPost, "acme.localhost", "/api/v1/notes", acme, `{"text":"order the anvil"}`)
	require.Equal(t, 201, code, body)
	code, body = up.call(http.MethodGet, "globex.localhost", "/api/v1/notes", globex, "")
	require.Equal(t, 200, code)
	require.NotContains(t, body, "anvil")
	code, _ = up.call(http.MethodGet, "globex.localhost", "/api/v1/notes", acme, "")
	require.Equal(t, 401, code)
	code, body = up.call(http.MethodGet, "acme.localhost", "/api/v1/notes", acme, "")
	require.Equal(t, 200, code)
	require.Contains(t, body, "anvil")
	code, _ = up.call(http.MethodGet, "acme.localhost", "/api/v1/projects", acme, "")
	require.Equal(t, 404, code, "the workspace is not there")
	require.Regexp(t, `(?m)^acme .*\b10001\b`, h.must("tenant", "list"))
	require.Contains(t, h.run("key", "list", "nobody").errOut, "see `ledger tenant list`")
	h.must("isolation", "prove", "--all")
	h.must("fleet", "drift")
	up.stop(syscall.SIGINT)
}
