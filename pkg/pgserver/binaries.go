package pgserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

// minMajor is the oldest PostgreSQL that Rowhouse runs on.
const minMajor = 15

// binaries are PostgreSQL's programs in one directory.
type binaries struct {
	dir     string
	version string // As the program says it: "15.14".
	major   int
}

func (b binaries) program(name string) string { return filepath.Join(b.dir, name) }

// search says where to look for binaries.
type search struct {
	binDir    string   // If not empty, the only place.
	path      string   // As the environment's PATH.
	globs     []string // Directories of packages.
	downloads string   // Ours.
	mirror    string   // Where downloads come from; empty: the library's choice.
	account   *account // Who has to run them.
	progress  func(string)
}

// packagedBinDirs are where packages put the programs: Debian, Red Hat, Homebrew, and the installer for macOS.
func packagedBinDirs() []string {
	return []string{
		"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin",
		"/Library/PostgreSQL/*/bin",
	}
}

// locate gives binaries of a major version, or for 0 of any that will do, and downloads them if none are installed at all.
func (s search) locate(ctx context.Context, major int) (binaries, error) {
	b, err := s.installed(ctx, major)
	if ctx.Err() != nil { // Whatever was not found: the programs could not be asked.
		return binaries{}, ctx.Err()
	}
	if err != nil || b.dir != "" {
		return b, err
	}
	s.progress("PostgreSQL is not installed: downloading it")
	if b, err = s.download(ctx, major); err != nil {
		return binaries{}, apperr.Wrap(err, apperr.Unavailable, "PostgreSQL was not found, and downloading it failed: "+
			"install PostgreSQL %s (Debian: apt-get install postgresql) or give --database-url", wanted(major))
	}
	return b, nil
}

// installed gives binaries that are here, an error if they will not do, and neither if there are none.
func (s search) installed(ctx context.Context, major int) (binaries, error) {
	if s.binDir != "" {
		return s.explicit(ctx, major)
	}
	inPath, packaged, downloaded := s.inPath(ctx), s.in(ctx, s.globs...), s.in(ctx, filepath.Join(s.downloads, "*", "bin"))
	found := slices.Concat(inPath, packaged, downloaded)
	if i := slices.IndexFunc(found, func(b binaries) bool { return b.fits(major) }); i >= 0 {
		return found[i], nil
	}
	if major != 0 && len(found) > 0 {
		return binaries{}, otherVersion(major, found...)
	}
	return binaries{}, nil
}

func (b binaries) fits(major int) bool {
	if major == 0 {
		return b.major >= minMajor
	}
	return b.major == major
}

func wanted(major int) string {
	if major == 0 {
		return strconv.Itoa(minMajor) + " or newer"
	}
	return strconv.Itoa(major)
}

func otherVersion(major int, found ...binaries) error {
	var installed []string
	for _, b := range found {
		installed = append(installed, b.version)
	}
	slices.Sort(installed)
	return apperr.New(apperr.Conflict,
		"the data directory was made by PostgreSQL %d, and only %s is here: install PostgreSQL %d (Debian: postgresql-%d), or choose another --data-dir",
		major, strings.Join(slices.Compact(installed), ", "), major, major)
}

func (s search) explicit(ctx context.Context, major int) (binaries, error) {
	b, err := s.inspect(ctx, s.binDir)
	if err != nil {
		return b, apperr.Wrap(err, apperr.Invalid, "%s does not hold PostgreSQL's server programs (postgres, initdb)", s.binDir)
	}
	if b.fits(major) {
		return b, nil
	}
	if major == 0 {
		return b, apperr.New(apperr.Invalid, "%s holds PostgreSQL %s: Rowhouse needs %s", s.binDir, b.version, wanted(0))
	}
	return b, otherVersion(major, b)
}

// in gives the binaries in directories that match patterns, the newest first.
func (s search) in(ctx context.Context, patterns ...string) []binaries {
	var found []binaries
	for _, pattern := range patterns {
		dirs, err := filepath.Glob(pattern)
		if err != nil {
			continue // Of our patterns only a strange data directory makes a wrong one, and that has no downloads yet.
		}
		for _, dir := range dirs {
			if b, err := s.inspect(ctx, dir); err == nil {
				found = append(found, b)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b binaries) int { return cmp.Compare(b.major, a.major) })
	return found
}

// inPath gives the binaries in the directories of PATH and where a pg_config there says that they are, in the order of PATH.
func (s search) inPath(ctx context.Context) []binaries {
	var found []binaries
	for _, dir := range filepath.SplitList(s.path) {
		if !filepath.IsAbs(dir) {
			continue // What the current directory happens to hold is not run.
		}
		if b, err := s.inspect(ctx, dir); err == nil {
			found = append(found, b)
			continue
		}
		out, err := s.account.command(ctx, filepath.Join(dir, "pg_config"), "--bindir").Output()
		if err != nil {
			continue
		}
		if b, err := s.inspect(ctx, strings.TrimSpace(string(out))); err == nil {
			found = append(found, b)
		}
	}
	return found
}

// inspect makes sure that a directory holds what we need and that the account can run it.
func (s search) inspect(ctx context.Context, dir string) (binaries, error) {
	b := binaries{dir: dir}
	for _, name := range []string{"initdb", "postgres"} {
		if _, err := os.Stat(b.program(name)); err != nil {
			return b, err
		}
	}
	out, err := s.account.command(ctx, b.program("postgres"), "--version").Output()
	if err != nil {
		return b, fmt.Errorf("%s --version: %w", b.program("postgres"), err)
	}
	match := regexp.MustCompile(`\(PostgreSQL\) ((\d+)\S*)`).FindSubmatch(out)
	if match == nil {
		return b, errors.New("not a PostgreSQL server: " + lastLines(string(out), 1))
	}
	b.version = string(match[1])
	b.major, err = strconv.Atoi(string(match[2]))
	return b, err
}
