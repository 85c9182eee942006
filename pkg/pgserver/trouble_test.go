package pgserver

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

func itoa(n int) string { return strconv.Itoa(n) }

// helper is another process that started a server, or tried to.
type helper struct {
	cmd  *exec.Cmd
	line string // What it said about its start.
}

func startHelper(t *testing.T, dir string) *helper {
	t.Helper()
	h := &helper{cmd: exec.Command(os.Args[0])}
	h.cmd.Env = append(os.Environ(), helperDir+"="+dir)
	out, err := h.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, h.cmd.Start())
	t.Cleanup(func() { h.kill(t) })
	h.line, err = bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return h
}

func (h *helper) kill(t *testing.T) {
	t.Helper()
	if h.cmd.ProcessState == nil {
		require.NoError(t, h.cmd.Process.Kill())
		require.Error(t, h.cmd.Wait())
	}
}

func TestKilledParentLeavesNoServer(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	h := startHelper(t, dir)
	require.Equal(t, "started <nil>\n", h.line)
	found, err := Find(dir)
	require.NoError(t, err)
	require.Equal(t, h.cmd.Process.Pid, found.PID)
	cluster := filepath.Join(dir, clusterDir)
	pids, err := processesOf(t.Context(), cluster)
	require.NoError(t, err)
	require.NotEmpty(t, pids)

	h.kill(t)
	_, err = Find(dir)
	require.Equal(t, apperr.NotFound, apperr.CodeOf(err))
	require.Eventually(t, func() bool {
		pids, err := processesOf(t.Context(), cluster)
		return err == nil && len(pids) == 0
	}, time.Minute, 10*time.Millisecond, "the server outlives its parent")
	start(t, dir)
}

func TestStartRightAfterParentWasKilled(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	h := startHelper(t, dir)
	require.Equal(t, "started <nil>\n", h.line)
	h.kill(t)
	start(t, dir)
}

func TestOrphanIsStopped(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	s := start(t, dir)
	run(t, s, "create table kept as select 'before' as value")
	stop(t, s)

	// A server that nobody started by Start runs on, as after a kill where the kernel does not tell children.
	bin, err := search{path: os.Getenv("PATH"), globs: packagedBinDirs()}.locate(t.Context(), 0)
	require.NoError(t, err)
	cluster, err := filepath.EvalSymlinks(filepath.Join(dir, clusterDir))
	require.NoError(t, err)
	account, err := accountFor(cluster)
	require.NoError(t, err)
	port := itoa(s.State().Port)
	orphan := account.command(t.Context(), bin.program("postgres"), "-D", cluster, "-c", "port="+port, "-c", "unix_socket_directories=")
	require.NoError(t, orphan.Start())
	ended := make(chan error, 1)
	go func() { ended <- orphan.Wait() }()
	require.NoError(t, (&child{done: make(chan struct{})}).ready(t.Context(), s.AdminURL("postgres")))

	var progress recorder
	again := start(t, dir, func(c *Config) { c.Progress = progress.add })
	require.NoError(t, <-ended, "it was asked, not killed")
	require.Equal(t, []string{"stopping the server that an earlier run left behind (process " + itoa(orphan.Process.Pid) + ")"}, progress.lines)
	require.Equal(t, "before", query(t, again, "select value from kept"))
}

func TestCrashedServer(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	s := start(t, dir, durable)
	run(t, s, "create table kept as select 'committed' as value")
	require.NoError(t, syscall.Kill(s.child.pid(), syscall.SIGKILL))
	<-s.Done()
	stop(t, s)
	again := start(t, dir)
	require.Equal(t, "committed", query(t, again, "select value from kept"))
}

func TestStalePidFile(t *testing.T) {
	t.Parallel()
	dead := exec.Command("true")
	require.NoError(t, dead.Run())
	for name, pid := range map[string]int{"of a dead process": dead.Process.Pid, "of a process that is something else": os.Getpid()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := newDir(t)
			stop(t, start(t, dir))
			cluster := filepath.Join(dir, clusterDir)
			text := strings.Join([]string{itoa(pid), cluster, "1700000000", "5432", "", "127.0.0.1", "  1234567         0", "ready", ""}, "\n")
			require.NoError(t, os.WriteFile(filepath.Join(cluster, pidFile), []byte(text), 0o600))
			if account, err := accountFor(cluster); err == nil && account != nil {
				require.NoError(t, os.Chown(filepath.Join(cluster, pidFile), int(account.uid), int(account.gid)))
			}
			start(t, dir)
		})
	}
}

func TestBusyPort(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	s := start(t, dir)
	run(t, s, "create table kept as select 'here' as value")
	stop(t, s)
	other, err := net.Listen("tcp", net.JoinHostPort(loopback, itoa(s.State().Port)))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, other.Close()) })

	requireRefused(t, Config{DataDir: dir, Port: s.State().Port}, apperr.Conflict, "port "+itoa(s.State().Port), "choose another port")
	again := start(t, dir)
	require.NotEqual(t, s.State().Port, again.State().Port, "the port of the last run is only preferred")
	require.Equal(t, "here", query(t, again, "select value from kept"))
}

func TestServerThatDoesNotStart(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	requireRefused(t, Config{DataDir: dir, Fast: true, Settings: map[string]string{"shared_preload_libraries": "no_such_library"}},
		apperr.Unavailable, "no_such_library", filepath.Join(dir, logFile))
	start(t, dir)
}

func TestLostState(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	first := start(t, dir)
	run(t, first, "create table kept as select 'still here' as value")
	stop(t, first)
	path := filepath.Join(dir, stateFile)

	require.NoError(t, os.WriteFile(path, []byte("{\"por"), 0o600))
	requireRefused(t, Config{DataDir: dir}, apperr.Invalid, path+" is damaged")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "{\"por", string(text))

	wrong := first.State()
	wrong.Password = "wrong"
	require.NoError(t, first.dir.writeState(wrong))
	requireRefused(t, Config{DataDir: dir}, apperr.Conflict, "does not know the password")

	require.NoError(t, os.Remove(path))
	second := start(t, dir)
	require.NotEqual(t, first.State().Password, second.State().Password)
	require.Equal(t, "still here", query(t, second, "select value from kept"))
}

func TestClusterIsCompleteOrAbsent(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	bin := filepath.Join(filepath.Dir(dir), "bin")
	fakeProgram(t, filepath.Join(bin, "postgres"), "echo 'postgres (PostgreSQL) 15.99'")
	fakeProgram(t, filepath.Join(bin, "initdb"), "echo 'initdb: the disk is full' >&2; exit 1")
	requireRefused(t, Config{DataDir: dir, BinDir: bin}, apperr.Unavailable,
		"cannot make the database cluster "+filepath.Join(dir, clusterDir)+": initdb: the disk is full")
	require.NoDirExists(t, filepath.Join(dir, clusterDir))

	// What a crash in initdb leaves: it is swept, and neither taken for a cluster nor for somebody's data.
	left := filepath.Join(dir, "pg.new-123")
	require.NoError(t, os.MkdirAll(filepath.Join(left, "data"), 0o700))
	s := start(t, dir)
	require.NoDirExists(t, left)
	stop(t, s)

	// The cluster is gone but not forgotten: an empty one in its place would look like lost data.
	require.NoError(t, os.Rename(filepath.Join(dir, clusterDir), filepath.Join(filepath.Dir(dir), "away")))
	requireRefused(t, Config{DataDir: dir}, apperr.Conflict, "is gone")
	require.NoError(t, os.Rename(filepath.Join(filepath.Dir(dir), "away"), filepath.Join(dir, clusterDir)))
	start(t, dir)
}

func TestClusterOfAnotherVersion(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, clusterDir), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, clusterDir, versionFile), []byte("9\n"), 0o600))
	requireRefused(t, Config{DataDir: dir}, apperr.Conflict, "was made by PostgreSQL 9, and only ", "install PostgreSQL 9")
	require.Equal(t, map[string]string{clusterDir: "", versionFile: "9\n"}, map[string]string{
		clusterDir: "", versionFile: strings.SplitN(tree(t, dir)[filepath.Join(dir, clusterDir, versionFile)], " ", 2)[1],
	})
}

func TestDestroy(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	require.NoError(t, Destroy(t.Context(), dir), "there is nothing")
	h := startHelper(t, dir)
	require.Equal(t, "started <nil>\n", h.line)
	require.Equal(t, apperr.Conflict, apperr.CodeOf(Destroy(t.Context(), dir)))
	h.kill(t)
	require.NoError(t, Destroy(t.Context(), dir))
	require.NoDirExists(t, dir)
}
