package cli_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/isolation"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
)

// A proof of tenants in every tier is signed, and checked without a database; a file that is changed anywhere is refused.
func TestCLI_ProveSignVerify(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	h := onDatabase(t, d)
	for slug, tier := range map[string]string{"acme": "sealed", "globex": "sealed", "initech": "pooled", "hooli": "dedicated"} {
		h.must("tenant", "create", slug, "--tier", tier)
	}
	require.Contains(t, h.must("tenant", "list"), "dedicated")
	var key, again struct {
		KeyID     string `json:"key_id"`
		PublicKey string `json:"public_key"`
	}
	h.json(&key, "isolation", "key")
	h.json(&again, "isolation", "key")
	require.Equal(t, key, again, "it is made once")
	info, err := os.Stat(filepath.Join(h.dir, ".rowhouse", "isolation.key"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	r := h.run("isolation", "prove", "--all", "--report", "report.json")
	require.Zero(t, r.code, r.errOut)
	require.Contains(t, r.out, "ATTEMPTS")
	require.Contains(t, r.errOut, "by design: tier pooled: SQL that changes its role can reach the pooled tenants of cell 1")
	require.Contains(t, r.errOut, key.KeyID)
	var report isolation.Report
	h.json(&report, "isolation", "prove", "acme")
	require.Equal(t, "acme", report.Tenant)
	require.Len(t, report.Tenants, 1)
	require.Equal(t, 3, report.Tenants[0].Attacked)
	require.Positive(t, report.Tenants[0].AttackedBy)
	require.Greater(t, report.Counts.Refused, 300)
	require.Zero(t, report.Counts.Breaches)

	away := newHouse(t) // No database, no secret, no key.
	file := filepath.Join(h.dir, "report.json")
	r = away.run("isolation", "verify", file)
	require.Zero(t, r.code, r.errOut)
	require.Contains(t, r.out, key.PublicKey)
	require.Contains(t, r.errOut, "Whose key it is, the file cannot prove")
	r = away.run("isolation", "verify", file, "--key", key.PublicKey)
	require.Zero(t, r.code, r.errOut)
	require.Empty(t, r.errOut)
	var other struct {
		PublicKey string `json:"public_key"`
	}
	away.json(&other, "isolation", "key")
	r = away.run("isolation", "verify", file, "--key", other.PublicKey)
	require.Equal(t, 5, r.code)
	require.Contains(t, r.errOut, "another key")

	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.True(t, json.Valid(text))
	changed := filepath.Join(away.dir, "changed.json")
	require.NoError(t, os.WriteFile(changed, bytes.Replace(text, []byte(`"breaches": 0`), []byte(`"breaches":  0`), 1), 0o600))
	r = away.run("isolation", "verify", changed, "--key", key.PublicKey)
	require.Equal(t, 5, r.code)
	require.Contains(t, r.errOut, "has been changed")
	require.NoError(t, os.WriteFile(changed, []byte("hello"), 0o600))
	require.Equal(t, 2, away.run("isolation", "verify", changed).code)

	// The key may come by the environment.
	seed, err := os.ReadFile(filepath.Join(h.dir, ".rowhouse", "isolation.key"))
	require.NoError(t, err)
	away.env = append(away.env, "ROWHOUSE_ISOLATION_SIGNING_KEY="+strings.TrimSpace(string(seed)))
	away.json(&other, "isolation", "key")
	require.Equal(t, key.PublicKey, other.PublicKey)
	require.NotContains(t, away.must("config", "show"), strings.TrimSpace(string(seed)))
}

// A hole is named, by what the attackers reached and by what the database says; the exit code is 5, and the signed report tells it.
func TestCLI_ProveFindsAHole(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	h := onDatabase(t, d)
	d.Tenant("acme")
	globex := d.Tenant("globex").Schema.Quote()
	h.must("isolation", "prove", "acme")
	h.must("isolation", "key")
	_, err := d.Owner.Exec(t.Context(), "grant usage on schema "+globex+" to public; grant select on "+globex+".tasks to public")
	require.NoError(t, err)
	for _, whom := range []string{"acme", "globex", "--all"} {
		r := h.run("isolation", "prove", whom, "--report", "report.json")
		require.Equal(t, 5, r.code, r.errOut)
		require.Contains(t, r.errOut, "BREACH: ")
		require.Contains(t, r.out, `"tasks"`)
		if whom != "acme" {
			require.Contains(t, r.out, "revoke select on table "+strings.Trim(globex, `"`)+".tasks from public")
		}
		require.NotContains(t, h.must("isolation", "verify", "report.json"), "breaches       0")
	}
}
