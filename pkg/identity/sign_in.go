package identity

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// SignedIn is what somebody has who entered.
type SignedIn struct {
	// Token opens the session, until Expires at the latest. It belongs into a cookie and nowhere else.
	Token   string
	Expires time.Time
	User    User
	// SecondFactor, if not empty, says that there is no session yet: it goes to [Service.SecondFactor], with a code.
	SecondFactor string
}

// errWrong is the one answer to all that is wrong with an address and a password.
func errWrong() error {
	return apperr.New(apperr.Unauthenticated, "The e-mail address or the password is wrong.")
}

// SignIn lets somebody in by password. The error is apperr.Unauthenticated, always the same, if there is no such account, or it is disabled, has
// no password or another one: which of these it is cannot be told from the time either. It is apperr.RateLimited after many
// failures, whether the account exists or not.
func (s *Service) SignIn(ctx context.Context, scope tenantschema.Scope, email, password string, c Client) (SignedIn, error) {
	email, _ = canonicalEmail(cut(email, maxEmail)) // What is no address is nobody's.
	now, counted := s.now(), signInSubjects(email, c)
	b := &pgx.Batch{}
	counted.queueAttempt(b, now)
	b.Queue(`SELECT u.id, u.password_hash FROM users u WHERE lower(u.email) = lower($1) AND u.disabled_at IS NULL`, email)
	var (
		id     uuid.UUID
		hash   *string
		result SignedIn
	)
	err := s.attempt(ctx, scope, b, counted, now, func(row pgx.Row) error {
		if err := row.Scan(&id, &hash); err != nil && !isNoRows(err) {
			return err
		}
		return nil
	})
	if err != nil {
		return SignedIn{}, failed("sign in", err)
	}
	ok, stale, err := s.hasher.verify(ctx, password, hash)
	if err != nil {
		return SignedIn{}, failed("sign in", err)
	}
	if !ok {
		return SignedIn{}, errWrong()
	}
	fresh := hash
	if stale { // Its parameters are not those of today.
		again, err := s.hasher.hash(ctx, password)
		if err != nil {
			return SignedIn{}, failed("sign in", err)
		}
		fresh = &again
	}
	err = scope.InTx(ctx, func(tx *tenantschema.Tx) (err error) {
		result, err = s.enterByPassword(ctx, tx, id, hash, fresh, counted, c)
		return err
	})
	if err != nil {
		return SignedIn{}, failed("sign in", err)
	}
	return result, nil
}

// attempt sends b, whose first statement counts the attempt and whose second finds whom it is about, which read is given. The error is
// apperr.RateLimited if there have been too many.
func (s *Service) attempt(
	ctx context.Context, db tenantschema.DBTX, b *pgx.Batch, counted subjects, now time.Time, read func(pgx.Row) error,
) error {
	results := db.SendBatch(ctx, b)
	refused, err := counted.admitted(ctx, db, results.QueryRow(), now)
	if err == nil {
		err = read(results.QueryRow())
	}
	if err = errors.Join(err, results.Close()); err != nil {
		return err
	}
	if refused != nil {
		return refused()
	}
	return nil
}

// enterByPassword begins the session of somebody whose password was right, unless it was changed meanwhile.
func (s *Service) enterByPassword(
	ctx context.Context, tx *tenantschema.Tx, id uuid.UUID, checked, fresh *string, counted subjects, c Client,
) (SignedIn, error) {
	a, err := lockAccount(ctx, tx, id)
	if isNoRows(err) || err == nil && (a.DisabledAt != nil || a.passwordHash == nil || *a.passwordHash != *checked) {
		return SignedIn{}, errWrong()
	}
	if err != nil {
		return SignedIn{}, err
	}
	b := &pgx.Batch{}
	if *fresh != *checked {
		b.Queue(`UPDATE users SET password_hash = $2 WHERE id = $1`, id, *fresh)
	}
	if !a.TwoFactor { // Else the account's attempts count until its second factor has come.
		counted.queueSuccess(b)
	}
	if err = tx.SendBatch(ctx, b).Close(); err != nil {
		return SignedIn{}, err
	}
	return s.enter(ctx, tx, a.User, "password", c)
}

// enter lets somebody in who has shown one thing that only they have: a session, or the way to the second factor if they have one.
func (s *Service) enter(ctx context.Context, tx *tenantschema.Tx, u User, method string, c Client) (SignedIn, error) {
	if !u.TwoFactor {
		return s.insertSession(ctx, tx, u, method, c)
	}
	token, err := s.insertStep(ctx, tx, stepSecondFactor, u.ID, firstFactor{Method: method})
	return SignedIn{User: u, SecondFactor: token}, err
}

// firstFactor is what the step to the second factor remembers.
type firstFactor struct {
	Method string `json:"method"`
}

// Confirm has p show by password that it is still who signed in, for what is dangerous ([Service.RequireRecent]). The error is apperr.Invalid,
// on the field "password", if it is wrong or there is none: who has no password signs in again instead. After many failures it
// is apperr.RateLimited.
func (s *Service) Confirm(ctx context.Context, scope tenantschema.Scope, p Principal, password string) error {
	if err := requireUser(p); err != nil {
		return err
	}
	now, counted := s.now(), confirmSubjects(p)
	b := &pgx.Batch{}
	counted.queueAttempt(b, now)
	b.Queue(`SELECT password_hash FROM users WHERE id = $1`, p.UserID)
	var hash *string
	if err := s.attempt(ctx, scope, b, counted, now, func(row pgx.Row) error { return row.Scan(&hash) }); err != nil {
		return failedOn("confirm", "user", p.UserID, err)
	}
	ok, _, err := s.hasher.verify(ctx, password, hash)
	if err != nil {
		return failed("confirm", err)
	}
	if !ok {
		return errWrongPassword("password")
	}
	b = &pgx.Batch{}
	counted.queueSuccess(b)
	b.Queue(`UPDATE sessions SET confirmed_at = $3 WHERE id = $1 AND user_id = $2`, p.SessionID, p.UserID, now)
	if err = scope.SendBatch(ctx, b).Close(); err != nil {
		return failed("confirm", err)
	}
	return nil
}

func errWrongPassword(field string) error {
	return apperr.New(apperr.Invalid, "The password is wrong.").WithField(field, "This is not your password.")
}

// RequireRecent gives apperr.Refused unless p is a person who has shown who it is in the last while.
func (s *Service) RequireRecent(p Principal, within time.Duration) error {
	if err := requireUser(p); err != nil {
		return err
	}
	if s.now().Sub(p.ConfirmedAt) > within {
		return apperr.New(apperr.Refused, "Confirm that it is you: give your password again, or sign in again.")
	}
	return nil
}
