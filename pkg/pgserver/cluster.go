package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

// Files in a cluster.
const (
	versionFile = "PG_VERSION"
	pidFile     = "postmaster.pid"
)

// cluster is a database cluster and how to run it.
type cluster struct {
	dir      string // Its real path. Beside it, in the same directory, is room for what comes and goes.
	log      string // The log file.
	logStart int64  // Where the last start's lines begin in it.
	account  *account
	bin      binaries
	fast     bool
	progress func(string)
}

// major is the version that made the cluster, 0 if there is none.
func (c *cluster) major() (int, error) {
	text, err := os.ReadFile(filepath.Join(c.dir, versionFile))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, apperr.Wrap(err, apperr.Invalid, "cannot read the database cluster %s: is it another user's?", c.dir)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, apperr.Wrap(err, apperr.Invalid, "%s is damaged: it should hold PostgreSQL's major version", filepath.Join(c.dir, versionFile))
	}
	return major, nil
}

// recover removes what an earlier run left that was killed: a server that still runs, its pid file, half-made clusters. The lock is ours,
// so none of it is in use.
func (c *cluster) recover(ctx context.Context) error {
	left, err := filepath.Glob(filepath.Join(filepath.Dir(c.dir), clusterNew))
	if err != nil {
		return fmt.Errorf("looking for half-made clusters: %w", err)
	}
	for _, dir := range left {
		if err = os.RemoveAll(dir); err != nil {
			return fmt.Errorf("removing a half-made cluster: %w", err)
		}
	}
	pidFile := filepath.Join(c.dir, pidFile)
	postmaster := readPID(pidFile)
	if postmaster == 0 {
		return nil
	}
	if err = c.stopOrphan(ctx, postmaster); err != nil {
		return err
	}
	// PostgreSQL would take any process that has been given the number since for its predecessor, and refuse to start.
	if err = os.Remove(pidFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing a stale pid file: %w", err)
	}
	return nil
}

func (c *cluster) stopOrphan(ctx context.Context, postmaster int) error {
	for first := true; ; first = false {
		pids, err := processesOf(ctx, c.dir)
		if err != nil || len(pids) == 0 {
			return err
		}
		if first {
			c.progress(fmt.Sprintf("stopping the server that an earlier run left behind (process %d)", postmaster))
			if slices.Contains(pids, postmaster) {
				if err = syscall.Kill(postmaster, syscall.SIGINT); err != nil && !errors.Is(err, syscall.ESRCH) {
					return apperr.Wrap(err, apperr.Conflict, "cannot stop the PostgreSQL server that an earlier run left behind: stop process %d", postmaster)
				}
			}
		}
		if err = pause(ctx, 25*time.Millisecond); err != nil {
			return apperr.Wrap(err, apperr.Unavailable, "the PostgreSQL server that an earlier run left behind does not end: stop process %d", pids[0])
		}
	}
}

// takeOver gives the account a cluster that root copied or restored, and therefore owns without being able to run it.
func (c *cluster) takeOver() error {
	info, err := os.Stat(c.dir)
	if err != nil || c.account == nil {
		return nil //nolint:nilerr // There is none yet.
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid == 0 {
		if err = c.account.give(c.dir); err != nil {
			return fmt.Errorf("giving the database cluster to %s: %w", c.account.name, err)
		}
	}
	return nil
}

// create makes the cluster, whole or not at all.
func (c *cluster) create(ctx context.Context, password string) error {
	c.progress("creating the database cluster")
	home := filepath.Dir(c.dir)
	aside, err := os.MkdirTemp(home, clusterNew)
	if err != nil {
		return fmt.Errorf("creating the database cluster: %w", err)
	}
	defer os.RemoveAll(aside) //nolint:errcheck // recover does it the next time.
	passwordFile := filepath.Join(aside, "password")
	if err = os.WriteFile(passwordFile, []byte(password+"\n"), 0o600); err == nil {
		err = c.account.give(aside)
	}
	if err != nil {
		return fmt.Errorf("creating the database cluster: %w", err)
	}
	// Where a system does not know C.UTF-8, which sorts by code point too but knows letters beyond ASCII.
	made := filepath.Join(aside, "data")
	for _, locale := range []string{"C.UTF-8", "C"} {
		args := []string{
			"--pgdata=" + made, "--username=" + AdminUser, "--pwfile=" + passwordFile, "--auth=scram-sha-256",
			"--encoding=UTF8", "--locale=" + locale, "--no-instructions",
		}
		if c.fast {
			args = append(args, "--no-sync")
		}
		if err = runProgram(c.account.command(ctx, c.bin.program("initdb"), args...)); err == nil || ctx.Err() != nil {
			break
		}
	}
	if err != nil && ctx.Err() != nil { // What initdb says then is only that it was told to stop.
		return fmt.Errorf("creating the database cluster: %w", ctx.Err())
	}
	if err != nil {
		return apperr.Wrap(err, apperr.Unavailable, "cannot make the database cluster %s: %s", c.dir, complaint(err))
	}
	if err = os.Rename(made, c.dir); err == nil && !c.fast {
		err = syncDir(home) // server.json is about to say that the cluster is there.
	}
	if err != nil {
		return fmt.Errorf("creating the database cluster: %w", err)
	}
	return nil
}

// setPassword gives the administrator a password when the one before was lost with server.json.
func (c *cluster) setPassword(ctx context.Context, password string) error {
	c.progress("server.json is gone: giving the administrator a new password")
	cmd := c.account.command(ctx, c.bin.program("postgres"), "--single", "-D", c.dir, "postgres")
	cmd.Stdin = strings.NewReader("alter role " + AdminUser + " password '" + password + "'\n")
	if err := runProgram(cmd); err != nil {
		return apperr.Wrap(err, apperr.Unavailable, "cannot give the administrator of %s a new password: %s", c.dir, complaint(err))
	}
	return nil
}

// start runs the server. It may not accept connections yet.
func (c *cluster) start(ctx context.Context, port int, settings map[string]string) (*child, error) {
	log, err := os.OpenFile(c.log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening PostgreSQL's log: %w", err)
	}
	defer log.Close() //nolint:errcheck // The server has its own handle.
	if c.logStart, err = log.Seek(0, io.SeekEnd); err != nil {
		return nil, fmt.Errorf("opening PostgreSQL's log: %w", err)
	}
	args := []string{"-D", c.dir}
	set := func(name, value string) { args = append(args, "-c", name+"="+value) }
	set("listen_addresses", loopback)
	set("port", strconv.Itoa(port))
	set("unix_socket_directories", "")
	set("logging_collector", "off")
	set("log_destination", "stderr")
	if c.fast {
		set("fsync", "off")
		set("synchronous_commit", "off")
		set("full_page_writes", "off")
	}
	for name, value := range settings {
		set(name, value)
	}
	cmd := c.account.command(context.WithoutCancel(ctx), c.bin.program("postgres"), args...)
	cmd.Stdout, cmd.Stderr = log, log
	started, err := startChild(cmd)
	if err != nil {
		return nil, apperr.Wrap(err, apperr.Unavailable, "cannot run %s", cmd.Path)
	}
	return started, nil
}

// explain says why the server did not become ready.
func (c *cluster) explain(err error) error {
	if errors.Is(err, errEnded) {
		return apperr.Wrap(err, apperr.Unavailable, "PostgreSQL did not start; the end of its log (%s):\n%s", c.log, c.logTail())
	}
	if _, ok := errors.AsType[*pgconn.PgError](err); ok {
		return apperr.Wrap(err, apperr.Conflict,
			"the database cluster %s does not know the password in %s: restore that file, or delete it to have a new password set", c.dir, stateFile)
	}
	return apperr.Wrap(err, apperr.Unavailable, "PostgreSQL was not ready in time; its log is %s", c.log)
}

// logTail gives the last lines that the last start wrote.
func (c *cluster) logTail() string {
	text, err := os.ReadFile(c.log)
	if err != nil || int64(len(text)) < c.logStart {
		return ""
	}
	return lastLines(string(text[c.logStart:]), 8)
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
