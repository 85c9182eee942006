package jobqueue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Workers says what to do with each kind of job, and which come by a schedule. Fill it by [Handle], [HandlePlatform], [Schedule] and
// [SchedulePlatform] before it is given to [New].
type Workers struct {
	handlers  []handler
	schedules []schedule
}

// handler is how the worker of a kind is made known to River.
type handler struct {
	kind     string
	ofTenant bool
	bind     func(to *river.Workers, c *Client) error
}

// NewWorkers gives an empty set.
func NewWorkers() *Workers { return &Workers{} }

// Option changes how the jobs of one kind are worked.
type Option func(*handling)

// handling is what options change.
type handling struct {
	timeout time.Duration
	backoff func(attempt int) time.Duration
}

// Timeout is how long a job of this kind may run before its context ends, instead of [Config.JobTimeout]. It must be shorter than
// [Config.RescueAfter].
func Timeout(d time.Duration) Option { return func(h *handling) { h.timeout = d } }

// Backoff is how long after a failed attempt a job of this kind is tried again; attempt counts from 1. Without it that is attempt⁴ seconds,
// and a tenth more or less.
func Backoff(after func(attempt int) time.Duration) Option {
	return func(h *handling) { h.backoff = after }
}

// Handle makes fn the worker of T's kind. A second worker for the same kind makes [New] fail.
//
// fn is given the scope of the tenant that the job belongs to. It must end soon after its context does, and must have its effect once
// however often it runs ([job.Once]). When it returns an error the job is tried again later, with growing pauses, until its attempts are
// used up; [job.Cancel] and [job.Snooze] make errors that end it or put it off instead. [job.FromContext] tells which attempt it is.
func Handle[T job.Args](w *Workers, fn func(ctx context.Context, s tenantschema.Scope, args T) error, options ...Option) {
	var zero T
	register(w, handler{kind: zero.Kind(), ofTenant: true}, options, func(ctx context.Context, c *Client, row *rivertype.JobRow, args T) error {
		scope, err := c.enter(ctx, row)
		if err != nil {
			return err
		}
		if err = fn(ctx, scope, args); err == nil && c.cfg.Worked != nil {
			c.cfg.Worked(scope.Tenant())
		}
		return err
	})
}

// HandlePlatform makes fn the worker of T's kind, which are jobs of the platform's own. What is said of [Handle] holds here, too.
func HandlePlatform[T job.PlatformArgs](w *Workers, fn func(ctx context.Context, args T) error, options ...Option) {
	var zero T
	register(w, handler{kind: zero.PlatformKind()}, options, func(ctx context.Context, _ *Client, row *rivertype.JobRow, args T) error {
		if _, err := readStamp(row.Metadata); err == nil { // A tenant enqueued what only the platform may.
			return job.Cancel(errors.New("jobqueue: a job of the platform's has the stamp of a tenant"))
		}
		return fn(ctx, args)
	})
}

func register[T any](w *Workers, as handler, options []Option, work func(context.Context, *Client, *rivertype.JobRow, T) error) {
	as.bind = func(to *river.Workers, c *Client) error {
		h := handling{timeout: c.cfg.JobTimeout}
		for _, option := range options {
			option(&h)
		}
		if h.timeout <= 0 || h.timeout >= c.cfg.RescueAfter {
			return fmt.Errorf("the timeout of %s is %s: want more than nothing and less than Config.RescueAfter, %s", as.kind, h.timeout, c.cfg.RescueAfter)
		}
		river.AddWorkerArgs(to, message[T]{kind: as.kind}, &worker[T]{c: c, handling: h, work: work})
		return nil
	}
	w.handlers = append(w.handlers, as)
}

// ofTenants says whether any of them works tenants' jobs.
func (w *Workers) ofTenants() bool {
	return slices.ContainsFunc(w.handlers, func(h handler) bool { return h.ofTenant })
}

func (w *Workers) bind(c *Client) (*river.Workers, error) {
	if len(w.handlers) == 0 {
		return nil, errors.New("jobqueue: Config.Workers is empty: add a worker by Handle")
	}
	bound, seen := river.NewWorkers(), map[string]bool{}
	for _, h := range w.handlers {
		if h.kind == "" || seen[h.kind] {
			return nil, fmt.Errorf("jobqueue: the kind %q has no name, or a second worker", h.kind)
		}
		seen[h.kind] = true
		if err := h.bind(bound, c); err != nil {
			return nil, fmt.Errorf("jobqueue: %w", err)
		}
	}
	return bound, w.checkSchedules()
}

// message is a feature's args on their way out of the queue. See [order] for why River gets no type of a feature's.
type message[T any] struct {
	kind string
	args T
}

// Kind is asked for by River.
func (m message[T]) Kind() string { return m.kind }

// UnmarshalJSON is asked for by River.
func (m *message[T]) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &m.args) }

// worker puts a function between River and its jobs.
type worker[T any] struct {
	river.WorkerDefaults[message[T]]

	handling

	c    *Client
	work func(ctx context.Context, c *Client, row *rivertype.JobRow, args T) error
}

// Timeout is asked for by River.
func (w *worker[T]) Timeout(*river.Job[message[T]]) time.Duration { return w.timeout }

// NextRetry is asked for by River. The zero time leaves it to River.
func (w *worker[T]) NextRetry(j *river.Job[message[T]]) time.Time {
	if w.backoff == nil {
		return time.Time{}
	}
	return time.Now().Add(w.backoff(j.Attempt))
}

// Work is called by River.
func (w *worker[T]) Work(ctx context.Context, j *river.Job[message[T]]) error {
	ctx = job.NewContext(ctx, job.Info{ID: j.ID, Attempt: j.Attempt, MaxAttempts: j.MaxAttempts, EnqueuedAt: j.CreatedAt})
	err := w.work(ctx, w.c, j.JobRow, j.Args.args)
	if snooze, ok := errors.AsType[*job.SnoozeError](err); ok {
		return river.JobSnooze(max(0, snooze.For))
	}
	if cancelled, ok := errors.AsType[*job.CancelError](err); ok {
		return river.JobCancel(cancelled)
	}
	return err
}

// enter gives the scope of the tenant that a job is stamped with, if the tenant may be served now. The errors say what to do with the job
// instead.
func (c *Client) enter(ctx context.Context, row *rivertype.JobRow) (tenantschema.Scope, error) {
	id, err := readStamp(row.Metadata)
	if err != nil {
		return tenantschema.Scope{}, job.Cancel(err)
	}
	t, err := c.tenantOf(ctx, row.ID, id)
	if err != nil {
		return tenantschema.Scope{}, err
	}
	switch t.State {
	case tenancy.StateReady, tenancy.StateMigrating:
		if t.Runs(c.cfg.Versions) {
			return c.cfg.DB.Tenant(t.Engine()), nil
		}
	case tenancy.StateArchived, tenancy.StateDeleted:
		return tenantschema.Scope{}, job.Cancel(fmt.Errorf("jobqueue: the tenant is %s", t.State))
	case tenancy.StateProvisioning, tenancy.StateWarm, tenancy.StateSuspended, tenancy.StateQuarantined:
	}
	// A state that this version of the program does not know waits too: the next version may.
	return tenantschema.Scope{}, job.Snooze(c.cfg.RecheckAfter)
}

// freshness is how old what was read of a tenant may be when its job begins to run.
const freshness = time.Second

// tenantOf gives the tenant as the fetch of the job found it, or as it is now if that was long ago.
func (c *Client) tenantOf(ctx context.Context, jobID int64, tenantID string) (tenancy.Tenant, error) {
	if found, ok := c.met.Load(jobID); ok {
		if m, ok := found.(meeting); ok && time.Since(m.at) < freshness {
			return m.tenant, nil
		}
	}
	found, err := c.cfg.Tenants.FetchMany(ctx, []string{tenantID})
	if err != nil {
		return tenancy.Tenant{}, fmt.Errorf("look up tenant: %w", err)
	}
	if len(found) == 0 {
		return tenancy.Tenant{}, job.Cancel(fmt.Errorf("jobqueue: there is no tenant with the id %s", tenantID))
	}
	return found[0], nil
}
