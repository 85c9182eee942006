package tenantschema_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

func TestParseName(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"t_abcdefghijklmnop", "a", "acme_2", strings.Repeat("a", 63)} {
		name, err := tenantschema.ParseName(good)
		require.NoError(t, err, good)
		require.Equal(t, good, name.String())
		require.Equal(t, `"`+good+`"`, name.Quote())
		require.False(t, name.IsZero())
	}
	for _, bad := range []string{
		"", "A", "Acme", "1a", "_a", "a-b", "a b", "a\"b", "a'b", "a;b", "a.b", "a\x00b", "ä", "pg_temp", "pg_catalog", "public",
		"information_schema", "none", "rowhouse", "river", strings.Repeat("a", 64), "$user", "a\n",
	} {
		name, err := tenantschema.ParseName(bad)
		var nameErr *tenantschema.NameError
		require.ErrorAs(t, err, &nameErr, bad)
		require.True(t, name.IsZero())
	}
}

// A Name that parses is an identifier that PostgreSQL takes as it is: nothing to fold, to cut or to escape.
func FuzzParseName(f *testing.F) {
	for _, seed := range []string{"t_1", "public", `a"b`, "pg_x", strings.Repeat("x", 64), "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, err := tenantschema.ParseName(s)
		if err != nil {
			require.True(t, name.IsZero())
			require.LessOrEqual(t, len(err.Error()), 1000)
			return
		}
		require.Equal(t, s, name.String())
		require.LessOrEqual(t, len(s), 63)
		require.Equal(t, strings.ToLower(s), s)
		require.NotContains(t, s, `"`)
		require.NotRegexp(t, `^pg_|[^a-z0-9_]`, s)
	})
}
