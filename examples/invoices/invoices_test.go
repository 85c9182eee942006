package main

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/rowhousehq/rowhouse/migrations"
	"github.com/rowhousehq/rowhouse/pkg/migrationlint"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/pgtest/rowhousetest"
)

func TestMain(m *testing.M) { pgtest.Main(m, func() error { return goleak.Find() }) }

// write writes an invoice of 360.00 that was due long ago.
func write(t *rowhousetest.Tenant, name string) (made invoice) {
	var c customer
	t.Call(http.MethodPost, "/api/v1/customers", map[string]string{"name": name, "email": name + "@customer.example"}).Into(http.StatusCreated, &c)
	t.Call(http.MethodPost, "/api/v1/invoices", newInvoice{CustomerID: c.ID, DueOn: "2026-01-31", Lines: []line{
		{Text: "Advice by the hour", Quantity: 3, UnitCents: 11_000}, {Text: "Travel", Quantity: 1, UnitCents: 3_000},
	}}).Into(http.StatusCreated, &made)
	return made
}

// What acme has, globex can neither see, nor use, nor change.
func TestTenantsAreApart(t *testing.T) {
	t.Parallel()
	s := rowhousetest.Open(t, product())
	acme, globex := s.Tenant("acme"), s.Tenant("globex")
	theirs := write(acme, "wile")
	require.Equal(t, int64(36_000), theirs.TotalCents)

	var seen []invoice
	globex.Call(http.MethodGet, "/api/v1/invoices", nil).Into(http.StatusOK, &seen)
	require.Empty(t, seen)
	require.Equal(t, http.StatusNotFound, globex.Call(http.MethodPost, "/api/v1/invoices/"+theirs.ID.String()+"/pay", nil).Status)
	require.Equal(t, http.StatusUnauthorized, globex.CallAs(acme.Key, http.MethodGet, "/api/v1/invoices", nil).Status)
	answer := globex.Call(http.MethodPost, "/api/v1/invoices", newInvoice{
		CustomerID: theirs.CustomerID, DueOn: "2026-01-31", Lines: []line{{Text: "Theft", Quantity: 1}},
	})
	require.Equal(t, http.StatusUnprocessableEntity, answer.Status)
	require.Contains(t, answer.Body, "There is no such customer.")

	acme.Call(http.MethodGet, "/api/v1/invoices?unpaid=true", nil).Into(http.StatusOK, &seen)
	require.Equal(t, []invoice{theirs}, seen, "it is as it was")
}

// Who is overdue is reminded once, by the tenant whose customer they are; who has paid is not.
func TestReminder(t *testing.T) {
	t.Parallel()
	s := rowhousetest.Open(t, product())
	acme, globex := s.Tenant("acme"), s.Tenant("globex")
	write(acme, "wile")
	paid := write(globex, "homer")
	globex.Call(http.MethodPost, "/api/v1/invoices/"+paid.ID.String()+"/pay", nil).Into(http.StatusOK, &paid)
	require.NotNil(t, paid.PaidAt)

	s.Work()
	for range 2 {
		s.RunSchedule(findOverdue{}.Kind(), acme)
		s.RunSchedule(findOverdue{}.Kind(), globex)
	}
	s.Eventually(func() bool { return len(s.Mails(acme)) >= 1 }, "acme's customer is reminded")
	write(acme, "roadrunner")
	s.RunSchedule(findOverdue{}.Kind(), acme)
	s.Eventually(func() bool { return len(s.Mails(acme)) >= 2 }, "so is the second one")
	mails := s.Mails(acme)
	require.Len(t, mails, 2)
	require.ElementsMatch(t, []string{"wile@customer.example", "roadrunner@customer.example"}, []string{mails[0].To.Address, mails[1].To.Address})
	require.Contains(t, mails[0].Text, "2026-01-31")
	require.Empty(t, s.Mails(globex))
}

// The API's description has the product's operations, and none of the workspace's.
func TestDescription(t *testing.T) {
	t.Parallel()
	acme := rowhousetest.Open(t, product()).Tenant("acme")
	var doc struct {
		Info  struct{ Title string }
		Paths map[string]any
	}
	acme.CallAs("", http.MethodGet, "/api/openapi.json", nil).Into(http.StatusOK, &doc)
	require.Equal(t, "Invoices", doc.Info.Title)
	for _, own := range []string{"/api/v1/customers", "/api/v1/invoices", "/api/v1/invoices/{id}/pay"} {
		require.Contains(t, doc.Paths, own)
		delete(doc.Paths, own)
	}
	for path := range doc.Paths { // The rest is the platform's.
		require.Regexp(t, `^/api/v1/(me|members|invitations|keys)\b`, path)
	}
	var hasTasks bool
	require.NoError(t, acme.Scope.QueryRow(t.Context(), "SELECT to_regclass('tasks') IS NOT NULL").Scan(&hasTasks))
	require.False(t, hasTasks)
}

func TestMigrations(t *testing.T) {
	t.Parallel()
	files, err := migrations.With(product().Migrations)
	require.NoError(t, err)
	findings, err := migrationlint.Lint(files)
	require.NoError(t, err)
	require.Empty(t, findings)
}
