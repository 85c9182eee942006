package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// noted is what an answer has led to.
type noted struct {
	state State
	// wait is how long until the next attempt, if the state is pending.
	wait time.Duration
	// disable is why the endpoint is to be disabled, or "".
	disable string
	// gone says that the delivery had ended otherwise.
	gone bool
}

// note writes down what became of the attempt. The endpoint comes first, as it does for who deletes it.
func (s *Service) note(ctx context.Context, scope tenantschema.Scope, d dueDelivery, a answer) (n noted, err error) {
	now := s.now()
	err = scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		switch {
		case a.succeeded():
			n.state = StateSucceeded
			if d.failingSince != nil {
				if err := markWorking(ctx, tx, d.EndpointID); err != nil {
					return err
				}
			}
		case d.disabled:
			n.state, a.problem = StateFailed, "The webhook was disabled before this was sent."
		default:
			since, err := markFailing(ctx, tx, d.EndpointID, now)
			if errors.Is(err, pgx.ErrNoRows) {
				n.gone = true
				return nil
			}
			if err != nil {
				return err
			}
			n = s.judge(d, a, now.Sub(since))
			if n.disable != "" {
				if err = disableEndpoint(ctx, tx, d.EndpointID, n.disable, now); err != nil {
					return err
				}
			}
		}
		changed, err := updateDelivery(ctx, tx, d, a, n, now)
		n.gone = !changed
		return err
	})
	if err != nil {
		return n, failed("note delivery", err)
	}
	return n, nil
}

// judge says what a failure leads to, of an endpoint that has been failing for so long.
func (s *Service) judge(d dueDelivery, a answer, failing time.Duration) noted {
	switch {
	case a.status == http.StatusGone:
		return noted{state: StateFailed, disable: "It answered 410 Gone."}
	case failing >= s.cfg.DisableAfter:
		return noted{state: StateFailed, disable: fmt.Sprintf("Nothing has been delivered for %s.", days(failing))}
	case d.attempts >= maxAttempts:
		return noted{state: StateFailed}
	}
	return noted{state: StatePending, wait: max(s.cfg.Backoff(d.attempts), a.retryAfter)}
}

func days(d time.Duration) string {
	if d < 2*day {
		return fmt.Sprintf("%d hours", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d/day))
}

func markWorking(ctx context.Context, tx *tenantschema.Tx, endpoint uuid.UUID) error {
	_, err := tx.Exec(ctx, `UPDATE webhook_endpoints SET failing_since = NULL WHERE id = $1`, endpoint)
	return err
}

// markFailing gives since when the endpoint has been failing.
func markFailing(ctx context.Context, tx *tenantschema.Tx, endpoint uuid.UUID, now time.Time) (since time.Time, err error) {
	const sql = `UPDATE webhook_endpoints SET failing_since = COALESCE(failing_since, $2) WHERE id = $1 RETURNING failing_since`
	err = tx.QueryRow(ctx, sql, endpoint, now).Scan(&since)
	return since, err
}

func disableEndpoint(ctx context.Context, tx *tenantschema.Tx, endpoint uuid.UUID, reason string, now time.Time) error {
	const sql = `UPDATE webhook_endpoints SET disabled_at = $2, disabled_reason = $3, updated_at = $2 WHERE id = $1 AND disabled_at IS NULL`
	_, err := tx.Exec(ctx, sql, endpoint, now, reason)
	return err
}

// updateDelivery gives false if the delivery was not pending any more: another run of the job has been quicker.
func updateDelivery(ctx context.Context, tx *tenantschema.Tx, d dueDelivery, a answer, n noted, now time.Time) (changed bool, err error) {
	const sql = `UPDATE webhook_deliveries SET state = $3, attempts = $4, last_status = NULLIF($5, 0), last_error = NULLIF($6, ''),
    response = NULLIF($7, ''), duration_ms = $8, next_attempt_at = $9, finished_at = $10
WHERE endpoint_id = $1 AND event_id = $2 AND state = 'pending'`
	var next, finished *time.Time
	if n.state == StatePending {
		next = new(now.Add(n.wait))
	} else {
		finished = &now
	}
	tag, err := tx.Exec(ctx, sql, d.EndpointID, d.EventID, string(n.state), d.attempts, a.status, a.problem, a.excerpt,
		a.took.Milliseconds(), next, finished)
	return tag.RowsAffected() == 1, err
}
