package pgserver

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

func TestForeignDirectoryIsRefusedUntouched(t *testing.T) {
	t.Parallel()
	for name, files := range map[string][]string{
		"somebody's files":             {"letter.txt"},
		"another server.json":          {"server.json"},
		"another server.json and lock": {"server.json", "lock"},
		"a pg that is no cluster":      {"pg/notes.txt"},
		"ours and something else":      {"lock", "postgres.log", "letter.txt"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for _, file := range files {
				path := filepath.Join(dir, file)
				require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
				require.NoError(t, os.WriteFile(path, []byte(`{"port": 3000}`), 0o644))
			}
			before := tree(t, dir)
			requireRefused(t, Config{DataDir: dir}, apperr.Invalid, dir, "nothing in it was touched", "choose another --data-dir")
			require.Equal(t, apperr.Invalid, apperr.CodeOf(Destroy(t.Context(), dir)))
			require.Equal(t, before, tree(t, dir))
		})
	}
	t.Run("a file", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		requireRefused(t, Config{DataDir: path}, apperr.Invalid, path)
		requireRefused(t, Config{DataDir: filepath.Join(path, "below")}, apperr.Invalid, path)
	})
}

func TestEmptyDirectoryIsTaken(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	require.NoError(t, os.Mkdir(dir, 0o755))
	start(t, dir)
}

func TestDirectoryWithTheCallersFilesIsTaken(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	require.NoError(t, os.Mkdir(dir, 0o700))
	kept := filepath.Join(dir, "secret")
	require.NoError(t, os.WriteFile(kept, []byte("kept"), 0o600))
	requireRefused(t, Config{DataDir: dir}, apperr.Invalid, "is not empty")
	start(t, dir, func(c *Config) { c.Keeps = []string{"secret"} })
	text, err := os.ReadFile(kept)
	require.NoError(t, err)
	require.Equal(t, "kept", string(text))
}

func TestDirectoryThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	closed := t.TempDir()
	require.NoError(t, os.Chmod(closed, 0o500))
	if isRoot() {
		// To root every mode is open; what it cannot write to is of another kind.
		requireRefused(t, Config{DataDir: "/proc/self/fdinfo"}, apperr.Invalid, "/proc/self/fdinfo", "choose another --data-dir")
		requireRefused(t, Config{DataDir: "/proc/rowhouse"}, apperr.Invalid, "cannot make the data directory /proc/rowhouse")
		return
	}
	requireRefused(t, Config{DataDir: closed}, apperr.Invalid, "cannot write to the data directory "+closed)
	requireRefused(t, Config{DataDir: filepath.Join(closed, "data")}, apperr.Invalid, "cannot make the data directory")
}

func TestStateOfAnotherUser(t *testing.T) {
	t.Parallel()
	if isRoot() {
		_, err := Find("/root/.no-such-directory")
		require.Equal(t, apperr.NotFound, apperr.CodeOf(err), "root sees that there is nothing")
		return
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, stateFile), nil, 0o000))
	_, err := Find(dir)
	require.Equal(t, apperr.Forbidden, apperr.CodeOf(err))
	require.Contains(t, messageOf(t, err), "belongs to another user")
}

// The way to the data directory is closed to all users but ourselves. Who is root has to run PostgreSQL as one of the others.
func TestParentThatOthersCannotPass(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	require.NoError(t, os.Chmod(parent, 0o700))
	dir := filepath.Join(parent, "data")
	t.Cleanup(func() { require.NoError(t, Destroy(context.WithoutCancel(t.Context()), dir)) })

	s := start(t, dir)
	run(t, s, "create table kept as select 'here' as value")
	stop(t, s)
	link := filepath.Join(dir, clusterDir)
	info, err := os.Lstat(link)
	require.NoError(t, err)
	if !isRoot() {
		require.True(t, info.IsDir())
		require.Equal(t, "here", query(t, start(t, dir), "select value from kept"))
		return
	}
	require.Equal(t, os.ModeSymlink, info.Mode().Type())
	target, err := os.Readlink(link)
	require.NoError(t, err)
	home := filepath.Dir(target)
	require.Regexp(t, `^/var/lib/rowhouse/[0-9a-f]{16}$`, home)

	// The data directory is moved: the cluster is found, and the place is not given to the next data directory of that path.
	moved := dir + "-moved"
	require.NoError(t, os.Rename(dir, moved))
	again := start(t, moved)
	require.Equal(t, "here", query(t, again, "select value from kept"))
	start(t, dir)
	second, err := os.Readlink(link)
	require.NoError(t, err)
	require.Equal(t, home+"-2/pg", second)

	// Somebody copied the data directory, and with it the link: the cluster has one server all the same.
	stop(t, again)
	copied := dir + "-copied"
	require.NoError(t, os.CopyFS(copied, os.DirFS(moved)))
	again = start(t, moved)
	requireRefused(t, Config{DataDir: copied}, apperr.Conflict, "already run by process "+itoa(os.Getpid()))
	stop(t, again)

	require.NoError(t, os.RemoveAll(copied))
	require.NoError(t, Destroy(t.Context(), moved))
	require.NoDirExists(t, home)
	require.NoDirExists(t, moved)
	require.DirExists(t, filepath.Dir(second))
}

// A Start that fails before there is a cluster has made a place for it.
func TestDestroyAfterStartFailed(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	require.NoError(t, os.Chmod(parent, 0o700))
	dir := filepath.Join(parent, "data")
	requireRefused(t, Config{DataDir: dir, BinDir: "/nonexistent"}, apperr.Invalid, "does not hold")
	target, err := os.Readlink(filepath.Join(dir, clusterDir))
	require.Equal(t, isRoot(), err == nil)
	require.NoError(t, Destroy(t.Context(), dir))
	require.NoDirExists(t, dir)
	if isRoot() {
		require.NoDirExists(t, filepath.Dir(target))
	}
}

func TestClusterLinkedElsewhere(t *testing.T) {
	t.Parallel()
	disk, dir := filepath.Dir(newDir(t)), newDir(t) // In this order, so that the disk outlives the data directory.
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.Symlink(filepath.Join(disk, "big"), filepath.Join(dir, clusterDir)))
	s := start(t, dir)
	require.FileExists(t, filepath.Join(disk, "big", versionFile))
	stop(t, s)

	require.NoError(t, os.Rename(disk, disk+".unmounted"))
	requireRefused(t, Config{DataDir: dir}, apperr.Conflict, "is gone", "bring it back")
	require.NoError(t, os.Rename(disk+".unmounted", disk))

	require.NoError(t, os.Chmod(disk, 0o700))
	if isRoot() {
		requireRefused(t, Config{DataDir: dir}, apperr.Invalid, "cannot reach "+filepath.Join(disk, "big"))
		require.NoError(t, os.Chmod(disk, 0o711))
	}
	start(t, dir)
}

func TestAccountReaches(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	require.NoError(t, os.Mkdir(dir, 0o700))
	us, others := &account{uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}, &account{uid: 4000000000, gid: 4000000000}
	group := &account{uid: others.uid, gid: us.gid}
	for mode, want := range map[uint32]string{0o700: "us", 0o710: "us group", 0o701: "us others", 0o611: "group others", 0o711: "us group others"} {
		require.NoError(t, os.Chmod(dir, os.FileMode(mode)))
		var got []string
		for _, who := range []struct {
			name string
			*account
		}{{"us", us}, {"group", group}, {"others", others}} {
			if who.reaches(dir) {
				got = append(got, who.name)
			}
		}
		require.Equal(t, want, strings.Join(got, " "), "%o", mode)
	}
	require.False(t, us.reaches(filepath.Join(dir, "missing")))
	// The modes come in any order, and without its x the directory cannot be removed.
	require.NoError(t, os.Chmod(dir, 0o700))
}
