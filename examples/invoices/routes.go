package main

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/httpapi"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// body is an answer, or a request, of JSON.
type body[T any] struct{ Body T }

// routes adds the product's operations to each tenant's host. Who calls has a good key when they run.
func (s *service) routes(e *httpapi.Edge) error {
	op := func(method, path, id, summary string) huma.Operation {
		return huma.Operation{Method: method, Path: "/api/v1/" + path, OperationID: id, Summary: summary, Tags: []string{"Invoices"}}
	}
	httpapi.Operate(e, op(http.MethodPost, "customers", "create-customer", "Add a customer"),
		func(ctx context.Context, scope tenantschema.Scope, in *body[struct {
			Name  string `json:"name" minLength:"1" maxLength:"100"`
			Email string `json:"email" format:"email" maxLength:"254"`
		}]) (*body[customer], error) {
			made, err := s.createCustomer(ctx, scope, in.Body.Name, in.Body.Email)
			return &body[customer]{made}, err
		})
	httpapi.Operate(e, op(http.MethodPost, "invoices", "create-invoice", "Write an invoice"),
		func(ctx context.Context, scope tenantschema.Scope, in *body[newInvoice]) (*body[invoice], error) {
			made, err := s.createInvoice(ctx, scope, in.Body)
			return &body[invoice]{made}, err
		})
	httpapi.Operate(e, op(http.MethodGet, "invoices", "list-invoices", "List the newest invoices"),
		func(ctx context.Context, scope tenantschema.Scope, in *struct {
			Unpaid bool `query:"unpaid" doc:"Only those that are not paid."`
		}) (*body[[]invoice], error) {
			found, err := s.listInvoices(ctx, scope, in.Unpaid)
			return &body[[]invoice]{found}, err
		})
	pay := op(http.MethodPost, "invoices/{id}/pay", "pay-invoice", "Note that an invoice was paid")
	pay.DefaultStatus = http.StatusOK
	httpapi.Operate(e, pay, func(ctx context.Context, scope tenantschema.Scope, in *struct {
		ID string `path:"id" format:"uuid"`
	}) (*body[invoice], error) {
		id, err := uuid.Parse(in.ID)
		if err != nil {
			return nil, apperr.New(apperr.NotFound, "There is no such invoice.")
		}
		paid, err := s.pay(ctx, scope, id)
		return &body[invoice]{paid}, err
	})
	return nil
}
