package workspace

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

const maxComment = maxDescription

// Comment is what somebody has to say of a task. It goes with its task, and stays when its author leaves.
type Comment struct {
	ID     uuid.UUID `json:"id"`
	TaskID uuid.UUID `json:"task_id"`
	// AuthorID is the person who wrote it, AuthorKeyID the key of the program that did. Both are nil if nobody is known any more.
	AuthorID    *uuid.UUID `json:"author_id"`
	AuthorKeyID *uuid.UUID `json:"author_key_id"`
	// AuthorName is the person's, as it is now; of who has left, or of a key, as it was.
	AuthorName string    `json:"author_name"`
	Body       string    `json:"body"`
	CreatedAt  time.Time `json:"created_at"`
	// EditedAt is when it was changed last; nil if never.
	EditedAt *time.Time `json:"edited_at"`
}

// ListComments gives a page of what was said of a task, newest first. The error is apperr.NotFound if there is no such task, apperr.Invalid for a
// limit or cursor that is wrong.
func (s *Service) ListComments(ctx context.Context, scope tenantschema.Scope, taskID uuid.UUID, p PageRequest) (Page[Comment], error) {
	w, err := p.window("comments", taskID)
	if err != nil {
		return Page[Comment]{}, err
	}
	const sql = selectComments + ` WHERE c.task_id = $1 AND c.id < $2 ORDER BY c.id DESC LIMIT $3`
	rows, err := scope.Query(ctx, sql, taskID, w.before, w.fetch())
	if err != nil {
		return Page[Comment]{}, failed("list comments", err)
	}
	comments, err := pgx.CollectRows(rows, scanComment)
	if err != nil {
		return Page[Comment]{}, failed("list comments", err)
	}
	if len(comments) == 0 {
		if _, err = s.GetTask(ctx, scope, taskID); err != nil {
			return Page[Comment]{}, err
		}
	}
	return pageOf(w, comments, func(c Comment) uuid.UUID { return c.ID }), nil
}

// GetComment gives a comment. The error is apperr.NotFound if there is none with that id.
func (s *Service) GetComment(ctx context.Context, scope tenantschema.Scope, id uuid.UUID) (Comment, error) {
	comment, err := findComment(ctx, scope, id)
	if err != nil {
		return Comment{}, failedOn("get comment", "comment", id, err)
	}
	return comment, nil
}

// CreateComment says something of a task, by the actor, and tells the feed in the same transaction. The error is apperr.NotFound if there is no
// such task, apperr.Invalid if body has not 1 to 10,000 characters.
func (s *Service) CreateComment(ctx context.Context, scope tenantschema.Scope, taskID uuid.UUID, body string) (Comment, error) {
	body, err := validComment(body)
	if err != nil {
		return Comment{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Comment{}, failed("create comment", err)
	}
	now := s.now()
	var comment Comment
	err = scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		const sql = `INSERT INTO comments (id, task_id, author_id, author_key_id, author_name, body, created_at)
SELECT $1, t.id, $3, $4, $5, $6, $7 FROM tasks AS t WHERE t.id = $2
RETURNING (SELECT t.project_id FROM tasks AS t WHERE t.id = $2)`
		var projectID uuid.UUID
		row := tx.QueryRow(ctx, sql, id, taskID, s.actor.user(), s.actor.key(), s.actor.Name, body, now)
		if err := row.Scan(&projectID); err != nil {
			return err
		}
		if comment, err = findComment(ctx, tx, id); err != nil {
			return err
		}
		if err = note(ctx, tx, uuid.Nil, taskID); err != nil {
			return err
		}
		_, err = s.record(ctx, tx, ActivityRecorded{Event: EventCommentCreated, ProjectID: projectID, TaskID: taskID, CommentID: id, At: now})
		return err
	})
	if err != nil {
		return Comment{}, failedOn("create comment", "task", taskID, err)
	}
	return comment, nil
}

// EditComment changes what a comment says. Only its author may: for others the error is apperr.Forbidden. It is apperr.NotFound if there is none
// with that id, apperr.Invalid if body has not 1 to 10,000 characters.
func (s *Service) EditComment(ctx context.Context, scope tenantschema.Scope, id uuid.UUID, body string) (Comment, error) {
	body, err := validComment(body)
	if err != nil {
		return Comment{}, err
	}
	var comment Comment
	err = scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		before, err := findComment(ctx, tx, id)
		if err != nil {
			return err
		}
		if !s.actor.wrote(before) {
			return apperr.New(apperr.Forbidden, "Only who wrote a comment may change it.")
		}
		tag, err := tx.Exec(ctx, `UPDATE comments SET body = $2, edited_at = $3 WHERE id = $1`, id, body, s.now())
		if err == nil && tag.RowsAffected() == 0 {
			err = pgx.ErrNoRows
		}
		if err != nil {
			return err
		}
		if comment, err = findComment(ctx, tx, id); err != nil {
			return err
		}
		return note(ctx, tx, uuid.Nil, comment.TaskID)
	})
	if err != nil {
		return Comment{}, failedOn("edit comment", "comment", id, err)
	}
	return comment, nil
}

// DeleteComment deletes a comment for ever. Only its author and who moderates may: for others the error is apperr.Forbidden. It is
// apperr.NotFound if there is none with that id.
func (s *Service) DeleteComment(ctx context.Context, scope tenantschema.Scope, id uuid.UUID) error {
	err := scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		comment, err := findComment(ctx, tx, id)
		if err != nil {
			return err
		}
		if !s.actor.wrote(comment) && !s.actor.Moderates {
			return apperr.New(apperr.Forbidden, "Only who wrote a comment may delete it, and owners and admins.")
		}
		tag, err := tx.Exec(ctx, `DELETE FROM comments WHERE id = $1`, id)
		if err == nil && tag.RowsAffected() == 0 {
			err = pgx.ErrNoRows
		}
		if err != nil {
			return err
		}
		return note(ctx, tx, uuid.Nil, comment.TaskID)
	})
	if err != nil {
		return failedOn("delete comment", "comment", id, err)
	}
	return nil
}

// wrote reports whether the comment is the actor's. One whose author has left is nobody's.
func (a Actor) wrote(c Comment) bool {
	return c.AuthorID != nil && *c.AuthorID == a.UserID || c.AuthorKeyID != nil && *c.AuthorKeyID == a.KeyID
}

func validComment(body string) (string, error) {
	var check checker
	if body = check.text("body", body); strings.TrimSpace(body) == "" {
		check.add("body", "Give 1 to %d characters.", maxComment)
	}
	return body, check.err("The comment cannot be written as asked.")
}

const selectComments = `SELECT c.id, c.task_id, c.author_id, c.author_key_id, coalesce(u.display_name, c.author_name), c.body,
    c.created_at, c.edited_at
FROM comments AS c LEFT JOIN users AS u ON u.id = c.author_id`

func scanComment(row pgx.CollectableRow) (Comment, error) {
	var c Comment
	err := row.Scan(&c.ID, &c.TaskID, &c.AuthorID, &c.AuthorKeyID, &c.AuthorName, &c.Body, &c.CreatedAt, &c.EditedAt)
	c.CreatedAt, c.EditedAt = c.CreatedAt.UTC(), inUTC(c.EditedAt)
	return c, err
}

func findComment(ctx context.Context, db tenantschema.DBTX, id uuid.UUID) (Comment, error) {
	rows, err := db.Query(ctx, selectComments+` WHERE c.id = $1`, id)
	if err != nil {
		return Comment{}, err
	}
	return pgx.CollectOneRow(rows, scanComment)
}
