package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	embedded "github.com/fergusstrange/embedded-postgres"
)

// downloadMajor is the version for a new cluster.
const downloadMajor = 18

// download fetches binaries into downloads/<major>, whole or not at all.
func (s search) download(ctx context.Context, major int) (binaries, error) {
	if major == 0 {
		major = downloadMajor
	}
	version, ok := map[int]embedded.PostgresVersion{15: embedded.V15, 16: embedded.V16, 17: embedded.V17, 18: embedded.V18}[major]
	if !ok {
		return binaries{}, fmt.Errorf("there is no download of PostgreSQL %d", major)
	}
	if err := os.MkdirAll(s.downloads, 0o755); err != nil { //nolint:gosec // PostgreSQL's user has to pass.
		return binaries{}, err
	}
	aside, err := os.MkdirTemp(s.downloads, "new-*")
	if err != nil {
		return binaries{}, err
	}
	fetched := make(chan error, 1)
	go func() {
		err := s.fetch(version, aside)
		if err == nil && ctx.Err() == nil {
			err = errors.Join(publish(s.downloads), os.Rename(filepath.Join(aside, "postgres"), filepath.Join(s.downloads, strconv.Itoa(major))))
		}
		fetched <- errors.Join(err, os.RemoveAll(aside))
	}()
	// The library cannot be interrupted. It is not waited for then, and tidies up if the process lives that long.
	select {
	case err = <-fetched:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return binaries{}, err
	}
	return s.inspect(ctx, filepath.Join(s.downloads, strconv.Itoa(major), "bin"))
}

// fetch downloads and unpacks into aside/postgres. The library means to start a server too, in its own way and as the current user:
// a cluster that holds nothing but its version keeps it from that, whoever we are.
func (s search) fetch(version embedded.PostgresVersion, aside string) error {
	data := filepath.Join(aside, "data")
	err := os.Mkdir(data, 0o700)
	if err == nil {
		err = os.WriteFile(filepath.Join(data, versionFile), []byte(version), 0o600)
	}
	if err != nil {
		return err
	}
	port, err := tryPort(context.Background(), 0)
	if err != nil {
		return err
	}
	target := filepath.Join(aside, "postgres")
	cfg := embedded.DefaultConfig().Version(version).Port(uint32(port)). //nolint:gosec // A port.
										CachePath(filepath.Join(aside, "archive")).RuntimePath(filepath.Join(aside, "runtime")).
										BinariesPath(target).DataPath(data).Logger(io.Discard)
	if s.mirror != "" {
		cfg = cfg.BinaryRepositoryURL(s.mirror)
	}
	server := embedded.NewDatabase(cfg)
	if err = server.Start(); err == nil {
		return server.Stop()
	}
	for _, name := range []string{"initdb", "postgres"} {
		if _, missing := os.Stat(filepath.Join(target, "bin", name)); missing != nil {
			return err
		}
	}
	return nil
}

// publish lets every user read what is in a directory, whatever the umask was.
func publish(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // Nothing was written through it.
	return fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() | 0o044
		if mode&0o100 != 0 {
			mode |= 0o011
		}
		return root.Chmod(name, mode)
	})
}
