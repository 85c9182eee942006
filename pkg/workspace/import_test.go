package workspace_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// upload stores a file for tests that are about what becomes of it.
func (b *bundle) upload(t *testing.T, scope tenantschema.Scope, projectID uuid.UUID, file string) workspace.Import {
	t.Helper()
	made, err := b.CreateImport(t.Context(), scope, projectID, []byte(file))
	require.NoError(t, err)
	return made
}

func (b *bundle) getImport(t *testing.T, scope tenantschema.Scope, id uuid.UUID) workspace.Import {
	t.Helper()
	got, err := b.GetImport(t.Context(), scope, id)
	require.NoError(t, err)
	return got
}

// requireFields asserts that err is apperr.Invalid, and gives its fields.
func requireFields(t *testing.T, err error) []apperr.Field {
	t.Helper()
	var wrong *apperr.Error
	require.ErrorAs(t, err, &wrong)
	require.Equal(t, apperr.Invalid, wrong.Code)
	require.NotEmpty(t, wrong.Fields)
	return wrong.Fields
}

// board gives the titles of a project's tasks as they stand on the board.
func (b *bundle) board(t *testing.T, scope tenantschema.Scope, projectID uuid.UUID) []string {
	t.Helper()
	rows, err := scope.Query(t.Context(), `SELECT title FROM tasks WHERE project_id = $1 ORDER BY position, id`, projectID)
	require.NoError(t, err)
	titles, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return titles
}

// numbered gives a file of so many tasks, and their titles.
func numbered(rows int) (file string, titles []string) {
	var text strings.Builder
	text.WriteString("title\n")
	for i := range rows {
		title := fmt.Sprintf("Task %05d", i)
		titles = append(titles, title)
		text.WriteString(title + "\n")
	}
	return text.String(), titles
}

func TestImport(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	project := b.project(t, b.acme, "Attic")
	b.task(t, b.acme, workspace.NewTask{ProjectID: project.ID, Title: "Before"})
	made := b.upload(t, b.acme, project.ID, "\xef\xbb\xbfTitle;DUE_ON; status ;priority;description\r\n"+
		"Sweep;2026-12-24;done;3;\"All of it;\r\neven \"\"below\"\"\"\r\n"+
		"  =Mop  ;;;;<b>\r\n")
	require.Equal(t, workspace.Import{
		ID: made.ID, ProjectID: project.ID, State: workspace.ImportWaiting, TotalRows: 2, Errors: []workspace.ImportError{}, CreatedAt: b.clock.Now(),
	}, made)
	require.Equal(t, made, b.getImport(t, b.acme, made.ID))
	require.Equal(t, []job.Args{workspace.ImportDue{ImportID: made.ID}}, b.jobs.due)
	b.jobs.take()

	now := b.clock.advance(time.Minute)
	ended := b.work(t, b.Service)
	next(t, ended, "workspace.import_tasks completed")
	want := made
	want.State, want.DoneRows, want.CreatedCount, want.FinishedAt = workspace.ImportDone, 2, 2, &now
	require.Equal(t, want, b.getImport(t, b.acme, made.ID))
	later := b.clock.advance(time.Millisecond)
	after := b.task(t, b.acme, workspace.NewTask{ProjectID: project.ID, Title: "After"})
	require.Equal(t, later, after.CreatedAt)
	require.Equal(t, []string{"Before", "Sweep", "=Mop", "After"}, b.board(t, b.acme, project.ID))

	page, err := b.ListTasks(ctx, b.acme, workspace.TaskFilter{}, workspace.PageRequest{})
	require.NoError(t, err)
	require.Len(t, page.Items, 4)
	mop, sweep := page.Items[1], page.Items[2]
	due := workspace.NewDate(2026, time.December, 24)
	require.Equal(t, workspace.Task{
		ID: sweep.ID, ProjectID: project.ID, Title: "Sweep", Description: "All of it;\neven \"below\"", Status: workspace.StatusDone,
		Priority: workspace.PriorityHigh, DueOn: &due, LabelIDs: []uuid.UUID{}, Position: sweep.Position,
		CreatedAt: now, UpdatedAt: now, CompletedAt: &now,
	}, sweep)
	require.Equal(t, workspace.Task{
		ID: mop.ID, ProjectID: project.ID, Title: "=Mop", Description: "<b>", Status: workspace.StatusTodo,
		LabelIDs: []uuid.UUID{}, Position: mop.Position, CreatedAt: now, UpdatedAt: now,
	}, mop)

	// The feed has one entry of all.
	next(t, ended, "workspace.activity completed")
	require.Eventually(t, func() bool {
		feed, err := b.ListActivity(ctx, b.acme, workspace.ActivityFilter{SubjectID: &made.ID}, workspace.PageRequest{})
		return err == nil && len(feed.Items) == 1 && feed.Items[0].Kind == workspace.EventImportFinished &&
			feed.Items[0].SubjectType == "import" && feed.Items[0].Data == workspace.ActivityData{Created: 2} && *feed.Items[0].ProjectID == project.ID
	}, time.Minute, 10*time.Millisecond)
	require.NoError(t, b.ImportTasks(ctx, b.acme, workspace.ImportDue{ImportID: made.ID}), "again is nothing")
	require.Len(t, b.board(t, b.acme, project.ID), 4)
}

func TestImportNamesBadRows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t, b.acme, "Attic")
	made := b.upload(t, b.acme, project.ID, "title,status,priority,due_on,description\n"+ // line 1
		"Good,todo,0,2026-11-24,\n"+
		" ,later,5,tomorrow,\n"+ // 3
		"\"On two\nlines\",,,,\n"+ // 4
		"Short,todo\n"+ // 6
		"\n"+
		"Stray \"quote,,,,\n"+ // 8
		"Nothing,,x,,a\x00b\n"+ // 9
		"Better,,,,\n"+
		"Open,\"never closed,,,\nLost,,,,\n") // 11
	require.Equal(t, 8, made.TotalRows)
	require.NoError(t, b.ImportTasks(t.Context(), b.acme, workspace.ImportDue{ImportID: made.ID}))
	got := b.getImport(t, b.acme, made.ID)
	require.Equal(t, []int{8, 2, 6}, []int{got.DoneRows, got.CreatedCount, got.FailedCount})
	require.Equal(t, workspace.ImportDone, got.State)
	var places []string
	for _, e := range got.Errors {
		require.NotEmpty(t, e.Message)
		places = append(places, fmt.Sprintf("%d %s", e.Line, e.Field))
	}
	require.Equal(t, []string{
		"3 title", "3 status", "3 priority", "3 due_on", "4 title", "6 row", "8 row", "9 description", "9 priority", "11 row",
	}, places)
	require.Equal(t, []string{"Good", "Better"}, b.board(t, b.acme, project.ID))

	// What the API refuses, a file may not bring, in the same words.
	_, err := b.CreateTask(t.Context(), b.acme, workspace.NewTask{ProjectID: project.ID, Title: "", Status: "later", Priority: 5})
	require.Len(t, requireFields(t, err), 3)
	for i, field := range requireFields(t, err) {
		require.Equal(t, field.Message, got.Errors[i].Message)
	}

	many := b.upload(t, b.acme, project.ID, "title,priority\n"+strings.Repeat("x,9\n", 700))
	require.NoError(t, b.ImportTasks(t.Context(), b.acme, workspace.ImportDue{ImportID: many.ID}))
	got = b.getImport(t, b.acme, many.ID)
	require.Equal(t, []int{700, 0, 700}, []int{got.DoneRows, got.CreatedCount, got.FailedCount})
	require.Len(t, got.Errors, 100)
	require.Equal(t, 101, got.Errors[99].Line)
}

func TestImportRefusesFiles(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t, b.acme, "Attic")
	for name, c := range map[string]struct{ file, says string }{
		"empty":          {"", "empty"},
		"only a mark":    {"\xef\xbb\xbf\n\n", "empty"},
		"unknown column": {"title,asignee\nSweep,Ada\n", `"asignee"`},
		"no title":       {"status\ntodo\n", "title is missing"},
		"twice":          {"title,Title\na,b\n", "twice"},
		"not UTF-8":      {"title\n\xff\n", "UTF-8"},
		"UTF-16":         {"\xff\xfet\x00i\x00", "UTF-8"},
		"quotes":         {"\"title\nSweep\n", "quotes"},
		"tabs":           {"title\tstatus\na\tb\n", `"title\tstatus"`},
	} {
		_, err := b.CreateImport(t.Context(), b.acme, project.ID, []byte(c.file))
		fields := requireFields(t, err)
		require.Equal(t, "header", fields[0].Path, name)
		require.Contains(t, fields[0].Message, c.says, name)
	}
	_, err := b.CreateImport(t.Context(), b.acme, project.ID, []byte("title\n"+strings.Repeat("x\n", workspace.MaxImportRows+1)))
	requireInvalid(t, err, "row")
	_, err = b.CreateImport(t.Context(), b.acme, project.ID, []byte(strings.Repeat("x,", 5000)))
	require.Len(t, requireFields(t, err), 11)
	_, err = b.CreateImport(t.Context(), b.acme, unknownID(t), []byte("title\n"))
	requireNotFound(t, err)
	require.Zero(t, b.queued(t))

	made := b.upload(t, b.acme, project.ID, "title")
	require.Zero(t, made.TotalRows)
	require.NoError(t, b.ImportTasks(t.Context(), b.acme, workspace.ImportDue{ImportID: made.ID}))
	require.Equal(t, workspace.ImportDone, b.getImport(t, b.acme, made.ID).State)
}

func TestImportsDoNotMeet(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	project, theirs := b.project(t, b.acme, "Attic"), b.project(t, b.globex, "Cellar")
	made := b.upload(t, b.acme, project.ID, "title\nSweep\n")
	_, err := b.GetImport(ctx, b.globex, made.ID)
	requireNotFound(t, err)
	_, err = b.ListImports(ctx, b.globex, project.ID, workspace.PageRequest{})
	requireNotFound(t, err)
	_, err = b.CreateImport(ctx, b.globex, project.ID, []byte("title\nFoothold\n"))
	requireNotFound(t, err)
	none, err := b.ListImports(ctx, b.globex, theirs.ID, workspace.PageRequest{})
	require.NoError(t, err)
	require.Empty(t, none.Items)

	// In the worker, too, the id is that of nothing.
	require.NoError(t, b.ImportTasks(ctx, b.globex, workspace.ImportDue{ImportID: made.ID}))
	require.Equal(t, made, b.getImport(t, b.acme, made.ID))
	require.Empty(t, b.board(t, b.globex, theirs.ID))
	require.Empty(t, b.jobs.take())
}

func TestImportPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project, other := b.project(t, b.acme, "Attic"), b.project(t, b.acme, "Cellar")
	b.upload(t, b.acme, other.ID, "title\n")
	var want []uuid.UUID
	for range 3 {
		want = append([]uuid.UUID{b.upload(t, b.acme, project.ID, "title\n").ID}, want...)
	}
	first, err := b.ListImports(t.Context(), b.acme, project.ID, workspace.PageRequest{Limit: 2})
	require.NoError(t, err)
	second, err := b.ListImports(t.Context(), b.acme, project.ID, workspace.PageRequest{Limit: 2, Cursor: first.Next})
	require.NoError(t, err)
	var got []uuid.UUID
	for _, i := range append(first.Items, second.Items...) {
		got = append(got, i.ID)
	}
	require.Equal(t, want, got)
	require.Empty(t, second.Next)
	_, err = b.ListImports(t.Context(), b.acme, other.ID, workspace.PageRequest{Cursor: first.Next})
	requireInvalid(t, err, "cursor")
}
