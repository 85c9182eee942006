// Package rowhousetest opens a product for a test: on a database of the test's own, with its edge behind a real listener and its jobs worked.
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
//
//	func TestGlobexCannotSeeAcmesInvoice(t *testing.T) {
//		t.Parallel()
//		s := rowhousetest.Open(t, invoices.Product())
//		acme, globex := s.Tenant("acme"), s.Tenant("globex")
//		// … make it by acme.Call; look by globex.Call; expect 404.
//	}
//
// What is not there is only what a process has around it: configuration files, signals, the admin address.
package rowhousetest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/mail"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/rowhouse"
	"github.com/rowhousehq/rowhouse/pkg/telemetry"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Street is a product with the tenants that a test makes. Everything ends with the test.
type Street struct {
	// DB is the database.
	DB *pgtest.DB
	// House is the product on its platform.
	House *rowhouse.House

	tb      testing.TB
	catalog *tenancy.Catalog
	url     string
	outbox  *outbox
}

// Tenant is a customer.
type Tenant struct {
	tenancy.Tenant

	// Scope is for what a test wants to see or make in the tenant's schema by itself.
	Scope tenantschema.Scope
	// Key is the token of an API key that may read and write.
	Key string

	street *Street
}

// Open opens product. Its jobs wait for [Street.Work].
func Open(tb testing.TB, product rowhouse.Product) *Street {
	tb.Helper()
	s := &Street{tb: tb, DB: pgtest.NewWith(tb, pgtest.Options{Migrations: product.Migrations}), outbox: &outbox{}}
	s.catalog = s.DB.Catalog()
	cfg, _, err := config.Load(config.LoadOptions{Environ: []string{"ROWHOUSE_DATA_DIR=" + tb.TempDir()}})
	require.NoError(tb, err)
	metrics, err := telemetry.NewMetrics(telemetry.MetricsConfig{})
	require.NoError(tb, err)
	s.House, err = rowhouse.Open(product, rowhouse.Config{
		Config: cfg, Engine: s.DB.Engine, Catalog: s.catalog, Secret: pgtest.Secret, Works: true, Log: zap.NewNop(),
		Metrics: metrics, Transport: s.outbox,
		Jobs: jobqueue.Config{
			Pool: s.DB.Control, DB: s.DB.Engine, Tenants: s.catalog, Log: zap.NewNop(), Versions: product.Versions,
			MaxWorkers: 4, PollInterval: 10 * time.Millisecond, ScheduleInterval: 10 * time.Millisecond,
		},
	})
	require.NoError(tb, err)
	handler, err := s.House.Handler(nil)
	require.NoError(tb, err)
	server := httptest.NewServer(handler)
	tb.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// Tenant makes a tenant, or finds it, with a new key.
func (s *Street) Tenant(slug string) *Tenant {
	s.tb.Helper()
	t := &Tenant{Tenant: s.DB.Tenant(slug), street: s}
	require.NoError(s.tb, s.catalog.Refresh(s.tb.Context()))
	t.Scope = s.DB.Engine.Tenant(t.Engine())
	var err error
	_, t.Key, err = s.House.Identity.CreateKey(s.tb.Context(), t.Scope, identity.NewKey{
		Name: "test", Scopes: []string{identity.ScopeRead, identity.ScopeWrite},
	})
	require.NoError(s.tb, err)
	return t
}

// Work works the jobs from now on. Tenants that are made later get their schedules within a minute, those that are there at once.
func (s *Street) Work() {
	tb := s.tb
	tb.Helper()
	ctx := context.WithoutCancel(tb.Context()) // The queue ends by Stop, after which what it holds is closed.
	require.NoError(tb, s.House.Queue.Start(ctx))
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		require.NoError(tb, s.House.Queue.Stop(ctx))
	})
}

// Mails gives what was sent to the tenant's people so far.
func (s *Street) Mails(t *Tenant) []mail.Outgoing {
	s.outbox.mu.Lock()
	defer s.outbox.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.outbox.mails), func(m mail.Outgoing) bool { return m.Tenant != t.Schema })
}

// RunSchedule lets a schedule of the tenant come now, once, as `jobs schedule run` does.
func (s *Street) RunSchedule(name string, t *Tenant) {
	s.tb.Helper()
	schedules := jobqueue.Schedules{Pool: s.DB.Owner}
	s.Eventually(func() bool { // The queue writes the schedules down when it has started.
		n, err := schedules.Run(s.tb.Context(), name, t.ID)
		return err == nil && n > 0
	}, "there is no schedule "+name+" of "+t.Slug+": was Work called?")
}

// Eventually waits for what jobs do.
func (s *Street) Eventually(condition func() bool, says string) {
	s.tb.Helper()
	require.Eventually(s.tb, condition, time.Minute, 10*time.Millisecond, says)
}

// Call sends a request to the tenant's host with its key. A body that is not nil is sent as JSON.
func (t *Tenant) Call(method, path string, body any) Answer {
	t.street.tb.Helper()
	return t.CallAs(t.Key, method, path, body)
}

// CallAs is [Tenant.Call] with another key; "" sends none.
func (t *Tenant) CallAs(key, method, path string, body any) Answer {
	tb := t.street.tb
	tb.Helper()
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		require.NoError(tb, err)
		reader = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(tb.Context(), method, t.street.url+path, reader)
	require.NoError(tb, err)
	request.Host = t.Slug + ".localhost"
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	// No keep-alive, so that nothing is left open.
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	require.NoError(tb, err)
	defer response.Body.Close() //nolint:errcheck // Read to its end.
	text, err := io.ReadAll(response.Body)
	require.NoError(tb, err)
	return Answer{Status: response.StatusCode, Body: string(text), tb: tb}
}

// Answer is what came back.
type Answer struct {
	Status int
	Body   string

	tb testing.TB
}

// Into reads the body as JSON, and wants the status to be that.
func (a Answer) Into(status int, v any) {
	a.tb.Helper()
	require.Equal(a.tb, status, a.Status, a.Body)
	require.NoError(a.tb, json.Unmarshal([]byte(a.Body), v), a.Body)
}

// outbox keeps the mails.
type outbox struct {
	mu    sync.Mutex
	mails []mail.Outgoing
}

// Deliver is asked for by the mails' service.
func (o *outbox) Deliver(_ context.Context, m mail.Outgoing) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mails = append(o.mails, m)
	return nil
}
