package identity

import (
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

const uniqueViolation = "23505"

// taken reports whether err says that the unique constraint of that name was broken.
func taken(err error, constraint string) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == uniqueViolation && pgErr.ConstraintName == constraint
}

// failed wraps an error with the operation's name. An error that is meant for the caller already stays as it is.
func failed(operation string, err error) error {
	if _, ok := errors.AsType[*apperr.Error](err); ok {
		return err
	}
	if taken(err, "users_email_key") {
		return apperr.Wrap(err, apperr.Conflict, "There is somebody with this e-mail address already.").
			WithField("email", "Somebody here has this address already.")
	}
	return fmt.Errorf("identity: %s: %w", operation, err)
}

// failedOn is failed for an operation on the one thing with that id, where no row means that there is none.
func failedOn(operation, thing string, id uuid.UUID, err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return apperr.New(apperr.NotFound, "There is no %s %s here.", thing, id)
	}
	return failed(operation, err)
}

func isNoRows(err error) bool { return errors.Is(err, pgx.ErrNoRows) }
