package identity_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.owner(t, b.acme)
	token := b.signIn(t, b.acme, "ada@acme.example").Token

	// Used all the time, it lasts 30 days; left alone, one.
	idle := b.signIn(t, b.acme, "ada@acme.example").Token
	b.clock.advance(24*time.Hour - time.Second)
	b.principal(t, b.acme, token)
	b.clock.advance(time.Second)
	_, err := b.AuthenticateSession(ctx, b.acme, idle)
	requireCode(t, apperr.Unauthenticated, err)
	for range 28 { // What was used within a minute may not be noted.
		b.principal(t, b.acme, token)
		b.clock.advance(24*time.Hour - time.Minute)
	}
	b.principal(t, b.acme, token)
	b.clock.advance(24 * time.Hour)
	_, expired := b.AuthenticateSession(ctx, b.acme, token)
	requireCode(t, apperr.Unauthenticated, expired)
	require.Equal(t, err, expired)
}

func TestSessionsAreListedAndRevoked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	first := b.owner(t, b.acme)
	other := b.user(t, b.acme, "bob@acme.example", identity.RoleAdmin)
	b.clock.advance(time.Minute)
	c := browser()
	c.UserAgent = strings.Repeat("x", 500) + "\x00"
	in, err := b.SignIn(ctx, b.acme, "ada@acme.example", password, c)
	require.NoError(t, err)
	second := b.principal(t, b.acme, in.Token)

	list, err := b.ListSessions(ctx, b.acme, second)
	require.NoError(t, err)
	require.Equal(t, []identity.Session{
		{ID: second.SessionID, UserID: second.UserID, UserAgent: strings.Repeat("x", 400), RemoteAddress: "203.0.113.7", Method: "password",
			CreatedAt: b.clock.Now(), LastUsedAt: new(b.clock.Now()), ExpiresAt: in.Expires, Current: true},
		{ID: first.SessionID, UserID: first.UserID, UserAgent: "Firefox", RemoteAddress: "203.0.113.7", Method: "password",
			CreatedAt: b.clock.Now().Add(-time.Minute), LastUsedAt: new(b.clock.Now().Add(-time.Minute)), ExpiresAt: in.Expires.Add(-time.Minute)},
	}, list)

	requireCode(t, apperr.NotFound, b.RevokeSession(ctx, b.acme, other, second.SessionID)) // Nobody ends another's.
	requireCode(t, apperr.NotFound, b.RevokeSession(ctx, b.globex, first, first.SessionID))
	require.NoError(t, b.RevokeSession(ctx, b.acme, second, first.SessionID))
	requireCode(t, apperr.NotFound, b.RevokeSession(ctx, b.acme, second, first.SessionID))
	b.signIn(t, b.acme, "ada@acme.example")
	n, err := b.RevokeOtherSessions(ctx, b.acme, second)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	b.principal(t, b.acme, in.Token)
	require.NoError(t, b.SignOut(ctx, b.acme, second))
	_, err = b.AuthenticateSession(ctx, b.acme, in.Token)
	requireCode(t, apperr.Unauthenticated, err)
	list, err = b.ListSessions(ctx, b.acme, other)
	require.NoError(t, err)
	require.Len(t, list, 1)
}

// Use is noted once a minute, and without waiting for others.
func TestUseOfSessionsIsNoted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	owner := b.owner(t, b.acme)
	token := b.signIn(t, b.acme, "ada@acme.example").Token
	b.principal(t, b.acme, token)
	seen := b.clock.Now()
	b.clock.advance(59 * time.Second)
	b.principal(t, b.acme, token)
	u, err := b.GetUser(ctx, b.acme, owner.UserID)
	require.NoError(t, err)
	require.Equal(t, &seen, u.LastSeenAt)
	seen = b.clock.advance(time.Second)
	b.principal(t, b.acme, token)
	u, err = b.GetUser(ctx, b.acme, owner.UserID)
	require.NoError(t, err)
	require.Equal(t, &seen, u.LastSeenAt)

	b.clock.advance(time.Hour)
	require.NoError(t, b.acme.InTx(ctx, func(tx *tenantschema.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE users SET display_name = 'Held'`); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE sessions SET user_agent = 'Held'`); err != nil {
			return err
		}
		_, err := b.AuthenticateSession(ctx, b.acme, token)
		return err
	}))
}

// A session that began at the moment when somebody was disabled is nothing either.
func TestWhoIsDisabledHasNoSession(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.owner(t, b.acme)
	token := b.signIn(t, b.acme, "ada@acme.example").Token
	_, err := b.acme.Exec(t.Context(), `UPDATE users SET disabled_at = now()`)
	require.NoError(t, err)
	_, err = b.AuthenticateSession(t.Context(), b.acme, token)
	requireCode(t, apperr.Unauthenticated, err)
}

func TestSessionsAreNothingElsewhere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.owner(t, b.acme)
	theirs := b.owner(t, b.globex) // The same address, password and role.
	token := b.signIn(t, b.acme, "ada@acme.example").Token
	_, key := b.key(t, b.acme)
	_, err := b.AuthenticateSession(ctx, b.globex, token)
	requireCode(t, apperr.Unauthenticated, err)
	first := err
	for _, token := range []string{"", "rs_", token[:45], token + "A", "rh_" + token[3:], strings.ToUpper(token), key, strings.Repeat(token, 10_000)} {
		_, err = b.AuthenticateSession(ctx, b.acme, token)
		require.Equal(t, first, err)
	}
	_, err = b.Authenticate(ctx, b.acme, token)
	requireCode(t, apperr.Unauthenticated, err)

	list, err := b.ListSessions(ctx, b.acme, theirs)
	require.NoError(t, err)
	require.Empty(t, list)
	require.NoError(t, b.SignOut(ctx, b.acme, theirs))
	_, err = b.RevokeOtherSessions(ctx, b.acme, theirs)
	require.NoError(t, err)
	b.principal(t, b.acme, token)
	_, err = b.GetUser(ctx, b.acme, theirs.UserID)
	requireCode(t, apperr.NotFound, err)
}
