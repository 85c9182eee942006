package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.uber.org/zap"
)

// Destroy removes a data directory and its cluster, wherever that is, with all that is in them. It refuses (Conflict) while a server runs
// there, and what is no data directory (Invalid). What is not there is no error.
func Destroy(ctx context.Context, dir string) error {
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	d, err := openDataDir(dir)
	if err != nil {
		return err
	}
	s := &Server{dir: d, log: zap.NewNop()}
	defer s.unlock()
	if err = s.lock(ctx, d.path); err != nil {
		return err
	}
	if err = s.destroyCluster(ctx); err != nil {
		return err
	}
	if err = os.RemoveAll(d.path); err != nil {
		return fmt.Errorf("removing the data directory %s: %w", d, err)
	}
	return nil
}

// destroyCluster removes a cluster that is elsewhere, or what a Start that failed has made for one, and stops a server that was left.
func (s *Server) destroyCluster(ctx context.Context) error {
	c := &cluster{dir: s.dir.file(clusterDir), progress: func(string) {}}
	info, err := os.Lstat(c.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && info.Mode().Type() == fs.ModeSymlink {
		c.dir, err = s.dir.follow(c.dir)
		if err == nil {
			err = s.lock(ctx, filepath.Dir(c.dir))
		}
	}
	if err != nil {
		return err
	}
	if err = c.recover(ctx); err != nil {
		return err
	}
	remove := c.dir
	if home := filepath.Dir(c.dir); strings.HasPrefix(home, clusterHomes+string(filepath.Separator)) {
		remove = home // Of this cluster alone.
	}
	if err = os.RemoveAll(remove); err != nil {
		return fmt.Errorf("removing the database cluster of %s: %w", s.dir, err)
	}
	return nil
}
