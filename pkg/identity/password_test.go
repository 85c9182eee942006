package identity_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/identity"
)

func TestPasswordsAreChecked(t *testing.T) {
	t.Parallel()
	s, err := identity.New(identity.Config{Argon2Memory: 64, Breached: func(_ context.Context, p string) (bool, error) {
		return strings.Contains(p, "stolen"), nil
	}})
	require.NoError(t, err)
	for name, password := range map[string]string{
		"short": "elf letters", "long": strings.Repeat("abcd", 32) + "e", "huge": strings.Repeat("abcdefgh", 1<<17), "empty": "",
		"not UTF-8": "twelve letters\xff", "common": "correct horse battery staple", "common in capitals": "PASSWORD123456",
		"two letters": strings.Repeat("ab", 20), "breached": "stolen from elsewhere",
		"short once normalized": "e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301abcd",
	} {
		_, err := s.HashPassword(t.Context(), password)
		require.Error(t, err, name)
		requireInvalid(t, err, "password")
		require.Less(t, len(err.Error()), 200, "the password is not repeated")
	}
	for name, password := range map[string]string{"12 characters": "äöüß ßüöä ?!", "128": strings.Repeat("äöüß", 32)} {
		hash, err := s.HashPassword(t.Context(), password)
		require.NoError(t, err, name)
		require.True(t, strings.HasPrefix(hash, "$argon2id$v=19$m=64,t=2,p=1$"), hash)
	}

	failing, err := identity.New(identity.Config{Breached: func(context.Context, string) (bool, error) { return false, errors.New("no answer") }})
	require.NoError(t, err)
	_, err = failing.HashPassword(t.Context(), password)
	require.ErrorContains(t, err, "no answer")
}
