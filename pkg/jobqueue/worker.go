package jobqueue

import (
	"context"
	"errors"
	"fmt"

	"github.com/riverqueue/river"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Workers says what to do with each kind of job. Fill it by [Handle] before it is given to [New].
type Workers struct {
	register []func(to *river.Workers, c *Client) error
}

// NewWorkers gives an empty set.
func NewWorkers() *Workers { return &Workers{} }

// Handle makes fn the worker of T's kind. A second worker for the same kind makes [New] fail.
//
// fn is given the scope of the tenant that the job belongs to. It must end soon after its context does, and must have its effect once
// however often it runs. When it returns an error the job is tried again later, with growing pauses, until its attempts are used up;
// river.JobCancel and river.JobSnooze wrap or make errors that end it or put it off instead.
func Handle[T Args](w *Workers, fn func(ctx context.Context, s tenantschema.Scope, args T) error) {
	w.register = append(w.register, func(to *river.Workers, c *Client) error {
		return river.AddWorkerSafely(to, &worker[T]{c: c, fn: fn})
	})
}

func (w *Workers) bind(c *Client) (*river.Workers, error) {
	if len(w.register) == 0 {
		return nil, errors.New("jobqueue: Config.Workers is empty: add a worker by Handle")
	}
	bound := river.NewWorkers()
	for _, register := range w.register {
		if err := register(bound, c); err != nil {
			return nil, fmt.Errorf("jobqueue: %w", err)
		}
	}
	return bound, nil
}

// worker puts a function into its tenant's scope.
type worker[T Args] struct {
	river.WorkerDefaults[T]

	c  *Client
	fn func(ctx context.Context, s tenantschema.Scope, args T) error
}

// Work is called by River.
func (w *worker[T]) Work(ctx context.Context, job *river.Job[T]) error {
	scope, err := w.c.enter(ctx, job.Metadata)
	if err != nil {
		return err
	}
	return w.fn(ctx, scope, job.Args)
}

// enter gives the scope of the tenant that a job is stamped with, if the tenant may be served now. The errors tell River what to do
// with the job instead.
func (c *Client) enter(ctx context.Context, metadata []byte) (tenantschema.Scope, error) {
	id, err := readStamp(metadata)
	if err != nil {
		return tenantschema.Scope{}, river.JobCancel(err)
	}
	t, err := c.cfg.Tenants.Fetch(ctx, id)
	if errors.Is(err, &apperr.Error{Code: apperr.NotFound}) {
		return tenantschema.Scope{}, river.JobCancel(err)
	}
	if err != nil {
		return tenantschema.Scope{}, fmt.Errorf("look up tenant: %w", err)
	}
	switch t.State {
	case tenancy.StateReady, tenancy.StateMigrating:
		if t.Runs(c.cfg.Versions) {
			return c.cfg.DB.Tenant(t.Engine()), nil
		}
	case tenancy.StateArchived, tenancy.StateDeleted:
		return tenantschema.Scope{}, river.JobCancel(fmt.Errorf("jobqueue: the tenant is %s", t.State))
	case tenancy.StateProvisioning, tenancy.StateWarm, tenancy.StateSuspended, tenancy.StateQuarantined:
	}
	// A state that this version of the program does not know waits too: the next version may.
	return tenantschema.Scope{}, river.JobSnooze(c.cfg.RecheckAfter)
}
