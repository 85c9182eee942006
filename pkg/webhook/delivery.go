package webhook

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// State is how far a delivery is.
type State string

// The states.
const (
	StatePending   State = "pending"
	StateSucceeded State = "succeeded"
	StateFailed    State = "failed"
)

// Delivery is an event on its way to an endpoint, which has it once.
type Delivery struct {
	EndpointID uuid.UUID `json:"endpoint_id"`
	EventID    uuid.UUID `json:"event_id"`
	EventKind  string    `json:"event_kind"`
	State      State     `json:"state"`
	// Attempts is how often it was sent since it was published or redelivered.
	Attempts int `json:"attempts"`
	// LastStatus, LastError, Response and DurationMS are of the last attempt; nil where it had none. Response is the beginning of the
	// answer's body, at most 1 kB.
	LastStatus *int    `json:"last_status"`
	LastError  *string `json:"last_error"`
	Response   *string `json:"response"`
	DurationMS *int    `json:"duration_ms"`
	// NextAttemptAt is nil before the first attempt, which is due at once, and after the last one.
	NextAttemptAt *time.Time `json:"next_attempt_at"`
	CreatedAt     time.Time  `json:"created_at"`
	FinishedAt    *time.Time `json:"finished_at"`
}

// ListDeliveries gives a page of an endpoint's deliveries, latest event first. The error is apperr.NotFound if there is no such endpoint,
// apperr.Invalid for a limit or cursor that is wrong.
func (s *Service) ListDeliveries(ctx context.Context, scope tenantschema.Scope, endpoint uuid.UUID, p PageRequest) (Page[Delivery], error) {
	before, limit, err := p.window(endpoint)
	if err != nil {
		return Page[Delivery]{}, err
	}
	const sql = `SELECT ` + deliveryColumns + ` FROM webhook_deliveries WHERE endpoint_id = $1 AND event_id < $2 ORDER BY event_id DESC LIMIT $3`
	rows, err := scope.Query(ctx, sql, endpoint, before, limit+1)
	if err != nil {
		return Page[Delivery]{}, failed("list deliveries", err)
	}
	found, err := pgx.CollectRows(rows, scanDelivery)
	if err != nil {
		return Page[Delivery]{}, failed("list deliveries", err)
	}
	if len(found) == 0 {
		if _, err = s.Get(ctx, scope, endpoint); err != nil {
			return Page[Delivery]{}, err
		}
	}
	return pageOf(endpoint, limit, found), nil
}

// Test sends an event of kind [EventTest] to an endpoint, whatever kinds it wants, and gives the delivery. The error is apperr.NotFound if
// there is no such endpoint, apperr.Conflict if it is disabled.
func (s *Service) Test(ctx context.Context, scope tenantschema.Scope, endpoint uuid.UUID) (Delivery, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Delivery{}, failed("test", err)
	}
	now := s.now()
	payload, err := Event{ID: id, Kind: EventTest, At: now, Data: struct{}{}}.payload()
	if err != nil {
		return Delivery{}, failed("test", err)
	}
	return s.makeDue(ctx, scope, endpoint, id, "test", func(tx *tenantschema.Tx) (Delivery, error) {
		const sql = `INSERT INTO webhook_deliveries (endpoint_id, event_id, kind, payload, created_at) VALUES ($1, $2, $3, $4, $5)
RETURNING ` + deliveryColumns
		return queryDelivery(ctx, tx, sql, endpoint, id, EventTest, payload, now)
	})
}

// Redeliver sends an event to an endpoint again, with all attempts before it, and gives the delivery. The error is apperr.NotFound if the
// endpoint has no delivery of that event, apperr.Conflict if it is still pending or the endpoint disabled.
func (s *Service) Redeliver(ctx context.Context, scope tenantschema.Scope, endpoint, event uuid.UUID) (Delivery, error) {
	return s.makeDue(ctx, scope, endpoint, event, "redeliver", func(tx *tenantschema.Tx) (Delivery, error) {
		const sql = `SELECT ` + deliveryColumns + ` FROM webhook_deliveries WHERE endpoint_id = $1 AND event_id = $2 FOR NO KEY UPDATE`
		d, err := queryDelivery(ctx, tx, sql, endpoint, event)
		if errors.Is(err, pgx.ErrNoRows) {
			return d, apperr.New(apperr.NotFound, "The webhook has no delivery of event %s.", event)
		}
		if err != nil {
			return d, err
		}
		if d.State == StatePending { // Its job would be a second one.
			return d, apperr.New(apperr.Conflict, "The event is still being delivered. Wait until it has succeeded or failed.")
		}
		const reset = `UPDATE webhook_deliveries SET state = 'pending', attempts = 0, next_attempt_at = NULL, finished_at = NULL
WHERE endpoint_id = $1 AND event_id = $2 RETURNING ` + deliveryColumns
		return queryDelivery(ctx, tx, reset, endpoint, event)
	})
}

// makeDue makes a delivery pending by makePending, and its job, if the endpoint is enabled.
func (s *Service) makeDue(
	ctx context.Context, scope tenantschema.Scope, endpoint, event uuid.UUID, operation string, makePending func(*tenantschema.Tx) (Delivery, error),
) (d Delivery, err error) {
	err = scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		var disabled bool
		const sql = `SELECT disabled_at IS NOT NULL FROM webhook_endpoints WHERE id = $1 FOR KEY SHARE`
		if err := tx.QueryRow(ctx, sql, endpoint).Scan(&disabled); err != nil {
			return err
		}
		if disabled {
			return apperr.New(apperr.Conflict, "The webhook is disabled. Enable it first.")
		}
		if d, err = makePending(tx); err != nil {
			return err
		}
		return s.enqueue(ctx, tx, event, endpoint)
	})
	if err != nil {
		return Delivery{}, failedOn(operation, endpoint, err)
	}
	return d, nil
}

// Sweep is the job that deletes the deliveries of events older than [Config.Keep]. It is for a daily schedule.
type Sweep struct{}

// Kind names the job.
func (Sweep) Kind() string { return "webhook.sweep" }

// sweepBatch is how many rows are deleted at once.
const sweepBatch = 5000

// SweepDeliveries does the work of the job. A delivery that is pending goes, too: whatever it waited for did not come.
func (s *Service) SweepDeliveries(ctx context.Context, scope tenantschema.Scope, _ Sweep) error {
	const sql = `DELETE FROM webhook_deliveries WHERE (endpoint_id, event_id) IN (
    SELECT d.endpoint_id, d.event_id FROM webhook_endpoints e JOIN webhook_deliveries d ON d.endpoint_id = e.id
    WHERE d.event_id < $1 LIMIT $2)`
	for {
		tag, err := scope.Exec(ctx, sql, firstID(s.now().Add(-s.cfg.Keep)), sweepBatch)
		if err != nil {
			return failed("sweep", err)
		}
		if tag.RowsAffected() < sweepBatch {
			return nil
		}
	}
}

// firstID gives the least UUIDv7 of that moment.
func firstID(t time.Time) (id uuid.UUID) {
	var milliseconds [8]byte
	binary.BigEndian.PutUint64(milliseconds[:], uint64(max(t.UnixMilli(), 0)))
	copy(id[:6], milliseconds[2:])
	return id
}

const deliveryColumns = `endpoint_id, event_id, kind, state, attempts, last_status, last_error, response, duration_ms, next_attempt_at,
    created_at, finished_at`

func scanDelivery(row pgx.CollectableRow) (Delivery, error) {
	var d Delivery
	err := row.Scan(&d.EndpointID, &d.EventID, &d.EventKind, &d.State, &d.Attempts, &d.LastStatus, &d.LastError, &d.Response, &d.DurationMS,
		&d.NextAttemptAt, &d.CreatedAt, &d.FinishedAt)
	d.NextAttemptAt, d.CreatedAt, d.FinishedAt = inUTC(d.NextAttemptAt), d.CreatedAt.UTC(), inUTC(d.FinishedAt)
	return d, err
}

func queryDelivery(ctx context.Context, db tenantschema.DBTX, sql string, args ...any) (Delivery, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return Delivery{}, err
	}
	return pgx.CollectOneRow(rows, scanDelivery)
}
