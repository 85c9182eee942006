package workspace_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/workspace"
)

// Whatever changes is noted once, in the tenant where it changed.
func TestListChanges(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	after := uuid.UUID{}
	news := func() []workspace.Change {
		t.Helper()
		changes, err := b.ListChanges(ctx, b.acme, after, 10)
		require.NoError(t, err)
		if len(changes) > 0 {
			after = changes[0].ID
		}
		return changes
	}
	project := b.project(t, b.acme, "Moon launch")
	require.Equal(t, &project.ID, news()[0].ProjectID)
	task := b.task(t, b.acme, workspace.NewTask{ProjectID: project.ID, Title: "Paint"})
	told := func() {
		t.Helper()
		changes := news()
		require.Len(t, changes, 1)
		require.Equal(t, &task.ID, changes[0].TaskID)
	}
	told()
	title, status := "Paint it red", workspace.StatusDone
	_, err := b.PatchTask(ctx, b.acme, task.ID, workspace.TaskPatch{Title: &title, Status: &status})
	require.NoError(t, err)
	told()
	file, err := b.CreateAttachment(ctx, b.acme, task.ID, "a.txt", bytes.NewReader([]byte("hello")))
	require.NoError(t, err)
	told()
	require.NoError(t, b.DeleteAttachment(ctx, b.acme, file.ID))
	told()
	require.NoError(t, b.DeleteTask(ctx, b.acme, task.ID))
	told()
	name := "Mars launch"
	_, err = b.PatchProject(ctx, b.acme, project.ID, workspace.ProjectPatch{Name: &name})
	require.NoError(t, err)
	require.Nil(t, news()[0].TaskID)
	require.NoError(t, b.DeleteProject(ctx, b.acme, project.ID))
	require.Len(t, news(), 1)

	others, err := b.ListChanges(ctx, b.globex, uuid.Nil, 10)
	require.NoError(t, err)
	require.Empty(t, others)

	// What is an hour old is no news.
	b.clock.advance(365 * 24 * time.Hour)
	require.NoError(t, b.SweepFiles(ctx, b.acme, workspace.SweepFiles{}))
	left, err := b.ListChanges(ctx, b.acme, uuid.Nil, 10)
	require.NoError(t, err)
	require.Empty(t, left)
}
