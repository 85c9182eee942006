package pgtest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// PoolerOptions say which PgBouncer is wanted.
type PoolerOptions struct {
	// Mode is its pool_mode. Default transaction.
	Mode string
	// Size is its default_pool_size: how many sessions of the server the clients of one role share. Default 2.
	Size int
	// Ignore are startup parameters that it takes and drops, where it refuses them by itself.
	Ignore []string
	// Tenants are dedicated tenants, whose logins it is to know besides those of the owner, of control and of the first three cells.
	Tenants []tenantschema.Tenant
}

// Pooler starts a PgBouncer in front of the database's server and gives the URL of the database through it, without a user. It ends with
// the test. Debian's package is called pgbouncer.
func (d *DB) Pooler(o PoolerOptions) string {
	d.tb.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer" // Where packages put it is not in everybody's PATH.
		_, err = os.Stat(program)
	}
	require.NoError(d.tb, err, "this test wants PgBouncer: install the package pgbouncer")
	server, err := pgx.ParseConfig(d.AdminURL)
	require.NoError(d.tb, err)

	dir, err := os.MkdirTemp("", "rowhouse-pgbouncer-*") // Not the test's own, which another user could not reach.
	require.NoError(d.tb, err)
	d.tb.Cleanup(func() { require.NoError(d.tb, os.RemoveAll(dir)) })
	require.NoError(d.tb, os.Chmod(dir, 0o755)) //nolint:gosec // PgBouncer's user has to read it, who is another one than root.
	port := freePort(d.tb)
	settings, users := filepath.Join(dir, "pgbouncer.ini"), filepath.Join(dir, "users")
	for path, text := range map[string]string{
		users: d.poolerUsers(o),
		settings: fmt.Sprintf("[databases]\n* = host=%s port=%d\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %d\nunix_socket_dir =\n"+
			"auth_type = scram-sha-256\nauth_file = %s\npool_mode = %s\ndefault_pool_size = %d\nignore_startup_parameters = %s\nlogfile =\npidfile =\n",
			server.Host, server.Port, port, users, cmp.Or(o.Mode, "transaction"), cmp.Or(o.Size, 2),
			strings.Join(append(o.Ignore, "extra_float_digits"), ",")),
	} {
		require.NoError(d.tb, os.WriteFile(path, []byte(text), 0o644)) //nolint:gosec // The passwords are those of tests.
	}
	args := []string{settings}
	if os.Geteuid() == 0 { // As whom it refuses to run.
		args = append([]string{"-u", plainUser(d.tb)}, args...)
	}
	d.background(program, args...)
	awaitPooler(d.tb, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	u := url.URL{Scheme: "postgres", Host: fmt.Sprintf("127.0.0.1:%d", port), Path: "/" + server.Database, RawQuery: "sslmode=disable"}
	return u.String()
}

// poolerUsers gives PgBouncer's list of users. Their passwords are clear there, since it has to log in by them.
func (d *DB) poolerUsers(o PoolerOptions) string {
	d.tb.Helper()
	var list strings.Builder
	add := func(cfg *pgx.ConnConfig, err error) {
		d.tb.Helper()
		require.NoError(d.tb, err)
		fmt.Fprintf(&list, "\"%s\" \"%s\"\n", cfg.User, cfg.Password)
	}
	add(d.Logins.Owner())
	for _, role := range []string{d.Logins.Control(), d.Logins.Cell(1), d.Logins.Cell(2), d.Logins.Cell(3)} {
		add(d.Logins.As(role))
	}
	for _, t := range o.Tenants {
		add(d.Logins.Engine(tenantschema.Login{Tenant: t.Schema, Secret: t.LoginSecret}))
	}
	return list.String()
}

// background runs a server until the test ends, or this process.
func (d *DB) background(program string, args ...string) {
	d.tb.Helper()
	// The shell ends it when this process has closed its end of the pipe, be it by being killed.
	cmd := exec.Command("sh", append([]string{"-c", `"$@" & read -r _; kill -s TERM $!; wait $!`, "sh", program}, args...)...) //nolint:gosec // Ours.
	output := &output{}
	cmd.Stdout, cmd.Stderr = output, output
	stdin, err := cmd.StdinPipe()
	require.NoError(d.tb, err)
	require.NoError(d.tb, cmd.Start())
	d.tb.Cleanup(func() {
		_ = stdin.Close() // It is the sign.
		_ = cmd.Wait()    // How it ends is the signal's doing.
		if d.tb.Failed() {
			d.tb.Logf("%s said:\n%s", program, output)
		}
	})
}

// output is what a program wrote.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func freePort(tb testing.TB) int {
	tb.Helper()
	ln, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	defer ln.Close()                     //nolint:errcheck // Its port was all that was wanted.
	return ln.Addr().(*net.TCPAddr).Port //nolint:errcheck,forcetypeassert // It is TCP.
}

// plainUser names somebody who is not root.
func plainUser(tb testing.TB) string {
	tb.Helper()
	for _, name := range []string{"postgres", "nobody"} {
		if _, err := user.Lookup(name); err == nil {
			return name
		}
	}
	require.Fail(tb, "there is no user postgres or nobody")
	return ""
}

// awaitPooler waits until somebody answers at the address.
func awaitPooler(tb testing.TB, addr string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil {
			require.NoError(tb, conn.Close())
			return
		}
		require.NoError(tb, ctx.Err(), "PgBouncer does not answer: %v", err)
		time.Sleep(5 * time.Millisecond)
	}
}
