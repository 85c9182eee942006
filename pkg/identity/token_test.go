package identity

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestTokenRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id := uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		s := secret(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "secret"))
		token := formatToken(id, s)
		require.Len(t, token, tokenLen)
		gotID, got, ok := parseToken(token)
		require.True(t, ok)
		require.Equal(t, id, gotID)
		require.Equal(t, s, got)
		require.True(t, got.matches(s.hash()))
	})
}

func TestSecretMatchesOnlyItsHash(t *testing.T) {
	t.Parallel()
	s := newSecret()
	require.False(t, s.matches(nil))
	require.False(t, s.matches(newSecret().hash()))
	require.False(t, s.matches(s[:]))
	require.False(t, s.matches(s.hash()[:31]))
}

// What is accepted is what is made: each token has one spelling.
func FuzzParseToken(f *testing.F) {
	id := uuid.UUID{1}
	good := formatToken(id, secret{2})
	for _, seed := range []string{
		"", good, good + "=", good[:len(good)-1] + "B", "rh_" + good[4:], good[:25] + "-" + good[26:],
		good[:5] + "\n\n" + good[7:], good[:60] + "\r\n" + good[62:], "RH_" + good[3:],
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		id, s, ok := parseToken(token)
		if ok {
			require.Equal(t, token, formatToken(id, s))
			return
		}
		require.Zero(t, id)
		require.Zero(t, s)
	})
}
