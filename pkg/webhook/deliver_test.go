package webhook_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/webhook"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// verify does what a receiver does.
func verify(t *testing.T, secret string, r request) error {
	t.Helper()
	hook, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	return hook.VerifyIgnoringTimestamp(r.body, r.header)
}

func TestDeliver(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	rec := receive(t, func(_ int, w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(" thanks\x00\xff ")) })
	endpoint := b.endpoint(t, b.acme, rec.url+"/hooks/token?key=secret")
	made := event(t, kindMade)
	jobs := b.publish(t, b.acme, made)
	require.Equal(t, []webhook.DeliverEvent{{EndpointID: endpoint.ID, EventID: made.ID}}, jobs)
	require.Equal(t, webhook.StatePending, b.only(t, b.acme, endpoint.ID).State)

	for range 2 { // The job runs twice, the request is made once.
		require.NoError(t, b.Deliver(t.Context(), b.acme, jobs[0]))
	}
	require.Len(t, rec.got(), 1)
	r := rec.got()[0]
	hook, err := standardwebhooks.NewWebhook(endpoint.Secret)
	require.NoError(t, err)
	require.NoError(t, hook.Verify(r.body, r.header), "the time is checked, too")
	require.Error(t, hook.Verify(append(r.body, ' '), r.header))
	require.Equal(t, made.ID.String(), r.header.Get("Webhook-Id"))
	require.Equal(t, "application/json", r.header.Get("Content-Type"))
	require.JSONEq(t, `{"type":"thing.made","timestamp":"2026-11-24T09:00:00Z","data":{"name":"Attic"}}`, string(r.body))
	require.Equal(t, "/hooks/token", r.path)
	require.Equal(t, strings.TrimPrefix(rec.url, "http://"), r.host)

	d := b.only(t, b.acme, endpoint.ID)
	require.Equal(t, webhook.StateSucceeded, d.State)
	require.Equal(t, 1, d.Attempts)
	require.Equal(t, 200, *d.LastStatus)
	require.Equal(t, "thanks", *d.Response)
	require.Nil(t, d.LastError)
	require.Nil(t, d.NextAttemptAt)
	require.NotNil(t, d.FinishedAt)
	seen := b.seen.last(t)
	require.Equal(t, "127.0.0.1", seen.Host, "the rest of the address is the customer's secret")
	require.Equal(t, webhook.ResultSucceeded, seen.Result)
	require.Equal(t, b.db.Tenant("acme").ID, seen.TenantID)
}

func TestDeliver_TwoSecretsWhileRotating(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	rec := receive(t, nil)
	before := b.endpoint(t, b.acme, rec.url)
	after, err := b.RotateSecret(t.Context(), b.acme, before.ID)
	require.NoError(t, err)
	require.NotEqual(t, before.Secret, after.Secret)
	require.Regexp(t, `^whsec_[A-Za-z0-9+/]{43}=$`, after.Secret)
	require.Equal(t, b.clock.Now().Add(24*time.Hour).UTC().Truncate(time.Microsecond), *after.OldSecretUntil)

	send := func() request {
		require.NoError(t, b.Deliver(t.Context(), b.acme, b.publish(t, b.acme, event(t, kindMade))[0]))
		return rec.got()[len(rec.got())-1]
	}
	both := send()
	require.NoError(t, verify(t, before.Secret, both))
	require.NoError(t, verify(t, after.Secret, both))
	b.clock.advance(24 * time.Hour)
	one := send()
	require.Error(t, verify(t, before.Secret, one))
	require.NoError(t, verify(t, after.Secret, one))
	_, err = b.RotateSecret(t.Context(), b.acme, uuid.Must(uuid.NewV7()))
	requireCode(t, err, apperr.NotFound)
}

// A worker of the queue tries again what failed, with the same id.
func TestDeliver_RetriesByTheQueue(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *webhook.Config) {
		c.Clock = nil
		c.Backoff = func(int) time.Duration { return time.Millisecond }
	})
	rec := receive(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n < 3 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	endpoint := b.endpoint(t, b.acme, rec.url)
	workers := jobqueue.NewWorkers()
	jobqueue.Handle(workers, b.Deliver)
	client, err := jobqueue.New(jobqueue.Config{
		Workers: workers, Pool: b.db.Control, DB: b.db.Engine, Tenants: b.db.Catalog(), Log: zap.NewNop(), PollInterval: 5 * time.Millisecond,
	})
	require.NoError(t, err)
	require.NoError(t, client.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, client.Stop(context.WithoutCancel(t.Context()))) })

	made := event(t, kindMade)
	b.publish(t, b.acme, made)
	require.Eventually(t, func() bool { return b.only(t, b.acme, endpoint.ID).State == webhook.StateSucceeded }, time.Minute, 10*time.Millisecond)
	require.Equal(t, 3, b.only(t, b.acme, endpoint.ID).Attempts)
	require.Len(t, rec.got(), 3)
	for _, r := range rec.got() {
		require.Equal(t, made.ID.String(), r.header.Get("Webhook-Id"))
		require.NoError(t, verify(t, endpoint.Secret, r))
	}
	e, err := b.Get(t.Context(), b.acme, endpoint.ID)
	require.NoError(t, err)
	require.Nil(t, e.FailingSince, "a success ends it")
}

func TestDeliver_Answers(t *testing.T) {
	t.Parallel()
	elsewhere := receive(t, nil)
	header := func(status int, name, value string) func(int, http.ResponseWriter, *http.Request) {
		return func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(name, value)
			w.WriteHeader(status)
		}
	}
	b := setup(t, func(c *webhook.Config) { c.Backoff = func(int) time.Duration { return time.Minute } })
	in2h := b.clock.Now().Add(2 * time.Minute).UTC().Format(http.TimeFormat)
	for name, c := range map[string]struct {
		answer func(int, http.ResponseWriter, *http.Request)
		wait   time.Duration
		status int
		err    string
	}{
		"error":                 {always(500), time.Minute, 500, "The answer was 500."},
		"not found":             {always(404), time.Minute, 404, "The answer was 404."},
		"not modified":          {always(304), time.Minute, 304, "Redirects are not followed"},
		"redirect":              {header(307, "Location", elsewhere.url), time.Minute, 307, "Redirects are not followed"},
		"retry after":           {header(429, "Retry-After", "600"), 10 * time.Minute, 429, "The answer was 429."},
		"retry after an age":    {header(503, "Retry-After", "86400"), time.Hour, 503, "The answer was 503."},
		"retry after a moment":  {header(503, "Retry-After", "1"), time.Minute, 503, "The answer was 503."},
		"retry after nonsense":  {header(503, "Retry-After", "-5"), time.Minute, 503, "The answer was 503."},
		"retry after a date":    {header(503, "Retry-After", in2h), time.Minute, 503, "The answer was 503."}, // A little less than 2 m.
		"connection is dropped": {func(int, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, time.Minute, 0, "The connection failed"},
	} {
		rec := receive(t, c.answer)
		endpoint := b.endpoint(t, b.acme, rec.url)
		jobs := b.publish(t, b.acme, event(t, kindMade))
		require.Len(t, jobs, 1)
		wait := requireSnoozed(t, b.Deliver(t.Context(), b.acme, jobs[0]))
		d := b.only(t, b.acme, endpoint.ID)
		if name == "retry after a date" { // Dates have whole seconds.
			require.InDelta(t, 119.5, wait.Seconds(), 0.6, name)
		} else {
			require.Equal(t, c.wait, wait, name)
		}
		require.Equal(t, webhook.StatePending, d.State, name)
		require.Equal(t, 1, d.Attempts, name)
		require.WithinDuration(t, b.clock.Now().Add(wait), *d.NextAttemptAt, time.Microsecond, name)
		require.Contains(t, *d.LastError, c.err, name)
		if c.status == 0 {
			require.Nil(t, d.LastStatus, name)
		} else {
			require.Equal(t, c.status, *d.LastStatus, name)
		}
		require.Len(t, rec.got(), 1, name)
		require.Equal(t, webhook.ResultFailed, b.seen.last(t).Result, name)
		require.NoError(t, b.Delete(t.Context(), b.acme, endpoint.ID))
		require.NoError(t, b.Deliver(t.Context(), b.acme, jobs[0]), "%s: a deleted endpoint's deliveries end", name)
		require.Len(t, rec.got(), 1, name)
	}
	require.Empty(t, elsewhere.got())
}

// What an endpoint sends without end is read to a bound.
func TestDeliver_HugeAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	sent := make(chan int, 1)
	rec := receive(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		chunk, total := []byte(strings.Repeat("ä", 8<<10)), 0
		for {
			n, err := w.Write(chunk)
			if total += n; err != nil {
				sent <- total
				return
			}
		}
	})
	endpoint := b.endpoint(t, b.acme, rec.url)
	require.NoError(t, b.Deliver(t.Context(), b.acme, b.publish(t, b.acme, event(t, kindMade))[0]))
	<-sent // It got no further: we have hung up.
	d := b.only(t, b.acme, endpoint.ID)
	require.Equal(t, webhook.StateSucceeded, d.State)
	require.Equal(t, strings.Repeat("ä", 512), *d.Response)
}

func TestDeliver_SilentEndpoint(t *testing.T) {
	t.Parallel()
	silent := func(_ int, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

	t.Run("is given up after a while", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(c *webhook.Config) { c.Timeout = 50 * time.Millisecond })
		endpoint := b.endpoint(t, b.acme, receive(t, silent).url)
		requireSnoozed(t, b.Deliver(t.Context(), b.acme, b.publish(t, b.acme, event(t, kindMade))[0]))
		require.Equal(t, "There was no answer within 50ms.", *b.only(t, b.acme, endpoint.ID).LastError)
	})

	t.Run("a stopping process counts no attempt", func(t *testing.T) {
		t.Parallel()
		b := setup(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		rec := receive(t, func(n int, w http.ResponseWriter, r *http.Request) {
			cancel()
			silent(n, w, r)
		})
		endpoint := b.endpoint(t, b.acme, rec.url)
		require.ErrorIs(t, b.Deliver(ctx, b.acme, b.publish(t, b.acme, event(t, kindMade))[0]), context.Canceled)
		d := b.only(t, b.acme, endpoint.ID)
		require.Equal(t, webhook.StatePending, d.State)
		require.Zero(t, d.Attempts)
	})
}

func TestDeliver_EndsAfterTenAttempts(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	rec := receive(t, always(500))
	endpoint := b.endpoint(t, b.acme, rec.url)
	delivery := b.publish(t, b.acme, event(t, kindMade))[0]
	var waited time.Duration
	for range 9 {
		wait := requireSnoozed(t, b.Deliver(t.Context(), b.acme, delivery))
		waited += wait
		b.clock.advance(wait)
	}
	require.InDelta(t, 79.3, waited.Hours(), 4, "the schedule of Standard Webhooks, and up to a tenth more")
	require.NoError(t, b.Deliver(t.Context(), b.acme, delivery))
	d := b.only(t, b.acme, endpoint.ID)
	require.Equal(t, webhook.StateFailed, d.State)
	require.Equal(t, 10, d.Attempts)
	require.Equal(t, webhook.ResultGivenUp, b.seen.last(t).Result)
	require.NoError(t, b.Deliver(t.Context(), b.acme, delivery))
	require.Len(t, rec.got(), 10)
}

func TestDeliver_GoneDisables(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	endpoint := b.endpoint(t, b.acme, receive(t, always(http.StatusGone)).url)
	require.NoError(t, b.Deliver(t.Context(), b.acme, b.publish(t, b.acme, event(t, kindMade))[0]))
	require.Equal(t, webhook.StateFailed, b.only(t, b.acme, endpoint.ID).State)
	e, err := b.Get(t.Context(), b.acme, endpoint.ID)
	require.NoError(t, err)
	require.Equal(t, "It answered 410 Gone.", *e.DisabledReason)
	require.True(t, b.seen.last(t).Disabled)
}

func TestDeliver_LongFailureDisables(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	ctx := t.Context()
	status := http.StatusInternalServerError
	rec := receive(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	endpoint := b.endpoint(t, b.acme, rec.url)
	fail := func() webhook.DeliverEvent {
		delivery := b.publish(t, b.acme, event(t, kindMade))[0]
		requireSnoozed(t, b.Deliver(ctx, b.acme, delivery))
		return delivery
	}
	fail()
	b.clock.advance(4 * 24 * time.Hour)
	status = http.StatusOK
	require.NoError(t, b.Deliver(ctx, b.acme, b.publish(t, b.acme, event(t, kindMade))[0]))
	status = http.StatusInternalServerError
	b.clock.advance(4 * 24 * time.Hour)
	waiting := fail() // The success in between counts.
	b.clock.advance(5 * 24 * time.Hour)
	last := b.publish(t, b.acme, event(t, kindMade))[0]
	require.NoError(t, b.Deliver(ctx, b.acme, last))
	e, err := b.Get(ctx, b.acme, endpoint.ID)
	require.NoError(t, err)
	require.Equal(t, "Nothing has been delivered for 5 days.", *e.DisabledReason)

	// It is told of nothing any more, and what waited ends without a request.
	require.Empty(t, b.publish(t, b.acme, event(t, kindMade)))
	requests := len(rec.got())
	require.NoError(t, b.Deliver(ctx, b.acme, waiting))
	require.Len(t, rec.got(), requests)
	_, err = b.Redeliver(ctx, b.acme, endpoint.ID, last.EventID)
	requireCode(t, err, apperr.Conflict)
	_, err = b.Test(ctx, b.acme, endpoint.ID)
	requireCode(t, err, apperr.Conflict)

	e, err = b.Enable(ctx, b.acme, endpoint.ID)
	require.NoError(t, err)
	require.Nil(t, e.DisabledAt)
	require.Nil(t, e.FailingSince)
	fail() // The old failures do not count.
	status = http.StatusOK
	d, err := b.Redeliver(ctx, b.acme, endpoint.ID, last.EventID)
	require.NoError(t, err)
	require.Equal(t, webhook.StatePending, d.State)
	jobs := b.queue.take()
	require.Equal(t, []webhook.DeliverEvent{last}, jobs)
	require.NoError(t, b.Deliver(ctx, b.acme, last))
	_, err = b.Enable(ctx, b.acme, last.EventID)
	requireCode(t, err, apperr.NotFound)
}

// An error of the database leaves the delivery to the queue's own attempts.
func TestDeliver_LostDatabase(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := b.Deliver(ctx, b.acme, webhook.DeliverEvent{EndpointID: uuid.Must(uuid.NewV7()), EventID: uuid.Must(uuid.NewV7())})
	require.ErrorIs(t, err, context.Canceled)
}

func TestPublish(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	ctx := t.Context()
	require.Empty(t, b.publish(t, b.acme, event(t, kindMade)))
	require.Zero(t, b.queued(t), "nobody to tell: no job")

	all := b.endpoint(t, b.acme, "http://127.0.0.1:9/all")
	some := b.endpoint(t, b.acme, "http://127.0.0.1:9/some", kindGone)
	made, gone := event(t, kindMade), event(t, kindGone)
	require.Len(t, b.publish(t, b.acme, made), 1)
	require.Len(t, b.publish(t, b.acme, gone), 2)
	require.Empty(t, b.publish(t, b.acme, gone), "published again by a job that runs twice")
	require.Equal(t, gone.ID, b.only(t, b.acme, some.ID).EventID)
	require.Equal(t, 3, b.queued(t))

	lost := errors.New("lost")
	undone := event(t, kindGone)
	require.ErrorIs(t, b.acme.InTx(ctx, func(tx *tenantschema.Tx) error {
		require.NoError(t, b.Publish(ctx, tx, undone))
		return lost
	}), lost)
	require.Equal(t, 3, b.queued(t))
	page, err := b.ListDeliveries(ctx, b.acme, all.ID, webhook.PageRequest{})
	require.NoError(t, err)
	require.Len(t, page.Items, 2)

	for name, spoil := range map[string]func(*webhook.Event){
		"add it to Config.Kinds": func(e *webhook.Event) { e.Kind = "thing.lost" },
		"no UUIDv7":              func(e *webhook.Event) { e.ID = uuid.New() },
		"262144 at most":         func(e *webhook.Event) { e.Data = strings.Repeat("x", 256<<10) },
		"unsupported type":       func(e *webhook.Event) { e.Data = func() {} },
	} {
		e := event(t, kindMade)
		spoil(&e)
		require.ErrorContains(t, b.acme.InTx(ctx, func(tx *tenantschema.Tx) error { return b.Publish(ctx, tx, e) }), name)
	}
}
