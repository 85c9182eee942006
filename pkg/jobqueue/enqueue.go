package jobqueue

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Enqueue adds a job to the queue, for the tenant of tx and as part of tx: it is worked after the commit, or never was. What opts leave
// open is what args ask for by a method JobOpts, if they have one.
func (c *Client) Enqueue(ctx context.Context, tx *tenantschema.Tx, args job.Args, opts job.Opts) (job.Receipt, error) {
	receipts, err := c.EnqueueMany(ctx, tx, []job.Args{args}, opts)
	if err != nil {
		return job.Receipt{}, err
	}
	return receipts[0], nil
}

// EnqueueMany is [Client.Enqueue] for many jobs in one statement, all with opts. The receipts are in the order of the args. It is all or
// nothing: an error names the first job that is at fault, and is apperr.RateLimited if as many of the tenant's wait already as its plan allows.
func (c *Client) EnqueueMany(ctx context.Context, tx *tenantschema.Tx, args []job.Args, opts job.Opts) ([]job.Receipt, error) {
	if len(args) == 0 {
		return nil, nil
	}
	id := tx.Tenant().ID
	if !tenancy.ValidID(id) {
		return nil, errors.New("jobqueue: enqueue: the transaction's tenant has no valid id")
	}
	orders := make([]order, len(args))
	for i, a := range args {
		if a == nil {
			return nil, errors.New("jobqueue: enqueue: args are nil")
		}
		orders[i] = order{kind: a.Kind(), args: a, opts: wanted(a, opts), owner: id}
	}
	if err := c.room(ctx, id, orders); err != nil {
		return nil, fmt.Errorf("jobqueue: enqueue %s: %w", orders[0].kind, err)
	}
	return c.insert(ctx, tx.AsPlatform(), orders)
}

// EnqueuePlatform adds a job of the platform's own as part of tx, which is of the control role or the owner.
func (c *Client) EnqueuePlatform(ctx context.Context, tx pgx.Tx, args job.PlatformArgs, opts job.Opts) (job.Receipt, error) {
	if args == nil {
		return job.Receipt{}, errors.New("jobqueue: enqueue: args are nil")
	}
	receipts, err := c.insert(ctx, tx, []order{{kind: args.PlatformKind(), args: args, opts: wanted(args, opts)}})
	if err != nil {
		return job.Receipt{}, err
	}
	return receipts[0], nil
}

// wanted gives opts with what they leave open taken from what args ask for.
func wanted(args any, opts job.Opts) job.Opts {
	if with, ok := args.(job.WithOpts); ok {
		return opts.Or(with.JobOpts())
	}
	return opts
}

func (c *Client) insert(ctx context.Context, tx pgx.Tx, orders []order) ([]job.Receipt, error) {
	if len(orders) == 0 {
		return nil, nil
	}
	params := make([]river.InsertManyParams, len(orders))
	for i, o := range orders {
		opts, err := o.insertOpts()
		if err != nil {
			return nil, fmt.Errorf("jobqueue: enqueue %s: %w", o.kind, err)
		}
		params[i] = river.InsertManyParams{Args: o, InsertOpts: opts}
	}
	results, err := c.river.InsertManyTx(ctx, tx, params)
	if err != nil {
		return nil, fmt.Errorf("jobqueue: enqueue %s: %w", orders[0].kind, err)
	}
	receipts := make([]job.Receipt, len(results))
	for i, r := range results {
		receipts[i] = job.Receipt{ID: r.Job.ID, Duplicate: r.UniqueSkippedAsDuplicate}
	}
	return receipts, nil
}
