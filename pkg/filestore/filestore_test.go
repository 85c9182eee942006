package filestore_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/filestore"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func name(t *testing.T, s string) tenantschema.Name {
	t.Helper()
	n, err := tenantschema.ParseName(s)
	require.NoError(t, err)
	return n
}

// setup gives a store in a directory, and two tenants.
func setup(t *testing.T) (store *filestore.Store, dir string, acme, globex tenantschema.Name) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "made", "later")
	store, err := filestore.Open(dir)
	require.NoError(t, err)
	return store, dir, name(t, "t_acme"), name(t, "t_globex")
}

func put(t *testing.T, s *filestore.Store, tenant tenantschema.Name, key, content string) {
	t.Helper()
	_, err := s.Put(t.Context(), tenant, key, strings.NewReader(content), 100)
	require.NoError(t, err)
}

func read(t *testing.T, s *filestore.Store, tenant tenantschema.Name, key string) string {
	t.Helper()
	f, err := s.Open(t.Context(), tenant, key)
	require.NoError(t, err)
	text, err := io.ReadAll(f)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return string(text)
}

func requireNone(t *testing.T, s *filestore.Store, tenant tenantschema.Name, key string) {
	t.Helper()
	_, err := s.Open(t.Context(), tenant, key)
	require.ErrorIs(t, err, &apperr.Error{Code: apperr.NotFound})
}

// paths gives all that is below dir but the directories.
func paths(t *testing.T, dir string) (found []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found = append(found, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	}))
	return found
}

func TestPutOpenDelete(t *testing.T) {
	t.Parallel()
	s, dir, acme, globex := setup(t)
	requireNone(t, s, acme, "a/1")
	require.NoError(t, s.Delete(t.Context(), acme, "a/1"))
	require.NoDirExists(t, dir, "who only asks makes nothing")

	info, err := s.Put(t.Context(), acme, "a/1", strings.NewReader("hello"), 5)
	require.NoError(t, err)
	require.Equal(t, filestore.Info{Size: 5, SHA256: sha256.Sum256([]byte("hello"))}, info)
	put(t, s, globex, "a/1", "other")
	require.Equal(t, "hello", read(t, s, acme, "a/1"))
	require.Equal(t, "other", read(t, s, globex, "a/1"))
	put(t, s, acme, "a/1", "again")
	require.Equal(t, "again", read(t, s, acme, "a/1"))
	require.ElementsMatch(t, []string{"t_acme/a/1", "t_globex/a/1"}, paths(t, dir))

	for path, want := range map[string]fs.FileMode{"": 0o700, "t_acme": 0o700, "t_acme/a": 0o700, "t_acme/a/1": 0o600} {
		got, err := os.Stat(filepath.Join(dir, path))
		require.NoError(t, err)
		require.Equal(t, want, got.Mode().Perm(), path)
	}
	f, err := s.Open(t.Context(), acme, "a/1")
	require.NoError(t, err)
	require.Equal(t, int64(5), f.Size())
	require.WithinDuration(t, time.Now(), f.ModTime(), time.Minute)
	require.NoError(t, s.Delete(t.Context(), acme, "a/1"))
	text, err := io.ReadAll(f)
	require.NoError(t, err, "who has it open reads it to its end")
	require.Equal(t, "again", string(text))
	require.NoError(t, f.Close())
	requireNone(t, s, acme, "a/1")
	require.Equal(t, "other", read(t, s, globex, "a/1"))
}

// What fails in the middle leaves what was there, and nothing else.
func TestPutIsWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	s, dir, acme, _ := setup(t)
	put(t, s, acme, "kept", "before")
	cut := errors.New("the line was cut")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context //nolint:containedctx // A case's.
		r    io.Reader
		want error
	}{
		"cut off":   {t.Context(), io.MultiReader(strings.NewReader("half"), iotest.ErrReader(cut)), cut},
		"cancelled": {ended, strings.NewReader("all"), context.Canceled},
	} {
		for _, key := range []string{"kept", "new"} {
			_, err := s.Put(c.ctx, acme, key, c.r, 100)
			require.ErrorIs(t, err, c.want, name)
		}
	}
	_, err := s.Put(t.Context(), acme, "new", bytes.NewReader(make([]byte, 1<<20)), 100_000)
	var tooLarge *filestore.TooLargeError
	require.ErrorAs(t, err, &tooLarge)
	require.Equal(t, int64(100_000), tooLarge.Limit)
	require.Equal(t, []string{"t_acme/kept"}, paths(t, dir))
	require.Equal(t, "before", read(t, s, acme, "kept"))
}

// No key leads out of the tenant's directory, and no tenant is no tenant.
func TestKeysAndTenants(t *testing.T) {
	t.Parallel()
	s, dir, acme, globex := setup(t)
	put(t, s, globex, "secret", "globex's")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "secret"), []byte("the house's"), 0o600))
	for _, key := range []string{
		"", "/", ".", "..", "../secret", "../t_globex/secret", "a/../../secret", "/etc/passwd", "a//b", "a/", "/a", "a/./b", `..\secret`, "A", "a.b",
		"a_b", "a b", "a\x00", "ä", "a\n", strings.Repeat("a", 201),
	} {
		_, err := s.Put(t.Context(), acme, key, strings.NewReader("x"), 1)
		require.ErrorContains(t, err, "filestore: the key", "%q", key)
		_, err = s.Open(t.Context(), acme, key)
		require.ErrorContains(t, err, "filestore: the key", "%q", key)
		require.ErrorContains(t, s.Delete(t.Context(), acme, key), "filestore: the key", "%q", key)
	}
	var nobody tenantschema.Name
	_, err := s.Put(t.Context(), nobody, "secret", strings.NewReader("x"), 1)
	require.ErrorIs(t, err, tenantschema.ErrNoTenant)
	_, err = s.Open(t.Context(), nobody, "secret")
	require.ErrorIs(t, err, tenantschema.ErrNoTenant)
	require.ErrorIs(t, s.Delete(t.Context(), nobody, "secret"), tenantschema.ErrNoTenant)
	_, err = s.DeleteTenant(t.Context(), nobody)
	require.ErrorIs(t, err, tenantschema.ErrNoTenant)
	_, err = s.Sweep(t.Context(), nobody, time.Now(), nil)
	require.ErrorIs(t, err, tenantschema.ErrNoTenant)
	require.ElementsMatch(t, []string{"secret", "t_globex/secret"}, paths(t, dir))
	_, err = filestore.Open("")
	require.Error(t, err)
}

// Whoever could put a link into the directory still reads nothing by it: not another tenant's, and not the tenant's own.
func TestLinksAreRefused(t *testing.T) {
	t.Parallel()
	s, dir, acme, globex := setup(t)
	put(t, s, globex, "d/secret", "globex's")
	put(t, s, acme, "d/own", "acme's")
	link := func(to, from string) { require.NoError(t, os.Symlink(to, filepath.Join(dir, from))) }
	link("../../t_globex/d/secret", "t_acme/d/out")
	link("own", "t_acme/d/in")
	link("../t_globex/d", "t_acme/other")
	link("d", "t_acme/same")
	link("t_globex", "t_linked")
	linked := name(t, "t_linked")

	for _, c := range []struct {
		tenant tenantschema.Name
		key    string
	}{{acme, "d/out"}, {acme, "d/in"}, {acme, "other/secret"}, {acme, "same/own"}, {linked, "d/secret"}} {
		_, err := s.Open(t.Context(), c.tenant, c.key)
		require.ErrorContains(t, err, "neither a directory nor a file", c.key)
	}
	for key, tenant := range map[string]tenantschema.Name{"other/secret": acme, "same/own": acme, "d/secret": linked} {
		_, err := s.Put(t.Context(), tenant, key, strings.NewReader("x"), 1)
		require.ErrorContains(t, err, "neither a directory nor a file", key)
		require.ErrorContains(t, s.Delete(t.Context(), tenant, key), "neither a directory nor a file", key)
	}
	// Putting a file where a link stands replaces the link.
	put(t, s, acme, "d/out", "acme's")
	require.Equal(t, "globex's", read(t, s, globex, "d/secret"))

	_, err := s.DeleteTenant(t.Context(), linked)
	require.NoError(t, err)
	_, err = s.DeleteTenant(t.Context(), acme)
	require.NoError(t, err)
	require.Equal(t, "globex's", read(t, s, globex, "d/secret"))
	require.Equal(t, []string{"t_globex/d/secret"}, paths(t, dir))
}

func TestSweep(t *testing.T) {
	t.Parallel()
	s, dir, acme, globex := setup(t)
	before := time.Now().Add(-time.Hour)
	none := func(context.Context, []string) ([]string, error) { return nil, nil }
	removed, err := s.Sweep(t.Context(), acme, before, none)
	require.NoError(t, err)
	require.Zero(t, removed)
	for _, key := range []string{"a/old", "a/known", "a/young", "b/old"} {
		put(t, s, acme, key, key)
	}
	put(t, s, globex, "a/old", "globex's")
	for _, left := range []string{"a/old.left", "a/young.left"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "t_acme", left), nil, 0o600))
	}
	for _, old := range []string{"t_acme/a/old", "t_acme/a/known", "t_acme/b/old", "t_acme/a/old.left", "t_globex/a/old"} {
		require.NoError(t, os.Chtimes(filepath.Join(dir, old), time.Time{}, before.Add(-time.Second)))
	}
	failed := errors.New("failed")
	_, err = s.Sweep(t.Context(), acme, before, func(context.Context, []string) ([]string, error) { return nil, failed })
	require.ErrorIs(t, err, failed)
	require.Len(t, paths(t, dir), 7)

	var asked []string
	removed, err = s.Sweep(t.Context(), acme, before, func(_ context.Context, keys []string) (gone []string, _ error) {
		asked = append(asked, keys...)
		for _, key := range keys {
			if key != "a/known" {
				gone = append(gone, key)
			}
		}
		return gone, nil
	})
	require.NoError(t, err)
	require.Equal(t, 3, removed)
	require.ElementsMatch(t, []string{"a/old", "a/known", "b/old"}, asked)
	require.ElementsMatch(t, []string{"t_acme/a/known", "t_acme/a/young", "t_acme/a/young.left", "t_globex/a/old"}, paths(t, dir))
}

func TestDeleteTenant(t *testing.T) {
	t.Parallel()
	s, dir, acme, globex := setup(t)
	for _, want := range []int{0, 2, 0} {
		removed, err := s.DeleteTenant(t.Context(), acme)
		require.NoError(t, err)
		require.Equal(t, want, removed)
		if want == 0 {
			put(t, s, acme, "a/1", "1")
			put(t, s, acme, "a/b/2", "2")
			put(t, s, globex, "a/1", "globex's")
		}
	}
	_, err := s.DeleteTenant(t.Context(), acme)
	require.NoError(t, err)
	require.NoDirExists(t, filepath.Join(dir, "t_acme"))
	require.Equal(t, "globex's", read(t, s, globex, "a/1"))
}
