package identity_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/cache"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// process gives a service as another process has it: with a cache of its own.
func process(t *testing.T, d *pgtest.DB, c *clock, lookups func(name, outcome string)) *identity.Service {
	t.Helper()
	listen, err := d.Logins.As(d.Logins.Control())
	require.NoError(t, err)
	hub, err := cache.Open(t.Context(), cache.Config{Listen: listen, Log: zap.NewNop(), OnLookup: lookups})
	require.NoError(t, err)
	t.Cleanup(hub.Close)
	s, err := identity.New(identity.Config{Cache: hub, Clock: c.Now, Argon2Memory: 64})
	require.NoError(t, err)
	return s
}

// A key that is kept in memory is worthless at once where it is revoked, and soon in every other process, also when it is revoked by one that keeps
// nothing; it expires in time; and it opens nothing at another tenant.
func TestKeys_InMemory(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b := setup(t)
	outcomes := make(chan string, 10_000)
	here := process(t, b.db, b.clock, func(_, outcome string) { outcomes <- outcome })
	there := process(t, b.db, b.clock, nil)
	hit := func(s *identity.Service, scope tenantschema.Scope, token string) bool {
		for len(outcomes) > 0 {
			<-outcomes
		}
		_, err := s.Authenticate(ctx, scope, token)
		require.NoError(t, err)
		return len(outcomes) > 0 && <-outcomes == cache.Hit
	}
	code := func(s *identity.Service, scope tenantschema.Scope, token string) apperr.Code {
		_, err := s.Authenticate(ctx, scope, token)
		return apperr.CodeOf(err)
	}
	for _, revoker := range []*identity.Service{here, b.Service} {
		key, token := b.key(t, b.acme)
		_, other := b.key(t, b.acme)
		_, theirs := b.key(t, b.globex)
		require.Eventually(t, func() bool { return hit(here, b.acme, token) && hit(here, b.globex, theirs) }, 30*time.Second, time.Millisecond)
		for range 3 {
			require.Empty(t, code(there, b.acme, token))
		}
		require.Equal(t, apperr.Unauthenticated, code(here, b.globex, token))
		require.Equal(t, apperr.Unauthenticated, code(here, b.acme, token[:26]+other[26:]), "the secret is looked at each time")

		_, err := revoker.RevokeKey(ctx, b.acme, key.ID)
		require.NoError(t, err)
		require.Equal(t, apperr.Unauthenticated, code(revoker, b.acme, token), "at once")
		for _, s := range []*identity.Service{here, there} {
			require.Eventually(t, func() bool { return code(s, b.acme, token) == apperr.Unauthenticated }, 30*time.Second, time.Millisecond)
			require.Empty(t, code(s, b.acme, other))
		}
		require.True(t, hit(here, b.globex, theirs), "what acme forgets globex keeps")
	}

	soon := b.clock.Now().Add(10 * time.Second)
	_, token, err := b.CreateKey(ctx, b.acme, identity.NewKey{Name: "short", Scopes: []string{identity.ScopeRead}, ExpiresAt: &soon})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return hit(here, b.acme, token) }, 30*time.Second, time.Millisecond)
	b.clock.advance(11 * time.Second)
	require.Equal(t, apperr.Unauthenticated, code(here, b.acme, token))
}
