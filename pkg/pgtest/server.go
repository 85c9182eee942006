package pgtest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest/internal/testserver"
)

// Server is a PostgreSQL server of one test's own, for what cannot be done to one that others use.
type Server struct {
	tb     testing.TB
	server *testserver.Server
}

// OwnServer starts a server, which is gone when the test ends.
func OwnServer(tb testing.TB) *Server {
	tb.Helper()
	return OwnServerWith(tb, nil)
}

// OwnServerWith is [OwnServer] with settings of PostgreSQL, before those that suit tests.
func OwnServerWith(tb testing.TB, settings map[string]string) *Server {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	server, err := testserver.Start(ctx, settings)
	require.NoError(tb, err)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), patience)
		defer cancel()
		require.NoError(tb, server.Stop(ctx))
	})
	return &Server{tb: tb, server: server}
}

// Kill ends the server by SIGKILL, as a crash would, and returns when all its processes have ended.
func (s *Server) Kill() {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(s.tb.Context(), patience)
	defer cancel()
	require.NoError(s.tb, s.server.Kill(ctx))
}

// Start brings the server back after Kill, on the port that it had.
func (s *Server) Start() {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(s.tb.Context(), patience)
	defer cancel()
	require.NoError(s.tb, s.server.Restart(ctx))
}
