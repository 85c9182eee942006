package config_test

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/config"
)

var update = flag.Bool("update", false, "write configs/rowhouse.yaml")

const shipped = "../../configs/rowhouse.yaml"

func TestShippedFile(t *testing.T) {
	t.Parallel()
	if *update {
		require.NoError(t, os.WriteFile(shipped, []byte(config.ExampleYAML()), 0o600))
		require.NoError(t, os.Chmod(shipped, 0o644))
	}
	content, err := os.ReadFile(shipped)
	require.NoError(t, err)
	require.Equal(t, config.ExampleYAML(), string(content), "write it again by: go test ./pkg/config -run TestShippedFile -update")

	defaults, noSources, err := config.Load(config.LoadOptions{})
	require.NoError(t, err)
	loaded, sources, err := config.Load(config.LoadOptions{Search: []string{shipped}})
	require.NoError(t, err)
	require.Equal(t, defaults, loaded, "the file sets every key to its default")

	lines := strings.Split(string(content), "\n")
	for _, e := range config.Entries(defaults, noSources) {
		source := sources[e.Key]
		require.Equal(t, config.FromFile, source.Kind, e.Key)
		before := strings.Join(lines[:source.Line-1], "\n")
		documentation := before[strings.LastIndex(before, "\n\n")+1:]
		require.Contains(t, strings.ToLower(documentation), "# "+strings.ToLower(e.Usage)+".", e.Key)
		require.Contains(t, documentation, "# Environment: "+e.Env+".", e.Key)
		if e.Flag != "" {
			require.Contains(t, documentation, " Flag: "+e.Flag+".", e.Key)
		}
		line := lines[source.Line-1]
		require.True(t, strings.HasSuffix(line, ": "+e.Default) || e.Default == "", line)
	}
	for _, line := range lines {
		require.LessOrEqual(t, len(line), 150, line)
	}
}

func TestEntries(t *testing.T) {
	t.Parallel()
	cfg, sources, err := load(t, layers{flags: []string{"--database-url", "postgres://u:hunter2@h/d"}})
	require.NoError(t, err)
	variables := map[string]bool{}
	for _, e := range config.Entries(cfg, sources) {
		require.False(t, variables[e.Env], "two keys have the variable %s", e.Env)
		require.NotContains(t, e.Usage, "`", "pflag would take it for the name of the value")
		variables[e.Env] = true
		if e.Key != "database.url" {
			require.Equal(t, e.Default, e.Value, e.Key)
			continue
		}
		encoded, err := json.Marshal(e)
		require.NoError(t, err)
		require.JSONEq(t, `{
			"key": "database.url", "value": "postgres://u:********@h/d", "source": "flag --database-url", "default": "",
			"env": "ROWHOUSE_DATABASE_URL", "flag": "--database-url",
			"usage": "PostgreSQL to use, as its owner; empty: the embedded server of data_dir"
		}`, string(encoded))
	}
}

// FuzzFile: whatever the file holds, it is read or refused, never a panic.
func FuzzFile(f *testing.F) {
	for _, seed := range []string{
		config.ExampleYAML(), "server: &a {addr: *a}\n", "a: &a [*a]\n", "server: {trusted_proxies: [1, ~, 2]}\n", "? [a]\n: b\n",
		"&a *a", "---\n---\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		path := t.TempDir() + "/rowhouse.yaml"
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		if _, _, err := config.Load(config.LoadOptions{Search: []string{path}}); err != nil {
			var refused *config.Error
			require.ErrorAs(t, err, &refused)
		}
	})
}
