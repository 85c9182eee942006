package migrations

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

const (
	// reserved is the last number that a product of somebody else's may not use.
	reserved = 10_000
	// frozen is the last of the platform's files that stands before those of another product. A tenant's schema has one version, so what is new
	// must come last: the platform's later files stand where a product has put them, by include.
	frozen = 9
	// include is the line that says, alone in a file of a product, that the platform's file of that name runs in its place.
	include = "-- rowhouse:include "
)

// With gives all files of a tenant's schema of a product: those of the platform, and its own. The product's are numbered from 10001, or are
// the workspace's.
//
// A tenant goes from version to version, and what it has passed by is never run: the platform's files of later releases, whose numbers are lower
// than those that a product has used already, are given a place by the product. A file of its own, such as 10007_platform.sql, that holds the
// one line
//
//	-- rowhouse:include 00014_passkeys.sql
//
// is that place. The error says which files have none.
func With(product fs.FS) (fs.FS, error) {
	return merge(sub("platform"), sub("tenant"), product, frozen)
}

// sqlFile is a migration in a file.
type sqlFile struct {
	version int64
	name    string
	text    []byte
}

func merge(platform, workspace, product fs.FS, frozen int64) (fs.FS, error) {
	base, err := read(platform)
	if err != nil {
		return nil, err
	}
	own, err := read(product)
	if err != nil {
		return nil, err
	}
	apart := false
	for i, f := range own {
		if f.version > reserved {
			apart = true
		} else if _, err = fs.Stat(workspace, f.name); err != nil {
			return nil, fmt.Errorf("migrations: the number of %s is the platform's: a product's own begin at %d", f.name, reserved+1)
		}
		name, ok := strings.CutPrefix(strings.TrimSpace(string(f.text)), include)
		if !ok {
			continue
		}
		at := slices.IndexFunc(base, func(b sqlFile) bool { return b.name == name && b.version > frozen })
		if at < 0 {
			return nil, fmt.Errorf("migrations: %s includes %q, which is no file of the platform's that wants a place, or has one already", f.name, name)
		}
		own[i].text = base[at].text
		base = slices.Delete(base, at, at+1)
	}
	for _, f := range base {
		if apart && f.version > frozen {
			return nil, fmt.Errorf("migrations: the platform's %s has no place among the product's files: add one with the next number that holds the line %q",
				f.name, include+f.name)
		}
	}
	return pack(append(base, own...))
}

// read gives the migrations of fsys, in the order of their numbers.
func read(fsys fs.FS) ([]sqlFile, error) {
	names, err := fs.Glob(fsys, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	var found []sqlFile
	for _, name := range names {
		number, _, _ := strings.Cut(name, "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil || version < 1 {
			return nil, fmt.Errorf("migrations: the name of %s does not begin with a number and _", name)
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, fmt.Errorf("migrations: %w", err)
		}
		found = append(found, sqlFile{version, name, text})
	}
	slices.SortFunc(found, func(a, b sqlFile) int { return int(a.version - b.version) })
	return found, nil
}

// pack makes a file system of the files: an archive in memory is the one of the standard library that can be written.
func pack(all []sqlFile) (fs.FS, error) {
	seen := map[int64]string{}
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	for _, f := range all {
		if other, twice := seen[f.version]; twice {
			return nil, fmt.Errorf("migrations: %s and %s have the same number", other, f.name)
		}
		seen[f.version] = f.name
		entry, err := w.CreateHeader(&zip.FileHeader{Name: f.name, Method: zip.Store})
		if err == nil {
			_, err = entry.Write(f.text)
		}
		if err != nil {
			return nil, fmt.Errorf("migrations: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	merged, err := zip.NewReader(bytes.NewReader(archive.Bytes()), int64(archive.Len()))
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	return merged, nil
}
