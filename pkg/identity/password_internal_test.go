package identity

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

// The queue for hashes is bounded, and who leaves it makes room.
func TestHashesAreBounded(t *testing.T) {
	t.Parallel()
	h := newHasher(64, 1)
	leave, err := h.enter(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, queuePerSlot)
	for range queuePerSlot {
		go func() {
			_, err := h.hash(ctx, "some password")
			done <- err
		}()
	}
	require.Eventually(t, func() bool { return h.waiting.Load() == queuePerSlot }, time.Minute, time.Millisecond)
	_, _, err = h.verify(t.Context(), "some password", nil)
	require.Equal(t, apperr.Unavailable, apperr.CodeOf(err))
	cancel()
	for range queuePerSlot {
		require.ErrorIs(t, <-done, context.Canceled)
	}
	leave()
	hash, err := h.hash(t.Context(), "some password")
	require.NoError(t, err)
	ok, stale, err := h.verify(t.Context(), "some password", &hash)
	require.NoError(t, err)
	require.True(t, ok)
	require.False(t, stale)
	ok, stale, err = newHasher(128, 1).verify(t.Context(), "some password", &hash)
	require.NoError(t, err)
	require.True(t, ok)
	require.True(t, stale)
	ok, _, err = h.verify(t.Context(), "some password", nil)
	require.NoError(t, err)
	require.False(t, ok)
}
