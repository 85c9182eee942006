package workspace

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// changesKept is how long a change is remembered at least.
const changesKept = time.Hour

// Change is a project or task that looks different since, or is gone.
type Change struct {
	// ID is a UUIDv7 of when.
	ID uuid.UUID
	// ProjectID is the project that changed, or that of the task. TaskID is nil if it was the project itself, or many of its tasks.
	ProjectID, TaskID *uuid.UUID
}

// ListChanges gives the changes whose ids are greater than after, at most limit of them, the latest first. It knows the last hour.
func (s *Service) ListChanges(ctx context.Context, scope tenantschema.Scope, after uuid.UUID, limit int) ([]Change, error) {
	const sql = `SELECT id, project_id, task_id FROM changes WHERE id > $1 ORDER BY id DESC LIMIT $2`
	rows, err := scope.Query(ctx, sql, after, limit)
	if err != nil {
		return nil, failed("list changes", err)
	}
	changes, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Change])
	if err != nil {
		return nil, failed("list changes", err)
	}
	return changes, nil
}

// What noted needs to know of tasks and projects.
const (
	taskNote    = "project_id, id"
	projectNote = "id, NULL::uuid"
	labelNote   = "NULL::uuid, NULL::uuid"
)

// noted makes a statement of one that changes rows and returns their columns: it notes each as a change, whose id is the parameter id, and gives
// the same columns, which get those names. of names those that hold the project and the task.
func noted(statement, id, of, columns string) string {
	return `WITH changed (` + columns + `) AS (` + statement + `),
noted AS (
INSERT INTO changes (id, project_id, task_id) SELECT ` + id + `::uuid, ` + of + ` FROM changed) SELECT ` + columns + ` FROM changed`
}

// note notes a change as part of a transaction. The zero UUID stands for none.
func note(ctx context.Context, tx *tenantschema.Tx, project, task uuid.UUID) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	const sql = `INSERT INTO changes (id, project_id, task_id) VALUES ($1, nullif($2, $4::uuid), nullif($3, $4::uuid))`
	_, err = tx.Exec(ctx, sql, id, project, task, uuid.Nil)
	return err
}

// sweepChanges removes what nobody asks for any more.
func (s *Service) sweepChanges(ctx context.Context, scope tenantschema.Scope) error {
	const sql = `DELETE FROM changes WHERE id < $1`
	_, err := scope.Exec(ctx, sql, v7At(s.now().Add(-changesKept)))
	return err
}

// v7At gives the least UUIDv7 of that time (RFC 9562).
func v7At(at time.Time) uuid.UUID {
	var id uuid.UUID
	for i, ms := 5, at.UnixMilli(); i >= 0; i, ms = i-1, ms>>8 {
		id[i] = byte(ms)
	}
	id[6], id[8] = 0x70, 0x80
	return id
}
