package cli_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
)

// A file makes all its tenants but the bad rows, which it names; run again, it makes what was mended and nothing else.
func TestTenantCreate_FromFile(t *testing.T) {
	t.Parallel()
	h := onDatabase(t, pgtest.New(t))
	h.must("tenant", "create", "there")
	path := filepath.Join(t.TempDir(), "tenants.csv")
	write := func(text string) {
		t.Helper()
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	var text strings.Builder
	text.WriteString("\ufeffSlug, Name,tier\n")
	for i := range 12 {
		fmt.Fprintf(&text, "many-%d,\"Many, %d\",\n", i, i)
	}
	text.WriteString("there,,\n-bad-,Bad,\nwww,,\nother,,golden\nalone,Alone,dedicated\n")
	write(text.String())

	type outcome struct {
		Rows    int `json:"rows"`
		Created int `json:"created"`
		Existed int `json:"existed"`
		Failed  []struct {
			Line  int    `json:"line"`
			Slug  string `json:"slug"`
			Error string `json:"error"`
		} `json:"failed"`
		Tenants []struct {
			Slug string `json:"slug"`
			Name string `json:"name"`
			Tier string `json:"tier"`
		} `json:"tenants"`
	}
	var got outcome
	r := h.run("tenant", "create", "--from-file", path, "--workers", "3", "--output", "json")
	require.Equal(t, 4, r.code, r.errOut)
	require.NoError(t, json.Unmarshal([]byte(r.out), &got), r.out)
	require.Equal(t, 17, got.Rows)
	require.Equal(t, 13, got.Created)
	require.Equal(t, 1, got.Existed)
	require.Len(t, got.Failed, 3)
	for i, slug := range []string{"-bad-", "www", "other"} {
		require.Equal(t, slug, got.Failed[i].Slug)
		require.Equal(t, 15+i, got.Failed[i].Line)
		require.NotEmpty(t, got.Failed[i].Error)
	}
	require.Contains(t, r.errOut, "3 of 17 tenants were not made")
	tiers := map[string]string{}
	for _, made := range got.Tenants {
		tiers[made.Slug] = made.Tier + " " + made.Name
	}
	require.Equal(t, "sealed Many, 7", tiers["many-7"])
	require.Equal(t, "dedicated Alone", tiers["alone"])

	write(strings.NewReplacer("-bad-", "mended", "www,,\n", "", "golden", "pooled").Replace(text.String()))
	got = outcome{}
	h.json(&got, "tenant", "create", "--from-file", path)
	require.Equal(t, 2, got.Created)
	require.Equal(t, 14, got.Existed)
	require.Empty(t, got.Failed)
	h.must("isolation", "prove", "many-3")

	for file, words := range map[string]string{
		"":                           "is empty",
		"name\nacme\n":               "no column slug",
		"slug,plan\nacme,big\n":      "a column \"plan\"",
		"slug,slug\nacme,acme\n":     "twice",
		"slug\nacme\nglobex\nacme\n": "the lines 2 and 4",
		"slug,name\nacme\n":          "wrong number of fields",
	} {
		write(file)
		r := h.run("tenant", "create", "--from-file", path)
		require.Equal(t, 2, r.code, r.errOut)
		require.Contains(t, r.errOut, words)
	}
	require.Equal(t, 2, h.run("tenant", "create", "--from-file", path, "acme").code)
	require.Equal(t, 2, h.run("tenant", "create", "--from-file", path, "--workers", "0").code)
	require.Equal(t, 2, h.run("tenant", "create", "--from-file", filepath.Join(t.TempDir(), "none")).code)
	write("slug\n")
	require.Contains(t, h.run("tenant", "create", "--from-file", path).errOut, "0 tenants created")
}
