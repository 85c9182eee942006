package identity

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// stepKind says what has begun and waits for its second half.
type stepKind string

const (
	stepSecondFactor  stepKind = "second_factor"
	stepPasskeySignIn stepKind = "passkey_sign_in"
	stepPasskeyAdd    stepKind = "passkey_add"
	stepOIDC          stepKind = "oidc"

	stepStart    = "rt_"
	stepLife     = 10 * time.Minute
	stepAttempts = 5
)

// errStep is the one answer to steps that lead nowhere.
func errStep() error {
	return apperr.New(apperr.Unauthenticated, "This took too long, or was done already. Begin again.")
}

// step is a row of sign_in_steps.
type step struct {
	id, user uuid.UUID
	data     json.RawMessage
	attempts int
}

// insertStep notes what has begun and gives the token by which it goes on. user may be zero.
func (s *Service) insertStep(ctx context.Context, db tenantschema.DBTX, kind stepKind, user uuid.UUID, data any) (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(data)
	if err != nil {
		return "", err
	}
	fresh, now := newSecret(), s.now()
	_, err = db.Exec(ctx, `INSERT INTO sign_in_steps (id, kind, user_id, token_hash, data, created_at, expires_at)
VALUES ($1, $2, nullif($3, '00000000-0000-0000-0000-000000000000'::uuid), $4, $5, $6, $7)`,
		id, string(kind), user, fresh.hash(), string(text), now, now.Add(stepLife))
	return formatSecret(stepStart, fresh), err
}

// takeStep gives what has begun, and ends it: it serves once.
func (s *Service) takeStep(ctx context.Context, db tenantschema.DBTX, kind stepKind, token string) (step, error) {
	return s.queryStep(ctx, db, `DELETE FROM sign_in_steps WHERE token_hash = $1 AND kind = $2 AND expires_at > $3 AND attempts < $4`, kind, token)
}

// tryStep gives what has begun and counts an attempt at it.
func (s *Service) tryStep(ctx context.Context, db tenantschema.DBTX, kind stepKind, token string) (step, error) {
	return s.queryStep(ctx, db, `UPDATE sign_in_steps SET attempts = attempts + 1
WHERE token_hash = $1 AND kind = $2 AND expires_at > $3 AND attempts < $4`, kind, token)
}

func (s *Service) queryStep(ctx context.Context, db tenantschema.DBTX, sql string, kind stepKind, token string) (step, error) {
	given, ok := parseSecret(stepStart, token)
	if !ok {
		return step{}, errStep()
	}
	const returning = ` RETURNING id, coalesce(user_id, '00000000-0000-0000-0000-000000000000'::uuid), data, attempts`
	var v step
	err := db.QueryRow(ctx, sql+returning, given.hash(), string(kind), s.now(), stepAttempts).Scan(&v.id, &v.user, &v.data, &v.attempts)
	if isNoRows(err) {
		return step{}, errStep()
	}
	return v, err
}
