package identity

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
)

// Whoever it is about, a sign-in asks for a hash: when there are none to be had, all are told so.
func TestEverySignInTakesAHash(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	scope := pgtest.New(t).Scope("acme")
	s, err := New(Config{Argon2Memory: 64, MaxHashes: 1})
	require.NoError(t, err)
	hash, err := s.HashPassword(ctx, "rows of houses, wall to wall")
	require.NoError(t, err)
	for _, in := range []NewUser{
		{Email: "ada@acme.example", DisplayName: "Ada", PasswordHash: hash}, {Email: "off@acme.example", DisplayName: "Off", PasswordHash: hash},
		{Email: "sso@acme.example", DisplayName: "Sso"},
	} {
		_, err = s.CreateOwner(ctx, scope, in)
		require.NoError(t, err)
	}
	_, err = scope.Exec(ctx, `UPDATE users SET disabled_at = now() WHERE email = 'off@acme.example'`)
	require.NoError(t, err)
	s.hasher.waiting.Store(queuePerSlot)
	for _, email := range []string{"ada@acme.example", "off@acme.example", "sso@acme.example", "nobody@acme.example", "no address"} {
		_, err = s.SignIn(ctx, scope, email, "rows of houses, wall to wall", Client{})
		require.Equal(t, apperr.Unavailable, apperr.CodeOf(err), email)
	}
}
