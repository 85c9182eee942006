package workspace

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// maxDigits is how many digits after the point a position may have before the tasks of the project are spread out anew. Each move to the same
// gap takes one more.
const maxDigits = 60

// place gives the position directly before or after another task of the same project. It may move all tasks of the project, in the same order.
func place(ctx context.Context, tx *tenantschema.Tx, task Task, before, after *uuid.UUID) (string, error) {
	switch {
	case before != nil && after != nil:
		return "", apperr.New(apperr.Invalid, "The task cannot be moved as asked.").WithField("after", "Give before or after, not both.")
	case before != nil:
		return placeBeside(ctx, tx, task, "before", *before)
	case after != nil:
		return placeBeside(ctx, tx, task, "after", *after)
	}
	return task.Position, nil
}

func placeBeside(ctx context.Context, tx *tenantschema.Tx, task Task, side string, other uuid.UUID) (string, error) {
	for range 2 {
		position, room, err := findGap(ctx, tx, task, side == "after", other)
		if errors.Is(err, pgx.ErrNoRows) || other == task.ID {
			return "", apperr.New(apperr.Invalid, "The task cannot be moved as asked.").
				WithField(side, "Give another task of the same project.")
		}
		if err != nil || room {
			return position, err
		}
		if err = spread(ctx, tx, task.ProjectID); err != nil {
			return "", err
		}
	}
	return "", errors.New("workspace: there is no room between two tasks that were spread out")
}

// findGap gives the mean of the position of other and of its neighbour on that side, and whether it lies between them and is short enough.
// The moved task itself is no neighbour. Halving by multiplication is exact; a division would round.
func findGap(ctx context.Context, tx *tenantschema.Tx, task Task, after bool, other uuid.UUID) (position string, room bool, err error) {
	sql := `SELECT trim_scale(p.mean)::text, (n.position IS NULL OR n.position <> o.position) AND scale(trim_scale(p.mean)) <= $4
FROM tasks AS o
LEFT JOIN LATERAL (
    SELECT t.position FROM tasks AS t
    WHERE t.project_id = $1 AND t.id <> $2 AND (t.position, t.id) > (o.position, o.id) ORDER BY t.position, t.id LIMIT 1
) AS n ON true
CROSS JOIN LATERAL (SELECT coalesce((o.position + n.position) * 0.5, o.position + 1) AS mean) AS p
WHERE o.id = $3 AND o.project_id = $1`
	if !after {
		sql = `SELECT trim_scale(p.mean)::text, (n.position IS NULL OR n.position <> o.position) AND scale(trim_scale(p.mean)) <= $4
FROM tasks AS o
LEFT JOIN LATERAL (
    SELECT t.position FROM tasks AS t
    WHERE t.project_id = $1 AND t.id <> $2 AND (t.position, t.id) < (o.position, o.id) ORDER BY t.position DESC, t.id DESC LIMIT 1
) AS n ON true
CROSS JOIN LATERAL (SELECT coalesce((o.position + n.position) * 0.5, o.position - 1) AS mean) AS p
WHERE o.id = $3 AND o.project_id = $1`
	}
	err = tx.QueryRow(ctx, sql, task.ProjectID, task.ID, other, maxDigits).Scan(&position, &room)
	return position, room, err
}

// spread gives the tasks of a project positions of at most six digits after the point, between those of its first and last, in the same order.
// Who spreads locks the project, so that two do it one after the other.
func spread(ctx context.Context, tx *tenantschema.Tx, projectID uuid.UUID) error {
	if _, err := tx.Exec(ctx, `SELECT FROM projects WHERE id = $1 FOR NO KEY UPDATE`, projectID); err != nil {
		return err
	}
	const sql = `WITH bounds AS (
    SELECT trunc(min(position)) AS low, greatest(trunc((max(position) - min(position)) / count(*), 6), 0.000001) AS step
    FROM tasks WHERE project_id = $1
), ranked AS (
    SELECT id, row_number() OVER (ORDER BY position, id) AS n FROM tasks WHERE project_id = $1
)
UPDATE tasks AS t SET position = b.low + r.n * b.step FROM ranked AS r CROSS JOIN bounds AS b WHERE t.id = r.id`
	_, err := tx.Exec(ctx, sql, projectID)
	return err
}
