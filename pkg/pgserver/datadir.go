package pgserver

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

// The names in a data directory. Those with an asterisk are made by os.CreateTemp or os.MkdirTemp, live for moments, and can be left by
// a crash.
const (
	lockFile   = "lock"
	stateFile  = "server.json"
	stateTemp  = "server.json.new-*"
	clusterDir = "pg"
	clusterNew = "pg.new-*"
	logFile    = "postgres.log"
	binDir     = "bin"
)

// clusterHomes is where clusters are put that PostgreSQL's user could not reach in their data directories.
const clusterHomes = "/var/lib/rowhouse"

// dataDir is a data directory.
type dataDir struct {
	path  string // Absolute and without symbolic links.
	shown string // As the user knows it.
}

func (d dataDir) String() string { return d.shown }

func (d dataDir) file(name string) string { return filepath.Join(d.path, name) }

// openDataDir makes the directory, or makes sure that it is one of ours, without changing anything in it. Files with the names in keeps
// belong to the caller and do not make it anybody else's.
func openDataDir(path string, keeps ...string) (dataDir, error) {
	d := dataDir{shown: path}
	abs, err := filepath.Abs(path)
	if err != nil {
		return d, fmt.Errorf("data directory %s: %w", path, err)
	}
	err = os.MkdirAll(filepath.Dir(abs), 0o755) //nolint:gosec // Parents are nobody's secret; PostgreSQL's user has to pass.
	if err == nil {
		err = os.Mkdir(abs, 0o700)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return d, apperr.Wrap(err, apperr.Invalid, "cannot make the data directory %s: choose another --data-dir", path)
	}
	if d.path, err = filepath.EvalSymlinks(abs); err != nil {
		return d, apperr.Wrap(err, apperr.Invalid, "cannot use the data directory %s: choose another --data-dir", path)
	}
	ours, err := d.ours(keeps)
	if err != nil {
		return d, apperr.Wrap(err, apperr.Invalid, "cannot read the data directory %s: choose another --data-dir", path)
	}
	if !ours {
		return d, apperr.New(apperr.Invalid,
			"%s is not empty and no data directory of Rowhouse; nothing in it was touched: choose another --data-dir", path)
	}
	return d, nil
}

// ours reports whether the directory may be written to: it is empty, holds a server's state or a cluster, or nothing but what a Start
// leaves that ended before it had either.
func (d dataDir) ours(keeps []string) (bool, error) {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return false, err
	}
	if info, err := os.Stat(d.file(filepath.Join(clusterDir, versionFile))); err == nil && info.Mode().IsRegular() {
		return true, nil
	}
	if state, err := d.readState(); err == nil && state.Password != "" { // Others write a server.json too.
		return true, nil
	}
	return !slices.ContainsFunc(entries, func(entry fs.DirEntry) bool {
		left := slices.ContainsFunc([]string{lockFile, stateTemp, clusterNew, logFile, binDir}, func(pattern string) bool {
			ok, err := filepath.Match(pattern, entry.Name())
			return ok && err == nil
		})
		link := entry.Name() == clusterDir && entry.Type() == fs.ModeSymlink
		return !left && !link && !slices.Contains(keeps, entry.Name())
	}), nil
}

// place decides where the cluster is, or will be, and gives its real path, which PostgreSQL's user a can reach. a is nil for ourselves.
func (d dataDir) place(a *account) (string, error) {
	link := d.file(clusterDir)
	info, err := os.Lstat(link)
	switch {
	case err == nil && info.Mode().Type() == fs.ModeSymlink:
		cluster, err := d.follow(link)
		if err == nil && a != nil && !a.reaches(filepath.Dir(cluster)) {
			err = unreachable(a, cluster)
		}
		return cluster, err
	case err == nil:
		if a != nil && !d.open(a) {
			return "", unreachable(a, link)
		}
		return link, nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", apperr.Wrap(err, apperr.Invalid, "cannot read the data directory %s: choose another --data-dir", d)
	}
	if a == nil || d.open(a) {
		return link, nil
	}
	home, err := d.claimHome()
	if err != nil {
		return "", apperr.Wrap(err, apperr.Invalid,
			"the user %s, as whom PostgreSQL has to run, cannot reach %s, and %s cannot be used instead: choose another --data-dir",
			a.name, d, clusterHomes)
	}
	// The link comes before the cluster, so that after a crash the next Start goes on in the same place.
	if err = os.Symlink(filepath.Join(home, clusterDir), link); err != nil {
		return "", fmt.Errorf("linking the database cluster: %w", err)
	}
	return filepath.Join(home, clusterDir), nil
}

func unreachable(a *account, cluster string) error {
	return apperr.New(apperr.Invalid,
		"the user %s, as whom PostgreSQL has to run, cannot reach %s: move the data directory to a place that it can reach", a.name, cluster)
}

// follow gives the real path of a cluster that is elsewhere and may not be there yet.
func (d dataDir) follow(link string) (string, error) {
	target, err := os.Readlink(link)
	if err != nil {
		return "", fmt.Errorf("finding the database cluster: %w", err)
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join(d.path, target)
	}
	if cluster, err := filepath.EvalSymlinks(target); err == nil {
		return cluster, nil
	}
	home, err := filepath.EvalSymlinks(filepath.Dir(target))
	if err != nil {
		return "", apperr.Wrap(err, apperr.Conflict,
			"%s links to %s, which is gone: bring it back, or delete the link and %s to start with an empty cluster", link, target, d.file(stateFile))
	}
	return filepath.Join(home, filepath.Base(target)), nil
}

// open lets the user pass through the data directory, into which nobody else can look, if it can come so far.
func (d dataDir) open(a *account) bool {
	if !a.reaches(filepath.Dir(d.path)) {
		return false
	}
	if a.reaches(d.path) {
		return true
	}
	return os.Chmod(d.path, 0o711) == nil //nolint:gosec // Passing is not reading; the files in it have their own modes.
}

// claimHome makes the directory that stands for this data directory below clusterHomes. Where one stands already that is not empty, it
// belongs to a data directory that was moved away from this path or deleted: it is left alone.
func (d dataDir) claimHome() (string, error) {
	if err := os.MkdirAll(clusterHomes, 0o755); err != nil { //nolint:gosec // As /var/lib itself.
		return "", err
	}
	if err := os.Chmod(clusterHomes, 0o755); err != nil { //nolint:gosec // Whatever the umask was.
		return "", err
	}
	sum := sha256.Sum256([]byte(d.path))
	first := filepath.Join(clusterHomes, hex.EncodeToString(sum[:8]))
	home := first
	for n := 2; ; n++ {
		// A Start that was killed between Mkdir and Symlink leaves it empty, and only an empty one can be removed so.
		if err := os.Remove(home); err != nil && !errors.Is(err, fs.ErrNotExist) {
			home = fmt.Sprintf("%s-%d", first, n)
			continue
		}
		if err := os.Mkdir(home, 0o711); err != nil { //nolint:gosec // PostgreSQL's user has to pass.
			return "", err
		}
		return home, os.Chmod(home, 0o711) //nolint:gosec // Whatever the umask was.
	}
}
