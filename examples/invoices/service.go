package main

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/mail"
	"github.com/rowhousehq/rowhouse/pkg/rowhouse"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// service is the product. It holds no tenant: each call is given the scope of one.
type service struct {
	jobs rowhouse.Jobs
	mail *mail.Service
}

type customer struct {
	ID    uuid.UUID `json:"id" format:"uuid"`
	Name  string    `json:"name"`
	Email string    `json:"email"`
}

type line struct {
	Text      string `json:"text" minLength:"1" maxLength:"200"`
	Quantity  int    `json:"quantity" minimum:"1" maximum:"1000000"`
	UnitCents int64  `json:"unit_cents" minimum:"0" maximum:"100000000"`
}

type invoice struct {
	ID         uuid.UUID  `json:"id" format:"uuid"`
	CustomerID uuid.UUID  `json:"customer_id" format:"uuid"`
	DueOn      string     `json:"due_on" format:"date"`
	PaidAt     *time.Time `json:"paid_at"`
	TotalCents int64      `json:"total_cents"`
}

type newInvoice struct {
	CustomerID uuid.UUID `json:"customer_id" format:"uuid"`
	DueOn      string    `json:"due_on" format:"date"`
	Lines      []line    `json:"lines" minItems:"1" maxItems:"100"`
}

func (s *service) createCustomer(ctx context.Context, scope tenantschema.Scope, name, email string) (customer, error) {
	c := customer{ID: uuid.Must(uuid.NewV7()), Name: name, Email: email}
	_, err := scope.Exec(ctx, "INSERT INTO customers (id, name, email) VALUES ($1, $2, $3)", c.ID, c.Name, c.Email)
	return c, err
}

// createInvoice makes an invoice with its lines, all or nothing.
func (s *service) createInvoice(ctx context.Context, scope tenantschema.Scope, in newInvoice) (invoice, error) {
	made := invoice{ID: uuid.Must(uuid.NewV7()), CustomerID: in.CustomerID, DueOn: in.DueOn}
	err := scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO invoices (id, customer_id, due_on) VALUES ($1, $2, $3)", made.ID, in.CustomerID, in.DueOn)
		if err != nil {
			return err
		}
		for i, l := range in.Lines {
			made.TotalCents += int64(l.Quantity) * l.UnitCents
			_, err = tx.Exec(ctx, "INSERT INTO invoice_lines (invoice_id, position, text, quantity, unit_cents) VALUES ($1, $2, $3, $4, $5)",
				made.ID, i+1, l.Text, l.Quantity, l.UnitCents)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.ConstraintName == "invoices_customer_id_fkey" {
		return invoice{}, &apperr.Error{Code: apperr.Invalid, Message: "The invoice cannot be made like this.",
			Fields: []apperr.Field{{Path: "body.customer_id", Message: "There is no such customer."}}}
	}
	return made, err
}

const selectInvoices = `SELECT id, customer_id, to_char(due_on, 'YYYY-MM-DD'), paid_at,
	(SELECT coalesce(sum(quantity * unit_cents), 0)::bigint FROM invoice_lines WHERE invoice_id = invoices.id) FROM invoices `

// listInvoices gives the hundred newest invoices, or those of them that are not paid.
func (s *service) listInvoices(ctx context.Context, scope tenantschema.Scope, unpaid bool) ([]invoice, error) {
	rows, err := scope.Query(ctx, selectInvoices+"WHERE NOT $1 OR paid_at IS NULL ORDER BY id DESC LIMIT 100", unpaid)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[invoice])
}

// pay notes that an invoice was paid, and gives it. Paying twice changes nothing.
func (s *service) pay(ctx context.Context, scope tenantschema.Scope, id uuid.UUID) (found invoice, err error) {
	err = scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		if _, err := tx.Exec(ctx, "UPDATE invoices SET paid_at = coalesce(paid_at, now()) WHERE id = $1", id); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, selectInvoices+"WHERE id = $1", id)
		if err != nil {
			return err
		}
		found, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[invoice])
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return invoice{}, apperr.New(apperr.NotFound, "There is no such invoice.")
	}
	return found, err
}

// demo fills a demo tenant of `up`. If it is cut off it leaves a customer too many.
func (s *service) demo(ctx context.Context, scope tenantschema.Scope, slug string) error {
	c, err := s.createCustomer(ctx, scope, "Customer of "+slug, "accounts@"+slug+".example")
	if err == nil {
		_, err = s.createInvoice(ctx, scope, newInvoice{CustomerID: c.ID, DueOn: "2026-01-31", Lines: []line{{"Advice by the hour", 3, 12_000}}})
	}
	return err
}
