package pgserver

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

// fakeProgram makes a shell script that every user can run.
func fakeProgram(t *testing.T, path, script string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755))
	require.NoError(t, os.Chmod(path, 0o755))
}

// fakeBinaries makes what looks like the programs of a version.
func fakeBinaries(t *testing.T, dir, version string) string {
	t.Helper()
	fakeProgram(t, filepath.Join(dir, "postgres"), "echo 'postgres (PostgreSQL) "+version+"'")
	fakeProgram(t, filepath.Join(dir, "initdb"), "exit 1")
	return dir
}

func newSearch(t *testing.T) (search, string) {
	t.Helper()
	dir := filepath.Dir(newDir(t))
	var none *account
	if isRoot() {
		var err error
		none, err = accountFor(filepath.Join(dir, "no cluster"))
		require.NoError(t, err)
	}
	missing := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(missing.Close)
	return search{
		globs: []string{filepath.Join(dir, "lib", "*", "bin")}, downloads: filepath.Join(dir, "downloads"), mirror: missing.URL, account: none,
		progress: func(string) {},
	}, dir
}

func TestLocate(t *testing.T) {
	t.Parallel()
	s, dir := newSearch(t)
	v9 := fakeBinaries(t, filepath.Join(dir, "lib", "9.6", "bin"), "9.6.24")
	v15 := fakeBinaries(t, filepath.Join(dir, "lib", "15", "bin"), "15.14 (Debian 15.14-0+deb12u1)")
	v18 := fakeBinaries(t, filepath.Join(dir, "lib", "18", "bin"), "18.3")
	v16 := fakeBinaries(t, filepath.Join(dir, "path"), "16beta1")
	clients := filepath.Join(dir, "clients")
	fakeProgram(t, filepath.Join(clients, "pg_config"), "echo "+v18)
	noServer := filepath.Join(dir, "no-server")
	fakeProgram(t, filepath.Join(noServer, "pg_config"), "echo /nonexistent")

	for name, test := range map[string]struct {
		binDir, path string
		major        int
		want         string
	}{
		"the newest":                             {want: v18},
		"the one that made the cluster":          {major: 15, want: v15},
		"PATH first":                             {path: noServer + ":" + v16, want: v16},
		"PATH is of another version":             {path: v16, major: 15, want: v15},
		"too old in PATH":                        {path: v9, want: v18},
		"pg_config in PATH":                      {path: clients + ":" + v16, want: v18},
		"relative in PATH is ignored":            {path: ".:path", want: v18},
		"an old cluster is run as it is":         {major: 9, want: v9},
		"what was asked for":                     {binDir: v15, path: v16, want: v15},
		"what was asked for, of its own cluster": {binDir: v15, major: 15, want: v15},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := s
			s.binDir, s.path = test.binDir, test.path
			found, err := s.locate(t.Context(), test.major)
			require.NoError(t, err)
			require.Equal(t, test.want, found.dir)
		})
	}
	for name, test := range map[string]struct {
		binDir  string
		major   int
		code    apperr.Code
		message []string
	}{
		"another version than the cluster's": {
			major: 14, code: apperr.Conflict, message: []string{"by PostgreSQL 14", "15.14, 18.3, 9.6.24", "postgresql-14"},
		},
		"asked for another":             {binDir: v15, major: 18, code: apperr.Conflict, message: []string{"by PostgreSQL 18", "only 15.14"}},
		"asked for one that is too old": {binDir: v9, code: apperr.Invalid, message: []string{"9.6.24", "15 or newer"}},
		"asked for nothing":             {binDir: dir, code: apperr.Invalid, message: []string{dir, "does not hold"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := s
			s.binDir = test.binDir
			_, err := s.locate(t.Context(), test.major)
			require.Equal(t, test.code, apperr.CodeOf(err), "%v", err)
			for _, text := range test.message {
				require.Contains(t, messageOf(t, err), text)
			}
		})
	}
}

func TestNothingInstalledAndNoDownload(t *testing.T) {
	t.Parallel()
	s, dir := newSearch(t)
	_, err := s.locate(t.Context(), 0)
	require.Equal(t, apperr.Unavailable, apperr.CodeOf(err), "%v", err)
	require.Equal(t, "PostgreSQL was not found, and downloading it failed: "+
		"install PostgreSQL 15 or newer (Debian: apt-get install postgresql) or give --database-url", messageOf(t, err))
	left, err := os.ReadDir(filepath.Join(dir, "downloads"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestNothingIsDownloadedAfterCancel(t *testing.T) {
	t.Parallel()
	s, dir := newSearch(t)
	fakeBinaries(t, filepath.Join(dir, "lib", "15", "bin"), "15.14")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, binDir := range []string{"", filepath.Join(dir, "lib", "15", "bin")} {
		s.binDir = binDir
		_, err := s.locate(ctx, 0)
		require.ErrorIs(t, err, context.Canceled)
	}
	require.NoDirExists(t, s.downloads)
}

func TestDownload(t *testing.T) {
	t.Parallel()
	s, dir := newSearch(t)
	var asked []string
	jar := jarOf(t, map[string]string{
		"bin/postgres": "echo 'postgres (PostgreSQL) 18.3'", "bin/initdb": "exit 1", "bin/pg_ctl": "exit 1", "share/postgres.bki": "",
	})
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		if strings.HasSuffix(r.URL.Path, ".jar") {
			_, err := w.Write(jar)
			assert.NoError(t, err)
			return
		}
		http.NotFound(w, r) // No checksum is published.
	}))
	t.Cleanup(mirror.Close) // It closes the idle connections of the library's client too.
	s.mirror = mirror.URL

	found, err := s.locate(t.Context(), 0)
	require.NoError(t, err)
	require.Equal(t, binaries{dir: filepath.Join(dir, "downloads", "18", "bin"), version: "18.3", major: 18}, found)
	require.FileExists(t, filepath.Join(dir, "downloads", "18", "share", "postgres.bki"))
	left, err := os.ReadDir(filepath.Join(dir, "downloads"))
	require.NoError(t, err)
	require.Len(t, left, 1)

	asked = nil
	again, err := s.locate(t.Context(), 18)
	require.NoError(t, err)
	require.Equal(t, found, again)
	require.Empty(t, asked, "it is there already")
}

// jarOf packs shell scripts the way the downloads are packed: a tar in xz in zip.
func jarOf(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var plain, jar bytes.Buffer
	archive := tar.NewWriter(&plain)
	for name, script := range files {
		content := "#!/bin/sh\n" + script + "\n"
		require.NoError(t, archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o700, Size: int64(len(content))}))
		_, err := archive.Write([]byte(content))
		require.NoError(t, err)
	}
	require.NoError(t, archive.Close())
	packed := zip.NewWriter(&jar)
	w, err := packed.Create("postgres-any-x86_64.txz")
	require.NoError(t, err)
	_, err = w.Write(xzOf(plain.Bytes()))
	require.NoError(t, err)
	require.NoError(t, packed.Close())
	return jar.Bytes()
}

// xzOf puts data into the xz format (https://tukaani.org/xz/xz-file-format.txt) without compressing it, in LZMA2 chunks of up to 64 kB.
func xzOf(data []byte) []byte {
	sum := func(b []byte) []byte { return binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)) }
	pad := func(b []byte) []byte { return append(b, make([]byte, -len(b)&3)...) }
	flags := []byte{0, 1} // Checksums are CRC-32.
	header := []byte{2, 0, 0x21, 1, 0x16, 0, 0, 0}

	var chunks []byte
	control := byte(1) // Uncompressed, with a new dictionary; the later ones keep it.
	for rest := data; len(rest) > 0; control = 2 {
		n := min(len(rest), 1<<16)
		chunks = append(chunks, control, byte((n-1)>>8), byte(n-1))
		chunks = append(chunks, rest[:n]...)
		rest = rest[n:]
	}
	chunks = append(chunks, 0)

	index := []byte{0, 1}
	index = binary.AppendUvarint(index, uint64(len(header)+4+len(chunks)+4))
	index = pad(binary.AppendUvarint(index, uint64(len(data))))
	footer := append(binary.LittleEndian.AppendUint32(nil, uint32(len(index)+4)/4-1), flags...)

	var out []byte
	for _, part := range [][]byte{
		{0xFD, '7', 'z', 'X', 'Z', 0}, flags, sum(flags), header, sum(header), pad(chunks), sum(data),
		index, sum(index), sum(footer), footer, []byte("YZ"),
	} {
		out = append(out, part...)
	}
	return out
}
