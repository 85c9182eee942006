package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/mail"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// findOverdue is the job that looks for invoices that were due before Day, and remind the one that writes to a customer. They hold ids and no
// one's words: jobs lie outside of the tenant's schema.
type (
	findOverdue struct {
		Day string `json:"day"`
	}
	remind struct {
		InvoiceID uuid.UUID `json:"invoice_id"`
	}
)

// Kind names the workers.
func (findOverdue) Kind() string { return "invoices.find_overdue" }

// Kind names the workers.
func (remind) Kind() string { return "invoices.remind" }

// workers says what the jobs do, and lets the search come each morning in the tenant's time zone.
func (s *service) workers(w *jobqueue.Workers) {
	jobqueue.Handle(w, s.findOverdue)
	jobqueue.Handle(w, s.remind)
	jobqueue.Schedule(w, jobqueue.ScheduleSpec{Name: findOverdue{}.Kind(), Cron: "0 7 * * *", Jitter: time.Hour},
		func(due time.Time, zone *time.Location) findOverdue {
			return findOverdue{due.In(zone).Format(time.DateOnly)}
		})
}

func (s *service) findOverdue(ctx context.Context, scope tenantschema.Scope, args findOverdue) error {
	return scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		rows, err := tx.Query(ctx, "SELECT id FROM invoices WHERE paid_at IS NULL AND due_on < $1", args.Day)
		if err != nil {
			return err
		}
		reminders, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (job.Args, error) {
			var r remind
			err := row.Scan(&r.InvoiceID)
			return r, err
		})
		if err != nil || len(reminders) == 0 {
			return err
		}
		_, err = s.jobs.EnqueueMany(ctx, tx, reminders, job.Opts{Queue: job.QueueBulk})
		return err
	})
}

// remind sends the one mail that an invoice is worth, however often it runs: the mail and the note that it was sent are committed together.
func (s *service) remind(ctx context.Context, scope tenantschema.Scope, args remind) error {
	return scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		rows, err := tx.Query(ctx, "SELECT c.name, c.email, to_char(i.due_on, 'YYYY-MM-DD') FROM invoices i JOIN customers c ON c.id = i.customer_id "+
			"WHERE i.id = $1 AND i.paid_at IS NULL", args.InvoiceID)
		if err != nil {
			return err
		}
		found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Name, Email, DueOn string }])
		if err != nil || len(found) == 0 { // It was paid meanwhile.
			return err
		}
		first, err := job.Once(ctx, tx, "invoice.reminder:"+args.InvoiceID.String())
		if err != nil || !first {
			return err
		}
		return s.mail.Send(ctx, tx, mail.Message{
			To: mail.Address{Name: found[0].Name, Address: found[0].Email}, Kind: "invoice_reminder", Subject: "Your invoice is overdue",
			Text: fmt.Sprintf("Hello %s,\n\nan invoice was due on %s. Perhaps it was overlooked?\n", found[0].Name, found[0].DueOn),
		})
	})
}
