package workspace

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Status is how far a task is. A task may go from any status to any other.
type Status string

// The statuses.
const (
	StatusTodo      Status = "todo"
	StatusDoing     Status = "doing"
	StatusDone      Status = "done"
	StatusCancelled Status = "cancelled"
)

const statusNames = "todo, doing, done, cancelled"

func (s Status) known() bool {
	switch s {
	case StatusTodo, StatusDoing, StatusDone, StatusCancelled:
		return true
	}
	return false
}

// Priorities go from none to urgent.
const (
	PriorityNone   = 0
	PriorityLow    = 1
	PriorityMedium = 2
	PriorityHigh   = 3
	PriorityUrgent = 4
)

// Task is a piece of work in a project.
type Task struct {
	ID          uuid.UUID  `json:"id"`
	ProjectID   uuid.UUID  `json:"project_id"`
	Title       string     `json:"title"`
	Description string     `json:"description"`
	Status      Status     `json:"status"`
	Priority    int        `json:"priority"`
	AssigneeID  *uuid.UUID `json:"assignee_id"`
	DueOn       *Date      `json:"due_on"`
	// LabelIDs are its labels, in the order of their ids.
	LabelIDs []uuid.UUID `json:"label_ids"`
	// Position is where it stands among the tasks of its project: a decimal number, as text since it may have many digits.
	Position  string    `json:"position"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	// CompletedAt is when it became done; nil in every other status.
	CompletedAt *time.Time `json:"completed_at"`
}

// GetTask gives a task. The error is apperr.NotFound if there is none with that id.
func (s *Service) GetTask(ctx context.Context, scope tenantschema.Scope, id uuid.UUID) (Task, error) {
	const sql = `SELECT ` + taskColumns + ` FROM tasks WHERE id = $1`
	task, err := queryTask(ctx, scope, sql, id)
	if err != nil {
		return Task{}, failedOn("get task", "task", id, err)
	}
	return task, nil
}

const taskColumns = `id, project_id, title, description, status, priority, assignee_id, due_on,
    ARRAY(SELECT l.label_id FROM task_labels AS l WHERE l.task_id = tasks.id ORDER BY l.label_id), trim_scale(position)::text,
    created_at, updated_at, completed_at`

// taskNames are those of taskColumns, for where they stand apart from the table.
const taskNames = `id, project_id, title, description, status, priority, assignee_id, due_on, label_ids, position,
    created_at, updated_at, completed_at`

func scanTask(row pgx.CollectableRow) (Task, error) {
	var t Task
	err := row.Scan(&t.ID, &t.ProjectID, &t.Title, &t.Description, &t.Status, &t.Priority, &t.AssigneeID, &t.DueOn,
		&t.LabelIDs, &t.Position, &t.CreatedAt, &t.UpdatedAt, &t.CompletedAt)
	t.CreatedAt, t.UpdatedAt, t.CompletedAt = t.CreatedAt.UTC(), t.UpdatedAt.UTC(), inUTC(t.CompletedAt)
	return t, err
}

func queryTask(ctx context.Context, db tenantschema.DBTX, sql string, args ...any) (Task, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return Task{}, err
	}
	return pgx.CollectOneRow(rows, scanTask)
}
