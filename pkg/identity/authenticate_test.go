package identity_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key, token := b.key(t, b.acme)
	principal, err := b.Authenticate(t.Context(), b.acme, token)
	require.NoError(t, err)
	require.Equal(t, identity.Principal{KeyID: key.ID, Name: "ci", Scopes: []string{identity.ScopeWrite}}, principal)
}

// Whatever is wrong with a token, the answer is the same to the letter.
func TestAuthenticateRefusesUniformly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	_, good := b.key(t, b.acme)
	_, other := b.key(t, b.acme)
	_, foreign := b.key(t, b.globex)
	revokedKey, revoked := b.key(t, b.acme)
	_, err := b.RevokeKey(ctx, b.acme, revokedKey.ID)
	require.NoError(t, err)
	expires := b.clock.Now().Add(time.Second)
	_, expired, err := b.CreateKey(ctx, b.acme, identity.NewKey{Name: "short", Scopes: []string{identity.ScopeRead}, ExpiresAt: &expires})
	require.NoError(t, err)
	_, err = b.Authenticate(ctx, b.acme, expired)
	require.NoError(t, err, "not yet")
	b.clock.advance(time.Second)

	var first error
	for name, token := range map[string]string{
		"empty": "", "word": "secret", "of another tenant": foreign, "revoked": revoked, "expired": expired,
		"secret of another key": good[:26] + other[26:],
		"cut":                   good[:len(good)-1],
		"long":                  good + "A",
		"huge":                  strings.Repeat(good, 10_000),
		"in capitals":           strings.ToUpper(good),
		"with a space":          good + " ",
		"SQL":                   "rh_' OR true; --",
	} {
		_, err := b.Authenticate(ctx, b.acme, token)
		require.Equal(t, apperr.Unauthenticated, apperr.CodeOf(err), name)
		if first == nil {
			first = err
		}
		require.Equal(t, first, err, name)
		require.NotContains(t, err.Error(), "acme")
	}

	_, err = b.Authenticate(ctx, b.globex, good)
	require.Equal(t, first, err, "a key of acme is nothing at globex")
	_, err = b.Authenticate(ctx, b.acme, good)
	require.NoError(t, err)
}

func TestKeysOfTenantsDoNotMeet(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key, token := b.key(t, b.globex)
	_, err := b.RevokeKey(t.Context(), b.acme, key.ID)
	require.Equal(t, apperr.NotFound, apperr.CodeOf(err))
	ours, err := b.ListKeys(t.Context(), b.acme)
	require.NoError(t, err)
	require.Empty(t, ours)
	theirs, err := b.ListKeys(t.Context(), b.globex)
	require.NoError(t, err)
	require.Equal(t, []identity.Key{key}, theirs, "nothing changed, not even the time of last use")
	_, err = b.Authenticate(t.Context(), b.globex, token)
	require.NoError(t, err)
}

func TestSecretIsNotStored(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, token := b.key(t, b.acme)
	var row string
	require.NoError(t, b.acme.QueryRow(t.Context(), `SELECT api_keys::text FROM api_keys`).Scan(&row))
	require.NotContains(t, row, token[26:])
	require.NotContains(t, row, token[12:25], "the list shows eight characters of the id, no more")
}

func TestLastUseIsNotedAtMostOnceAMinute(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	_, token := b.key(t, b.acme)
	lastUsed := func() *time.Time {
		t.Helper()
		_, err := b.Authenticate(ctx, b.acme, token)
		require.NoError(t, err)
		keys, err := b.ListKeys(ctx, b.acme)
		require.NoError(t, err)
		return keys[0].LastUsedAt
	}
	first := b.clock.Now()
	require.Equal(t, &first, lastUsed())
	b.clock.advance(59 * time.Second)
	require.Equal(t, &first, lastUsed())
	second := b.clock.advance(time.Second)
	require.Equal(t, &second, lastUsed())

	// A wrong secret notes nothing.
	b.clock.advance(time.Hour)
	_, err := b.Authenticate(ctx, b.acme, token[:26]+strings.Repeat("A", 43))
	require.Error(t, err)
	keys, err := b.ListKeys(ctx, b.acme)
	require.NoError(t, err)
	require.Equal(t, &second, keys[0].LastUsedAt)
}

// A request does not wait for another that holds the key's row.
func TestNotingUseDoesNotWait(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	key, token := b.key(t, b.acme)
	require.NoError(t, b.acme.InTx(ctx, func(tx *tenantschema.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE api_keys SET name = 'held' WHERE id = $1`, key.ID); err != nil {
			return err
		}
		_, err := b.Authenticate(ctx, b.acme, token)
		return err
	}))
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, token := b.key(t, b.acme)
	var wg sync.WaitGroup
	errs := make(chan error, 32)
	for range cap(errs) {
		wg.Go(func() {
			_, err := b.Authenticate(t.Context(), b.acme, token)
			errs <- err
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
}

func TestAuthenticateTellsFailureFromRefusal(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, token := b.key(t, b.acme)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.Authenticate(ctx, b.acme, token)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, apperr.Internal, apperr.CodeOf(err))
}
