package tenancy_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

func TestParseSlug(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"acme", "a1", "1a", "a-b", "a--b", "a-b--c", strings.Repeat("a", 63)} {
		got, err := tenancy.ParseSlug(good)
		require.NoError(t, err, good)
		require.Equal(t, good, got)
	}
	for bad, says := range map[string]string{
		"": "2 to 63", "a": "2 to 63", strings.Repeat("a", 64): "2 to 63", "Acme": "acme would be right", "acme corp": "acme-corp would be right",
		"-acme": "acme would be right", "acme-": "hyphen", "xn--80ak6aa": "third and fourth", "äcme": "a-z", "a.b": "a-b would be right",
		"a\x00b": "a-z", "www": "reserved", "console": "reserved", "api": "reserved", "a_b": "a-b would be right", "acme\n": "acme would be right",
	} {
		_, err := tenancy.ParseSlug(bad)
		require.ErrorContains(t, err, says, "%q", bad)
		require.Equal(t, apperr.Invalid, apperr.CodeOf(err))
	}
}

// What SuggestSlug gives is always right.
func FuzzSlug(f *testing.F) {
	for _, seed := range []string{"Acme Corp", "www", "xn--a", "---", "\xff\xfe", "a.b.c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if slug, err := tenancy.ParseSlug(s); err == nil {
			require.Equal(t, s, slug)
			require.Regexp(t, `^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])$`, slug)
		}
		if suggested := tenancy.SuggestSlug(s); suggested != "" {
			_, err := tenancy.ParseSlug(suggested)
			require.NoError(t, err)
		}
	})
}
