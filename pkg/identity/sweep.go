package identity

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// How long what has ended is kept, for people to look at.
const (
	keepSessions    = 30 * 24 * time.Hour
	keepInvitations = 90 * 24 * time.Hour
	keepLinks       = 24 * time.Hour
)

// SweepDue is the daily job that calls [Service.Sweep].
type SweepDue struct{}

// Kind names the job.
func (SweepDue) Kind() string { return "identity.sweep" }

// Sweep removes what has expired: it opens nothing any more, and only takes room.
func (s *Service) Sweep(ctx context.Context, scope tenantschema.Scope) error {
	now := s.now()
	b := &pgx.Batch{}
	b.Queue(`DELETE FROM sessions WHERE expires_at < $1 OR revoked_at < $1 OR coalesce(last_used_at, created_at) < $2`,
		now.Add(-keepSessions), now.Add(-keepSessions-s.cfg.SessionIdle))
	b.Queue(`DELETE FROM user_tokens WHERE expires_at < $1`, now.Add(-keepLinks))
	b.Queue(`DELETE FROM sign_in_steps WHERE expires_at < $1`, now)
	b.Queue(`DELETE FROM sign_in_failures WHERE last_at < $1`, now.Add(-24*time.Hour))
	b.Queue(`DELETE FROM invitations WHERE greatest(expires_at, accepted_at, revoked_at) < $1`, now.Add(-keepInvitations))
	if err := scope.SendBatch(ctx, b).Close(); err != nil {
		return failed("sweep", err)
	}
	return nil
}
