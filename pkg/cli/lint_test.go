package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/migrationlint"
)

func TestMigrationsLint(t *testing.T) {
	t.Parallel()
	h := newHouse(t) // It needs no database.
	r := h.run("migrations", "lint", "--strict")
	require.Zero(t, r.code, r.errOut)
	require.Empty(t, r.out)
	require.Contains(t, r.errOut, "no errors, 0 warnings")
	require.Contains(t, h.must("migrations", "lint", "--rules"), "schema-name")
	var rules []map[string]string
	h.json(&rules, "migrations", "lint", "--rules")
	require.Greater(t, len(rules), 30)

	require.Equal(t, 2, h.run("migrations", "lint", "a", "b").code)
	require.Equal(t, 3, h.run("migrations", "lint", "nowhere").code)
	dir := filepath.Join(h.dir, "tenant")
	require.NoError(t, os.Mkdir(dir, 0o700))
	r = h.run("migrations", "lint", "tenant")
	require.Equal(t, 3, r.code)
	require.Contains(t, r.errOut, "no .sql files")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "00001_a.sql"), []byte("-- +goose Up\nCREATE INDEX i ON tasks (n);\n"), 0o600))
	out := h.must("migrations", "lint", "tenant")
	require.Regexp(t, `00001_a.sql:2:19 +warning \(lock\) +create-index .*CONCURRENTLY`, out)
	require.Equal(t, 5, h.run("migrations", "lint", "tenant", "--strict").code)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "00002_b.sql"), []byte("-- +goose Up\nDROP TABLE public.tasks;\n"), 0o600))
	r = h.run("migrations", "lint", "tenant", "--output", "json")
	require.Equal(t, 5, r.code)
	require.Contains(t, r.errOut, "1 errors and 2 warnings")
	var report struct {
		Errors   int                     `json:"errors"`
		Warnings int                     `json:"warnings"`
		Findings []migrationlint.Finding `json:"findings"`
	}
	require.NoError(t, json.Unmarshal([]byte(r.out), &report))
	require.Equal(t, 1, report.Errors)
	require.Equal(t, 2, report.Warnings)
	require.Equal(t, "00002_b.sql", report.Findings[2].File)
	require.Equal(t, "schema-name", report.Findings[2].Rule)
	require.Equal(t, 2, report.Findings[2].Line)
	require.NotEmpty(t, report.Findings[2].Fix)
}
