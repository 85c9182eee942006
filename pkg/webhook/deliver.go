package webhook

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/url"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// How an attempt ends, for [Observer].
const (
	// ResultSucceeded: the answer was 2xx.
	ResultSucceeded = "succeeded"
	// ResultFailed: it will be tried again.
	ResultFailed = "failed"
	// ResultGivenUp: it failed and will not be tried again.
	ResultGivenUp = "given_up"
)

// Attempt is what an [Observer] is told of an attempt.
type Attempt struct {
	TenantID            string
	EndpointID, EventID uuid.UUID
	// Host is that of the endpoint's address, which has secrets of the customer's in other places.
	Host string
	// Number counts from 1; 0 if nothing was sent, because the endpoint was disabled meanwhile.
	Number int
	// Result is one of the results of this package.
	Result string
	// Status is that of the answer; 0 if there was none.
	Status int
	// Problem says why it failed, in a sentence without the address.
	Problem  string
	Duration time.Duration
	// Disabled says that this attempt disabled the endpoint.
	Disabled bool
}

// DeliverEvent is the job that brings an event to an endpoint.
type DeliverEvent struct {
	EndpointID uuid.UUID `json:"endpoint_id"`
	EventID    uuid.UUID `json:"event_id"`
}

// Kind names the job.
func (DeliverEvent) Kind() string { return "webhook.deliver" }

// maxAttempts is how often a delivery is tried: once, and after each pause of Standard Webhooks.
const maxAttempts = 10

// standardBackoff has its pauses, and up to a tenth more, so that what failed together does not come back together.
func standardBackoff(attempt int) time.Duration {
	const minute, hour = time.Minute, time.Hour
	pauses := [maxAttempts - 1]time.Duration{5 * time.Second, 5 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour, 14 * hour, 20 * hour, 24 * hour}
	pause := pauses[min(max(attempt, 1), len(pauses))-1]
	return pause + rand.N(pause/10) //nolint:gosec // Nobody gains by guessing it.
}

// dueDelivery is a pending delivery and what is needed to send it.
type dueDelivery struct {
	DeliverEvent

	url, secret    string
	oldSecret      *string
	oldSecretUntil *time.Time
	failingSince   *time.Time
	disabled       bool
	payload        string
	attempts       int
}

func (d dueDelivery) secrets(now time.Time) []string {
	if d.oldSecret != nil && now.Before(*d.oldSecretUntil) {
		return []string{d.secret, *d.oldSecret}
	}
	return []string{d.secret}
}

// Deliver does the work of the job. It holds no connection to the database while it waits for the endpoint. If the delivery is to be tried
// again it puts the job off until then, so that the time in the row and the job's are one; the job's own attempts are left for what fails
// on our side.
func (s *Service) Deliver(ctx context.Context, scope tenantschema.Scope, args DeliverEvent) error {
	d, err := findDue(ctx, scope, args)
	if errors.Is(err, pgx.ErrNoRows) { // It has ended, or its endpoint is gone.
		return nil
	}
	if err != nil {
		return failed("deliver", err)
	}
	var a answer
	if !d.disabled {
		if a, err = s.send(ctx, d); err != nil {
			return err
		}
		if ctx.Err() != nil && a.status == 0 { // We have hung up, not the endpoint.
			return ctx.Err()
		}
		d.attempts++
	}
	// What has arrived is noted even if the process is stopping.
	noteCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	n, err := s.note(noteCtx, scope, d, a)
	if err != nil || n.gone {
		return err
	}
	if s.cfg.Observer != nil {
		s.cfg.Observer.ObserveDelivery(attemptOf(scope, d, a, n))
	}
	if n.state == StatePending {
		return job.Snooze(n.wait)
	}
	return nil
}

func findDue(ctx context.Context, db tenantschema.DBTX, args DeliverEvent) (dueDelivery, error) {
	const sql = `SELECT e.url, e.secret, e.old_secret, e.old_secret_until, e.failing_since, e.disabled_at IS NOT NULL, d.payload, d.attempts
FROM webhook_deliveries d JOIN webhook_endpoints e ON e.id = d.endpoint_id
WHERE d.endpoint_id = $1 AND d.event_id = $2 AND d.state = 'pending'`
	d := dueDelivery{DeliverEvent: args}
	err := db.QueryRow(ctx, sql, args.EndpointID, args.EventID).Scan(
		&d.url, &d.secret, &d.oldSecret, &d.oldSecretUntil, &d.failingSince, &d.disabled, &d.payload, &d.attempts)
	return d, err
}

func attemptOf(scope tenantschema.Scope, d dueDelivery, a answer, n noted) Attempt {
	out := Attempt{
		TenantID: scope.Tenant().ID, EndpointID: d.EndpointID, EventID: d.EventID, Number: d.attempts, Status: a.status,
		Problem: a.problem, Duration: a.took, Disabled: n.disable != "", Result: ResultGivenUp,
	}
	switch n.state {
	case StatePending:
		out.Result = ResultFailed
	case StateSucceeded:
		out.Result = ResultSucceeded
	case StateFailed:
	}
	if u, err := url.Parse(d.url); err == nil {
		out.Host = u.Hostname()
	}
	return out
}
