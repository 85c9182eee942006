package jobqueue_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func TestEnqueueIsPartOfTheTransaction(t *testing.T) {
	t.Parallel()

	t.Run("both are there after the commit", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		require.NoError(t, b.acme.InTx(t.Context(), func(tx *tenantschema.Tx) error {
			if err := write(t.Context(), tx, "before"); err != nil {
				return err
			}
			if err := b.enqueuer.Enqueue(t.Context(), tx, note{Key: "job"}); err != nil {
				return err
			}
			// The transaction is inside the tenant again.
			return write(t.Context(), tx, "after")
		}))
		require.Equal(t, []string{"after", "before"}, keys(t, b.acme))
		require.Equal(t, []job{{b.Tenant("acme").ID, "note", "available", "default", 0, 25}}, b.jobs(t))
	})

	t.Run("neither is there after a rollback", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		gone := errors.New("gone")
		require.ErrorIs(t, b.acme.InTx(t.Context(), func(tx *tenantschema.Tx) error {
			if err := write(t.Context(), tx, "row"); err != nil {
				return err
			}
			if err := b.enqueuer.Enqueue(t.Context(), tx, note{Key: "job"}); err != nil {
				return err
			}
			return gone
		}), gone)
		require.Empty(t, keys(t, b.acme))
		require.Empty(t, b.jobs(t))
	})

	t.Run("a savepoint takes its job back", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		require.NoError(t, b.acme.InTx(t.Context(), func(tx *tenantschema.Tx) error {
			savepoint, err := tx.Begin(t.Context())
			if err != nil {
				return err
			}
			inner, ok := savepoint.(*tenantschema.Tx)
			require.True(t, ok)
			if err = b.enqueuer.Enqueue(t.Context(), inner, note{Key: "undone"}); err != nil {
				return err
			}
			if err = savepoint.Rollback(t.Context()); err != nil {
				return err
			}
			return b.enqueuer.Enqueue(t.Context(), tx, note{Key: "kept"})
		}))
		require.Len(t, b.jobs(t), 1)
	})
}

func TestEnqueueOptions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	acme := b.Tenant("acme").ID

	b.enqueue(t, b.acme, note{opts: river.InsertOpts{Queue: jobqueue.QueueCritical, MaxAttempts: 3}})
	b.enqueue(t, b.acme, note{opts: river.InsertOpts{Queue: jobqueue.QueueBulk, ScheduledAt: time.Now().Add(time.Hour)}})
	require.Equal(t, []job{
		{acme, "note", "available", "critical", 0, 3},
		{acme, "note", "scheduled", "bulk", 0, 25},
	}, b.jobs(t))

	for name, args := range map[string]jobqueue.Args{
		"args are nil":                       nil,
		"InsertOpts.Metadata belongs":        note{opts: river.InsertOpts{Metadata: []byte(`{"tenant":"` + b.Tenant("globex").ID + `"}`)}},
		"InsertOpts.Pending jobs":            note{opts: river.InsertOpts{Pending: true}},
		"InsertOpts.UniqueOpts is not":       note{opts: river.InsertOpts{UniqueOpts: river.UniqueOpts{ByArgs: true}}},
		"nobody works a queue \"elsewhere\"": note{opts: river.InsertOpts{Queue: "elsewhere"}},
		"priority must be between":           note{opts: river.InsertOpts{Priority: 5}},
		"unsupported type":                   unstorable{},
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			t.Parallel()
			err := b.acme.InTx(t.Context(), func(tx *tenantschema.Tx) error { return b.enqueuer.Enqueue(t.Context(), tx, args) })
			require.ErrorContains(t, err, "jobqueue: enqueue")
			require.ErrorContains(t, err, name)
		})
	}
}

type unstorable struct{ F func() }

func (unstorable) Kind() string { return "unstorable" }

// disguised is a job that puts another tenant's stamp on itself by a hook of River's.
type disguised struct {
	note

	as string
}

func (d disguised) Hooks() []rivertype.Hook {
	return []rivertype.Hook{river.HookInsertBeginFunc(func(_ context.Context, params *rivertype.JobInsertParams) error {
		params.Metadata = []byte(`{"tenant":"` + d.as + `"}`)
		return nil
	})}
}

func TestDatabaseRefusesAnotherTenantsStamp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	err := b.acme.InTx(t.Context(), func(tx *tenantschema.Tx) error {
		return b.enqueuer.Enqueue(t.Context(), tx, disguised{as: b.Tenant("globex").ID})
	})
	requireState(t, err, "42501")
	require.Empty(t, b.jobs(t))
}
