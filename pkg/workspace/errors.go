package workspace

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

// SQLSTATEs that a caller's input can cause.
const (
	foreignKeyViolation = "23503"
	checkViolation      = "23514"
	uniqueViolation     = "23505"
)

// fieldOf names the field of the input that a constraint of the schema guards, and what would be right. Inputs are checked before they
// are sent: a foreign key is the only one of these that a caller meets as a rule, the checks are met if code and schema disagree
// for the length of a rolling update.
func fieldOf(sqlState, constraint string) (apperr.Field, bool) {
	switch sqlState + " " + constraint {
	case foreignKeyViolation + " tasks_project_id_fkey":
		return apperr.Field{Path: "project_id", Message: "There is no such project."}, true
	case foreignKeyViolation + " tasks_assignee_id_fkey":
		return apperr.Field{Path: "assignee_id", Message: "There is no such user."}, true
	case foreignKeyViolation + " task_labels_label_id_fkey":
		return apperr.Field{Path: "label_ids", Message: "One of them is no label."}, true
	case uniqueViolation + " labels_name_key":
		return apperr.Field{Path: "name", Message: "Another label has this name."}, true
	case checkViolation + " comments_body_check":
		return apperr.Field{Path: "body", Message: "This text is not accepted: give a shorter one."}, true
	case checkViolation + " projects_name_check", checkViolation + " labels_name_check":
		return apperr.Field{Path: "name", Message: "This name is not accepted: give a shorter one."}, true
	case checkViolation + " projects_description_check", checkViolation + " tasks_description_check":
		return apperr.Field{Path: "description", Message: "This description is not accepted: give a shorter one."}, true
	case checkViolation + " tasks_title_check":
		return apperr.Field{Path: "title", Message: "This title is not accepted: give a shorter one."}, true
	case checkViolation + " tasks_status_check":
		return apperr.Field{Path: "status", Message: "This status is not accepted."}, true
	case checkViolation + " tasks_priority_check":
		return apperr.Field{Path: "priority", Message: "This priority is not accepted."}, true
	case checkViolation + " tasks_due_on_check":
		return apperr.Field{Path: "due_on", Message: "This date is not accepted."}, true
	}
	return apperr.Field{}, false
}

// ErrChanged is what a change was for that only wanted to be made to a thing as it was at a time, and came too late.
var ErrChanged = errors.New("it has been changed since")

// unchanged refuses to go on if a thing that was changed last at updated is not the one that the caller knows.
func unchanged(since *time.Time, updated time.Time) error {
	if since == nil || since.Equal(updated) {
		return nil
	}
	return apperr.Wrap(ErrChanged, apperr.Conflict, "It has been changed by somebody else since you read it. Read it again, and decide anew.")
}

// failed wraps an error with the operation's name, and translates those of the database that are the caller's to mend. An error that is
// meant for the caller already stays as it is.
func failed(operation string, err error) error {
	if _, ok := errors.AsType[*apperr.Error](err); ok {
		return err
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		if field, ok := fieldOf(pgErr.Code, pgErr.ConstraintName); ok {
			return apperr.Wrap(err, apperr.Invalid, "The input is not accepted.").WithField(field.Path, field.Message)
		}
	}
	return fmt.Errorf("workspace: %s: %w", operation, err)
}

// failedOn is failed for an operation on the one thing with that id, where no row means that there is none.
func failedOn(operation, thing string, id uuid.UUID, err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return apperr.New(apperr.NotFound, "There is no %s %s.", thing, id)
	}
	return failed(operation, err)
}
