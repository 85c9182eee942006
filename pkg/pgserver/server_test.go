package pgserver

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

func TestStart(t *testing.T) {
	t.Parallel()
	s := start(t, newDir(t), func(c *Config) { c.Settings = map[string]string{"max_connections": "17"} })
	for setting, want := range map[string]string{
		"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "password_encryption": "scram-sha-256", "server_encoding": "UTF8",
		"max_connections": "17", "fsync": "off",
	} {
		require.Equal(t, want, query(t, s, "show "+setting), setting)
	}
	require.Contains(t, []string{"C.UTF-8", "C"}, query(t, s, "select datcollate from pg_database where datname = current_database()"))

	cfg, err := pgx.ParseConfig(s.AdminURL("postgres"))
	require.NoError(t, err)
	cfg.Password = "wrong"
	_, err = pgx.ConnectConfig(t.Context(), cfg)
	require.ErrorContains(t, err, "28P01")
}

func TestFilesAreOfWhoRunsTheServer(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	stop(t, start(t, dir))
	account, err := accountFor(dir + "/pg")
	require.NoError(t, err)
	require.Equal(t, isRoot(), account != nil)

	want := os.Geteuid()
	if account != nil {
		want = int(account.uid)
		// Root copied or restored the cluster: it is given back to who can run it.
		require.NoError(t, (&rootAccount).give(filepath.Join(dir, clusterDir)))
	}
	stop(t, start(t, dir))
	require.Equal(t, want, owner(t, filepath.Join(dir, clusterDir)))
	require.Equal(t, want, owner(t, filepath.Join(dir, clusterDir, "base")))
	for _, name := range []string{stateFile, logFile, lockFile} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, "-rw-------", info.Mode().String(), name)
		require.Equal(t, os.Geteuid(), owner(t, filepath.Join(dir, name)))
	}
	info, err := os.Stat(dir)
	require.NoError(t, err)
	if isRoot() {
		require.Equal(t, "drwx--x--x", info.Mode().String())
	} else {
		require.Equal(t, "drwx------", info.Mode().String())
	}
}

var rootAccount = account{name: "root"}

func owner(t *testing.T, path string) int {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	stat, ok := info.Sys().(*syscall.Stat_t)
	require.True(t, ok)
	return int(stat.Uid)
}

func TestRestartKeepsEverything(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	var progress recorder
	first := start(t, dir, func(c *Config) { c.Progress = progress.add })
	require.Equal(t, []string{"creating the database cluster"}, progress.lines)
	run(t, first, "create table kept as select 'as it was' as value")
	stop(t, first)
	<-first.Done()
	stop(t, first) // Again is no error.

	second := start(t, dir, func(c *Config) { c.Progress = progress.add })
	require.Len(t, progress.lines, 1)
	require.Equal(t, first.AdminURL("x"), second.AdminURL("x"))
	require.Equal(t, first.State().Port, second.State().Port)
	require.Equal(t, "as it was", query(t, second, "select value from kept"))
}

func TestFind(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	requireNone := func() {
		_, err := Find(dir)
		require.Equal(t, apperr.NotFound, apperr.CodeOf(err))
		require.EqualError(t, err, "no server is running for "+dir+": start `rowhouse up`, or give --database-url")
	}
	requireNone()
	s := start(t, dir)
	found, err := Find(dir)
	require.NoError(t, err)
	require.Equal(t, s.State(), found)
	require.Equal(t, s.AdminURL("db"), found.AdminURL("db"))
	require.Equal(t, os.Getpid(), found.PID)
	stop(t, s)
	requireNone()

	// A server that is about to run holds the lock and is not to be used yet.
	l, err := acquire(t.Context(), filepath.Join(dir, lockFile))
	require.NoError(t, err)
	_, err = Find(dir)
	require.Equal(t, apperr.Unavailable, apperr.CodeOf(err))
	require.NoError(t, l.release())
}

func TestSecondStartIsRefused(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	first := start(t, dir)
	helper := startHelper(t, dir)
	require.Contains(t, helper.line, "is already run by process")
	require.Contains(t, helper.line, " "+itoa(os.Getpid())+":")
	requireRefused(t, Config{DataDir: dir}, apperr.Conflict, "process "+itoa(os.Getpid()))
	require.Equal(t, apperr.Conflict, apperr.CodeOf(Destroy(t.Context(), dir)))
	require.Equal(t, "1", query(t, first, "select '1'"), "the first is not disturbed")
}

func TestStopAtOnce(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	s := start(t, dir, durable)
	run(t, s, "create table kept as select 'committed' as value")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	err := s.child.end(ended)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "will recover")
	<-s.Done()
	stop(t, s)
	require.Equal(t, "committed", query(t, start(t, dir), "select value from kept"))
}

func TestStartIsCancelled(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	cfg := Config{DataDir: dir, Fast: true, Progress: func(string) { cancel() }} // In the middle of initdb.
	_, err := Start(ctx, cfg)
	require.ErrorIs(t, err, context.Canceled)
	require.NoDirExists(t, filepath.Join(dir, clusterDir))
	start(t, dir)
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	_, err := Start(t.Context(), Config{})
	require.ErrorContains(t, err, "DataDir is empty")
	requireRefused(t, Config{DataDir: dir, Port: 65536}, apperr.Invalid, "65536 is no port")
	requireRefused(t, Config{DataDir: dir, Settings: map[string]string{"port": "1"}}, apperr.Invalid, "the setting port")
	require.NoDirExists(t, dir)
}
