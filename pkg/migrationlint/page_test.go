package migrationlint_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/migrationlint"
)

var update = flag.Bool("update", false, "write the rules into docs/migrations.md")

// TestPage holds the table in docs/migrations.md against the rules.
func TestPage(t *testing.T) {
	t.Parallel()
	const page, begin, end = "../../docs/migrations.md", "-run TestPage -update` -->\n", "<!-- end of rules -->"
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	head, rest, ok := strings.Cut(string(text), begin)
	require.True(t, ok)
	_, tail, ok := strings.Cut(rest, end)
	require.True(t, ok)
	var table strings.Builder
	for _, s := range []migrationlint.Severity{migrationlint.Error, migrationlint.Warning} {
		fmt.Fprintf(&table, "\n### %ss\n\n| rule | kind | looks for | because | instead |\n|---|---|---|---|---|\n", strings.ToUpper(string(s[:1]))+string(s[1:]))
		for _, r := range migrationlint.Rules() {
			if r.Severity == s {
				fmt.Fprintf(&table, "| `%s` | %s | %s | %s | %s |\n", r.Name, r.Kind, r.Looks, r.Why, r.Safe)
			}
		}
	}
	want := head + begin + strings.ReplaceAll(table.String(), "|  |", "| |") + "\n" + end + tail
	if *update {
		require.NoError(t, os.WriteFile(page, []byte(want), 0o600))
		return
	}
	require.Equal(t, want, string(text), "make it anew: go test ./pkg/migrationlint -run TestPage -update")
}
