package workspace_test

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/rowhousehq/rowhouse/pkg/workspace"
)

func TestActivityIsRecordedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	project := b.project(t, b.acme, "Attic")
	task := b.task(t, b.acme, workspace.NewTask{ProjectID: project.ID, Title: "Sweep"})
	b.clock.advance(time.Minute)
	_, err := b.PatchTask(ctx, b.acme, task.ID, workspace.TaskPatch{Status: new(workspace.StatusDoing)})
	require.NoError(t, err)
	jobs := b.jobs.take()
	require.Len(t, jobs, 2)

	var wg sync.WaitGroup
	errs := make(chan error, 16)
	for i := range cap(errs) {
		wg.Go(func() { errs <- b.RecordActivity(ctx, b.acme, jobs[i%2]) })
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}

	feed, err := b.ListActivity(ctx, b.acme, workspace.ActivityFilter{}, workspace.PageRequest{})
	require.NoError(t, err)
	require.Len(t, feed.Items, 2)
	latest := feed.Items[0]
	require.Equal(t, workspace.Activity{
		ID: latest.ID, EventID: jobs[1].EventID, Kind: workspace.EventTaskStatusChanged, SubjectType: "task", SubjectID: task.ID,
		ProjectID: &project.ID, Data: workspace.ActivityData{From: workspace.StatusTodo, To: workspace.StatusDoing}, OccurredAt: b.clock.Now(),
	}, latest)
	require.Equal(t, workspace.EventTaskCreated, feed.Items[1].Kind)

	require.NoError(t, b.DeleteProject(ctx, b.acme, project.ID))
	kept, err := b.ListActivity(ctx, b.acme, workspace.ActivityFilter{}, workspace.PageRequest{})
	require.NoError(t, err)
	require.Equal(t, feed, kept, "the feed outlives what it tells of")
}

// The job goes through the queue as JSON and must come out as it went in, without a word of the tenant's.
func TestActivityJob(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t, b.acme, "Hush")
	b.task(t, b.acme, workspace.NewTask{ProjectID: project.ID, Title: "Hush", Description: "Hush"})
	job := b.jobs.take()[0]
	require.Equal(t, "workspace.activity", job.Kind())
	text, err := json.Marshal(job)
	require.NoError(t, err)
	require.NotContains(t, string(text), "Hush")
	var back workspace.ActivityRecorded
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, job, back)
}

func TestActivityPagesAreTheList(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	projects := []uuid.UUID{b.project(t, b.acme, "Attic").ID, b.project(t, b.acme, "Cellar").ID}
	var tasks []uuid.UUID
	for i := range 15 {
		tasks = append(tasks, b.task(t, b.acme, workspace.NewTask{ProjectID: projects[i%2], Title: "Sweep"}).ID)
		_, err := b.PatchTask(ctx, b.acme, tasks[i], workspace.TaskPatch{Status: new(workspace.StatusDone)})
		require.NoError(t, err)
	}
	events := b.jobs.take()
	for _, i := range []int{7, 3} { // Jobs are worked in any order.
		events[0], events[i] = events[i], events[0]
	}
	for _, event := range events {
		require.NoError(t, b.RecordActivity(ctx, b.acme, event))
	}
	slices.SortFunc(events, func(a, b workspace.ActivityRecorded) int { return slices.Compare(b.EventID[:], a.EventID[:]) })

	rapid.Check(t, func(t *rapid.T) {
		f := workspace.ActivityFilter{
			ProjectID: rapid.Ptr(rapid.SampledFrom(projects), true).Draw(t, "project"),
			SubjectID: rapid.Ptr(rapid.SampledFrom(tasks), true).Draw(t, "subject"),
		}
		got := []uuid.UUID{}
		for _, entry := range walk(ctx, t, func(ctx context.Context, p workspace.PageRequest) (workspace.Page[workspace.Activity], error) {
			return b.ListActivity(ctx, b.acme, f, p)
		}) {
			got = append(got, entry.EventID)
		}
		want := []uuid.UUID{}
		for _, event := range events {
			if (f.ProjectID == nil || *f.ProjectID == event.ProjectID) && (f.SubjectID == nil || *f.SubjectID == event.TaskID) {
				want = append(want, event.EventID)
			}
		}
		require.Equal(t, want, got)
	})
}
