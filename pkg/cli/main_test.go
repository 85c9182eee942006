package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
)

// binary is the program under test, built once for the run.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "rowhouse-binary-")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "rowhouse")
	build := exec.Command("go", "build", "-o", binary, "../../cmd/rowhouse")
	build.Stderr = os.Stderr
	if err = build.Run(); err != nil {
		panic(fmt.Errorf("the program does not build: %w", err))
	}
	pgtest.Main(m, func() error { return os.RemoveAll(dir) })
}

// house is how a test calls the program: in a directory of its own, with nothing of the machine's configuration.
type house struct {
	t      *testing.T
	binary string
	dir    string
	env    []string
}

func newHouse(t *testing.T, env ...string) *house {
	t.Helper()
	return &house{t: t, binary: binary, dir: t.TempDir(), env: append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)}
}

// onDatabase is a house whose database is a test's own.
func onDatabase(t *testing.T, d *pgtest.DB) *house {
	t.Helper()
	return newHouse(t, "ROWHOUSE_DATABASE_URL="+d.OwnerURL, "ROWHOUSE_DATABASE_LOGIN_SECRET="+pgtest.Secret,
		"ROWHOUSE_DATABASE_ROLE_PREFIX=rowhousetest", "ROWHOUSE_JOBS_WORKERS=4", "ROWHOUSE_DATABASE_MAX_CONNS=4", "ROWHOUSE_DATABASE_CONTROL_CONNS=6",
		"ROWHOUSE_MAIL_DIR="+t.TempDir())
}

// unlimited takes the rates from the plan that tenants have, for who means to load a server.
func (h *house) unlimited() {
	h.t.Helper()
	h.must("plan", "set", "standard", "--requests-per-second", "none", "--request-burst", "none", "--caller-per-second", "none",
		"--caller-burst", "none", "--concurrency", "none")
}

type result struct {
	code        int
	out, errOut string
}

// run runs the program to its end.
func (h *house) run(args ...string) result {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, h.binary, args...)
	var out, errOut bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = h.dir, h.env, &out, &errOut
	err := cmd.Run()
	if _, isExit := errors.AsType[*exec.ExitError](err); err != nil && !isExit {
		require.NoError(h.t, err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}
}

// must runs the program and wants exit code 0.
func (h *house) must(args ...string) string {
	h.t.Helper()
	r := h.run(args...)
	require.Zero(h.t, r.code, "%v: %s", args, r.errOut)
	return r.out
}

// json runs the program with --output json.
func (h *house) json(into any, args ...string) {
	h.t.Helper()
	require.NoError(h.t, json.Unmarshal([]byte(h.must(append(args, "--output", "json")...)), into))
}

// process is the program in the background.
type process struct {
	t           *testing.T
	cmd         *exec.Cmd
	out, errOut *buffer
	done        chan struct{}
	addr, admin string
}

// start starts a server or worker on free ports and waits until it is ready.
func (h *house) start(args ...string) *process {
	h.t.Helper()
	p := h.launch(args...)
	ready := func() bool {
		response, err := http.Get("http://" + p.admin + "/readyz")
		if err != nil {
			return false
		}
		defer response.Body.Close() //nolint:errcheck // Nothing is read.
		return response.StatusCode == http.StatusOK
	}
	deadline := time.Now().Add(time.Minute)
	for !ready() {
		select {
		case <-p.done:
			require.FailNow(h.t, "it ended", "%v: %s", args, p.errOut)
		case <-time.After(10 * time.Millisecond):
		}
		require.True(h.t, time.Now().Before(deadline), "not ready: %s", p.errOut)
	}
	return p
}

// launch starts the program and does not wait.
func (h *house) launch(args ...string) *process {
	h.t.Helper()
	p := &process{t: h.t, out: &buffer{}, errOut: &buffer{}, done: make(chan struct{}), addr: freeAddr(h.t), admin: freeAddr(h.t)}
	p.cmd = exec.Command(h.binary, args...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = h.dir, p.out, p.errOut
	p.cmd.Env = append(slices.Clip(h.env), "ROWHOUSE_SERVER_ADDR="+p.addr, "ROWHOUSE_SERVER_ADMIN_ADDR="+p.admin)
	require.NoError(h.t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait() // The exit code is looked at where it matters.
		close(p.done)
	}()
	h.t.Cleanup(func() {
		p.signal(syscall.SIGTERM)
		select {
		case <-p.done:
		case <-time.After(time.Minute):
			_ = p.cmd.Process.Kill() // Our own child.
			<-p.done
			h.t.Errorf("%v did not end: %s", args, p.errOut)
		}
		if h.t.Failed() {
			h.t.Logf("%v said:\n%s", args, p.errOut)
		}
	})
	return p
}

func (p *process) signal(s os.Signal) { _ = p.cmd.Process.Signal(s) }

// stop asks it to end and wants exit code 0.
func (p *process) stop(s os.Signal) {
	p.t.Helper()
	p.signal(s)
	select {
	case <-p.done:
	case <-time.After(time.Minute):
		require.FailNow(p.t, "it does not end", p.errOut.String())
	}
	require.Zero(p.t, p.cmd.ProcessState.ExitCode(), "%s", p.errOut)
}

// call sends a request to a tenant's host.
func (p *process) call(method, host, path, token, body string) (int, string) {
	p.t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), method, "http://"+p.addr+path, strings.NewReader(body))
	require.NoError(p.t, err)
	request.Host = host
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := (&http.Client{Timeout: time.Minute}).Do(request)
	require.NoError(p.t, err)
	defer response.Body.Close() //nolint:errcheck // Read to its end.
	var text bytes.Buffer
	_, err = text.ReadFrom(response.Body)
	require.NoError(p.t, err)
	return response.StatusCode, text.String()
}

// freeAddr gives an address on which nobody listens now.
func freeAddr(t *testing.T) string {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close() //nolint:errcheck // Just opened.
	return ln.Addr().String()
}

// soon waits for what is promised within a second. The wait is long, because machines stall.
func soon(t *testing.T, condition func() bool, says string) {
	t.Helper()
	require.Eventually(t, condition, 20*time.Second, 5*time.Millisecond, says)
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
