package jobqueue_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/job"
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
			if err := b.add(t, tx, note{Key: "job"}); err != nil {
				return err
			}
			// The transaction is inside the tenant again.
			return write(t.Context(), tx, "after")
		}))
		require.Equal(t, []string{"after", "before"}, keys(t, b.acme))
		require.Equal(t, []jobRow{{b.Tenant("acme").ID, "note", "available", "default", 0, 25}}, b.jobs(t))
	})

	t.Run("neither is there after a rollback", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		gone := errors.New("gone")
		require.ErrorIs(t, b.acme.InTx(t.Context(), func(tx *tenantschema.Tx) error {
			if err := write(t.Context(), tx, "row"); err != nil {
				return err
			}
			if err := b.add(t, tx, note{Key: "job"}); err != nil {
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
			if err = b.add(t, inner, note{Key: "undone"}); err != nil {
				return err
			}
			if err = savepoint.Rollback(t.Context()); err != nil {
				return err
			}
			return b.add(t, tx, note{Key: "kept"})
		}))
		require.Len(t, b.jobs(t), 1)
	})
}

func TestEnqueueOptions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	acme := b.Tenant("acme").ID

	b.enqueue(t, b.acme, note{opts: job.Opts{Queue: job.QueueCritical, MaxAttempts: 3}})
	b.enqueue(t, b.acme, note{opts: job.Opts{Queue: job.QueueBulk, At: time.Now().Add(time.Hour)}})
	require.Equal(t, []jobRow{
		{acme, "note", "available", "critical", 0, 3},
		{acme, "note", "scheduled", "bulk", 0, 25},
	}, b.jobs(t))

	for name, args := range map[string]job.Args{
		"args are nil":                       nil,
		"nobody works a queue \"elsewhere\"": note{opts: job.Opts{Queue: "elsewhere"}},
		"the priority is 5":                  note{opts: job.Opts{Priority: 5}},
		"unsupported type":                   unstorable{},
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			t.Parallel()
			err := b.acme.InTx(t.Context(), func(tx *tenantschema.Tx) error { return b.add(t, tx, args) })
			require.ErrorContains(t, err, "jobqueue: enqueue")
			require.ErrorContains(t, err, name)
		})
	}
}

type unstorable struct{ F func() }

func (unstorable) Kind() string { return "unstorable" }

// disguised is a job that would put another tenant's stamp on itself by options and hooks of River's.
type disguised struct {
	note

	as string
}

func (d disguised) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Metadata: []byte(`{"tenant":"` + d.as + `"}`)}
}

func (d disguised) Hooks() []rivertype.Hook {
	return []rivertype.Hook{river.HookInsertBeginFunc(func(_ context.Context, params *rivertype.JobInsertParams) error {
		params.Metadata = []byte(`{"tenant":"` + d.as + `"}`)
		return nil
	})}
}

func TestArgsCannotNameATenant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.enqueue(t, b.acme, disguised{as: b.Tenant("globex").ID})
	require.Equal(t, b.Tenant("acme").ID, b.jobs(t)[0].Tenant)
}

func TestEnqueueMany(t *testing.T) {
	t.Parallel()
	b := setup(t)
	args := make([]job.Args, 500)
	for i := range args {
		args[i] = note{Key: strconv.Itoa(i)}
	}
	require.NoError(t, b.acme.InTx(t.Context(), func(tx *tenantschema.Tx) error {
		receipts, err := b.enqueuer.EnqueueMany(t.Context(), tx, args, job.Opts{Queue: job.QueueBulk})
		require.NoError(t, err)
		require.Len(t, receipts, len(args))
		none, err := b.enqueuer.EnqueueMany(t.Context(), tx, nil, job.Opts{})
		require.Empty(t, none)
		return err
	}))
	jobs := b.jobs(t)
	require.Len(t, jobs, len(args))
	for _, j := range jobs {
		require.Equal(t, jobRow{b.Tenant("acme").ID, "note", "available", "bulk", 0, 25}, j)
	}
}

func TestUniqueJobs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	add := func(s tenantschema.Scope, args job.Args, opts job.Opts) (receipt job.Receipt) {
		require.NoError(t, s.InTx(t.Context(), func(tx *tenantschema.Tx) (err error) {
			receipt, err = b.enqueuer.Enqueue(t.Context(), tx, args, opts)
			return err
		}))
		return receipt
	}
	first := add(b.acme, note{Key: "1"}, job.Opts{Unique: "report"})
	require.False(t, first.Duplicate)
	require.Equal(t, job.Receipt{ID: first.ID, Duplicate: true}, add(b.acme, note{Key: "2"}, job.Opts{Unique: "report"}))
	require.False(t, add(b.acme, note{Key: "3"}, job.Opts{Unique: "another"}).Duplicate)
	require.False(t, add(b.acme, other{}, job.Opts{Unique: "report"}).Duplicate, "another kind")
	require.False(t, add(b.globex, note{Key: "4"}, job.Opts{Unique: "report"}).Duplicate, "another tenant")

	b.notes(t, writeNote)
	b.states(t, "completed", "completed", "available", "completed")
	require.False(t, add(b.acme, note{Key: "5"}, job.Opts{Unique: "report"}).Duplicate, "the first one has ended")
	last := add(b.acme, note{Key: "6"}, job.Opts{Unique: "daily", UniqueCompleted: true})
	b.states(t, "completed", "completed", "available", "completed", "completed", "completed")
	require.Equal(t, job.Receipt{ID: last.ID, Duplicate: true}, add(b.acme, note{Key: "7"}, job.Opts{Unique: "daily", UniqueCompleted: true}))
}

// other is a job that nobody works.
type other struct{}

func (other) Kind() string { return "other" }

// Whoever could take a unique key of another tenant's would keep that one's jobs away.
func TestNobodyTakesAnothersUniqueKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	insert := func(owner string) error {
		return b.acme.InTx(t.Context(), func(tx *tenantschema.Tx) error {
			_, err := tx.AsPlatform().Exec(t.Context(), `insert into river.river_job
				(args, kind, max_attempts, metadata, unique_key, unique_states, tags)
				values ('{}', 'note', 1, jsonb_build_object('tenant', $1::text), convert_to($2 || '/x', 'UTF8'), 255::bit(8), '{}')`,
				b.Tenant("acme").ID, owner)
			return err
		})
	}
	require.NoError(t, insert(b.Tenant("acme").ID))
	requireState(t, insert(b.Tenant("globex").ID), "42501")
	requireState(t, insert(""), "42501")
}

func TestDatabaseRefusesAnotherTenantsStamp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	err := b.acme.InTx(t.Context(), func(tx *tenantschema.Tx) error {
		_, err := tx.AsPlatform().Exec(t.Context(), `insert into river.river_job (args, kind, max_attempts, metadata, tags)
			values ('{}', 'note', 1, jsonb_build_object('tenant', $1::text), '{}')`, b.Tenant("globex").ID)
		return err
	})
	requireState(t, err, "42501")
	require.Empty(t, b.jobs(t))
}
