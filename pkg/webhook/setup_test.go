package webhook_test

import (
	"context"
	"errors"
	"io"
	"log" //nolint:depguard // What net/http writes its complaints to.
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/webhook"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func TestMain(m *testing.M) {
	pgtest.Main(m, func() error { return goleak.Find() })
}

const (
	kindMade = "thing.made"
	kindGone = "thing.gone"
)

// bundle is what a test of webhooks works with: the service, two tenants, the real queue, and what observers were told.
type bundle struct {
	*webhook.Service

	db           *pgtest.DB
	acme, globex tenantschema.Scope
	queue        *queue
	clock        *clock
	seen         *observed
	cfg          webhook.Config
}

// setup makes webhooks that may go to loopback; change may alter their configuration.
func setup(t *testing.T, change func(*webhook.Config)) *bundle {
	t.Helper()
	db := pgtest.New(t)
	client, err := jobqueue.New(jobqueue.Config{})
	require.NoError(t, err)
	b := &bundle{
		db: db, acme: db.Scope("acme"), globex: db.Scope("globex"), queue: &queue{Client: client},
		clock: &clock{now: time.Now()}, seen: &observed{},
	}
	b.cfg = webhook.Config{
		Jobs: b.queue, Kinds: []string{kindMade, kindGone}, Observer: b.seen, AllowHTTP: true, AllowPrivate: true, Clock: b.clock.Now,
		Timeout: time.Minute,
	}
	if change != nil {
		change(&b.cfg)
	}
	b.Service, err = webhook.New(b.cfg)
	require.NoError(t, err)
	return b
}

// endpoint makes one for tests that are about something else.
func (b *bundle) endpoint(t *testing.T, scope tenantschema.Scope, url string, kinds ...string) webhook.Endpoint {
	t.Helper()
	e, err := b.Create(t.Context(), scope, webhook.NewEndpoint{URL: url, EventKinds: kinds})
	require.NoError(t, err)
	return e
}

// event makes one of now.
func event(t *testing.T, kind string) webhook.Event {
	t.Helper()
	id, err := uuid.NewV7()
	require.NoError(t, err)
	return webhook.Event{ID: id, Kind: kind, At: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC), Data: map[string]string{"name": "Attic"}}
}

// publish commits an event and gives the jobs that it led to.
func (b *bundle) publish(t *testing.T, scope tenantschema.Scope, e webhook.Event) []webhook.DeliverEvent {
	t.Helper()
	require.NoError(t, scope.InTx(t.Context(), func(tx *tenantschema.Tx) error { return b.Publish(t.Context(), tx, e) }))
	return b.queue.take()
}

// only gives the endpoint's one delivery.
func (b *bundle) only(t *testing.T, scope tenantschema.Scope, endpoint uuid.UUID) webhook.Delivery {
	t.Helper()
	page, err := b.ListDeliveries(t.Context(), scope, endpoint, webhook.PageRequest{})
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
	return page.Items[0]
}

// queued gives how many jobs the queue holds.
func (b *bundle) queued(t *testing.T) (count int) {
	t.Helper()
	require.NoError(t, b.db.Control.QueryRow(t.Context(), `SELECT count(*) FROM river.river_job`).Scan(&count))
	return count
}

func requireCode(t *testing.T, err error, code apperr.Code) {
	t.Helper()
	require.Equal(t, code, apperr.CodeOf(err), "%v", err)
}

// requireSnoozed gives for how long the job was put off.
func requireSnoozed(t *testing.T, err error) time.Duration {
	t.Helper()
	var snooze *job.SnoozeError
	require.ErrorAs(t, err, &snooze)
	return snooze.For
}

// queue is the real one, and remembers what it was given.
type queue struct {
	*jobqueue.Client

	mu   sync.Mutex
	jobs []webhook.DeliverEvent
}

func (q *queue) EnqueueMany(ctx context.Context, tx *tenantschema.Tx, args []job.Args, opts job.Opts) ([]job.Receipt, error) {
	receipts, err := q.Client.EnqueueMany(ctx, tx, args, opts)
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, a := range args {
		d, ok := a.(webhook.DeliverEvent)
		if !ok {
			return nil, errors.New("the tests know no other job")
		}
		q.jobs = append(q.jobs, d)
	}
	return receipts, err
}

// take gives the jobs since the last take.
func (q *queue) take() []webhook.DeliverEvent {
	q.mu.Lock()
	defer q.mu.Unlock()
	jobs := q.jobs
	q.jobs = nil
	return jobs
}

// observed is what the observer was told.
type observed struct {
	mu       sync.Mutex
	attempts []webhook.Attempt
}

func (o *observed) ObserveDelivery(a webhook.Attempt) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.attempts = append(o.attempts, a)
}

func (o *observed) last(t *testing.T) webhook.Attempt {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	require.NotEmpty(t, o.attempts)
	return o.attempts[len(o.attempts)-1]
}

// clock is a time that stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// request is what a receiver was sent.
type request struct {
	host, path string
	header     http.Header
	body       []byte
}

// receiver is a customer's own system. It answers by the function, or 204 without one.
type receiver struct {
	url string

	mu       sync.Mutex
	requests []request
	answer   func(n int, w http.ResponseWriter, r *http.Request)
}

func receive(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request)) *receiver {
	t.Helper()
	rec := &receiver{answer: answer}
	server := httptest.NewServer(rec)
	t.Cleanup(server.Close)
	rec.url = server.URL
	return rec
}

// always answers with a status.
func always(status int) func(int, http.ResponseWriter, *http.Request) {
	return func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	r.mu.Lock()
	r.requests = append(r.requests, request{req.Host, req.URL.Path, req.Header, body})
	n := len(r.requests)
	r.mu.Unlock()
	if r.answer == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	r.answer(n, w, req)
}

func (r *receiver) got() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]request(nil), r.requests...)
}

// tls gives the host and port of a receiver whose certificate nobody knows.
func tls(t *testing.T) string {
	t.Helper()
	server := httptest.NewUnstartedServer(&receiver{})
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}
