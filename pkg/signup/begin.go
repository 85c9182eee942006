package signup

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/job"
)

// Lengths in characters.
const (
	maxName  = 100 // of the organization
	maxEmail = 254
)

// Form is what somebody who signs up fills in.
type Form struct {
	// Name is the organization's.
	Name string
	// Slug is the subdomain, as it was typed. See [ReadSlug].
	Slug string
	// Email, DisplayName and Password are the person's.
	Email, DisplayName, Password string
}

// Begun is a sign-up that has begun.
type Begun struct {
	ID   uuid.UUID
	Slug string
	// Browser is what the browser is to keep, and show to [Service.Progress]. Nobody else has it.
	Browser string
}

// Create is the job that makes the tenant of a sign-up. It is worked by [Maker.Make].
type Create struct {
	ID uuid.UUID `json:"id"`
}

// PlatformKind names the job.
func (Create) PlatformKind() string { return "signup.create" }

// JobOpts lets it go first, since somebody waits for it, and gives it up before that one would.
func (c Create) JobOpts() job.Opts {
	return job.Opts{Queue: job.QueueCritical, MaxAttempts: maxAttempts, Unique: c.ID.String()}
}

// Begin takes a sign-up from address: its row and its job are there when it returns. Nothing of it is kept if it fails: [apperr.Invalid] with the
// fields if the form can be mended, [apperr.Conflict] on the field "slug" if the name is not to be had, [apperr.RateLimited] if there were too
// many from that address, or together, in the last hour.
func (s *Service) Begin(ctx context.Context, f Form, address string) (Begun, error) {
	slug, err := f.check()
	if err != nil {
		return Begun{}, err
	}
	// Before the password is hashed, which costs most of all this.
	from := s.hashed(address)
	if err = s.throttle(ctx, s.cfg.Control, from); err != nil {
		return Begun{}, err
	}
	switch free, err := s.free(ctx, s.cfg.Control, slug); {
	case err != nil:
		return Begun{}, err
	case !free:
		return Begun{}, errTaken()
	}
	hash, err := s.cfg.People.HashPassword(ctx, f.Password)
	if err != nil {
		return Begun{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Begun{}, fmt.Errorf("signup: begin: %w", err)
	}
	b := newBrowser()
	_, welcome := identity.WelcomeToken(b.welcome())
	err = pgx.BeginFunc(ctx, s.cfg.Control, func(tx pgx.Tx) error {
		// One at a time, so that none is counted before the one before it can be seen.
		if _, err := tx.Exec(ctx, "select pg_advisory_xact_lock(hashtextextended('rowhouse.signups', 0))"); err != nil {
			return err
		}
		if err := s.throttle(ctx, tx, from); err != nil {
			return err
		}
		switch free, err := s.free(ctx, tx, slug); {
		case err != nil:
			return err
		case !free:
			return errTaken()
		}
		_, err := tx.Exec(ctx, `insert into rowhouse.signups
	(id, slug, name, email, display_name, password_hash, welcome_hash, browser_hash, address_hash)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, id, slug, f.Name, f.Email, f.DisplayName, hash, welcome, b.hash(), from)
		if err != nil {
			return err
		}
		_, err = s.cfg.Jobs.EnqueuePlatform(ctx, tx, Create{ID: id}, job.Opts{})
		return err
	})
	if isUnique(err, "signups_pending_key") {
		return Begun{}, errTaken()
	}
	if _, ok := asError(err); ok {
		return Begun{}, err
	}
	if err != nil {
		return Begun{}, fmt.Errorf("signup: begin: %w", err)
	}
	return Begun{ID: id, Slug: slug, Browser: b.String()}, nil
}

// check puts f into its final form, and says all that is wrong with it at once but for the password, which is checked when it is hashed.
func (f *Form) check() (slug string, err error) {
	wrong := apperr.New(apperr.Invalid, "Please look at the fields that are marked.")
	add := func(field, message string) { wrong = wrong.WithField(field, message) }
	var ok bool
	if f.Name, ok = line(f.Name, maxName); !ok {
		add("name", fmt.Sprintf("Give the name of your organization, in 1 to %d characters.", maxName))
	}
	if slug, err = ReadSlug(f.Slug); err != nil {
		problem, ok := asError(err)
		if !ok || len(problem.Fields) == 0 {
			return "", err
		}
		message := problem.Fields[0].Message
		if message == "is reserved" {
			message = takenMessage
		}
		add("slug", "This address "+message+".")
	}
	f.Email, f.DisplayName = strings.TrimSpace(f.Email), strings.TrimSpace(f.DisplayName)
	if len(f.Email) > maxEmail {
		add("email", fmt.Sprintf("Give one of %d characters at most.", maxEmail))
	} else if problem, ok := asError(identity.NewUser{Email: f.Email, DisplayName: f.DisplayName}.Check()); ok {
		for _, field := range problem.Fields {
			add(field.Path, field.Message)
		}
	}
	if n := utf8.RuneCountInString(f.Password); n < identity.MinPassword || n > identity.MaxPassword {
		add("password", fmt.Sprintf("Give a password of %d to %d characters.", identity.MinPassword, identity.MaxPassword))
	}
	if len(wrong.Fields) > 0 {
		return "", wrong
	}
	return slug, nil
}

// throttle refuses who has signed up too often. q may be a transaction that holds the lock of sign-ups: then the answer is exact.
func (s *Service) throttle(ctx context.Context, q querier, from []byte) error {
	var mine, all int
	var mineAt, allAt *time.Time
	const sql = `select count(*), min(created_at), (select count(*) from rowhouse.signups where created_at > now() - interval '1 hour'),
			(select min(created_at) from rowhouse.signups where created_at > now() - interval '1 hour')
		from rowhouse.signups where address_hash = $1 and created_at > now() - interval '1 hour'`
	if err := q.QueryRow(ctx, sql, from).Scan(&mine, &mineAt, &all, &allAt); err != nil {
		return fmt.Errorf("signup: count sign-ups: %w", err)
	}
	switch {
	case mine >= s.cfg.PerAddress:
		return tooMany("There were too many sign-ups from where you are. Try again later.", mineAt)
	case all >= s.cfg.PerHour:
		return tooMany("There are too many sign-ups right now. Try again later.", allAt)
	}
	return nil
}

// tooMany is the refusal of who may come again when the oldest sign-up that counts is an hour old.
func tooMany(message string, oldest *time.Time) error {
	err := &apperr.Error{Code: apperr.RateLimited, Message: message, RetryAfter: time.Hour}
	if oldest != nil {
		err.RetryAfter = min(time.Hour, max(time.Minute, time.Until(oldest.Add(time.Hour))))
	}
	return err
}

func asError(err error) (*apperr.Error, bool) { return errors.AsType[*apperr.Error](err) }

func isUnique(err error, constraint string) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == "23505" && pgErr.ConstraintName == constraint
}
