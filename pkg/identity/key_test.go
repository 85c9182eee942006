package identity_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/identity"
)

func TestKeyLife(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	none, err := b.ListKeys(ctx, b.acme)
	require.NoError(t, err)
	require.Empty(t, none)

	expires := b.clock.Now().Add(time.Hour).In(time.FixedZone("", 3600))
	made, token, err := b.CreateKey(ctx, b.acme, identity.NewKey{
		Name: " ci ", Scopes: []string{"write", "read", "write"}, ExpiresAt: &expires,
	})
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(token, made.Prefix))
	require.Equal(t, identity.Key{
		ID: made.ID, Name: "ci", Prefix: made.Prefix, Scopes: []string{"read", "write"}, CreatedAt: b.clock.Now(), ExpiresAt: new(expires.UTC()),
	}, made)
	second, _ := b.key(t, b.acme)
	keys, err := b.ListKeys(ctx, b.acme)
	require.NoError(t, err)
	require.Equal(t, []identity.Key{second, made}, keys, "newest first")

	at := b.clock.advance(time.Minute)
	revoked, err := b.RevokeKey(ctx, b.acme, made.ID)
	require.NoError(t, err)
	require.Equal(t, &at, revoked.RevokedAt)
	b.clock.advance(time.Minute)
	again, err := b.RevokeKey(ctx, b.acme, made.ID)
	require.NoError(t, err)
	require.Equal(t, revoked, again, "a revoked key stays revoked since then")
	keys, err = b.ListKeys(ctx, b.acme)
	require.NoError(t, err)
	require.Equal(t, []identity.Key{second, revoked}, keys)

	unknown, err := uuid.NewV7()
	require.NoError(t, err)
	_, err = b.RevokeKey(ctx, b.acme, unknown)
	require.Equal(t, apperr.NotFound, apperr.CodeOf(err))
}

func TestKeyInputIsChecked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	read := []string{identity.ScopeRead}
	now, far := b.clock.Now(), time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
	_, _, err := b.CreateKey(t.Context(), b.acme, identity.NewKey{Name: strings.Repeat("ü", 100), Scopes: read})
	require.NoError(t, err, "the limit counts characters, in Go as in the schema")

	for name, in := range map[string]struct {
		identity.NewKey

		fields []string
	}{
		"no name":       {identity.NewKey{Name: " ", Scopes: read}, []string{"name"}},
		"long name":     {identity.NewKey{Name: strings.Repeat("ü", 101), Scopes: read}, []string{"name"}},
		"two lines":     {identity.NewKey{Name: "a\nb", Scopes: read}, []string{"name"}},
		"NUL":           {identity.NewKey{Name: "a\x00", Scopes: read}, []string{"name"}},
		"not UTF-8":     {identity.NewKey{Name: "\xff", Scopes: read}, []string{"name"}},
		"no scopes":     {identity.NewKey{Name: "a"}, []string{"scopes"}},
		"unknown scope": {identity.NewKey{Name: "a", Scopes: []string{"read", "root"}}, []string{"scopes"}},
		"expired":       {identity.NewKey{Name: "a", Scopes: read, ExpiresAt: &now}, []string{"expires_at"}},
		"far":           {identity.NewKey{Name: "a", Scopes: read, ExpiresAt: &far}, []string{"expires_at"}},
		"all":           {identity.NewKey{ExpiresAt: &now}, []string{"name", "scopes", "expires_at"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, token, err := b.CreateKey(t.Context(), b.acme, in.NewKey)
			require.Empty(t, token)
			var wrong *apperr.Error
			require.ErrorAs(t, err, &wrong)
			require.Equal(t, apperr.Invalid, wrong.Code)
			var fields []string
			for _, field := range wrong.Fields {
				fields = append(fields, field.Path)
			}
			require.Equal(t, in.fields, fields)
		})
	}
}

func TestNewRefusesNegativeInterval(t *testing.T) {
	t.Parallel()
	_, err := identity.New(identity.Config{TouchInterval: -1})
	require.Error(t, err)
}
