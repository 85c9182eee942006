package testserver

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestServerLeavesNothing(t *testing.T) {
	t.Parallel()
	s, err := Start(t.Context(), nil)
	require.NoError(t, err)
	conn, err := pgx.Connect(t.Context(), s.URL)
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
	require.NoError(t, s.Stop(t.Context()))
	require.NoDirExists(t, s.dir)
}

func TestServerComesBackAfterKill(t *testing.T) {
	t.Parallel()
	s, err := Start(t.Context(), nil)
	require.NoError(t, err)
	require.NoError(t, s.Kill(t.Context()))
	_, err = pgx.Connect(t.Context(), s.URL)
	require.Error(t, err)
	require.NoError(t, s.Restart(t.Context()))
	conn, err := pgx.Connect(t.Context(), s.URL)
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
	require.NoError(t, s.Stop(t.Context()))
	require.NoDirExists(t, s.dir)
}

func TestStartThatFailsLeavesNothing(t *testing.T) {
	base := t.TempDir()
	t.Setenv("TMPDIR", base)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Start(ctx, nil)
	require.ErrorIs(t, err, context.Canceled)
	left, err := os.ReadDir(base)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestSweepRemovesWhatWasAbandoned(t *testing.T) {
	base := t.TempDir()
	t.Setenv("TMPDIR", base)
	s, err := Start(t.Context(), nil)
	require.NoError(t, err)
	old := time.Now().Add(-2 * abandonedAfter)
	named := func(suffix string) string { return filepath.Join(base, strings.TrimSuffix(dirPattern, "*")+suffix) }
	abandoned, fresh, foreign := named("1"), named("2"), named("3")
	for _, dir := range []string{abandoned, fresh} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, dataDir), 0o700))
	}
	require.NoError(t, os.MkdirAll(filepath.Join(foreign, dataDir, "letters"), 0o700))
	for _, dir := range []string{s.dir, abandoned, foreign} {
		require.NoError(t, os.Chtimes(dir, old, old))
	}
	sweep(t.Context(), base)
	require.NoDirExists(t, abandoned)
	require.DirExists(t, fresh, "it may be about to be used")
	require.DirExists(t, foreign, "it is not ours")
	conn, err := pgx.Connect(t.Context(), s.URL)
	require.NoError(t, err, "it is in use")
	require.NoError(t, conn.Close(t.Context()))
	require.NoError(t, s.Stop(t.Context()))
}
