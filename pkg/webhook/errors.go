package webhook

import (
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

// failed wraps an error with the operation's name. An error that is meant for the caller already stays as it is.
func failed(operation string, err error) error {
	if _, ok := errors.AsType[*apperr.Error](err); ok {
		return err
	}
	return fmt.Errorf("webhook: %s: %w", operation, err)
}

// failedOn is failed for an operation on the one endpoint with that id, where no row means that there is none.
func failedOn(operation string, id uuid.UUID, err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return apperr.New(apperr.NotFound, "There is no webhook %s.", id)
	}
	return failed(operation, err)
}

// checker collects what is wrong with an input, so that the caller is told everything at once.
type checker struct {
	fields []apperr.Field
}

func (c *checker) add(path, format string, args ...any) {
	c.fields = append(c.fields, apperr.Field{Path: path, Message: fmt.Sprintf(format, args...)})
}

// err is nil if nothing was wrong.
func (c *checker) err(message string) error {
	if len(c.fields) == 0 {
		return nil
	}
	return &apperr.Error{Code: apperr.Invalid, Message: message, Fields: c.fields}
}
