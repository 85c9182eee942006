package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// EventTest is the kind of the event that [Service.Test] sends. An endpoint gets it whatever it has asked for.
const EventTest = "webhook.test"

// maxPayload is the most bytes of a body, as the schema's check has it.
const maxPayload = 256 << 10

// Event is something that happened.
type Event struct {
	// ID is the UUIDv7 of the event: an endpoint is told of it once, and deliveries are ordered and swept by it.
	ID uuid.UUID
	// Kind is one of [Config.Kinds], such as task.created.
	Kind string
	// At is when it happened.
	At time.Time
	// Data is marshalled as JSON, and is for the customer's eyes: ids and what the API shows.
	Data any
}

// message is the body of a request, as Standard Webhooks has it.
type message struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      any       `json:"data"`
}

func (e Event) payload() (string, error) {
	if e.ID.Version() != 7 {
		return "", fmt.Errorf("the event's id %s is no UUIDv7", e.ID)
	}
	body, err := json.Marshal(message{e.Kind, e.At.UTC(), e.Data})
	if err != nil {
		return "", err
	}
	if len(body) > maxPayload {
		return "", fmt.Errorf("the body has %d bytes: want %d at most", len(body), maxPayload)
	}
	return string(body), nil
}

// Publish tells e to each endpoint that is enabled and wants its kind, after tx has been committed. Publishing an event again does nothing.
// Without such an endpoint it is one statement and no job. An error says that e itself is wrong (a kind that is not among [Config.Kinds], an
// id that is no UUIDv7, more than 256 KiB), which is the program's fault, or that the database failed.
func (s *Service) Publish(ctx context.Context, tx *tenantschema.Tx, e Event) error {
	if !slices.Contains(s.cfg.Kinds, e.Kind) {
		return fmt.Errorf("webhook: publish: nobody can ask for events of kind %q: add it to Config.Kinds", e.Kind)
	}
	payload, err := e.payload()
	if err != nil {
		return failed("publish "+e.Kind, err)
	}
	const sql = `INSERT INTO webhook_deliveries (endpoint_id, event_id, kind, payload, created_at)
SELECT id, $1, $2, $3, $4 FROM webhook_endpoints
WHERE disabled_at IS NULL AND (event_kinds = '{}' OR $2 = ANY (event_kinds))
ON CONFLICT (endpoint_id, event_id) DO NOTHING RETURNING endpoint_id`
	rows, err := tx.Query(ctx, sql, e.ID, e.Kind, payload, s.now())
	if err != nil {
		return failed("publish "+e.Kind, err)
	}
	endpoints, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return failed("publish "+e.Kind, err)
	}
	return s.enqueue(ctx, tx, e.ID, endpoints...)
}

// enqueue adds the jobs of deliveries that have none.
func (s *Service) enqueue(ctx context.Context, tx *tenantschema.Tx, event uuid.UUID, endpoints ...uuid.UUID) error {
	if len(endpoints) == 0 {
		return nil
	}
	args := make([]job.Args, len(endpoints))
	for i, endpoint := range endpoints {
		args[i] = DeliverEvent{EndpointID: endpoint, EventID: event}
	}
	_, err := s.cfg.Jobs.EnqueueMany(ctx, tx, args, job.Opts{Queue: job.QueueDefault})
	return err
}
