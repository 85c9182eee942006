package workspace

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

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
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
	// CompletedAt is when it became done; nil in every other status.
	CompletedAt *time.Time `json:"completed_at"`
}

// TaskFilter chooses tasks: those that fit all of its fields. The zero filter chooses all.
type TaskFilter struct {
	ProjectID *uuid.UUID
	// Statuses chooses those in one of them.
	Statuses   []Status
	AssigneeID *uuid.UUID
	// Query chooses those with this text in their title, in any case of letters.
	Query string
	// DueAfter and DueBefore choose those due later than the one day and earlier than the other. Either leaves out those without a date.
	DueAfter  *Date
	DueBefore *Date
}

// valid gives the filter in canonical form.
func (f TaskFilter) valid() (TaskFilter, error) {
	var check checker
	f.Query = check.search("q", f.Query)
	f.Statuses = slices.Compact(slices.Sorted(slices.Values(f.Statuses)))
	for _, status := range f.Statuses {
		if !status.known() {
			check.add("status", "Give one or more of: %s.", statusNames)
			break
		}
	}
	check.date("due_after", f.DueAfter)
	check.date("due_before", f.DueBefore)
	return f, check.err("The tasks cannot be listed by this.")
}

// sql gives the statement of the list. The filters that an index serves are added when they are there, so that the planner sees
// them: eight statements in all. The others cost a look at each row anyway and stand in every statement.
func (f TaskFilter) sql(w window) (string, []any) {
	sql := `SELECT ` + taskColumns + ` FROM tasks
WHERE id < $1
  AND ($3::text[] IS NULL OR status = ANY($3))
  AND ($4::text IS NULL OR title ILIKE $4)`
	var statuses []string // nil is NULL
	for _, status := range f.Statuses {
		statuses = append(statuses, string(status))
	}
	args := []any{w.before, w.fetch(), statuses, pattern(f.Query)}
	next := func(arg any) string {
		args = append(args, arg)
		return "$" + strconv.Itoa(len(args))
	}
	if f.ProjectID != nil {
		sql += ` AND project_id = ` + next(*f.ProjectID)
	}
	if f.AssigneeID != nil {
		sql += ` AND assignee_id = ` + next(*f.AssigneeID)
	}
	if f.DueAfter != nil || f.DueBefore != nil {
		sql += ` AND due_on > ` + next(dateOr(f.DueAfter, pgtype.NegativeInfinity))
		sql += ` AND due_on < ` + next(dateOr(f.DueBefore, pgtype.Infinity))
	}
	return sql + ` ORDER BY id DESC LIMIT $2`, args
}

// ListTasks gives a page of the tasks, newest first. The error is apperr.Invalid for a filter, limit or cursor that is wrong.
// An unknown project or assignee has no tasks: the page is empty.
func (s *Service) ListTasks(ctx context.Context, scope tenantschema.Scope, f TaskFilter, p PageRequest) (Page[Task], error) {
	f, err := f.valid()
	if err != nil {
		return Page[Task]{}, err
	}
	w, err := p.window("tasks", f)
	if err != nil {
		return Page[Task]{}, err
	}
	sql, args := f.sql(w)
	rows, err := scope.Query(ctx, sql, args...)
	if err != nil {
		return Page[Task]{}, failed("list tasks", err)
	}
	tasks, err := pgx.CollectRows(rows, scanTask)
	if err != nil {
		return Page[Task]{}, failed("list tasks", err)
	}
	return pageOf(w, tasks, func(t Task) uuid.UUID { return t.ID }), nil
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

const taskColumns = `id, project_id, title, description, status, priority, assignee_id, due_on, created_at, updated_at, completed_at`

func scanTask(row pgx.CollectableRow) (Task, error) {
	var t Task
	err := row.Scan(&t.ID, &t.ProjectID, &t.Title, &t.Description, &t.Status, &t.Priority, &t.AssigneeID, &t.DueOn,
		&t.CreatedAt, &t.UpdatedAt, &t.CompletedAt)
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
