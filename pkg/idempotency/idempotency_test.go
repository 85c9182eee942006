package idempotency_test

import (
	"bytes"
	"crypto/rand"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/idempotency"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestStore(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	acme, globex := db.Scope("acme"), db.Scope("globex")
	ctx, now := t.Context(), time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	store, err := idempotency.New(idempotency.Config{Clock: func() time.Time { return now }})
	require.NoError(t, err)
	hash := idempotency.Hash{1}

	claim, replay, err := store.Begin(ctx, acme, "key 1", "k", hash)
	require.NoError(t, err)
	require.Nil(t, replay)
	_, _, err = store.Begin(ctx, acme, "key 1", "k", hash)
	require.Equal(t, apperr.Conflict, apperr.CodeOf(err), "it is being worked on")
	for _, another := range []string{"key 2", "user 1"} {
		other, _, err := store.Begin(ctx, acme, another, "k", hash)
		require.NoError(t, err, "the key of another caller is another key")
		require.NoError(t, store.Abandon(ctx, acme, other))
	}
	theirs, _, err := store.Begin(ctx, globex, "key 1", "k", hash)
	require.NoError(t, err, "and so is that of another tenant")
	require.NotNil(t, theirs)

	answer := idempotency.Answer{Status: 201, Header: map[string]string{"Location": "/x"}, Body: []byte("the secret")}
	require.NoError(t, store.Finish(ctx, acme, claim, hash, answer))
	_, replay, err = store.Begin(ctx, acme, "key 1", "k", idempotency.Hash{2})
	require.NoError(t, err)
	require.Equal(t, &idempotency.Replay{Hash: hash, Answer: answer}, replay)

	// Who was taken for dead, and is not, changes nothing any more.
	now = now.Add(61 * time.Second)
	taken, _, err := store.Begin(ctx, globex, "key 1", "k", hash)
	require.NoError(t, err)
	require.NotNil(t, taken)
	require.NoError(t, store.Finish(ctx, globex, theirs, hash, answer))
	require.NoError(t, store.Abandon(ctx, globex, theirs))
	_, _, err = store.Begin(ctx, globex, "key 1", "k", hash)
	require.Equal(t, apperr.Conflict, apperr.CodeOf(err))

	// What has expired makes room with the next that comes.
	now = now.Add(25 * time.Hour)
	_, _, err = store.Begin(ctx, acme, "key 1", "another", hash)
	require.NoError(t, err)
	var rows int
	require.NoError(t, acme.QueryRow(ctx, `SELECT count(*) FROM idempotency_keys`).Scan(&rows))
	require.Equal(t, 1, rows)
}

func TestAnswersThatAreTooLong(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	scope := db.Scope("acme")
	store, err := idempotency.New(idempotency.Config{})
	require.NoError(t, err)
	random := make([]byte, 2<<20)
	_, err = rand.Read(random)
	require.NoError(t, err)
	for name, body := range map[string][]byte{"as text": bytes.Repeat([]byte("a task "), 500_000), "at random": random, "none": {}} {
		claim, _, err := store.Begin(t.Context(), scope, "key 1", name, idempotency.Hash{})
		require.NoError(t, err)
		require.NoError(t, store.Finish(t.Context(), scope, claim, idempotency.Hash{}, idempotency.Answer{Status: 200, Body: body}))
		_, replay, err := store.Begin(t.Context(), scope, "key 1", name, idempotency.Hash{})
		require.NoError(t, err)
		require.Equal(t, name == "at random", replay.Answer.TooLong, name)
		if !replay.Answer.TooLong {
			require.True(t, bytes.Equal(body, replay.Answer.Body), name)
		}
	}
}
