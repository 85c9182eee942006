package identity_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/identity"
)

func TestSignIn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	owner := b.owner(t, b.acme)
	require.Equal(t, identity.Principal{
		UserID: owner.UserID, SessionID: owner.SessionID, Name: "Somebody", Email: "ada@acme.example", Role: identity.RoleOwner,
		ConfirmedAt: b.clock.Now(),
	}, owner)

	in, err := b.SignIn(ctx, b.acme, " ADA@ACME.example ", password, browser())
	require.NoError(t, err)
	require.Equal(t, owner.UserID, in.User.ID)
	require.True(t, strings.HasPrefix(in.Token, "rs_"))
	require.Len(t, in.Token, 46)
	require.Equal(t, b.clock.Now().Add(30*24*time.Hour), in.Expires)
	require.Empty(t, in.SecondFactor)

	var row string
	require.NoError(t, b.acme.QueryRow(ctx, `SELECT string_agg(s::text, ' ') FROM sessions s`).Scan(&row))
	require.NotContains(t, row, in.Token[3:], "only a hash is stored")

	// The session that the browser shows ends when it signs in again.
	c := browser()
	c.Session = in.Token
	again, err := b.SignIn(ctx, b.acme, "ada@acme.example", password, c)
	require.NoError(t, err)
	_, err = b.AuthenticateSession(ctx, b.acme, in.Token)
	requireCode(t, apperr.Unauthenticated, err)
	b.principal(t, b.acme, again.Token)
}

// Whatever is wrong, the answer is the same to the letter, and the way to it, too.
func TestSignInRefusesUniformly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.owner(t, b.acme)
	disabled := b.user(t, b.acme, "off@acme.example", identity.RoleMember)
	keyless := b.user(t, b.acme, "sso@acme.example", identity.RoleMember)
	b.user(t, b.globex, "eve@globex.example", identity.RoleOwner)
	_, err := b.acme.Exec(ctx, `UPDATE users SET disabled_at = now() WHERE id = $1`, disabled.UserID)
	require.NoError(t, err)
	_, err = b.acme.Exec(ctx, `UPDATE users SET password_hash = NULL WHERE id = $1`, keyless.UserID)
	require.NoError(t, err)

	var first error
	for name, c := range map[string][2]string{
		"wrong password": {"ada@acme.example", password + "."}, "unknown": {"bob@acme.example", password}, "disabled": {"off@acme.example", password},
		"without a password": {"sso@acme.example", password}, "and without one given": {"sso@acme.example", ""}, "empty": {"", ""},
		"of another tenant": {"eve@globex.example", password}, "a huge password": {"ada@acme.example", strings.Repeat(password, 1<<15)},
		"a huge address": {strings.Repeat("a", 1<<20) + "@acme.example", password}, "NUL": {"ada\x00@acme.example", "\x00"},
		"not UTF-8": {"\xff", "\xff"},
	} {
		_, err := b.SignIn(ctx, b.acme, c[0], c[1], browser())
		requireCode(t, apperr.Unauthenticated, err)
		if first == nil {
			first = err
		}
		require.Equal(t, first, err, name)
	}
}

func TestAttemptsAreThrottled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.owner(t, b.acme)
	b.user(t, b.globex, "ada@acme.example", identity.RoleOwner)
	for _, email := range []string{"ada@acme.example", "nobody@acme.example"} {
		for range 5 {
			_, err := b.SignIn(ctx, b.acme, email, "wrong", browser())
			requireCode(t, apperr.Unauthenticated, err)
		}
		for _, wait := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
			_, err := b.SignIn(ctx, b.acme, email, password, browser())
			requireCode(t, apperr.RateLimited, err)
			limited, _ := errors.AsType[*apperr.Error](err)
			require.Equal(t, wait, limited.RetryAfter, "known or not")
			b.clock.advance(wait)
			_, err = b.SignIn(ctx, b.acme, email, "wrong", browser())
			requireCode(t, apperr.Unauthenticated, err)
		}
	}
	b.signIn(t, b.globex, "ada@acme.example") // Another tenant's account is another.
	b.clock.advance(15 * time.Minute)
	b.signIn(t, b.acme, "ADA@acme.example")
	for range 5 { // All is forgotten.
		_, err := b.SignIn(ctx, b.acme, "ada@acme.example", "wrong", browser())
		requireCode(t, apperr.Unauthenticated, err)
	}
	_, err := b.SignIn(ctx, b.acme, "ada@acme.example", password, browser())
	requireCode(t, apperr.RateLimited, err)
	b.clock.advance(24 * time.Hour)
	b.signIn(t, b.acme, "ada@acme.example")
}

// One address may not try many accounts, and what it may not try is not held against them.
func TestAddressesAreThrottled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.owner(t, b.acme)
	from := func(address string) identity.Client { return identity.Client{RemoteAddress: address} }
	_, err := b.acme.Exec(ctx, `UPDATE sign_in_failures SET failures = 49, last_at = $1`, b.clock.Now())
	require.NoError(t, err)
	_, err = b.SignIn(ctx, b.acme, "one@acme.example", "wrong", browser())
	requireCode(t, apperr.Unauthenticated, err)
	for range 20 {
		_, err = b.SignIn(ctx, b.acme, "ada@acme.example", password, browser())
		requireCode(t, apperr.RateLimited, err)
	}
	in, err := b.SignIn(ctx, b.acme, "ada@acme.example", password, from("203.0.113.8"))
	require.NoError(t, err)
	require.NotEmpty(t, in.Token)

	// A customer of a provider has a /64 and counts once.
	for i := range 50 {
		email, address := strings.Repeat("x", i+1)+"@acme.example", "2001:db8::"+strings.Repeat("1", i%4+1)
		_, err = b.SignIn(ctx, b.acme, email, "wrong", from(address))
		requireCode(t, apperr.Unauthenticated, err)
	}
	_, err = b.SignIn(ctx, b.acme, "ada@acme.example", password, from("2001:db8::ffff"))
	requireCode(t, apperr.RateLimited, err)
	_, err = b.SignIn(ctx, b.acme, "ada@acme.example", password, from("2001:db8:0:1::ffff"))
	require.NoError(t, err)
}

// Attempts are counted before they are made: many at once gain nothing.
func TestManyAttemptsAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.owner(t, b.acme)
	var wg sync.WaitGroup
	errs := make(chan error, 30)
	for range cap(errs) {
		wg.Go(func() {
			_, err := b.SignIn(t.Context(), b.acme, "ada@acme.example", "wrong", browser())
			errs <- err
		})
	}
	wg.Wait()
	close(errs)
	tried := 0
	for err := range errs {
		if apperr.CodeOf(err) == apperr.Unauthenticated {
			tried++
		} else {
			requireCode(t, apperr.RateLimited, err)
		}
	}
	require.Equal(t, 5, tried)
}

// A hash of yesterday's parameters is made anew when its password is known.
func TestPasswordsAreRehashed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.owner(t, b.acme)
	stronger, err := identity.New(identity.Config{Clock: b.clock.Now, Argon2Memory: 128})
	require.NoError(t, err)
	for range 2 {
		_, err = stronger.SignIn(t.Context(), b.acme, "ada@acme.example", password, browser())
		require.NoError(t, err)
		var hash string
		require.NoError(t, b.acme.QueryRow(t.Context(), `SELECT password_hash FROM users`).Scan(&hash))
		require.Contains(t, hash, "m=128,")
	}
}

func TestConfirm(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	in := func() identity.SignedIn { b.owner(t, b.acme); return b.signIn(t, b.acme, "ada@acme.example") }()
	p := b.principal(t, b.acme, in.Token)
	require.NoError(t, b.RequireRecent(p, 15*time.Minute))
	b.clock.advance(16 * time.Minute)
	p = b.principal(t, b.acme, in.Token)
	requireCode(t, apperr.Refused, b.RequireRecent(p, 15*time.Minute))
	requireInvalid(t, b.Confirm(ctx, b.acme, p, "wrong"), "password")
	requireCode(t, apperr.Refused, b.RequireRecent(b.principal(t, b.acme, in.Token), 15*time.Minute))
	require.NoError(t, b.Confirm(ctx, b.acme, p, password))
	require.NoError(t, b.RequireRecent(b.principal(t, b.acme, in.Token), 15*time.Minute))

	// Who has the session may not guess; and guesses at the door keep nobody from confirming.
	for range 5 {
		requireInvalid(t, b.Confirm(ctx, b.acme, p, "wrong"), "password")
	}
	requireCode(t, apperr.RateLimited, b.Confirm(ctx, b.acme, p, password))
	b.signIn(t, b.acme, "ada@acme.example")

	requireCode(t, apperr.Forbidden, b.Confirm(ctx, b.acme, identity.Principal{Scopes: []string{"admin"}}, password))
	requireCode(t, apperr.NotFound, b.Confirm(ctx, b.globex, p, password))
}
