package filestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// atOnce is how many files are looked at together.
const atOnce = 1000

// Sweep removes files of a tenant that were put before a time and that nobody knows, and gives how many. It asks unknown which of some keys,
// a thousand at most, are nobody's. What was left half-written by then is removed unasked. A sweep that was cut short has done a part.
func (s *Store) Sweep(
	ctx context.Context, tenant tenantschema.Name, before time.Time, unknown func(ctx context.Context, keys []string) ([]string, error),
) (removed int, err error) {
	root, err := s.enter(tenant)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("filestore: sweep: %w", err)
	}
	defer root.Close() //nolint:errcheck // It is a directory that was looked at.
	w := sweep{root: root, before: before, unknown: unknown}
	if err = w.dir(ctx, "."); err != nil {
		return w.removed, fmt.Errorf("filestore: sweep: %w", err)
	}
	return w.removed, nil
}

// sweep is one run of Sweep.
type sweep struct {
	root    *os.Root
	before  time.Time
	unknown func(ctx context.Context, keys []string) ([]string, error)
	removed int
}

func (w *sweep) dir(ctx context.Context, dir string) error {
	d, err := w.root.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close() //nolint:errcheck // It was read.
	for {
		if err = ctx.Err(); err != nil {
			return err
		}
		entries, err := d.ReadDir(atOnce)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err = w.some(ctx, dir, entries); err != nil {
			return err
		}
	}
}

// some goes over some entries of dir. What is neither file nor directory is let be: it is not ours.
func (w *sweep) some(ctx context.Context, dir string, entries []fs.DirEntry) error {
	var keys, gone []string
	for _, entry := range entries {
		name := path.Join(dir, entry.Name())
		if entry.IsDir() {
			if err := w.dir(ctx, name); err != nil {
				return err
			}
			continue
		}
		if info, err := entry.Info(); err != nil || !entry.Type().IsRegular() || !info.ModTime().Before(w.before) {
			continue // Young, or gone meanwhile.
		}
		key, _, temporary := strings.Cut(name, ".")
		switch {
		case valid(key) != nil:
		case temporary:
			gone = append(gone, name)
		default:
			keys = append(keys, key)
		}
	}
	if len(keys) > 0 {
		unknown, err := w.unknown(ctx, keys)
		if err != nil {
			return err
		}
		gone = append(gone, unknown...)
	}
	for _, name := range gone {
		if err := w.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		w.removed++
	}
	return nil
}

// DeleteTenant removes all files of a tenant and gives how many those were. Repeating it finishes what was cut short.
func (s *Store) DeleteTenant(ctx context.Context, tenant tenantschema.Name) (files int, err error) {
	if tenant.IsZero() {
		return 0, tenantschema.ErrNoTenant
	}
	base, err := os.OpenRoot(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("filestore: delete tenant: %w", err)
	}
	defer base.Close() //nolint:errcheck // It is a directory that was looked at.
	err = fs.WalkDir(base.FS(), tenant.String(), func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files++
		}
		return errors.Join(ctx.Err(), err)
	})
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = base.RemoveAll(tenant.String()) // A link goes itself, not what it leads to.
	}
	if err != nil {
		return 0, fmt.Errorf("filestore: delete tenant: %w", err)
	}
	return files, nil
}
