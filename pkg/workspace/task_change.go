package workspace

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// NewTask is what a task is made from.
type NewTask struct {
	ProjectID uuid.UUID
	// Title has 1 to 200 characters.
	Title string
	// Description has at most 10,000 characters.
	Description string
	// Status is [StatusTodo] if empty.
	Status Status
	// Priority goes from [PriorityNone] to [PriorityUrgent].
	Priority   int
	AssigneeID *uuid.UUID
	DueOn      *Date
}

// TaskPatch changes the fields that are there.
type TaskPatch struct {
	Title       *string
	Description *string
	Status      *Status
	Priority    *int
	AssigneeID  Optional[uuid.UUID]
	DueOn       Optional[Date]
}

// CreateTask makes a task, and the job that tells the feed of it: both or neither. The error is apperr.Invalid if in is wrong, which a
// project or assignee that does not exist is too.
func (s *Service) CreateTask(ctx context.Context, scope tenantschema.Scope, in NewTask) (Task, error) {
	if in.Status == "" {
		in.Status = StatusTodo
	}
	task := Task{
		ProjectID: in.ProjectID, Title: in.Title, Description: in.Description, Status: in.Status, Priority: in.Priority,
		AssigneeID: in.AssigneeID, DueOn: in.DueOn, CreatedAt: s.now(),
	}
	if err := task.valid("The task cannot be made as asked."); err != nil {
		return Task{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Task{}, failed("create task", err)
	}
	task.ID, task.UpdatedAt = id, task.CreatedAt
	task.CompletedAt = completion(Task{}, task.Status, task.CreatedAt)
	err = scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		if task, err = insertTask(ctx, tx, task); err != nil {
			return err
		}
		return s.tell(ctx, tx, ActivityRecorded{Event: EventTaskCreated, At: task.CreatedAt}, task)
	})
	if err != nil {
		return Task{}, failed("create task", err)
	}
	return task, nil
}

// PatchTask changes a task and gives it as it is now; if its status has changed, the feed is told in the same transaction. A patch of
// nothing changes nothing. The error is apperr.NotFound if there is none with that id, apperr.Invalid if the patch is wrong.
func (s *Service) PatchTask(ctx context.Context, scope tenantschema.Scope, id uuid.UUID, patch TaskPatch) (Task, error) {
	if patch == (TaskPatch{}) {
		return s.GetTask(ctx, scope, id)
	}
	now := s.now()
	var task Task
	err := scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		before, err := lockTask(ctx, tx, id)
		if err != nil {
			return err
		}
		if task, err = patch.apply(before, now); err != nil {
			return err
		}
		if task, err = updateTask(ctx, tx, task); err != nil || task.Status == before.Status {
			return err
		}
		return s.tell(ctx, tx, ActivityRecorded{Event: EventTaskStatusChanged, From: before.Status, To: task.Status, At: now}, task)
	})
	if err != nil {
		return Task{}, failedOn("patch task", "task", id, err)
	}
	return task, nil
}

// DeleteTask deletes a task for ever, with its comments and files, and tells the feed in the same transaction. The error is
// apperr.NotFound if there is none with that id.
func (s *Service) DeleteTask(ctx context.Context, scope tenantschema.Scope, id uuid.UUID) error {
	err := scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		change, err := uuid.NewV7()
		if err != nil {
			return err
		}
		const sql = `DELETE FROM tasks WHERE id = $1 RETURNING ` + taskColumns
		task, err := queryTask(ctx, tx, noted(sql, "$2", taskNote, taskColumns), id, change)
		if err != nil {
			return err
		}
		return s.tell(ctx, tx, ActivityRecorded{Event: EventTaskDeleted, At: s.now()}, task)
	})
	if err != nil {
		return failedOn("delete task", "task", id, err)
	}
	return nil
}

// apply gives the task as the patch makes it.
func (p TaskPatch) apply(task Task, now time.Time) (Task, error) {
	if p.Status != nil {
		task.CompletedAt = completion(task, *p.Status, now)
		task.Status = *p.Status
	}
	if p.Title != nil {
		task.Title = *p.Title
	}
	if p.Description != nil {
		task.Description = *p.Description
	}
	if p.Priority != nil {
		task.Priority = *p.Priority
	}
	task.AssigneeID = p.AssigneeID.apply(task.AssigneeID)
	task.DueOn = p.DueOn.apply(task.DueOn)
	task.UpdatedAt = now
	err := task.valid("The task cannot be changed as asked.") // Before task is given back, because it trims the texts.
	return task, err
}

// valid trims the texts of t and checks what a caller may choose.
func (t *Task) valid(message string) error {
	var check checker
	t.Title = check.line("title", t.Title, maxTitle)
	t.Description = check.text("description", t.Description, maxDescription)
	if !t.Status.known() {
		check.add("status", "Give one of: %s.", statusNames)
	}
	if t.Priority < PriorityNone || t.Priority > PriorityUrgent {
		check.add("priority", "Give a number from %d (none) to %d (urgent).", PriorityNone, PriorityUrgent)
	}
	check.date("due_on", t.DueOn)
	return check.err(message)
}

// completion gives when a task that goes to status was completed: who is done stays done at the time it was.
func completion(before Task, status Status, now time.Time) *time.Time {
	switch {
	case status != StatusDone:
		return nil
	case before.CompletedAt != nil:
		return before.CompletedAt
	default:
		return &now
	}
}

// insertTask puts the task last on its board: the milliseconds of its making grow.
func insertTask(ctx context.Context, db tenantschema.DBTX, t Task) (Task, error) {
	const sql = `INSERT INTO tasks (id, project_id, title, description, status, priority, assignee_id, due_on,
    created_at, updated_at, completed_at, position)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::bigint) RETURNING ` + taskColumns
	return queryTask(ctx, db, noted(sql, "$1", taskNote, taskColumns), t.ID, t.ProjectID, t.Title, t.Description, string(t.Status), t.Priority,
		t.AssigneeID, t.DueOn, t.CreatedAt, t.UpdatedAt, t.CompletedAt, t.CreatedAt.UnixMilli())
}

// lockTask gives the task and keeps others from changing it until the transaction ends.
func lockTask(ctx context.Context, tx *tenantschema.Tx, id uuid.UUID) (Task, error) {
	const sql = `SELECT ` + taskColumns + ` FROM tasks WHERE id = $1 FOR NO KEY UPDATE`
	return queryTask(ctx, tx, sql, id)
}

func updateTask(ctx context.Context, db tenantschema.DBTX, t Task) (Task, error) {
	const sql = `UPDATE tasks SET title = $2, description = $3, status = $4, priority = $5, assignee_id = $6, due_on = $7,
    updated_at = $8, completed_at = $9
WHERE id = $1 RETURNING ` + taskColumns
	change, err := uuid.NewV7()
	if err != nil {
		return Task{}, err
	}
	return queryTask(ctx, db, noted(sql, "$10", taskNote, taskColumns), t.ID, t.Title, t.Description, string(t.Status), t.Priority, t.AssigneeID,
		t.DueOn, t.UpdatedAt, t.CompletedAt, change)
}
