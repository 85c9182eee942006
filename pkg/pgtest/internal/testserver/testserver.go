// Package testserver runs the PostgreSQL server of a test run: fast, in a temporary directory, gone afterwards.
package testserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rowhousehq/rowhouse/pkg/pgserver"
)

// EnvURL is the environment variable with the URL of a server that is there: its maintenance database, as a superuser.
const EnvURL = "TEST_DATABASE_URL"

// Server is a running server.
type Server struct {
	// URL is that of its maintenance database, as its superuser.
	URL string

	parent string
	server *pgserver.Server
}

// Start runs a server of its own.
func Start(ctx context.Context) (*Server, error) {
	parent, err := os.MkdirTemp("", "rowhouse-test-*")
	if err != nil {
		return nil, fmt.Errorf("starting a test server: %w", err)
	}
	s := &Server{parent: parent}
	// Open to PostgreSQL's user, who is another one than root.
	if err = os.Chmod(parent, 0o711); err == nil { //nolint:gosec // What is in it has its own modes.
		s.server, err = pgserver.Start(ctx, pgserver.Config{
			DataDir: s.dataDir(),
			Fast:    true,
			Settings: map[string]string{
				// Several test binaries at a time, each with pools.
				"max_connections": "200",
				"shared_buffers":  "128MB",
				// A test with hundreds of schemas touches that many tables in one transaction.
				"max_locks_per_transaction": "256",
				// A checkpoint of its own accord is work for nothing: the cluster is about to be deleted.
				"checkpoint_timeout": "1h",
				"max_wal_size":       "4GB",
			},
		})
	}
	if err != nil {
		return nil, fmt.Errorf("starting a test server: %w", errors.Join(err, s.remove()))
	}
	s.URL = s.server.AdminURL("postgres")
	return s, nil
}

// Stop ends the server and removes all that it was.
func (s *Server) Stop(ctx context.Context) error {
	if err := errors.Join(s.server.Stop(ctx), s.remove()); err != nil {
		return fmt.Errorf("stopping the test server: %w", err)
	}
	return nil
}

func (s *Server) dataDir() string { return filepath.Join(s.parent, "data") }

func (s *Server) remove() error {
	// Not bound to a context: what is stopped halfway must be removed all the same.
	return errors.Join(pgserver.Destroy(context.Background(), s.dataDir()), os.RemoveAll(s.parent))
}
