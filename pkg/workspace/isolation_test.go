package workspace_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/workspace"
)

// Ids are no secret. Whoever knows those of another tenant finds nothing there and changes nothing.
func TestTenantsDoNotMeet(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	project := b.project(t, b.globex, "Secret")
	user := b.user(t, b.globex, "eve@example.com")
	task := b.task(t, b.globex, workspace.NewTask{ProjectID: project.ID, Title: "Plan"})
	event := b.jobs.take()[0]
	require.NoError(t, b.RecordActivity(ctx, b.globex, event))
	own := b.project(t, b.acme, "Own")

	_, err := b.GetProject(ctx, b.acme, project.ID)
	requireNotFound(t, err)
	_, err = b.PatchProject(ctx, b.acme, project.ID, workspace.ProjectPatch{Name: new("Taken")})
	requireNotFound(t, err)
	requireNotFound(t, b.DeleteProject(ctx, b.acme, project.ID))
	_, err = b.GetTask(ctx, b.acme, task.ID)
	requireNotFound(t, err)
	_, err = b.PatchTask(ctx, b.acme, task.ID, workspace.TaskPatch{Status: new(workspace.StatusDone)})
	requireNotFound(t, err)
	requireNotFound(t, b.DeleteTask(ctx, b.acme, task.ID))

	_, err = b.CreateTask(ctx, b.acme, workspace.NewTask{ProjectID: project.ID, Title: "Foothold"})
	requireInvalid(t, err, "project_id")
	_, err = b.CreateTask(ctx, b.acme, workspace.NewTask{ProjectID: own.ID, Title: "Foothold", AssigneeID: &user})
	requireInvalid(t, err, "assignee_id")

	tasks, err := b.ListTasks(ctx, b.acme, workspace.TaskFilter{ProjectID: &project.ID}, workspace.PageRequest{})
	require.NoError(t, err)
	require.Empty(t, tasks.Items)
	projects, err := b.ListProjects(ctx, b.acme, workspace.ProjectFilter{}, workspace.PageRequest{})
	require.NoError(t, err)
	require.Equal(t, []workspace.Project{own}, projects.Items)
	feed, err := b.ListActivity(ctx, b.acme, workspace.ActivityFilter{}, workspace.PageRequest{})
	require.NoError(t, err)
	require.Empty(t, feed.Items)
	require.Empty(t, b.jobs.take(), "what failed enqueued nothing")

	unchangedProject, err := b.GetProject(ctx, b.globex, project.ID)
	require.NoError(t, err)
	require.Equal(t, project, unchangedProject)
	unchangedTask, err := b.GetTask(ctx, b.globex, task.ID)
	require.NoError(t, err)
	require.Equal(t, task, unchangedTask)
}

// One event in two tenants is two events.
func TestFeedsDoNotMeet(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t, b.acme, "Attic")
	b.task(t, b.acme, workspace.NewTask{ProjectID: project.ID, Title: "Sweep"})
	event := b.jobs.take()[0]
	require.NoError(t, b.RecordActivity(t.Context(), b.acme, event))
	event.TaskID = uuid.Nil
	require.NoError(t, b.RecordActivity(t.Context(), b.globex, event))
	ours, err := b.ListActivity(t.Context(), b.acme, workspace.ActivityFilter{}, workspace.PageRequest{})
	require.NoError(t, err)
	theirs, err := b.ListActivity(t.Context(), b.globex, workspace.ActivityFilter{}, workspace.PageRequest{})
	require.NoError(t, err)
	require.Len(t, ours.Items, 1)
	require.Len(t, theirs.Items, 1)
	require.NotEqual(t, ours.Items[0].SubjectID, theirs.Items[0].SubjectID)
}
