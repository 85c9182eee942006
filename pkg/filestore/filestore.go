// Package filestore keeps tenants' files on disk, a directory for each tenant:
//
//	<dir>/<schema>/<key>            whole
//	<dir>/<schema>/<key>.<random>   being written, or left by a crash: no key has a dot
//
// What it guarantees:
//
//   - A path is made of a [tenantschema.Name] and a key of ours (a-z, 0-9, - and /), never of what somebody sent, and is opened beneath the
//     tenant's directory ([os.Root]). A symbolic link is refused, wherever it leads. So no file of another tenant can be reached.
//   - A file is there whole or not at all: it is written beside its place, synced, and renamed. What it replaces is there until then.
//   - Directories have the mode 0700, files 0600.
//
// A [Store] has no state but its directory, and is safe for concurrent use, by any number of processes that see the same directory.
package filestore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

const (
	dirMode  = 0o700
	fileMode = 0o600
	// maxKey is in bytes, and leaves a file system room for the end of a temporary name.
	maxKey = 200
)

// Store is the files of all tenants.
type Store struct{ dir string }

// Open gives the files below dir, which is made when the first file comes.
func Open(dir string) (*Store, error) {
	if dir == "" {
		return nil, errors.New("filestore: the directory must have a name")
	}
	return &Store{dir: dir}, nil
}

// Info is what is known of a file that was put.
type Info struct {
	// Size is in bytes.
	Size   int64
	SHA256 [sha256.Size]byte
}

// File is an open file.
type File interface {
	io.ReadSeekCloser
	// Size is in bytes.
	Size() int64
	// ModTime is when it was put.
	ModTime() time.Time
}

// TooLargeError is returned by [Store.Put] for more than was allowed.
type TooLargeError struct{ Limit int64 }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("filestore: the file has more than %d bytes", e.Limit)
}

// Put stores what r gives under key, in place of what was there. It holds no more than a buffer of it in memory, and stops when ctx ends.
// After an error, which is a *[TooLargeError] for more than limit bytes, all is as it was. An error of r is wrapped.
func (s *Store) Put(ctx context.Context, tenant tenantschema.Name, key string, r io.Reader, limit int64) (Info, error) {
	if err := valid(key); err != nil {
		return Info{}, err
	}
	root, err := s.make(tenant)
	if err != nil {
		return Info{}, fmt.Errorf("filestore: put: %w", err)
	}
	defer root.Close() //nolint:errcheck // It is a directory that was looked at.
	info, err := put(root, key, contextReader{ctx, r}, limit)
	if err != nil {
		return Info{}, fmt.Errorf("filestore: put: %w", err)
	}
	return info, nil
}

// Open gives the file under key. The error is apperr.NotFound if there is none. The file must be closed.
func (s *Store) Open(_ context.Context, tenant tenantschema.Name, key string) (File, error) {
	if err := valid(key); err != nil {
		return nil, err
	}
	root, err := s.enter(tenant)
	if err != nil {
		return nil, missing("open", err)
	}
	defer root.Close() //nolint:errcheck // It is a directory that was looked at.
	f, err := open(root, key)
	if err != nil {
		return nil, missing("open", err)
	}
	return f, nil
}

// Delete removes the file under key, if there is one.
func (s *Store) Delete(_ context.Context, tenant tenantschema.Name, key string) error {
	if err := valid(key); err != nil {
		return err
	}
	root, err := s.enter(tenant)
	if err == nil {
		defer root.Close() //nolint:errcheck // It is a directory that was looked at.
		if err = plain(root, path.Dir(key)); err == nil {
			err = root.Remove(key)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("filestore: delete: %w", err)
	}
	return nil
}

// valid checks that key is one of ours: names of a-z, 0-9 and -, between slashes.
func valid(key string) error {
	if len(key) > maxKey {
		return fmt.Errorf("filestore: the key has more than %d bytes", maxKey)
	}
	for name := range strings.SplitSeq(key, "/") {
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }) {
			return fmt.Errorf("filestore: the key %.80q is not made of a-z, 0-9 and - between slashes", key)
		}
	}
	return nil
}

// missing says that there is no such file, or what else has failed.
func missing(operation string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return apperr.Wrap(err, apperr.NotFound, "There is no such file.")
	}
	return fmt.Errorf("filestore: %s: %w", operation, err)
}

// contextReader ends with its context.
type contextReader struct {
	ctx context.Context //nolint:containedctx // It lives for one call.
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// opened is a file with what was found of it when it was opened.
type opened struct {
	*os.File

	info fs.FileInfo
}

func (o opened) Size() int64        { return o.info.Size() }
func (o opened) ModTime() time.Time { return o.info.ModTime() }
