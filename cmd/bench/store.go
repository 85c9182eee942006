package main

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// task is a row of tasks, with all of its columns.
type task struct {
	ID          uuid.UUID   `json:"id"`
	ProjectID   uuid.UUID   `json:"project_id"`
	Title       string      `json:"title"`
	Description string      `json:"description"`
	Status      string      `json:"status"`
	Priority    int16       `json:"priority"`
	AssigneeID  *uuid.UUID  `json:"assignee_id"`
	CreatedBy   *uuid.UUID  `json:"created_by"`
	DueOn       pgtype.Date `json:"due_on"`
	Position    float64     `json:"position"`
	CreatedAt   time.Time   `json:"created_at"`
	UpdatedAt   time.Time   `json:"updated_at"`
	CompletedAt *time.Time  `json:"completed_at"`
}

const (
	taskColumns = "id, project_id, title, description, status, priority, assignee_id, created_by, due_on, position, " +
		"created_at, updated_at, completed_at"
	sqlGet    = "SELECT " + taskColumns + " FROM tasks WHERE id = $1"
	sqlList   = "SELECT " + taskColumns + " FROM tasks WHERE project_id = $1 ORDER BY id DESC LIMIT $2"
	sqlInsert = "INSERT INTO tasks (id, project_id, title, position) VALUES ($1, $2, $3, $4)"
)

func (t task) insertArgs() []any { return []any{t.ID, t.ProjectID, t.Title, t.Position} }

func scanTask(row pgx.CollectableRow) (task, error) {
	var t task
	err := row.Scan(&t.ID, &t.ProjectID, &t.Title, &t.Description, &t.Status, &t.Priority, &t.AssigneeID, &t.CreatedBy, &t.DueOn,
		&t.Position, &t.CreatedAt, &t.UpdatedAt, &t.CompletedAt)
	return t, err
}

// store is one variant's way to the database. Everything above it is the same for all.
type store interface {
	// get gives the task with the id.
	get(ctx context.Context, t tenantschema.Tenant, id uuid.UUID) (task, error)
	// list gives the newest tasks of a project.
	list(ctx context.Context, t tenantschema.Tenant, project uuid.UUID) ([]task, error)
	// insert adds a task and its job, in one transaction.
	insert(ctx context.Context, t tenantschema.Tenant, row task) error
}

// querier is what the stores read through.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func queryTask(ctx context.Context, q querier, id uuid.UUID) (task, error) {
	rows, err := q.Query(ctx, sqlGet, id)
	if err != nil {
		return task{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanTask)
}

func queryTasks(ctx context.Context, q querier, project uuid.UUID) ([]task, error) {
	rows, err := q.Query(ctx, sqlList, project, listLength)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanTask)
}

// taskCreated is the job of an insert. Nothing works it.
type taskCreated struct {
	TaskID    uuid.UUID `json:"task_id"`
	ProjectID uuid.UUID `json:"project_id"`
}

// Kind names the worker that there is none of.
func (taskCreated) Kind() string { return "bench.task_created" }

func created(row task) taskCreated { return taskCreated{TaskID: row.ID, ProjectID: row.ProjectID} }
