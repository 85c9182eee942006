package workspace

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// What the feed tells of.
const (
	EventTaskCreated       = "task.created"
	EventTaskStatusChanged = "task.status_changed"
	EventTaskDeleted       = "task.deleted"
	EventCommentCreated    = "comment.created"
	// EventImportFinished and EventImportFailed stand for all tasks that the import made.
	EventImportFinished = "import.finished"
	EventImportFailed   = "import.failed"
)

// What an event happened to.
const (
	subjectTask   = "task"
	subjectImport = "import"
)

// EventKinds lists those that are published: the others are for the feed alone.
func EventKinds() []string {
	return []string{EventTaskCreated, EventTaskStatusChanged, EventTaskDeleted}
}

// ActivityRecorded is the job that writes one event into the feed. It waits in the queue's tables, outside the tenant's schema, and so
// holds ids and no text of the tenant's.
type ActivityRecorded struct {
	// EventID is the UUIDv7 of the event: the feed has it once, however often the job runs, and is ordered by it.
	EventID uuid.UUID `json:"event_id"`
	// Event is what happened, such as [EventTaskCreated].
	Event     string    `json:"event"`
	ProjectID uuid.UUID `json:"project_id"`
	// TaskID or ImportID is what it happened to.
	TaskID   uuid.UUID `json:"task_id,omitzero"`
	ImportID uuid.UUID `json:"import_id,omitzero"`
	// CommentID is what was said of the task.
	CommentID uuid.UUID `json:"comment_id,omitzero"`
	// ActorID is the person or key that did it. The name is looked up when it is written down.
	ActorID uuid.UUID `json:"actor_id,omitzero"`
	// From and To are the statuses of an [EventTaskStatusChanged].
	From Status `json:"from,omitempty"`
	To   Status `json:"to,omitempty"`
	// Created and Failed are the rows of an import that became tasks, and those that did not.
	Created int       `json:"created,omitempty"`
	Failed  int       `json:"failed,omitempty"`
	At      time.Time `json:"at"`
}

// Kind names the job.
func (ActivityRecorded) Kind() string { return "workspace.activity" }

// Event is what [Events] are given.
type Event struct {
	// ID is the UUIDv7 by which the feed knows it, too.
	ID   uuid.UUID
	Kind string
	At   time.Time
	// Data is a [TaskEvent], which marshals as JSON for the customer's eyes.
	Data any
}

// TaskEvent is what there is to say of an event of a task.
type TaskEvent struct {
	// Task is as the API shows it, after what happened; of a deleted one it is the last that there was.
	Task Task `json:"task"`
	// From and To are the statuses of an [EventTaskStatusChanged].
	From Status `json:"from,omitempty"`
	To   Status `json:"to,omitempty"`
}

// Activity is an entry of the feed. It stays when what it tells of is deleted.
type Activity struct {
	ID          uuid.UUID    `json:"id"`
	EventID     uuid.UUID    `json:"event_id"`
	Kind        string       `json:"kind"`
	SubjectType string       `json:"subject_type"`
	SubjectID   uuid.UUID    `json:"subject_id"`
	ProjectID   *uuid.UUID   `json:"project_id,omitempty"`
	Data        ActivityData `json:"data"`
	// ActorID is the person or key that did it; nil for what came by itself. ActorName is what they were called then.
	ActorID    *uuid.UUID `json:"actor_id,omitempty"`
	ActorName  string     `json:"actor_name"`
	OccurredAt time.Time  `json:"occurred_at"`
}

// ActivityData is what more there is to say about an event; which fields there are is up to its kind.
type ActivityData struct {
	From    Status `json:"from,omitempty"`
	To      Status `json:"to,omitempty"`
	Created int    `json:"created,omitempty"`
	Failed  int    `json:"failed,omitempty"`
	// CommentID is the comment that was written.
	CommentID uuid.UUID `json:"comment_id,omitzero"`
}

// ActivityFilter chooses entries of the feed: those that fit all of its fields. The zero filter chooses all.
type ActivityFilter struct {
	ProjectID *uuid.UUID
	// SubjectID chooses those that tell of this thing, for example a task.
	SubjectID *uuid.UUID
}

// tell enqueues the job that writes what happened to task into the feed, and publishes it with the task as it is now. The event gets its id
// here, in the transaction that makes it true.
func (s *Service) tell(ctx context.Context, tx *tenantschema.Tx, event ActivityRecorded, task Task) error {
	event.ProjectID, event.TaskID = task.ProjectID, task.ID
	id, err := s.record(ctx, tx, event)
	if err != nil || s.events == nil {
		return err
	}
	return s.events.Publish(ctx, tx, Event{
		ID: id, Kind: event.Event, At: event.At, Data: TaskEvent{Task: task, From: event.From, To: event.To},
	})
}

// record enqueues the job that writes event into the feed, and gives the id that it has there.
func (s *Service) record(ctx context.Context, tx *tenantschema.Tx, event ActivityRecorded) (uuid.UUID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return id, err
	}
	event.EventID, event.ActorID = id, s.actor.id()
	_, err = s.jobs.Enqueue(ctx, tx, event, job.Opts{})
	return id, err
}

// RecordActivity does the work of the job: it writes the event into the feed, unless it is there already.
func (s *Service) RecordActivity(ctx context.Context, scope tenantschema.Scope, event ActivityRecorded) error {
	id, err := uuid.NewV7()
	if err != nil {
		return failed("record activity", err)
	}
	data, err := json.Marshal(ActivityData{From: event.From, To: event.To, Created: event.Created, Failed: event.Failed, CommentID: event.CommentID})
	if err != nil {
		return failed("record activity", err)
	}
	subject, subjectID := subjectTask, event.TaskID
	if event.ImportID != uuid.Nil {
		subject, subjectID = subjectImport, event.ImportID
	}
	const sql = `INSERT INTO activity (id, event_id, kind, subject_type, subject_id, project_id, data, occurred_at, recorded_at, actor_id, actor_name)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
    coalesce((SELECT display_name FROM users WHERE id = $10), (SELECT name FROM api_keys WHERE id = $10), ''))
ON CONFLICT (event_id) DO NOTHING`
	_, err = scope.Exec(ctx, sql, id, event.EventID, event.Event, subject, subjectID, event.ProjectID, string(data), event.At, s.now(),
		orNil(event.ActorID))
	if err != nil {
		return failed("record activity", err)
	}
	return nil
}

// ListActivity gives a page of the feed, latest event first. The error is apperr.Invalid for a limit or cursor that is wrong.
func (s *Service) ListActivity(ctx context.Context, scope tenantschema.Scope, f ActivityFilter, p PageRequest) (Page[Activity], error) {
	w, err := p.window("activity", f)
	if err != nil {
		return Page[Activity]{}, err
	}
	sql, args := f.sql(w)
	rows, err := scope.Query(ctx, sql, args...)
	if err != nil {
		return Page[Activity]{}, failed("list activity", err)
	}
	feed, err := pgx.CollectRows(rows, scanActivity)
	if err != nil {
		return Page[Activity]{}, failed("list activity", err)
	}
	return pageOf(w, feed, func(a Activity) uuid.UUID { return a.EventID }), nil
}

func (f ActivityFilter) sql(w window) (string, []any) {
	sql := `SELECT id, event_id, kind, subject_type, subject_id, project_id, data, actor_id, actor_name, occurred_at
FROM activity WHERE event_id < $1`
	args := []any{w.before, w.fetch()}
	if f.ProjectID != nil {
		args = append(args, *f.ProjectID)
		sql += ` AND project_id = $` + strconv.Itoa(len(args))
	}
	if f.SubjectID != nil {
		args = append(args, *f.SubjectID)
		sql += ` AND subject_id = $` + strconv.Itoa(len(args))
	}
	return sql + ` ORDER BY event_id DESC LIMIT $2`, args
}

func scanActivity(row pgx.CollectableRow) (Activity, error) {
	var a Activity
	err := row.Scan(&a.ID, &a.EventID, &a.Kind, &a.SubjectType, &a.SubjectID, &a.ProjectID, &a.Data, &a.ActorID, &a.ActorName, &a.OccurredAt)
	a.OccurredAt = a.OccurredAt.UTC()
	return a, err
}
