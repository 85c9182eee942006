package identity

import (
	"context"
	"fmt"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// CheckSession gives who p is by now, for an answer that lasts long after p was authenticated by a session. It is not a use of the session: a page
// that is merely open does not keep anybody signed in. The error is apperr.Unauthenticated once the session has ended.
func (s *Service) CheckSession(ctx context.Context, scope tenantschema.Scope, p Principal) (Principal, error) {
	now := s.now()
	const sql = `SELECT u.display_name, u.email, u.role
FROM sessions s JOIN users u ON u.id = s.user_id
WHERE s.id = $1 AND s.user_id = $2 AND s.revoked_at IS NULL AND s.expires_at > $3 AND coalesce(s.last_used_at, s.created_at) > $4
    AND u.disabled_at IS NULL`
	err := scope.QueryRow(ctx, sql, p.SessionID, p.UserID, now, now.Add(-s.cfg.SessionIdle)).Scan(&p.Name, &p.Email, &p.Role)
	if isNoRows(err) {
		return Principal{}, errSignedOut()
	}
	if err != nil {
		return Principal{}, fmt.Errorf("identity: check session: %w", err)
	}
	return p, nil
}
