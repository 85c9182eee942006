package workspace_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// published keeps what is published, and fails after that if it is told to.
type published struct {
	events []workspace.Event
	fail   error
}

func (p *published) Publish(_ context.Context, _ *tenantschema.Tx, e workspace.Event) error {
	p.events = append(p.events, e)
	return p.fail
}

func TestEvents(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	to := &published{}
	work, err := workspace.New(workspace.Config{Jobs: b.jobs, Files: b.files, Events: to, Clock: b.clock.Now})
	require.NoError(t, err)
	project := b.project(t, b.acme, "Attic")
	made, err := work.CreateTask(ctx, b.acme, workspace.NewTask{ProjectID: project.ID, Title: "Sweep"})
	require.NoError(t, err)
	_, err = work.PatchTask(ctx, b.acme, made.ID, workspace.TaskPatch{Title: new("Mop")})
	require.NoError(t, err)
	b.clock.advance(time.Minute)
	done, err := work.PatchTask(ctx, b.acme, made.ID, workspace.TaskPatch{Status: new(workspace.StatusDone)})
	require.NoError(t, err)
	require.NoError(t, work.DeleteTask(ctx, b.acme, made.ID))

	jobs := b.jobs.take()
	require.Len(t, jobs, 3)
	want := []workspace.Event{
		{Kind: workspace.EventTaskCreated, At: made.CreatedAt, Data: workspace.TaskEvent{Task: made}},
		{Kind: workspace.EventTaskStatusChanged, At: done.UpdatedAt, Data: workspace.TaskEvent{Task: done, From: "todo", To: "done"}},
		{Kind: workspace.EventTaskDeleted, At: b.clock.Now(), Data: workspace.TaskEvent{Task: done}},
	}
	for i := range want {
		want[i].ID = jobs[i].EventID // The feed knows it by the same id.
		require.Contains(t, workspace.EventKinds(), want[i].Kind)
		require.Equal(t, made.ID, jobs[i].TaskID)
		require.Equal(t, project.ID, jobs[i].ProjectID)
	}
	require.Equal(t, want, to.events)
	require.Len(t, workspace.EventKinds(), len(want))

	// What cannot be published has not happened.
	to.fail = errors.New("lost")
	_, err = work.CreateTask(ctx, b.acme, workspace.NewTask{ProjectID: project.ID, Title: "Never"})
	require.ErrorIs(t, err, to.fail)
	page, err := work.ListTasks(ctx, b.acme, workspace.TaskFilter{}, workspace.PageRequest{})
	require.NoError(t, err)
	require.Empty(t, page.Items)
}
