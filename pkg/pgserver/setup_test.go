package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

// helperDir names the data directory of a server that this test binary runs when it is started again by a test, as `rowhouse up` would.
const helperDir = "PGSERVER_TEST_HELPER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperDir); dir != "" {
		_, err := Start(context.Background(), Config{DataDir: dir, Fast: true})
		fmt.Fprintln(os.Stdout, "started", err)
		select {} // Until it is killed.
	}
	goleak.VerifyTestMain(m)
}

// newDir gives the path of a data directory that is not there yet, and that every user could reach.
func newDir(t *testing.T) string {
	t.Helper()
	parent := t.TempDir()
	if everybody := (&account{uid: math.MaxUint32 - 1, gid: math.MaxUint32 - 1}); isRoot() && !everybody.reaches(os.TempDir()) {
		var err error
		parent, err = os.MkdirTemp("/tmp", "rowhouse-*") //nolint:usetesting // Its own is closed to others.
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, os.RemoveAll(parent)) })
	}
	require.NoError(t, os.Chmod(filepath.Dir(t.TempDir()), 0o755))
	require.NoError(t, os.Chmod(parent, 0o755))
	dir := filepath.Join(parent, "data")
	t.Cleanup(func() { require.NoError(t, Destroy(context.WithoutCancel(t.Context()), dir)) })
	return dir
}

// start runs a server until the test ends.
func start(t *testing.T, dir string, change ...func(*Config)) *Server {
	t.Helper()
	cfg := Config{DataDir: dir, Fast: true}
	for _, c := range change {
		c(&cfg)
	}
	s, err := Start(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { stop(t, s) })
	return s
}

// durable makes a committed transaction survive a crash.
func durable(c *Config) { c.Fast = false }

func stop(t *testing.T, s *Server) {
	t.Helper()
	require.NoError(t, s.Stop(context.WithoutCancel(t.Context())))
}

// run runs a statement as the administrator.
func run(t *testing.T, s *Server, sql string) {
	t.Helper()
	conn := connect(t, s)
	_, err := conn.Exec(t.Context(), sql)
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
}

func query(t *testing.T, s *Server, sql string) string {
	t.Helper()
	conn := connect(t, s)
	var value string
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&value))
	require.NoError(t, conn.Close(t.Context()))
	return value
}

func connect(t *testing.T, s *Server) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.AdminURL("postgres"))
	require.NoError(t, err)
	return conn
}

// requireRefused wants a failure of Start for which a person is told what to do, and which holds no lock afterwards.
func requireRefused(t *testing.T, cfg Config, code apperr.Code, contains ...string) {
	t.Helper()
	s, err := Start(t.Context(), cfg)
	if err == nil {
		stop(t, s)
	}
	require.Error(t, err)
	require.Equal(t, code, apperr.CodeOf(err), "%v", err)
	for _, text := range contains {
		require.Contains(t, messageOf(t, err), text)
	}
}

// messageOf gives what err says to a person, without its cause.
func messageOf(t *testing.T, err error) string {
	t.Helper()
	e, ok := errors.AsType[*apperr.Error](err)
	require.True(t, ok, "%v", err)
	return e.Message
}

// tree lists all that is in a directory with modes and contents.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		text := info.Mode().String()
		if info.Mode().IsRegular() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += " " + string(content)
		}
		files[path] = text
		return nil
	}))
	return files
}

// recorder is a Config.Progress.
type recorder struct {
	mu    sync.Mutex
	lines []string
}

func (r *recorder) add(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
}

func isRoot() bool { return os.Geteuid() == 0 }
