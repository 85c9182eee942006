package cli_test

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
)

func TestCLI_UsageAndExitCodes(t *testing.T) {
	t.Parallel()
	h := onDatabase(t, pgtest.New(t))
	h.must("tenant", "create", "acme", "--name", "Acme")
	for _, c := range []struct {
		args []string
		code int
		says string // in the messages
	}{
		{[]string{"tenan"}, 2, `did you mean "tenant"?`},
		{[]string{"tenant", "creat", "x"}, 2, `did you mean "create"?`},
		{[]string{"tenant", "create"}, 2, "SLUG is missing"},
		{[]string{"tenant", "create", "a1", "b1"}, 2, `"b1" is one argument too many`},
		{[]string{"tenant", "create", "Acme Corp"}, 2, "acme-corp would be right"},
		{[]string{"tenant", "create", "www"}, 2, "reserved"},
		{[]string{"tenant", "create", "acme", "--name", "Other"}, 1, "belongs to the tenant"},
		{[]string{"tenant", "create", "acme"}, 0, "was there already"},
		{[]string{"tenant", "list", "--stat", "ready"}, 2, "--state"},
		{[]string{"tenant", "list", "--outpt", "json"}, 2, "did you mean --output?"},
		{[]string{"help", "bogus"}, 2, "bogus"},
		{[]string{"--version"}, 0, ""},
		{[]string{"key", "create", "acme", "--name", "k", "--token-only", "--output", "json"}, 2, "--token-only"},
		{[]string{"tenant", "list", "--state", "gone"}, 2, "--state takes one of"},
		{[]string{"tenant", "list", "--output", "xml"}, 2, "--output takes table or json"},
		{[]string{"tenant", "show", "acne"}, 3, `did you mean "acme"?`},
		{[]string{"tenant", "suspend", "nobody-like-this"}, 3, "tenant list"},
		{[]string{"tenant", "delete", "acme"}, 5, "--confirm acme"},
		{[]string{"tenant", "delete", "acme", "--confirm", "acne"}, 5, "--confirm acme"},
		{[]string{"key", "create", "acme"}, 2, "--name is missing"},
		{[]string{"key", "create", "acme", "--name", "k", "--scopes", "root"}, 2, "scopes"},
		{[]string{"key", "create", "acme", "--name", "k", "--expires-in", "-1h"}, 2, "--expires-in"},
		{[]string{"key", "revoke", "acme", "1"}, 2, "key list acme"},
		{[]string{"key", "revoke", "acme", "0197a5d4-0000-7000-8000-000000000000"}, 3, "key"},
		{[]string{"isolation", "prove", "acme"}, 0, "no other tenant"},
		{[]string{"isolation", "prove"}, 2, "prove --all"},
		{[]string{"isolation", "prove", "acme", "--all"}, 2, "--all is all tenants"},
		{[]string{"isolation", "prove", "acme", "globex"}, 2, "one tenant, or --all"},
		{[]string{"isolation", "prove", "acne"}, 3, `did you mean "acme"?`},
		{[]string{"isolation", "prove", "acme", "--report", "report.json"}, 3, "isolation key"},
		{[]string{"isolation", "verify"}, 2, "FILE is missing"},
		{[]string{"isolation", "verify", "missing.json"}, 3, "there is no file missing.json"},
		{[]string{"isolation", "verify", "."}, 2, "cannot be read"},
		{[]string{"isolation", "verify", "missing.json", "--key", "abc"}, 2, "no public key"},
		{[]string{"tenant", "create", "globex", "--tier", "gold"}, 2, "must be one of [pooled sealed dedicated]"},
		{[]string{"tenant", "create", "acme", "--tier", "pooled"}, 0, "tenant set-tier acme pooled"},
		{[]string{"tenant", "set-tier", "acme"}, 2, "TIER is missing"},
		{[]string{"tenant", "set-tier", "acme", "gold"}, 2, "must be one of"},
		{[]string{"tenant", "set-tier", "acme", "database"}, 2, "not there yet"},
		{[]string{"tenant", "set-tier", "acme", "sealed", "--settle", "-1s"}, 2, "--settle"},
		{[]string{"tenant", "set-tier", "acne", "sealed"}, 3, `did you mean "acme"?`},
		{[]string{"secrets", "rotat"}, 2, `did you mean "rotate"?`},
		{[]string{"serve", "--addr", "nonsense"}, 2, "--addr"},
		{[]string{"serve", "--config", "missing.yaml"}, 2, "missing.yaml"},
		{[]string{"health"}, 1, "no server answers"},
		{[]string{"migrate", "up"}, 0, "0 tenants migrated"},
		{[]string{"migrate", "status"}, 0, ""},
		{[]string{"doctor", "acme"}, 2, "one argument too many"},
		{[]string{"config", "check"}, 0, ""},
	} {
		r := h.run(c.args...)
		require.Equal(t, c.code, r.code, "%v: %s", c.args, r.errOut)
		require.Contains(t, r.errOut, c.says, "%v", c.args)
		if c.code != 0 {
			require.Empty(t, r.out, "%v: messages belong on standard error", c.args)
		}
	}
}

func TestCLI_LifeOfATenant(t *testing.T) {
	t.Parallel()
	h := onDatabase(t, pgtest.New(t))
	var tenants []map[string]any
	h.json(&tenants, "tenant", "list")
	require.Empty(t, tenants)
	require.Contains(t, h.run("tenant", "list").errOut, "tenant create")

	var acme map[string]any
	h.json(&acme, "tenant", "create", "acme")
	require.Equal(t, true, acme["created"])
	require.Equal(t, "acme.localhost", acme["host"])
	h.json(&acme, "tenant", "create", "acme")
	require.Equal(t, false, acme["created"])
	id, isText := acme["id"].(string)
	require.True(t, isText)
	for _, step := range []struct{ verb, state string }{
		{"suspend", "suspended"}, {"suspend", "suspended"}, {"show", "suspended"}, {"resume", "ready"}, {"resume", "ready"},
	} {
		acme = nil
		h.json(&acme, "tenant", step.verb, id)
		require.Equal(t, step.state, acme["state"])
	}

	var key map[string]any
	h.json(&key, "key", "create", "acme", "--name", "ci", "--scopes", "read", "--expires-in", "1h")
	require.NotEmpty(t, key["token"])
	var keys []map[string]any
	h.json(&keys, "key", "list", "acme")
	require.Len(t, keys, 1)
	require.NotContains(t, keys[0], "token")
	keyID, isText := key["id"].(string)
	require.True(t, isText)
	for range 2 {
		h.must("key", "revoke", "acme", keyID)
	}
	require.Contains(t, h.must("key", "list", "acme"), "revoked")

	schema, isText := acme["schema"].(string)
	require.True(t, isText)
	files := filepath.Join(h.dir, ".rowhouse", "files")
	for _, tenant := range []string{schema, "t_other"} {
		require.NoError(t, os.MkdirAll(filepath.Join(files, tenant, "attachments"), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(files, tenant, "attachments", "one"), nil, 0o600))
	}
	for _, removed := range []float64{1, 0} {
		h.json(&acme, "tenant", "delete", "acme", "--confirm", "acme")
		require.Equal(t, "deleted", acme["state"])
		require.InDelta(t, removed, acme["files_removed"], 0)
		require.NoDirExists(t, filepath.Join(files, schema))
		require.FileExists(t, filepath.Join(files, "t_other", "attachments", "one"))
	}
	require.Equal(t, 1, h.run("key", "list", "acme").code)
	require.Equal(t, 1, h.run("tenant", "create", "acme").code, "in quarantine")
}

// A tenant that cannot be migrated is named, and the exit code says that the others were.
func TestCLI_MigratePartly(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	h := onDatabase(t, d)
	acme := d.Tenant("acme")
	globex := d.Tenant("globex")
	// Two tenants of which nothing but the schema is there yet, one with a table in the way.
	for _, schema := range []string{acme.Schema.Quote(), globex.Schema.Quote()} {
		_, err := d.Owner.Exec(t.Context(), "drop schema "+schema+" cascade; create schema "+schema+
			"; update rowhouse.tenants set schema_version = 0")
		require.NoError(t, err)
	}
	_, err := d.Owner.Exec(t.Context(), "create table "+globex.Schema.Quote()+".users (x int)")
	require.NoError(t, err)
	r := h.run("migrate", "up", "--output", "json")
	require.Equal(t, 4, r.code, r.errOut)
	var report struct {
		Migrated int `json:"migrated"`
		Failed   int `json:"failed"`
		Tenants  []struct {
			Slug  string `json:"slug"`
			Error string `json:"error"`
		} `json:"tenants"`
	}
	require.NoError(t, json.Unmarshal([]byte(r.out), &report))
	require.Equal(t, 1, report.Migrated)
	require.Equal(t, 1, report.Failed)
	require.Contains(t, r.errOut, "1 of 2 tenants were not migrated")
	for _, tenant := range report.Tenants {
		require.Equal(t, tenant.Slug == "globex", tenant.Error != "")
	}
	_, err = d.Owner.Exec(t.Context(), "drop table "+globex.Schema.Quote()+".users")
	require.NoError(t, err)
	h.must("migrate", "up")
}

func TestCLI_Config(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "ROWHOUSE_DATABASE_URL=postgres://me:hunter2@db/x", "ROWHOUSE_DATABASE_LOGIN_SECRET=0123456789abcdef0123456789abcdef-top")
	require.NoError(t, os.WriteFile(filepath.Join(h.dir, "rowhouse.yaml"), []byte("server:\n  addr: 127.0.0.1:7777\n"), 0o600))
	for _, format := range []string{"table", "json"} {
		out := h.must("config", "show", "--base-domain", "example.test", "--output", format)
		require.NotContains(t, out, "hunter2")
		require.NotContains(t, out, "-top")
		for _, want := range []string{"127.0.0.1:7777", "rowhouse.yaml", "example.test", "--base-domain", "ROWHOUSE_DATABASE_URL"} {
			require.Contains(t, out, want)
		}
	}
	require.NoError(t, os.WriteFile(filepath.Join(h.dir, "rowhouse.yaml"), []byte("server:\n  adr: x\nlog:\n  level: loud\n"), 0o600))
	r := h.run("config", "check")
	require.Equal(t, 2, r.code)
	require.Contains(t, r.errOut, "server.addr")
	require.Contains(t, r.errOut, "log.level")
}

func TestCLI_Completion(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	h := onDatabase(t, d)
	d.Tenant("acme")
	d.Tenant("globex")
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		require.NotEmpty(t, h.must("completion", shell))
	}
	out := h.must("__complete", "tenant", "show", "gl")
	require.Contains(t, out, "globex")
	require.NotContains(t, out, "acme")
	require.Contains(t, h.must("__complete", "tenant", "list", "--state", ""), "suspended")
	require.Contains(t, h.must("__complete", "key", "create", "--scopes", ""), "write")
	require.Contains(t, h.must("__complete", "tenant", "create", "--tier", ""), "dedicated")
	require.Contains(t, h.must("__complete", "tenant", "set-tier", "acme", ""), "dedicated")
	require.Contains(t, h.must("__complete", "tenant", "set-tier", "ac"), "acme")
	require.Contains(t, h.must("__complete", "isolation", "prove", "gl"), "globex")
}

// Without a database each command says what to do about that.
func TestCLI_NoDatabase(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, args := range [][]string{{"tenant", "list"}, {"serve", "--addr", freeAddr(t), "--admin-addr", freeAddr(t)}, {"migrate", "up"}} {
		r := h.run(args...)
		require.Equal(t, 3, r.code, r.errOut)
		require.Contains(t, r.errOut, "rowhouse up")
	}
	h.env = append(h.env, "ROWHOUSE_DATABASE_URL=postgres://nobody@127.0.0.1:1/none")
	r := h.run("migrate", "up")
	require.Equal(t, 2, r.code, r.errOut)
	require.Contains(t, r.errOut, "login_secret")
	r = h.run("config", "check")
	require.Equal(t, 2, r.code, r.errOut)
	require.Contains(t, r.errOut, "login_secret")
	h.env = append(h.env, "ROWHOUSE_DATABASE_LOGIN_SECRET="+pgtest.Secret)
	r = h.run("migrate", "up")
	require.Equal(t, 1, r.code, r.errOut)
	require.Contains(t, r.errOut, "database.url")
}

// Killed at any moment, `tenant create` leaves nothing half-made that the next call does not finish or that nobody finds.
func TestCLI_CreateSurvivesKills(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	h := onDatabase(t, d)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 12 {
		p := h.launch("tenant", "create", "acme")
		select {
		case <-p.done:
		case <-time.After(time.Duration(rng.IntN(60)) * time.Millisecond):
			p.signal(syscall.SIGKILL)
			<-p.done
		}
		var roles, schemas, rows int
		// A backend whose client was killed may be about to commit: the schema and the rest appear and vanish together.
		require.NoError(t, d.Owner.QueryRow(t.Context(), `select (select count(*) from pg_roles where rolname = 't_' || t.id),
			(select count(*) from pg_namespace where nspname = 't_' || t.id), (select count(*) from rowhouse.tenants)
			from (select coalesce(max(id), '') as id from rowhouse.tenants) t`).Scan(&roles, &schemas, &rows))
		require.Equal(t, rows, roles)
		require.Equal(t, rows, schemas)
	}
	var acme map[string]any
	h.json(&acme, "tenant", "create", "acme")
	require.Equal(t, "ready", acme["state"])
	var schemas int
	require.NoError(t, d.Owner.QueryRow(t.Context(), "select count(*) from pg_namespace where nspname ~ '^t_'").Scan(&schemas))
	require.Equal(t, 1, schemas)
}
