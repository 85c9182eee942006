package workspace

import (
	"bytes"
	"context"
	"slices"
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
	// LabelIDs are at most 20.
	LabelIDs []uuid.UUID
}

// TaskPatch changes the fields that are there.
type TaskPatch struct {
	Title       *string
	Description *string
	Status      *Status
	Priority    *int
	AssigneeID  Optional[uuid.UUID]
	DueOn       Optional[Date]
	// LabelIDs are all labels that it is to have.
	LabelIDs *[]uuid.UUID
	// Before or After, if not nil, is a task of the same project beside which it is moved.
	Before, After *uuid.UUID
	// UnchangedSince, if not nil, makes it a patch of the task that was changed last at that time, and of no later one: [ErrChanged].
	UnchangedSince *time.Time
}

// CreateTask makes a task, and the job that tells the feed of it: both or neither. The error is apperr.Invalid if in is wrong, which a
// project, assignee or label that does not exist is too.
func (s *Service) CreateTask(ctx context.Context, scope tenantschema.Scope, in NewTask) (Task, error) {
	task, err := s.newTask(in)
	if err != nil {
		return Task{}, failed("create task", err)
	}
	err = scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		task, err = s.addTask(ctx, tx, task)
		return err
	})
	if err != nil {
		return Task{}, failed("create task", err)
	}
	return task, nil
}

// newTask gives the task that in is, before it is anywhere.
func (s *Service) newTask(in NewTask) (Task, error) {
	if in.Status == "" {
		in.Status = StatusTodo
	}
	task := Task{
		ProjectID: in.ProjectID, Title: in.Title, Description: in.Description, Status: in.Status, Priority: in.Priority,
		AssigneeID: in.AssigneeID, DueOn: in.DueOn, LabelIDs: in.LabelIDs, CreatedAt: s.now(),
	}
	if err := task.valid("The task cannot be made as asked."); err != nil {
		return Task{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Task{}, err
	}
	task.ID, task.UpdatedAt = id, task.CreatedAt
	task.CompletedAt = completion(Task{}, task.Status, task.CreatedAt)
	return task, nil
}

func (s *Service) addTask(ctx context.Context, tx *tenantschema.Tx, task Task) (Task, error) {
	labels := task.LabelIDs
	task, err := insertTask(ctx, tx, task, s.actor)
	if err != nil {
		return Task{}, err
	}
	if task.LabelIDs = labels; len(labels) > 0 {
		if err = setLabels(ctx, tx, task.ID, labels, task.CreatedAt); err != nil {
			return Task{}, err
		}
	}
	return task, s.tell(ctx, tx, ActivityRecorded{Event: EventTaskCreated, At: task.CreatedAt}, task)
}

// PatchTask changes a task and gives it as it is now; if its status has changed, the feed is told in the same transaction. A patch of
// nothing changes nothing. The error is apperr.NotFound if there is none with that id, apperr.Invalid if the patch is wrong.
func (s *Service) PatchTask(ctx context.Context, scope tenantschema.Scope, id uuid.UUID, patch TaskPatch) (Task, error) {
	if patch == (TaskPatch{}) {
		return s.GetTask(ctx, scope, id)
	}
	var task Task
	err := scope.InTx(ctx, func(tx *tenantschema.Tx) (err error) {
		task, err = s.changeTask(ctx, tx, id, patch)
		return err
	})
	if err != nil {
		return Task{}, failedOn("patch task", "task", id, err)
	}
	return task, nil
}

func (s *Service) changeTask(ctx context.Context, tx *tenantschema.Tx, id uuid.UUID, patch TaskPatch) (Task, error) {
	now := s.now()
	before, err := lockTask(ctx, tx, id)
	if err != nil {
		return Task{}, err
	}
	if err = unchanged(patch.UnchangedSince, before.UpdatedAt); err != nil {
		return Task{}, err
	}
	task, err := patch.apply(before, now)
	if err != nil {
		return Task{}, err
	}
	if task.Position, err = place(ctx, tx, task, patch.Before, patch.After); err != nil {
		return Task{}, err
	}
	if patch.LabelIDs != nil {
		if err = setLabels(ctx, tx, id, task.LabelIDs, now); err != nil {
			return Task{}, err
		}
	}
	if task, err = updateTask(ctx, tx, task); err != nil || task.Status == before.Status {
		return task, err
	}
	return task, s.tell(ctx, tx, ActivityRecorded{Event: EventTaskStatusChanged, From: before.Status, To: task.Status, At: now}, task)
}

// DeleteTask deletes a task for ever, with its comments and files, and tells the feed in the same transaction. The error is
// apperr.NotFound if there is none with that id.
func (s *Service) DeleteTask(ctx context.Context, scope tenantschema.Scope, id uuid.UUID) error {
	return s.DeleteTaskUnchanged(ctx, scope, id, nil)
}

// DeleteTaskUnchanged is [Service.DeleteTask] of a task that was changed last at that time, and of no later one: [ErrChanged]. nil is any time.
func (s *Service) DeleteTaskUnchanged(ctx context.Context, scope tenantschema.Scope, id uuid.UUID, since *time.Time) error {
	err := scope.InTx(ctx, func(tx *tenantschema.Tx) error { return s.dropTask(ctx, tx, id, since) })
	if err != nil {
		return failedOn("delete task", "task", id, err)
	}
	return nil
}

func (s *Service) dropTask(ctx context.Context, tx *tenantschema.Tx, id uuid.UUID, since *time.Time) error {
	change, err := uuid.NewV7()
	if err != nil {
		return err
	}
	const sql = `DELETE FROM tasks WHERE id = $1 RETURNING ` + taskColumns
	task, err := queryTask(ctx, tx, noted(sql, "$2", taskNote, taskNames), id, change)
	if err != nil {
		return err
	}
	if err = unchanged(since, task.UpdatedAt); err != nil {
		return err
	}
	return s.tell(ctx, tx, ActivityRecorded{Event: EventTaskDeleted, At: s.now()}, task)
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
	if p.LabelIDs != nil {
		task.LabelIDs = *p.LabelIDs
	}
	task.UpdatedAt = now
	err := task.valid("The task cannot be changed as asked.") // Before task is given back, because it trims the texts.
	return task, err
}

// valid trims the texts of t and checks what a caller may choose.
func (t *Task) valid(message string) error {
	var check checker
	t.Title = check.line("title", t.Title, maxTitle)
	t.Description = check.text("description", t.Description)
	if !t.Status.known() {
		check.add("status", "Give one of: %s.", statusNames)
	}
	if t.Priority < PriorityNone || t.Priority > PriorityUrgent {
		check.add("priority", "Give a number from %d (none) to %d (urgent).", PriorityNone, PriorityUrgent)
	}
	check.date("due_on", t.DueOn)
	t.LabelIDs = slices.Compact(slices.SortedFunc(slices.Values(t.LabelIDs), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }))
	if t.LabelIDs == nil {
		t.LabelIDs = []uuid.UUID{}
	}
	if len(t.LabelIDs) > maxTaskLabels {
		check.add("label_ids", "Give at most %d labels.", maxTaskLabels)
	}
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

// insertTask puts the task last on its board: the milliseconds of its making grow. Of those made in the same one, the order of their ids decides.
func insertTask(ctx context.Context, db tenantschema.DBTX, t Task, by Actor) (Task, error) {
	const sql = `INSERT INTO tasks (id, project_id, title, description, status, priority, assignee_id, due_on,
    created_at, updated_at, completed_at, position, created_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::bigint, $13) RETURNING ` + taskColumns
	return queryTask(ctx, db, noted(sql, "$1", taskNote, taskNames), t.ID, t.ProjectID, t.Title, t.Description, string(t.Status), t.Priority,
		t.AssigneeID, t.DueOn, t.CreatedAt, t.UpdatedAt, t.CompletedAt, t.CreatedAt.UnixMilli(), by.user())
}

// lockTask gives the task and keeps others from changing it until the transaction ends.
func lockTask(ctx context.Context, tx *tenantschema.Tx, id uuid.UUID) (Task, error) {
	const sql = `SELECT ` + taskColumns + ` FROM tasks WHERE id = $1 FOR NO KEY UPDATE`
	return queryTask(ctx, tx, sql, id)
}

func updateTask(ctx context.Context, db tenantschema.DBTX, t Task) (Task, error) {
	const sql = `UPDATE tasks SET title = $2, description = $3, status = $4, priority = $5, assignee_id = $6, due_on = $7,
    updated_at = $8, completed_at = $9, position = $10::text::numeric
WHERE id = $1 RETURNING ` + taskColumns
	change, err := uuid.NewV7()
	if err != nil {
		return Task{}, err
	}
	return queryTask(ctx, db, noted(sql, "$11", taskNote, taskNames), t.ID, t.Title, t.Description, string(t.Status), t.Priority, t.AssigneeID,
		t.DueOn, t.UpdatedAt, t.CompletedAt, t.Position, change)
}
