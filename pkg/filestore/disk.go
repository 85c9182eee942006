package filestore

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// errNotPlain is what is said of a link, a device or whatever else somebody has put where a directory or a file belongs.
var errNotPlain = errors.New("is neither a directory nor a file of ours: remove it")

// enter opens the tenant's directory. The error is fs.ErrNotExist if it has none.
func (s *Store) enter(tenant tenantschema.Name) (*os.Root, error) {
	if tenant.IsZero() {
		return nil, tenantschema.ErrNoTenant
	}
	base, err := os.OpenRoot(s.dir)
	if err != nil {
		return nil, err
	}
	defer base.Close() //nolint:errcheck // It is a directory that was looked at.
	return enter(base, tenant.String())
}

// make is enter, and makes the directory if there is none.
func (s *Store) make(tenant tenantschema.Name) (*os.Root, error) {
	if tenant.IsZero() {
		return nil, tenantschema.ErrNoTenant
	}
	if err := os.MkdirAll(s.dir, dirMode); err != nil {
		return nil, err
	}
	base, err := os.OpenRoot(s.dir)
	if err != nil {
		return nil, err
	}
	defer base.Close() //nolint:errcheck // It is a directory that was looked at.
	if err = mkdir(base, tenant.String()); err != nil {
		return nil, err
	}
	return enter(base, tenant.String())
}

func enter(base *os.Root, name string) (*os.Root, error) {
	if err := plain(base, name); err != nil {
		return nil, err
	}
	return base.OpenRoot(name)
}

// plain checks that dir and all above it are directories. What is a link could lead to another tenant's.
func plain(root *os.Root, dir string) error {
	if dir == "." {
		return nil
	}
	if err := plain(root, path.Dir(dir)); err != nil {
		return err
	}
	info, err := root.Lstat(dir)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: dir, Err: errNotPlain}
	}
	return err
}

// mkdir makes dir and what is missing above it, so that they outlive a loss of power.
func mkdir(root *os.Root, dir string) error {
	if dir == "." {
		return nil
	}
	if err := mkdir(root, path.Dir(dir)); err != nil {
		return err
	}
	err := root.Mkdir(dir, dirMode)
	if errors.Is(err, fs.ErrExist) {
		return plain(root, dir)
	}
	if err != nil {
		return err
	}
	return sync(root, path.Dir(dir))
}

// sync writes down which names a directory holds.
func sync(root *os.Root, dir string) error {
	d, err := root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func put(root *os.Root, key string, r io.Reader, limit int64) (info Info, err error) {
	if err = mkdir(root, path.Dir(key)); err != nil {
		return Info{}, err
	}
	temporary := key + "." + uuid.NewString()
	f, err := root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return Info{}, err
	}
	defer func() {
		if err != nil {
			_ = root.Remove(temporary) // What stays is swept.
		}
	}()
	info, err = write(f, r, limit)
	if err = errors.Join(err, f.Close()); err != nil {
		return Info{}, err
	}
	if err = root.Rename(temporary, key); err != nil {
		return Info{}, err
	}
	return info, sync(root, path.Dir(key))
}

func write(f *os.File, r io.Reader, limit int64) (info Info, err error) {
	hash := sha256.New()
	info.Size, err = io.Copy(io.MultiWriter(f, hash), io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return Info{}, err
	case info.Size > limit:
		return Info{}, &TooLargeError{limit}
	}
	hash.Sum(info.SHA256[:0])
	return info, f.Sync()
}

// open opens the file itself, never what a link in its place leads to, and never waits for a pipe.
func open(root *os.Root, key string) (File, error) {
	if err := plain(root, path.Dir(key)); err != nil {
		return nil, err
	}
	want, err := root.Lstat(key)
	if err != nil {
		return nil, err
	}
	if !want.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: key, Err: errNotPlain}
	}
	f, err := root.Open(key)
	if err != nil {
		return nil, err
	}
	got, err := f.Stat()
	if err == nil && !os.SameFile(want, got) {
		err = fmt.Errorf("open %s: %w", key, errNotPlain)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return opened{f, got}, nil
}
