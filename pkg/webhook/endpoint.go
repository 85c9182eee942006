package webhook

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

const (
	// MaxEndpoints is how many a tenant may have: each is a request for every event.
	MaxEndpoints   = 20
	maxDescription = 200
	// oldSecretFor is how long the secret before the present one signs, too.
	oldSecretFor = day
)

// Endpoint is where a customer wants to hear of events.
type Endpoint struct {
	ID          uuid.UUID `json:"id"`
	URL         string    `json:"url"`
	Description string    `json:"description"`
	// EventKinds are the kinds that it wants; empty is all of them.
	EventKinds []string `json:"event_kinds"`
	// Secret is there only in what [Service.Create] and [Service.RotateSecret] give.
	Secret string `json:"secret,omitempty"`
	// OldSecretUntil is how long the secret before this one signs, too; nil without one.
	OldSecretUntil *time.Time `json:"old_secret_until"`
	// FailingSince is the time of the first failure after the last success; nil if that was the last.
	FailingSince *time.Time `json:"failing_since"`
	// DisabledAt and DisabledReason are nil while it is enabled.
	DisabledAt     *time.Time `json:"disabled_at"`
	DisabledReason *string    `json:"disabled_reason"`
	CreatedAt      time.Time  `json:"created_at"`
	UpdatedAt      time.Time  `json:"updated_at"`
}

// NewEndpoint is what an endpoint is made from.
type NewEndpoint struct {
	// URL is absolute, without user, password and fragment.
	URL string
	// Description has at most 200 characters, on one line.
	Description string
	// EventKinds are among [Config.Kinds]. Empty is all of them, those to come included.
	EventKinds []string
}

// Create makes an endpoint, and shows its secret for the only time. The error is apperr.Invalid if in is wrong, apperr.Conflict if there are
// [MaxEndpoints] already.
func (s *Service) Create(ctx context.Context, scope tenantschema.Scope, in NewEndpoint) (Endpoint, error) {
	now := s.now()
	e := Endpoint{URL: in.URL, Description: in.Description, EventKinds: in.EventKinds, CreatedAt: now, UpdatedAt: now}
	if err := s.valid(&e, "The webhook cannot be made as asked."); err != nil {
		return Endpoint{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Endpoint{}, failed("create", err)
	}
	// Two at once may make one more than there may be: it is a bound, not a count.
	const sql = `INSERT INTO webhook_endpoints (id, url, description, event_kinds, secret, created_at, updated_at)
SELECT $1, $2, $3, $4, $5, $6, $6 WHERE (SELECT count(*) FROM webhook_endpoints) < $7`
	e.ID, e.Secret = id, newSecret()
	tag, err := scope.Exec(ctx, sql, e.ID, e.URL, e.Description, e.EventKinds, e.Secret, now, MaxEndpoints)
	if err != nil {
		return Endpoint{}, failed("create", err)
	}
	if tag.RowsAffected() == 0 {
		return Endpoint{}, apperr.New(apperr.Conflict, "There are %d webhooks already, which is the most. Delete one first.", MaxEndpoints)
	}
	return e, nil
}

// List gives all endpoints, newest first.
func (s *Service) List(ctx context.Context, scope tenantschema.Scope) ([]Endpoint, error) {
	const sql = `SELECT ` + endpointColumns + ` FROM webhook_endpoints ORDER BY id DESC`
	rows, err := scope.Query(ctx, sql)
	if err != nil {
		return nil, failed("list", err)
	}
	endpoints, err := pgx.CollectRows(rows, scanEndpoint)
	if err != nil {
		return nil, failed("list", err)
	}
	return endpoints, nil
}

// Get gives an endpoint. The error is apperr.NotFound if there is none with that id.
func (s *Service) Get(ctx context.Context, scope tenantschema.Scope, id uuid.UUID) (Endpoint, error) {
	const sql = `SELECT ` + endpointColumns + ` FROM webhook_endpoints WHERE id = $1`
	e, err := queryEndpoint(ctx, scope, sql, id)
	if err != nil {
		return Endpoint{}, failedOn("get", id, err)
	}
	return e, nil
}

// valid brings e into canonical form and checks what a caller may choose.
func (s *Service) valid(e *Endpoint, message string) error {
	var check checker
	e.URL = check.url(e.URL, s.cfg.AllowHTTP, s.cfg.AllowPrivate)
	e.Description = strings.TrimSpace(e.Description)
	if utf8.RuneCountInString(e.Description) > maxDescription || !utf8.ValidString(e.Description) ||
		strings.ContainsFunc(e.Description, unicode.IsControl) {
		check.add("description", "Give at most %d characters on one line, without control characters.", maxDescription)
	}
	e.EventKinds = slices.Compact(slices.Sorted(slices.Values(e.EventKinds)))
	for _, kind := range e.EventKinds {
		if !slices.Contains(s.cfg.Kinds, kind) {
			check.add("event_kinds", "Give some of: %s. Give none for all of them.", strings.Join(s.cfg.Kinds, ", "))
			break
		}
	}
	if e.EventKinds == nil {
		e.EventKinds = []string{}
	}
	return check.err(message)
}

const endpointColumns = `id, url, description, event_kinds, old_secret_until, failing_since, disabled_at, disabled_reason, created_at, updated_at`

func scanEndpoint(row pgx.CollectableRow) (Endpoint, error) {
	var e Endpoint
	err := row.Scan(&e.ID, &e.URL, &e.Description, &e.EventKinds, &e.OldSecretUntil, &e.FailingSince, &e.DisabledAt, &e.DisabledReason,
		&e.CreatedAt, &e.UpdatedAt)
	e.CreatedAt, e.UpdatedAt = e.CreatedAt.UTC(), e.UpdatedAt.UTC()
	e.OldSecretUntil, e.FailingSince, e.DisabledAt = inUTC(e.OldSecretUntil), inUTC(e.FailingSince), inUTC(e.DisabledAt)
	return e, err
}

func queryEndpoint(ctx context.Context, db tenantschema.DBTX, sql string, args ...any) (Endpoint, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return Endpoint{}, err
	}
	return pgx.CollectOneRow(rows, scanEndpoint)
}

func inUTC(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	return new(t.UTC())
}
