package webhook

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Patch changes the fields that are there.
type Patch struct {
	URL         *string
	Description *string
	EventKinds  *[]string
}

// Update changes an endpoint and gives it as it is now. What is pending goes to its new address, which begins without a history of failures.
// The error is apperr.NotFound if there is none with that id, apperr.Invalid if the patch is wrong.
func (s *Service) Update(ctx context.Context, scope tenantschema.Scope, id uuid.UUID, patch Patch) (Endpoint, error) {
	var e Endpoint
	err := scope.InTx(ctx, func(tx *tenantschema.Tx) (err error) {
		const lock = `SELECT ` + endpointColumns + ` FROM webhook_endpoints WHERE id = $1 FOR NO KEY UPDATE`
		if e, err = queryEndpoint(ctx, tx, lock, id); err != nil {
			return err
		}
		before := e.URL
		if patch.URL != nil {
			e.URL = *patch.URL
		}
		if patch.Description != nil {
			e.Description = *patch.Description
		}
		if patch.EventKinds != nil {
			e.EventKinds = *patch.EventKinds
		}
		if err = s.valid(&e, "The webhook cannot be changed as asked."); err != nil {
			return err
		}
		if e.URL != before {
			e.FailingSince = nil
		}
		const sql = `UPDATE webhook_endpoints SET url = $2, description = $3, event_kinds = $4, failing_since = $5, updated_at = $6
WHERE id = $1 RETURNING ` + endpointColumns
		e, err = queryEndpoint(ctx, tx, sql, id, e.URL, e.Description, e.EventKinds, e.FailingSince, s.now())
		return err
	})
	if err != nil {
		return Endpoint{}, failedOn("update", id, err)
	}
	return e, nil
}

// Delete deletes an endpoint with its deliveries; those that are pending are not sent any more. The error is apperr.NotFound if there is
// none with that id.
func (s *Service) Delete(ctx context.Context, scope tenantschema.Scope, id uuid.UUID) error {
	tag, err := scope.Exec(ctx, `DELETE FROM webhook_endpoints WHERE id = $1`, id)
	if err == nil && tag.RowsAffected() == 0 {
		err = pgx.ErrNoRows
	}
	if err != nil {
		return failedOn("delete", id, err)
	}
	return nil
}

// RotateSecret gives an endpoint a new secret and shows it for the only time. For a day every request bears two signatures, of the new secret
// and of the one before it; an older one is out at once. The error is apperr.NotFound if there is none with that id.
func (s *Service) RotateSecret(ctx context.Context, scope tenantschema.Scope, id uuid.UUID) (Endpoint, error) {
	const sql = `UPDATE webhook_endpoints SET secret = $2, old_secret = secret, old_secret_until = $3, updated_at = $4
WHERE id = $1 RETURNING ` + endpointColumns
	now, secret := s.now(), newSecret()
	e, err := queryEndpoint(ctx, scope, sql, id, secret, now.Add(oldSecretFor), now)
	if err != nil {
		return Endpoint{}, failedOn("rotate secret", id, err)
	}
	e.Secret = secret
	return e, nil
}

// Enable takes an endpoint into use again, without a history of failures. What was published meanwhile it is not told; what was pending before
// and has not come to its turn goes on. Enabling one that is enabled changes nothing. The error is apperr.NotFound if there is none with that id.
func (s *Service) Enable(ctx context.Context, scope tenantschema.Scope, id uuid.UUID) (Endpoint, error) {
	const sql = `UPDATE webhook_endpoints SET disabled_at = NULL, disabled_reason = NULL,
    failing_since = CASE WHEN disabled_at IS NULL THEN failing_since END,
    updated_at = CASE WHEN disabled_at IS NULL THEN updated_at ELSE $2 END
WHERE id = $1 RETURNING ` + endpointColumns
	e, err := queryEndpoint(ctx, scope, sql, id, s.now())
	if err != nil {
		return Endpoint{}, failedOn("enable", id, err)
	}
	return e, nil
}
