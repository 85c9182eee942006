package cli_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgserver"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
)

// upHouse is a house for `up`, whose data directory is removed with its cluster, wherever that is.
func upHouse(t *testing.T) *house {
	t.Helper()
	h := newHouse(t)
	t.Cleanup(func() { _ = pgserver.Destroy(context.WithoutCancel(t.Context()), filepath.Join(h.dir, ".rowhouse")) })
	return h
}

var curlLine = regexp.MustCompile(`(?m)^ *(curl .*)$`)

func TestUp(t *testing.T) {
	t.Parallel()
	h := upHouse(t)
	first := h.start("up")
	lines := curlLine.FindAllStringSubmatch(first.out.String(), -1)
	require.Len(t, lines, 2, first.out.String())
	var lists []string
	for _, line := range lines {
		out, err := exec.CommandContext(t.Context(), "bash", "-c", line[1]+" -sS -w '\n%{http_code}'").CombinedOutput()
		require.NoError(t, err, string(out))
		require.True(t, strings.HasSuffix(string(out), "\n200"), string(out))
		lists = append(lists, string(out))
	}
	require.Contains(t, lists[0], "Moon launch")
	require.Contains(t, lists[1], "Cloud factory")
	require.NotContains(t, lists[0], "Cloud factory")
	acme := regexp.MustCompile(`Bearer (\S+)'`).FindStringSubmatch(lines[0][1])[1]
	code, _ := first.call(http.MethodGet, "globex.localhost", "/api/v1/projects", acme, "")
	require.Equal(t, 401, code)
	code, _ = first.call(http.MethodGet, "nobody.localhost", "/api/v1/projects", acme, "")
	require.Equal(t, 404, code)
	soon(t, func() bool {
		_, body := first.call(http.MethodGet, "acme.localhost", "/api/v1/activity", acme, "")
		return strings.Count(body, "task.created") >= 5
	}, "the sample data's jobs are worked")

	// The mails that were sent can be read, here and nowhere else.
	box := "http://" + first.admin + "/mailbox"
	require.Contains(t, first.out.String(), box)
	soon(t, func() bool { return strings.Count(fetch(t, box), `<a href="/mailbox/`) == 2 }, "the demo tenants' mails are delivered")
	list := fetch(t, box)
	require.Contains(t, list, "Confirm your address for Acme Rockets")
	require.Contains(t, list, "ada@globex.example")
	one := regexp.MustCompile(`href="(/mailbox/[0-9a-f-]+)"`).FindStringSubmatch(list)[1]
	require.Contains(t, fetch(t, "http://"+first.admin+one), `<iframe sandbox="" src="`+one+`/html"`)
	require.NotContains(t, first.errOut.String(), ".example")
	require.Contains(t, fetch(t, "http://"+first.admin+"/metrics"), `rowhouse_mails_total{result="sent"} 2`)
	code, _ = first.call(http.MethodGet, "acme.localhost", "/mailbox", acme, "")
	require.Equal(t, 404, code)

	// Another command finds the server, and the new tenant is served without a restart.
	h.must("tenant", "create", "initech")
	soon(t, func() bool {
		code, _ := first.call(http.MethodGet, "initech.localhost", "/api/v1/projects", "", "")
		return code == 401
	}, "initech is served")

	// Nobody else may read the secrets.
	for _, name := range []string{"login_secret", "demo.json", "server.json"} {
		info, err := os.Stat(filepath.Join(h.dir, ".rowhouse", name))
		require.NoError(t, err)
		require.Zero(t, info.Mode().Perm()&0o077, name)
	}

	// A second one on the same data is told who has it; on the same port, which flag to change.
	r := h.run("up", "--addr", freeAddr(t), "--admin-addr", freeAddr(t))
	require.Equal(t, 1, r.code)
	require.Contains(t, r.errOut, "already run by process")
	r = h.run("up", "--addr", first.addr, "--admin-addr", freeAddr(t), "--data-dir", t.TempDir())
	require.Equal(t, 1, r.code)
	require.Contains(t, r.errOut, "--addr")

	first.stop(syscall.SIGINT)
	require.NoFileExists(t, filepath.Join(h.dir, ".rowhouse", "pg", "postmaster.pid"))
	require.Equal(t, 3, h.run("tenant", "list").code, "nobody is there")

	// It finds its data again, and prints keys that work.
	second := h.start("up")
	code, body := second.call(http.MethodGet, "acme.localhost", "/api/v1/projects", acme, "")
	require.Equal(t, 200, code)
	require.Equal(t, 2, strings.Count(body, `"name"`), "the sample data is made once")
	require.Contains(t, second.out.String(), acme)
	require.Equal(t, 2, strings.Count(fetch(t, "http://"+second.admin+"/mailbox"), `<a href="/mailbox/`), "the mails are sent once")
	require.Contains(t, h.must("tenant", "list"), "initech")

	// Killed, it leaves nothing that keeps the next one from starting.
	second.signal(syscall.SIGKILL)
	<-second.done
	third := h.start("up", "--no-demo")
	require.NotContains(t, third.out.String(), "Bearer")
	code, _ = third.call(http.MethodGet, "acme.localhost", "/api/v1/projects", acme, "")
	require.Equal(t, 200, code)
	third.stop(syscall.SIGTERM)
}

// fetch gives what is at url.
func fetch(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	require.NoError(t, err)
	defer response.Body.Close() //nolint:errcheck // Read to its end.
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body)
}

func TestUp_ForeignDataDirectory(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "thesis.tex"), []byte("all I have"), 0o600))
	r := h.run("up", "--addr", freeAddr(t), "--admin-addr", freeAddr(t), "--data-dir", dir)
	require.Equal(t, 2, r.code, r.errOut)
	require.Contains(t, r.errOut, "--data-dir")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing was touched")
}

// With a database of one's own, `up` makes and keeps the login secret, and the other commands find it.
func TestUp_OwnDatabase(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	prefix := "ROWHOUSE_DATABASE_ROLE_PREFIX=" + d.RolePrefix()
	h := newHouse(t, "ROWHOUSE_DATABASE_URL="+d.OwnerURL, prefix)
	p := h.start("up")
	require.Contains(t, p.out.String(), "acme.localhost")
	h.must("tenant", "create", "initech")
	h.must("key", "create", "initech", "--name", "k")
	p.stop(syscall.SIGINT)

	// Somebody with another secret does not lock the others out unawares.
	other := newHouse(t, "ROWHOUSE_DATABASE_URL="+d.OwnerURL, prefix,
		"ROWHOUSE_DATABASE_LOGIN_SECRET=another secret, of 32 characters and more")
	r := other.run("migrate", "up")
	require.Equal(t, 5, r.code, r.errOut)
	require.Contains(t, r.errOut, "--reset-logins")
	h.must("key", "list", "initech")
	other.must("migrate", "up", "--reset-logins")
	require.Equal(t, 1, h.run("key", "list", "initech").code)
}
