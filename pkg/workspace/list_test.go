package workspace_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/rowhousehq/rowhouse/pkg/workspace"
)

// walk follows the cursors to the end, with a limit of its own for each page.
func walk[T any](
	ctx context.Context, t *rapid.T, list func(context.Context, workspace.PageRequest) (workspace.Page[T], error),
) []T {
	all := []T{}
	for cursor := ""; ; {
		limit := rapid.IntRange(1, 12).Draw(t, "limit")
		page, err := list(ctx, workspace.PageRequest{Limit: limit, Cursor: cursor})
		require.NoError(t, err)
		require.LessOrEqual(t, len(page.Items), limit)
		all = append(all, page.Items...)
		if page.Next == "" {
			return all
		}
		require.Len(t, page.Items, limit, "a page with another after it is full")
		cursor = page.Next
	}
}

var statuses = []workspace.Status{workspace.StatusTodo, workspace.StatusDoing, workspace.StatusDone, workspace.StatusCancelled}

// Whatever the filters and limits, the pages together are the whole list, in order, each item once.
func TestTaskPagesAreTheList(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	projects := []uuid.UUID{b.project(t, b.acme, "Attic").ID, b.project(t, b.acme, "Cellar").ID}
	users := []uuid.UUID{b.user(t, b.acme, "ada@example.com"), b.user(t, b.acme, "bob@example.com")}
	days := []workspace.Date{workspace.NewDate(2026, time.May, 1), workspace.NewDate(2026, time.May, 2), workspace.NewDate(2026, time.May, 3)}
	titles := []string{"Sweep", "sweep 50%", "Mop"}

	var tasks []workspace.Task // newest first
	for i := range 40 {
		in := workspace.NewTask{ProjectID: projects[i%2], Title: titles[i%3], Status: statuses[i%4]}
		if i%5 > 1 {
			in.AssigneeID = &users[i%5%2]
		}
		if i%7 > 2 {
			in.DueOn = &days[i%7%3]
		}
		tasks = slices.Insert(tasks, 0, b.task(t, b.acme, in))
	}

	rapid.Check(t, func(t *rapid.T) {
		f := workspace.TaskFilter{
			ProjectID:  rapid.Ptr(rapid.SampledFrom(projects), true).Draw(t, "project"),
			AssigneeID: rapid.Ptr(rapid.SampledFrom(users), true).Draw(t, "assignee"),
			Statuses:   rapid.SliceOfN(rapid.SampledFrom(statuses), 0, 3).Draw(t, "statuses"),
			Query:      rapid.SampledFrom([]string{"", "SWEEP", "50%", "none"}).Draw(t, "q"),
			DueAfter:   rapid.Ptr(rapid.SampledFrom(days), true).Draw(t, "after"),
			DueBefore:  rapid.Ptr(rapid.SampledFrom(days), true).Draw(t, "before"),
		}
		got := walk(ctx, t, func(ctx context.Context, p workspace.PageRequest) (workspace.Page[workspace.Task], error) {
			return b.ListTasks(ctx, b.acme, f, p)
		})
		want := slices.DeleteFunc(slices.Clone(tasks), func(task workspace.Task) bool { return !fits(f, task) })
		require.Equal(t, want, got)
	})
}

// fits says in Go what the filter says in SQL.
func fits(f workspace.TaskFilter, task workspace.Task) bool {
	return (f.ProjectID == nil || *f.ProjectID == task.ProjectID) &&
		(f.AssigneeID == nil || task.AssigneeID != nil && *f.AssigneeID == *task.AssigneeID) &&
		(len(f.Statuses) == 0 || slices.Contains(f.Statuses, task.Status)) &&
		strings.Contains(strings.ToLower(task.Title), strings.ToLower(f.Query)) &&
		(f.DueAfter == nil || task.DueOn != nil && f.DueAfter.Before(*task.DueOn)) &&
		(f.DueBefore == nil || task.DueOn != nil && task.DueOn.Before(*f.DueBefore))
}

func TestProjectPagesAreTheList(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	var projects []workspace.Project
	for i := range 25 {
		project := b.project(t, b.acme, []string{"Attic", "Cellar"}[i%2])
		if i%3 == 0 {
			var err error
			project, err = b.PatchProject(ctx, b.acme, project.ID, workspace.ProjectPatch{Archived: new(true)})
			require.NoError(t, err)
		}
		projects = slices.Insert(projects, 0, project)
	}
	rapid.Check(t, func(t *rapid.T) {
		f := workspace.ProjectFilter{
			Archived: rapid.Ptr(rapid.Bool(), true).Draw(t, "archived"),
			Query:    rapid.SampledFrom([]string{"", "att"}).Draw(t, "q"),
		}
		got := walk(ctx, t, func(ctx context.Context, p workspace.PageRequest) (workspace.Page[workspace.Project], error) {
			return b.ListProjects(ctx, b.acme, f, p)
		})
		require.Equal(t, slices.DeleteFunc(slices.Clone(projects), func(p workspace.Project) bool {
			return f.Archived != nil && *f.Archived != (p.ArchivedAt != nil) || !strings.Contains(strings.ToLower(p.Name), f.Query)
		}), got)
	})
}

// What is added while someone turns pages neither shifts nor doubles what he sees.
func TestPagesStandStillWhileTheListGrows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t, b.acme, "Attic")
	first := b.task(t, b.acme, workspace.NewTask{ProjectID: project.ID, Title: "1"})
	second := b.task(t, b.acme, workspace.NewTask{ProjectID: project.ID, Title: "2"})
	page, err := b.ListTasks(t.Context(), b.acme, workspace.TaskFilter{}, workspace.PageRequest{Limit: 1})
	require.NoError(t, err)
	require.Equal(t, []workspace.Task{second}, page.Items)
	b.task(t, b.acme, workspace.NewTask{ProjectID: project.ID, Title: "3"})
	require.NoError(t, b.DeleteTask(t.Context(), b.acme, second.ID))
	page, err = b.ListTasks(t.Context(), b.acme, workspace.TaskFilter{}, workspace.PageRequest{Limit: 1, Cursor: page.Next})
	require.NoError(t, err)
	require.Equal(t, []workspace.Task{first}, page.Items)
	require.Empty(t, page.Next)
}

// A filter means the same however it is written, so its cursor fits.
func TestCursorFitsTheSameFilter(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t, b.acme, "Attic")
	for range 2 {
		b.task(t, b.acme, workspace.NewTask{ProjectID: project.ID, Title: "Sweep"})
	}
	f := workspace.TaskFilter{Statuses: []workspace.Status{workspace.StatusTodo, workspace.StatusDone}, Query: "sweep"}
	page, err := b.ListTasks(t.Context(), b.acme, f, workspace.PageRequest{Limit: 1})
	require.NoError(t, err)
	f = workspace.TaskFilter{Statuses: []workspace.Status{workspace.StatusDone, workspace.StatusTodo, workspace.StatusDone}, Query: " sweep "}
	page, err = b.ListTasks(t.Context(), b.acme, f, workspace.PageRequest{Limit: 1, Cursor: page.Next})
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
}
