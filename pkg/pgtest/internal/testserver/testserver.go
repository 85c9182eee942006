// Package testserver runs the PostgreSQL server of a test run: fast, in a temporary directory, gone afterwards.
//
// The directory is in memory where there is plenty of it, because making a database is making three hundred files: 9 ms in a tmpfs, 60 and
// more on a disk. TMPDIR, if set, is obeyed. What a killed process left behind is removed by a later one.
package testserver

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rowhousehq/rowhouse/pkg/pgserver"
)

// EnvURL is the environment variable with the URL of a server that is there: its maintenance database, as a superuser.
const EnvURL = "TEST_DATABASE_URL"

const (
	dirPattern = "rowhouse-test-*"
	dataDir    = "data"
	// abandonedAfter is how old a directory is that certainly is not just being set up.
	abandonedAfter = 10 * time.Minute
	// plenty is how much memory has to be free: many times what a run takes.
	plenty = 6 << 30
)

// Server is a running server.
type Server struct {
	// URL is that of its maintenance database, as its superuser.
	URL string

	dir      string
	settings map[string]string
	server   *pgserver.Server
}

// Start runs a server of its own. The settings of PostgreSQL go before those that suit tests; nil adds none.
func Start(ctx context.Context, settings map[string]string) (*Server, error) {
	base := baseDir()
	sweep(ctx, base)
	dir, err := os.MkdirTemp(base, dirPattern)
	if err != nil {
		return nil, fmt.Errorf("starting a test server: %w", err)
	}
	s := &Server{dir: dir, settings: settings}
	// Open to PostgreSQL's user, who is another one than root.
	if err = os.Chmod(dir, 0o711); err == nil { //nolint:gosec // What is in it has its own modes.
		err = s.run(ctx, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("starting a test server: %w", errors.Join(err, remove(context.WithoutCancel(ctx), dir)))
	}
	s.URL = s.server.AdminURL("postgres")
	return s, nil
}

// run starts the server on a port, 0 for any.
func (s *Server) run(ctx context.Context, port int) (err error) {
	settings := map[string]string{
		// Several test binaries at a time, each with pools.
		"max_connections": "200",
		"shared_buffers":  "128MB",
		// A test with hundreds of schemas touches that many tables in one transaction.
		"max_locks_per_transaction": "256",
		// A checkpoint of its own accord is work for nothing: the cluster is about to be deleted.
		"checkpoint_timeout": "1h",
	}
	maps.Copy(settings, s.settings)
	s.server, err = pgserver.Start(ctx, pgserver.Config{
		DataDir: filepath.Join(s.dir, dataDir), Port: port, Fast: true, Settings: settings,
	})
	return err
}

// Kill ends the server at once, without a chance to tidy up.
func (s *Server) Kill(ctx context.Context) error {
	text, err := os.ReadFile(filepath.Join(s.dir, dataDir, "pg", "postmaster.pid"))
	if err != nil {
		return fmt.Errorf("killing the test server: %w", err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil || pid <= 1 {
		return fmt.Errorf("killing the test server: its process is said to be %q", first)
	}
	if err = syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("killing the test server: %w", err)
	}
	<-s.server.Done()
	return s.server.Stop(ctx) // For its locks.
}

// Restart starts the server again after Kill, where it was.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.run(ctx, s.server.State().Port); err != nil {
		return fmt.Errorf("restarting the test server: %w", err)
	}
	return nil
}

// Stop ends the server and removes all that it was. It returns when that is done, sooner when ctx ends.
func (s *Server) Stop(ctx context.Context) error {
	if err := errors.Join(s.server.Stop(ctx), remove(context.WithoutCancel(ctx), s.dir)); err != nil {
		return fmt.Errorf("stopping the test server: %w", err)
	}
	return nil
}

func remove(ctx context.Context, dir string) error {
	if err := pgserver.Destroy(ctx, filepath.Join(dir, dataDir)); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// sweep removes the directories of servers whose processes were killed. The lock in a data directory keeps those that are in use; what
// belongs to another user or resists for another reason is left to whom it belongs to.
func sweep(ctx context.Context, base string) {
	dirs, err := filepath.Glob(filepath.Join(base, dirPattern))
	if err != nil {
		return
	}
	for _, dir := range dirs {
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > abandonedAfter {
			_ = remove(ctx, dir)
		}
	}
}

// baseDir is where directories of servers are made.
func baseDir() string {
	const memory = "/dev/shm"
	if os.Getenv("TMPDIR") == "" && freeMemory() >= plenty && freeSpace(memory) >= plenty {
		return memory
	}
	return os.TempDir()
}

// freeSpace gives the bytes that a file system has left for us, 0 if it cannot be written to.
func freeSpace(dir string) uint64 {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return 0
	}
	probe, err := os.MkdirTemp(dir, "probe-*")
	if err != nil || os.Remove(probe) != nil {
		return 0
	}
	return stat.Bavail * uint64(stat.Bsize) //nolint:gosec // A size of blocks is positive.
}

// freeMemory gives the bytes of memory that Linux would give us, 0 on other systems.
func freeMemory() uint64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "MemAvailable:"); ok {
			kilobytes, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 54)
			if err != nil {
				return 0
			}
			return kilobytes << 10
		}
	}
	return 0
}
