package workspace_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/workspace"
)

func TestTaskLife(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	project := b.project(t, b.acme, "Attic")
	ada := b.user(t, b.acme, "ada@example.com")
	due := workspace.NewDate(2026, time.December, 24)

	made, err := b.CreateTask(ctx, b.acme, workspace.NewTask{
		ProjectID: project.ID, Title: " Sweep ", Description: "All of it.", Priority: workspace.PriorityHigh, AssigneeID: &ada, DueOn: &due,
	})
	require.NoError(t, err)
	require.Equal(t, workspace.Task{
		ID: made.ID, ProjectID: project.ID, Title: "Sweep", Description: "All of it.", Status: workspace.StatusTodo,
		Priority: workspace.PriorityHigh, AssigneeID: &ada, DueOn: &due, LabelIDs: []uuid.UUID{}, Position: made.Position,
		CreatedAt: b.clock.Now(), UpdatedAt: b.clock.Now(),
	}, made)
	got, err := b.GetTask(ctx, b.acme, made.ID)
	require.NoError(t, err)
	require.Equal(t, made, got)

	later := b.clock.advance(time.Hour)
	got, err = b.PatchTask(ctx, b.acme, made.ID, workspace.TaskPatch{
		Title: new("Sweep twice"), Description: new(""), Priority: new(workspace.PriorityNone),
	})
	require.NoError(t, err)
	want := made
	want.Title, want.Description, want.Priority, want.UpdatedAt = "Sweep twice", "", workspace.PriorityNone, later
	require.Equal(t, want, got, "what is not in the patch stays")

	got, err = b.PatchTask(ctx, b.acme, made.ID, workspace.TaskPatch{
		AssigneeID: workspace.Null[uuid.UUID](), DueOn: workspace.Some(workspace.NewDate(2027, time.January, 1)),
	})
	require.NoError(t, err)
	require.Nil(t, got.AssigneeID)
	require.Equal(t, "2027-01-01", got.DueOn.String())

	got, err = b.PatchTask(ctx, b.acme, made.ID, workspace.TaskPatch{AssigneeID: workspace.Some(ada), DueOn: workspace.Null[workspace.Date]()})
	require.NoError(t, err)
	require.Equal(t, &ada, got.AssigneeID)
	require.Nil(t, got.DueOn)

	nothing, err := b.PatchTask(ctx, b.acme, made.ID, workspace.TaskPatch{})
	require.NoError(t, err)
	require.Equal(t, got, nothing)

	require.NoError(t, b.DeleteTask(ctx, b.acme, made.ID))
	_, err = b.GetTask(ctx, b.acme, made.ID)
	requireNotFound(t, err)
	requireNotFound(t, b.DeleteTask(ctx, b.acme, made.ID))
	_, err = b.PatchTask(ctx, b.acme, made.ID, workspace.TaskPatch{Title: new("Gone")})
	requireNotFound(t, err)
	_, err = b.PatchTask(ctx, b.acme, made.ID, workspace.TaskPatch{})
	requireNotFound(t, err)
}

func TestTaskCompletionFollowsStatus(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	project := b.project(t, b.acme, "Attic")
	task := b.task(t, b.acme, workspace.NewTask{ProjectID: project.ID, Title: "Sweep"})
	patch := func(status workspace.Status) workspace.Task {
		t.Helper()
		b.clock.advance(time.Minute)
		got, err := b.PatchTask(ctx, b.acme, task.ID, workspace.TaskPatch{Status: &status})
		require.NoError(t, err)
		require.Equal(t, status, got.Status)
		return got
	}
	require.Nil(t, patch(workspace.StatusDoing).CompletedAt)
	done := patch(workspace.StatusDone)
	require.Equal(t, done.UpdatedAt, *done.CompletedAt)
	require.Equal(t, done.CompletedAt, patch(workspace.StatusDone).CompletedAt, "done again is not done later")
	require.Nil(t, patch(workspace.StatusCancelled).CompletedAt)
	require.NotNil(t, patch(workspace.StatusDone).CompletedAt)
	require.Nil(t, patch(workspace.StatusTodo).CompletedAt)

	born := b.task(t, b.acme, workspace.NewTask{ProjectID: project.ID, Title: "Swept", Status: workspace.StatusDone})
	require.Equal(t, born.CreatedAt, *born.CompletedAt)
}

func TestTaskChangesTellTheFeed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	project := b.project(t, b.acme, "Attic")
	require.Empty(t, b.jobs.take())
	task := b.task(t, b.acme, workspace.NewTask{ProjectID: project.ID, Title: "Sweep"})

	jobs := b.jobs.take()
	require.Len(t, jobs, 1)
	created := workspace.ActivityRecorded{Event: workspace.EventTaskCreated, ProjectID: project.ID, TaskID: task.ID, At: task.CreatedAt}
	created.EventID = jobs[0].EventID
	require.Equal(t, created, jobs[0])
	require.EqualValues(t, 7, jobs[0].EventID.Version())

	_, err := b.PatchTask(ctx, b.acme, task.ID, workspace.TaskPatch{Title: new("Mop"), Status: new(workspace.StatusTodo)})
	require.NoError(t, err)
	require.Empty(t, b.jobs.take(), "the status is what it was")

	at := b.clock.advance(time.Minute)
	_, err = b.PatchTask(ctx, b.acme, task.ID, workspace.TaskPatch{Status: new(workspace.StatusDone)})
	require.NoError(t, err)
	jobs = b.jobs.take()
	require.Len(t, jobs, 1)
	require.Equal(t, workspace.ActivityRecorded{
		EventID: jobs[0].EventID, Event: workspace.EventTaskStatusChanged, ProjectID: project.ID, TaskID: task.ID,
		From: workspace.StatusTodo, To: workspace.StatusDone, At: at,
	}, jobs[0])

	require.NoError(t, b.DeleteTask(ctx, b.acme, task.ID))
	jobs = b.jobs.take()
	require.Len(t, jobs, 1)
	require.Equal(t, workspace.EventTaskDeleted, jobs[0].Event)
	require.Equal(t, project.ID, jobs[0].ProjectID)
}

func TestTaskAndJobCommitTogetherOrNotAtAll(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	project := b.project(t, b.acme, "Attic")
	task := b.task(t, b.acme, workspace.NewTask{ProjectID: project.ID, Title: "Sweep"})
	require.Equal(t, 1, b.queued(t))

	tooLate := errors.New("failed after the job was enqueued")
	b.jobs.failWith(tooLate)
	_, err := b.CreateTask(ctx, b.acme, workspace.NewTask{ProjectID: project.ID, Title: "Mop"})
	require.ErrorIs(t, err, tooLate)
	_, err = b.PatchTask(ctx, b.acme, task.ID, workspace.TaskPatch{Status: new(workspace.StatusDone)})
	require.ErrorIs(t, err, tooLate)
	require.ErrorIs(t, b.DeleteTask(ctx, b.acme, task.ID), tooLate)
	b.jobs.failWith(nil)
	require.Len(t, b.jobs.take(), 4)
	require.Equal(t, 1, b.queued(t), "no change, so no job")

	page, err := b.ListTasks(ctx, b.acme, workspace.TaskFilter{}, workspace.PageRequest{})
	require.NoError(t, err)
	require.Equal(t, []workspace.Task{task}, page.Items, "no job, so no change")

	_, err = b.CreateTask(ctx, b.acme, workspace.NewTask{ProjectID: unknownID(t), Title: "Mop"})
	requireInvalid(t, err, "project_id")
	_, err = b.PatchTask(ctx, b.acme, task.ID, workspace.TaskPatch{
		Status: new(workspace.StatusDone), AssigneeID: workspace.Some(unknownID(t)),
	})
	requireInvalid(t, err, "assignee_id")
	require.Empty(t, b.jobs.take())
	require.Equal(t, 1, b.queued(t))
}

func TestTaskInputIsChecked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t, b.acme, "Attic")
	task := b.task(t, b.acme, workspace.NewTask{ProjectID: project.ID, Title: strings.Repeat("ü", 200)})
	far := workspace.NewDate(10_000, time.January, 1)

	for name, in := range map[string]struct {
		workspace.NewTask

		fields []string
	}{
		"title":       {workspace.NewTask{Title: " "}, []string{"title"}},
		"long title":  {workspace.NewTask{Title: strings.Repeat("ü", 201)}, []string{"title"}},
		"description": {workspace.NewTask{Title: "a", Description: "\x00"}, []string{"description"}},
		"status":      {workspace.NewTask{Title: "a", Status: "later"}, []string{"status"}},
		"priority":    {workspace.NewTask{Title: "a", Priority: 5}, []string{"priority"}},
		"no priority": {workspace.NewTask{Title: "a", Priority: -1}, []string{"priority"}},
		"due":         {workspace.NewTask{Title: "a", DueOn: &far}, []string{"due_on"}},
		"much":        {workspace.NewTask{Status: "later", Priority: 9}, []string{"title", "status", "priority"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in.ProjectID = project.ID
			_, err := b.CreateTask(t.Context(), b.acme, in.NewTask)
			requireInvalid(t, err, in.fields...)
			patch := workspace.TaskPatch{Title: &in.Title, Description: &in.Description, Priority: &in.Priority}
			if in.Status != "" {
				patch.Status = &in.Status
			}
			if in.DueOn != nil {
				patch.DueOn = workspace.Some(*in.DueOn)
			}
			_, err = b.PatchTask(t.Context(), b.acme, task.ID, patch)
			requireInvalid(t, err, in.fields...)
		})
	}

	_, err := b.ListTasks(t.Context(), b.acme, workspace.TaskFilter{Statuses: []workspace.Status{"x", "y"}}, workspace.PageRequest{})
	requireInvalid(t, err, "status")
	_, err = b.ListTasks(t.Context(), b.acme, workspace.TaskFilter{DueBefore: &far}, workspace.PageRequest{})
	requireInvalid(t, err, "due_before")
}

func TestAssigneeMayLeave(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t, b.acme, "Attic")
	ada := b.user(t, b.acme, "ada@example.com")
	task := b.task(t, b.acme, workspace.NewTask{ProjectID: project.ID, Title: "Sweep", AssigneeID: &ada})
	_, err := b.acme.Exec(t.Context(), `DELETE FROM users WHERE id = $1`, ada)
	require.NoError(t, err)
	got, err := b.GetTask(t.Context(), b.acme, task.ID)
	require.NoError(t, err)
	require.Nil(t, got.AssigneeID)
}
