package job_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func once(t *testing.T, s tenantschema.Scope, key string, then func(tx *tenantschema.Tx) error) (first bool, err error) {
	t.Helper()
	err = s.InTx(t.Context(), func(tx *tenantschema.Tx) (err error) {
		if first, err = job.Once(t.Context(), tx, key); err != nil || then == nil {
			return err
		}
		return then(tx)
	})
	return first, err
}

func TestOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	acme, globex := db.Scope("acme"), db.Scope("globex")

	// What was rolled back is still to be done.
	lost := errors.New("lost")
	_, err := once(t, acme, "mail:1", func(*tenantschema.Tx) error { return lost })
	require.ErrorIs(t, err, lost)

	for _, want := range []bool{true, false, false} {
		first, err := once(t, acme, "mail:1", nil)
		require.NoError(t, err)
		require.Equal(t, want, first)
	}
	first, err := once(t, globex, "mail:1", nil)
	require.NoError(t, err)
	require.True(t, first, "another tenant's keys are its own")

	_, err = once(t, acme, "", nil)
	require.ErrorContains(t, err, "1 to 200 bytes")
	_, err = once(t, acme, strings.Repeat("x", 201), nil)
	require.ErrorContains(t, err, "1 to 200 bytes")
}

// Of two that run at the same time one waits for the other's commit.
func TestOnce_AtTheSameTime(t *testing.T) {
	t.Parallel()
	acme := pgtest.New(t).Scope("acme")
	second := make(chan bool, 1)
	first, err := once(t, acme, "key", func(*tenantschema.Tx) error {
		go func() {
			again, err := once(t, acme, "key", nil)
			second <- again && err == nil
		}()
		return nil
	})
	require.NoError(t, err)
	require.True(t, first)
	require.False(t, <-second)
}

func TestForget(t *testing.T) {
	t.Parallel()
	acme := pgtest.New(t).Scope("acme")
	_, err := once(t, acme, "old", nil)
	require.NoError(t, err)
	removed, err := job.Forget(t.Context(), acme, time.Hour)
	require.NoError(t, err)
	require.Zero(t, removed)
	removed, err = job.Forget(t.Context(), acme, -time.Hour)
	require.NoError(t, err)
	require.Equal(t, int64(1), removed)
}

func TestOpts_Or(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	all := job.Opts{Queue: job.QueueBulk, Priority: 2, At: at, MaxAttempts: 3, Unique: "key", UniqueCompleted: true}
	require.Equal(t, all, job.Opts{}.Or(all))
	other := job.Opts{Queue: job.QueueCritical, Priority: 4, At: at.Add(1), MaxAttempts: 5, Unique: "other"}
	require.Equal(t, other, other.Or(all))
}

func TestContext(t *testing.T) {
	t.Parallel()
	require.Zero(t, job.FromContext(t.Context()))
	info := job.Info{ID: 7, Attempt: 2, MaxAttempts: 3}
	got := job.FromContext(job.NewContext(context.Background(), info)) //nolint:usetesting // Any will do.
	require.Equal(t, info, got)
	require.False(t, got.Last())
	require.True(t, job.Info{Attempt: 3, MaxAttempts: 3}.Last())
}
