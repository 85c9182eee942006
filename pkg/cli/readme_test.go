package cli_test

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgserver"
)

var tourBlock = regexp.MustCompile("(?ms)\n```sh tour\n(.*?)\n```$")

// TestReadmeTour runs the README's five minutes as they are printed, in a copy of the repository, on ports that are free.
func TestReadmeTour(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "GOCACHE="+goEnv(t, "GOCACHE"), "GOMODCACHE="+goEnv(t, "GOMODCACHE"), "GOFLAGS=-buildvcs=false")
	copyRepository(t, h.dir)
	t.Cleanup(func() { _ = pgserver.Destroy(context.WithoutCancel(t.Context()), filepath.Join(h.dir, ".rowhouse")) })
	readme, err := os.ReadFile(filepath.Join(repository, "README.md"))
	require.NoError(t, err)
	blocks := tourBlock.FindAllStringSubmatch(string(readme), -1)
	require.Len(t, blocks, 5)
	require.Contains(t, string(readme), "```sh\nmake up\n```", "the first step, which start stands for")
	up := h.start("up")
	script := "set -euo pipefail\n"
	for _, block := range blocks {
		script += block[1] + "\n"
	}
	script = strings.ReplaceAll(script, "127.0.0.1:8080", up.addr)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	tour := exec.CommandContext(ctx, "bash", "-c", script)
	tour.Dir, tour.Env = h.dir, h.env
	out, err := tour.CombinedOutput()
	require.NoError(t, err, string(out))
	for _, want := range []string{
		`"name":"TPS reports"`, "\n401\n404\n", "TENANT  TIER    ATTACKS", "3 tenants migrated to version 99, 0 failed", "99 of 99",
		"invoice overdue",
	} {
		require.Contains(t, string(out), want)
	}
	require.NotContains(t, string(out), "BREACH:")
	up.stop(syscall.SIGINT)
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// copyRepository copies what a build needs.
func copyRepository(t *testing.T, to string) {
	t.Helper()
	for _, dir := range []string{"cmd", "pkg", "tenantschema", "migrations", "configs"} {
		require.NoError(t, os.CopyFS(filepath.Join(to, dir), os.DirFS(filepath.Join(repository, dir))))
	}
	for _, file := range []string{"go.mod", "go.sum", "Makefile"} {
		text, err := fs.ReadFile(os.DirFS(repository), file)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(to, file), text, 0o600))
	}
}
