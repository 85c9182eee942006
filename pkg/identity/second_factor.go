package identity

import (
	"context"
	"encoding/json"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// SecondFactor finishes a sign-in by a code of the authenticator or a recovery code, each of which works once. step is what the first half
// gave; it lives for ten minutes and five codes. The error is apperr.Invalid, on the field "code", if that is wrong; Unauthenticated if
// step leads nowhere any more; RateLimited after many wrong codes, whatever the step.
func (s *Service) SecondFactor(ctx context.Context, scope tenantschema.Scope, step, code string, c Client) (SignedIn, error) {
	begun, err := s.tryStep(ctx, scope, stepSecondFactor, step)
	if err != nil {
		return SignedIn{}, failed("second factor", err)
	}
	var first firstFactor
	if err = json.Unmarshal(begun.data, &first); err != nil {
		return SignedIn{}, failed("second factor", err)
	}
	// Only who has the first factor comes here, so nobody else can keep somebody waiting.
	now := s.now()
	counted := subjects{subject("address", network(c.RemoteAddress)), subject("factor", begun.user.String())}
	b := &pgx.Batch{}
	counted.queueAttempt(b, now)
	b.Queue(`SELECT id FROM users WHERE id = $1`, begun.user)
	var id uuid.UUID
	if err = s.attempt(ctx, scope, b, counted, now, func(row pgx.Row) error { return row.Scan(&id) }); err != nil {
		return SignedIn{}, failed("second factor", err)
	}
	var in SignedIn
	err = scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		a, err := lockAccount(ctx, tx, begun.user)
		if isNoRows(err) || err == nil && (a.DisabledAt != nil || !a.TwoFactor) {
			return errStep()
		}
		if err != nil {
			return err
		}
		if _, err = tx.Exec(ctx, `DELETE FROM sign_in_steps WHERE user_id = $1 AND kind = 'second_factor' AND id <> $2`, a.ID, begun.id); err != nil {
			return err
		}
		ok, err := s.useCode(ctx, tx, a.ID, code)
		if err != nil {
			return err
		}
		if !ok {
			return apperr.New(apperr.Invalid, "The code is wrong.").
				WithField("code", "Give the six digits that your authenticator shows now, or a recovery code that you have not used.")
		}
		tag, err := tx.Exec(ctx, `DELETE FROM sign_in_steps WHERE id = $1`, begun.id)
		if err == nil && tag.RowsAffected() == 0 {
			err = errStep() // Another has come by it meanwhile, or the person was shut out.
		}
		if err != nil {
			return err
		}
		b := &pgx.Batch{}
		counted.queueSuccess(b)
		b.Queue(`DELETE FROM sign_in_failures WHERE subject = $1`, signInSubjects(a.Email, c).account)
		if err = tx.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		in, err = s.insertSession(ctx, tx, a.User, first.Method+"+code", c)
		return err
	})
	if err != nil {
		return SignedIn{}, failed("second factor", err)
	}
	return in, nil
}
