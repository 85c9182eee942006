package pgserver

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

// account is the user as whom PostgreSQL's programs run when we are root, whom they refuse. A nil account is ourselves.
type account struct {
	name     string
	uid, gid uint32
}

// accountFor gives the owner of the cluster, or who will own it if there is none yet; nil unless we are root.
func accountFor(cluster string) (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	if info, err := os.Stat(cluster); err == nil {
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 {
			id := strconv.FormatUint(uint64(stat.Uid), 10)
			if u, err := user.LookupId(id); err == nil {
				return newAccount(u)
			}
			return &account{name: id, uid: stat.Uid, gid: stat.Gid}, nil
		}
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			return newAccount(u)
		}
	}
	return nil, apperr.New(apperr.Unavailable,
		"PostgreSQL does not run as root, and there is no user postgres or nobody to run it: run this as a plain user, or make a user postgres")
}

func newAccount(u *user.User) (*account, error) {
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &account{name: u.Username, uid: uint32(uid), gid: uint32(gid)}, nil
}

// reaches reports whether the user may pass through a directory and all that are above it.
func (a *account) reaches(dir string) bool {
	for ; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return false
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return false
		}
		search := fs.FileMode(0o001)
		switch {
		case stat.Uid == a.uid:
			search = 0o100
		case stat.Gid == a.gid:
			search = 0o010
		}
		if info.Mode()&search == 0 {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
}

// give makes the user the owner of a directory with all in it. For ourselves it does nothing.
func (a *account) give(path string) error {
	if a == nil {
		return nil
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // Nothing was written through it.
	return fs.WalkDir(root.FS(), ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return root.Lchown(name, int(a.uid), int(a.gid))
	})
}

// command is one of PostgreSQL's programs, to be run as the user, out of reach of the terminal's Ctrl-C, and with as little of our
// environment as it needs: variables such as PGDATA and LANG would change what it does.
func (a *account) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // Which programs these are is what the package is for.
	// The user may not be able to read the directory that we are in.
	cmd.Dir = "/"
	keep := []string{"PATH", "HOME", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"}
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); slices.Contains(keep, name) {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	cmd.Env = append(cmd.Env, "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if a != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
	return cmd
}
