package jobqueue_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zapcore"

	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func TestJobRunsInTheTenantThatEnqueuedIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.notes(t, writeNote)

	b.enqueue(t, b.acme, note{Key: "of acme", Tenant: b.Tenant("globex").ID})
	b.enqueue(t, b.globex, note{Key: "of globex"})
	b.ear.next(t, jobqueue.OutcomeCompleted)
	b.ear.next(t, jobqueue.OutcomeCompleted)

	require.Equal(t, []string{"of acme"}, keys(t, b.acme))
	require.Equal(t, []string{"of globex"}, keys(t, b.globex))
	b.states(t, "completed", "completed")
}

func TestEveryQueueIsWorked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := jobqueue.NewWorkers()
	jobqueue.Handle(w, writeNote)
	cfg := b.config(w)
	cfg.MaxWorkers = 3
	b.start(t, cfg)
	for _, queue := range []string{job.QueueCritical, job.QueueDefault, job.QueueBulk} {
		b.enqueue(t, b.acme, note{Key: queue, opts: job.Opts{Queue: queue}})
	}
	for range 3 {
		b.ear.next(t, jobqueue.OutcomeCompleted)
	}
	require.Equal(t, []string{"bulk", "critical", "default"}, keys(t, b.acme))
}

func TestJobObeysTheTenantsState(t *testing.T) {
	t.Parallel()

	t.Run("suspended waits and goes on after resume", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.enqueue(t, b.acme, note{Key: "late"})
		_, err := b.Manager.Suspend(t.Context(), "acme", "unpaid")
		require.NoError(t, err)

		w := jobqueue.NewWorkers()
		jobqueue.Handle(w, writeNote)
		b.start(t, b.config(w))
		b.enqueue(t, b.globex, note{Key: "another's"})
		b.states(t, "available", "completed")

		_, err = b.Manager.Resume(t.Context(), "acme")
		require.NoError(t, err)
		b.states(t, "completed", "completed")
		require.Equal(t, 1, b.jobs(t)[0].Attempt, "waiting uses up no attempt")
		require.Equal(t, []string{"late"}, keys(t, b.acme))
	})

	t.Run("behind what the code needs waits, and is worked while migrating", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.enqueue(t, b.acme, note{Key: "patient"})
		version := b.Tenant("acme").SchemaVersion
		set := func(state string, version int64) {
			_, err := b.Owner.Exec(t.Context(), "update rowhouse.tenants set state = $1, schema_version = $2 where slug = 'acme'", state, version)
			require.NoError(t, err)
		}
		set("ready", version-1)
		w := jobqueue.NewWorkers()
		jobqueue.Handle(w, writeNote)
		cfg := b.config(w)
		cfg.Versions = tenantschema.Versions{Min: version}
		b.start(t, cfg)
		b.enqueue(t, b.globex, note{Key: "one"})
		b.states(t, "available", "completed")
		set("migrating", version-1)
		b.enqueue(t, b.globex, note{Key: "two"})
		b.states(t, "available", "completed", "completed")
		set("migrating", version)
		b.states(t, "completed", "completed", "completed")
		require.Equal(t, []string{"patient"}, keys(t, b.acme))
	})

	t.Run("deleted ends the job", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.enqueue(t, b.acme, note{Key: "never"})
		b.enqueue(t, b.globex, note{Key: "another's"})
		deleted, err := b.Manager.Delete(t.Context(), "acme")
		require.NoError(t, err)
		require.EqualValues(t, 1, deleted.Jobs)
		require.Len(t, b.jobs(t), 1, "its jobs are gone, another's stay")

		// One that was at work meanwhile, and comes back to the queue.
		_, err = b.Owner.Exec(t.Context(), "update river.river_job set metadata = jsonb_build_object('tenant', $1::text)", deleted.ID)
		require.NoError(t, err)
		b.notes(t, writeNote)
		b.ear.next(t, jobqueue.OutcomeCancelled)
		b.states(t, "cancelled")
	})

	t.Run("no valid stamp ends the job", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		stamps := []string{`{}`, `{"tenant":""}`, `{"tenant":7}`, `{"tenant":"x\" or true"}`, `{"tenant":"aaaaaaaaaaaaaaaa"}`}
		for _, metadata := range stamps {
			_, err := b.Control.Exec(t.Context(), "insert into river.river_job (args, kind, metadata) values ('{}', 'note', $1)", metadata)
			require.NoError(t, err)
		}
		b.notes(t, func(context.Context, tenantschema.Scope, note) error { panic("worked for nobody") })
		for range stamps {
			b.ear.next(t, jobqueue.OutcomeCancelled)
		}
		b.states(t, "cancelled", "cancelled", "cancelled", "cancelled", "cancelled")
	})
}

// A tenant may be suspended between the moment when its job is taken and the moment when it is to run.
func TestJobIsPutOffIfTheTenantCannotBeServedAnyLonger(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := jobqueue.NewWorkers()
	jobqueue.Handle(w, writeNote)
	cfg := b.config(w)
	cfg.Tenants, cfg.RecheckAfter = &forgetful{Tenants: cfg.Tenants}, time.Millisecond
	b.enqueue(t, b.acme, note{Key: "late"})
	b.start(t, cfg)
	b.ear.next(t, jobqueue.OutcomeSnoozed)
	b.ear.next(t, jobqueue.OutcomeCompleted)
	b.states(t, "completed")
	require.Equal(t, 1, b.jobs(t)[0].Attempt, "waiting uses up no attempt")
}

// forgetful knows nobody, fails first, and then finds tenants suspended once.
type forgetful struct {
	jobqueue.Tenants

	mu    sync.Mutex
	calls int
}

func (*forgetful) ByID(string) (tenancy.Tenant, bool) { return tenancy.Tenant{}, false }

func (f *forgetful) FetchMany(ctx context.Context, ids []string) ([]tenancy.Tenant, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	tenants, err := f.Tenants.FetchMany(ctx, ids)
	switch f.calls {
	case 1:
		return nil, errors.New("the database is away")
	case 2:
		tenants[0].State = tenancy.StateSuspended
	}
	return tenants, err
}

func TestFailedJobIsTriedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	runs := 0
	b.notes(t, func(ctx context.Context, s tenantschema.Scope, n note) error {
		switch runs++; runs {
		case 1:
			return errors.New("not today")
		case 2:
			panic("nor now")
		}
		return writeNote(ctx, s, n)
	})
	b.enqueue(t, b.acme, note{Key: "third time"})
	b.ear.next(t, jobqueue.OutcomeFailed)
	// The next attempts are seconds away: let them come now.
	hurry := func() {
		b.states(t, "available")
		_, err := b.Control.Exec(t.Context(), "update river.river_job set scheduled_at = now()")
		require.NoError(t, err)
	}
	hurry()
	b.ear.next(t, jobqueue.OutcomeFailed)
	require.Eventually(t, func() bool {
		_, err := b.Control.Exec(t.Context(), "update river.river_job set scheduled_at = now(), state = 'available' where state = 'retryable'")
		require.NoError(t, err)
		return len(keys(t, b.acme)) == 1
	}, patience, 10*time.Millisecond)
	b.states(t, "completed")
	require.Equal(t, 3, b.jobs(t)[0].Attempt)
}

func TestLastFailureDiscards(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.notes(t, func(context.Context, tenantschema.Scope, note) error { return errors.New("never") })
	b.enqueue(t, b.acme, note{opts: job.Opts{MaxAttempts: 1}})
	b.ear.next(t, jobqueue.OutcomeDiscarded)
	b.states(t, "discarded")
}

func TestLogHasOneLinePerJobWithoutItsArguments(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.notes(t, writeNote)
	b.enqueue(t, b.acme, note{Key: "a secret"})
	b.ear.next(t, jobqueue.OutcomeCompleted)
	require.NoError(t, c.Stop(t.Context()))

	lines := b.logged.FilterMessage("job").All()
	require.Len(t, lines, 1)
	fields := lines[0].ContextMap()
	require.Equal(t, b.Tenant("acme").ID, fields["tenant"])
	require.Equal(t, "note", fields["kind"])
	require.Equal(t, "completed", fields["outcome"])
	require.EqualValues(t, 1, fields["attempt"])
	for _, key := range []string{"job_id", "queue", "wait_ms", "duration_ms"} {
		require.Contains(t, fields, key)
	}
	for _, line := range b.logged.All() {
		require.NotContains(t, line.ContextMap(), "args")
		for _, value := range line.ContextMap() {
			require.NotEqual(t, "a secret", value)
		}
		require.Less(t, line.Level, zapcore.WarnLevel, line.Message)
	}
}

func TestStop(t *testing.T) {
	t.Parallel()

	t.Run("lets running jobs finish", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		running, finish := make(chan struct{}), make(chan struct{})
		c := b.notes(t, func(ctx context.Context, s tenantschema.Scope, n note) error {
			close(running)
			<-finish
			return writeNote(ctx, s, n)
		})
		b.enqueue(t, b.acme, note{Key: "finished"})
		<-running
		stopped := make(chan error)
		go func() { stopped <- c.Stop(t.Context()) }()
		close(finish)
		require.NoError(t, <-stopped)
		require.Equal(t, []string{"finished"}, keys(t, b.acme))
		require.Equal(t, "completed", b.jobs(t)[0].State)
	})

	t.Run("gives running jobs back when time is up", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		running := make(chan struct{})
		c := b.notes(t, func(ctx context.Context, _ tenantschema.Scope, _ note) error {
			close(running)
			<-ctx.Done()
			return errors.New("a worker's own words for it")
		})
		b.enqueue(t, b.acme, note{Key: "later"})
		<-running
		now, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, c.Stop(now))
		b.ear.next(t, jobqueue.OutcomeInterrupted)
		require.Equal(t, []jobRow{{b.Tenant("acme").ID, "note", "available", "default", 0, 25}}, b.jobs(t))

		b.notes(t, writeNote)
		b.ear.next(t, jobqueue.OutcomeCompleted)
		require.Equal(t, []string{"later"}, keys(t, b.acme))
	})

	t.Run("does nothing to what was not started", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		require.NoError(t, b.enqueuer.Stop(t.Context()))
		require.ErrorContains(t, b.enqueuer.Start(t.Context()), "only enqueues")
	})
}

func TestNewRefusesABadConfig(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, change := range map[string]func(*jobqueue.Config){
		"Pool":        func(c *jobqueue.Config) { c.Pool = nil },
		"DB":          func(c *jobqueue.Config) { c.DB = nil },
		"Tenants":     func(c *jobqueue.Config) { c.Tenants = nil },
		"Log":         func(c *jobqueue.Config) { c.Log = nil },
		"MaxWorkers":  func(c *jobqueue.Config) { c.MaxWorkers = 2 },
		"negative":    func(c *jobqueue.Config) { c.PollInterval = -1 },
		"RescueAfter": func(c *jobqueue.Config) { c.JobTimeout, c.RescueAfter = time.Hour, time.Minute },
		"empty":       func(c *jobqueue.Config) { c.Workers = jobqueue.NewWorkers() },
		"a second worker": func(c *jobqueue.Config) {
			jobqueue.Handle(c.Workers, writeNote)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := jobqueue.NewWorkers()
			jobqueue.Handle(w, writeNote)
			cfg := jobqueue.Config{Workers: w, Pool: b.Control, DB: b.Engine, Tenants: b.Catalog(), Log: b.log}
			_, err := jobqueue.New(cfg)
			require.NoError(t, err)
			change(&cfg)
			_, err = jobqueue.New(cfg)
			require.ErrorContains(t, err, name)
		})
	}
}
