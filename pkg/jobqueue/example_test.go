package jobqueue_test //nolint:testableexamples // It wants a database; that it compiles is the test.

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/zap"

	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// SendInvoice is a job: what to do, as ids. It waits outside the tenant's schema, so it holds none of the tenant's texts.
type SendInvoice struct {
	InvoiceID string `json:"invoice_id"`
}

// Kind names the worker.
func (SendInvoice) Kind() string { return "billing.send_invoice" }

func Example() {
	// A process has these from its start.
	var (
		ctx     context.Context
		control *pgxpool.Pool
		db      *tenantschema.DB
		catalog *tenancy.Catalog
		log     *zap.Logger
	)
	work := func() error {
		workers := jobqueue.NewWorkers()
		jobqueue.Handle(workers, func(ctx context.Context, s tenantschema.Scope, args SendInvoice) error {
			// s is the tenant that enqueued the job. Running twice must have the effect once.
			_, err := s.Exec(ctx, "insert into sent_invoices (invoice_id) values ($1) on conflict do nothing", args.InvoiceID)
			return err
		})
		client, err := jobqueue.New(jobqueue.Config{Workers: workers, Pool: control, DB: db, Tenants: catalog, Log: log})
		if err != nil {
			return err
		}
		if err = client.Start(ctx); err != nil {
			return err
		}
		<-ctx.Done()
		stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		return client.Stop(stopCtx)
	}
	enqueue := func(client *jobqueue.Client, s tenantschema.Scope) error {
		return s.InTx(ctx, func(tx *tenantschema.Tx) error {
			if _, err := tx.Exec(ctx, "insert into invoices (id) values ($1)", "2026-001"); err != nil {
				return err
			}
			_, err := client.Enqueue(ctx, tx, SendInvoice{InvoiceID: "2026-001"}, job.Opts{Queue: job.QueueCritical})
			return err
		})
	}
	_, _ = work, enqueue
}
