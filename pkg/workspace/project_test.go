package workspace_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
)

// requireInvalid asserts that err is apperr.Invalid and names exactly these fields.
func requireInvalid(t *testing.T, err error, fields ...string) {
	t.Helper()
	var wrong *apperr.Error
	require.ErrorAs(t, err, &wrong)
	require.Equal(t, apperr.Invalid, wrong.Code)
	paths := make([]string, 0, len(wrong.Fields))
	for _, field := range wrong.Fields {
		paths = append(paths, field.Path)
		require.NotEmpty(t, field.Message)
	}
	require.Equal(t, fields, paths)
}

func requireNotFound(t *testing.T, err error) {
	t.Helper()
	require.Equal(t, apperr.NotFound, apperr.CodeOf(err), "%v", err)
}

func TestProjectLife(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()

	made, err := b.CreateProject(ctx, b.acme, workspace.NewProject{Name: "  Attic ", Description: "Up there.\nDusty."})
	require.NoError(t, err)
	require.Equal(t, "Attic", made.Name)
	require.Equal(t, "Up there.\nDusty.", made.Description)
	require.Equal(t, b.clock.Now(), made.CreatedAt)
	require.Equal(t, made.CreatedAt, made.UpdatedAt)
	require.Nil(t, made.ArchivedAt)
	require.EqualValues(t, 7, made.ID.Version())

	got, err := b.GetProject(ctx, b.acme, made.ID)
	require.NoError(t, err)
	require.Equal(t, made, got)

	later := b.clock.advance(time.Hour)
	got, err = b.PatchProject(ctx, b.acme, made.ID, workspace.ProjectPatch{Name: new("Cellar")})
	require.NoError(t, err)
	want := made
	want.Name, want.UpdatedAt = "Cellar", later
	require.Equal(t, want, got)

	got, err = b.PatchProject(ctx, b.acme, made.ID, workspace.ProjectPatch{Archived: new(true), Description: new("")})
	require.NoError(t, err)
	want.Description, want.ArchivedAt = "", &later
	require.Equal(t, want, got)

	b.clock.advance(time.Hour)
	got, err = b.PatchProject(ctx, b.acme, made.ID, workspace.ProjectPatch{Archived: new(true)})
	require.NoError(t, err)
	require.Equal(t, &later, got.ArchivedAt, "archived stays archived since then")

	nothing, err := b.PatchProject(ctx, b.acme, made.ID, workspace.ProjectPatch{})
	require.NoError(t, err)
	require.Equal(t, got, nothing)

	got, err = b.PatchProject(ctx, b.acme, made.ID, workspace.ProjectPatch{Archived: new(false)})
	require.NoError(t, err)
	require.Nil(t, got.ArchivedAt)

	task := b.task(t, b.acme, workspace.NewTask{ProjectID: made.ID, Title: "Sweep"})
	require.NoError(t, b.DeleteProject(ctx, b.acme, made.ID))
	_, err = b.GetProject(ctx, b.acme, made.ID)
	requireNotFound(t, err)
	_, err = b.GetTask(ctx, b.acme, task.ID)
	requireNotFound(t, err)
	requireNotFound(t, b.DeleteProject(ctx, b.acme, made.ID))
	_, err = b.PatchProject(ctx, b.acme, made.ID, workspace.ProjectPatch{Name: new("Roof")})
	requireNotFound(t, err)
	_, err = b.PatchProject(ctx, b.acme, made.ID, workspace.ProjectPatch{})
	requireNotFound(t, err)
}

func TestProjectInputIsChecked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	long := strings.Repeat("ü", 100)
	project, err := b.CreateProject(ctx, b.acme, workspace.NewProject{Name: long, Description: strings.Repeat("ü", 10_000)})
	require.NoError(t, err, "the limits count characters, in Go as in the schema")
	require.Equal(t, long, project.Name)

	for name, in := range map[string]struct {
		workspace.NewProject

		fields []string
	}{
		"empty":            {workspace.NewProject{}, []string{"name"}},
		"blank":            {workspace.NewProject{Name: " \t"}, []string{"name"}},
		"long":             {workspace.NewProject{Name: long + "x"}, []string{"name"}},
		"two lines":        {workspace.NewProject{Name: "a\nb"}, []string{"name"}},
		"NUL":              {workspace.NewProject{Name: "a\x00b"}, []string{"name"}},
		"not UTF-8":        {workspace.NewProject{Name: "a\xffb"}, []string{"name"}},
		"long description": {workspace.NewProject{Name: "a", Description: strings.Repeat("x", 10_001)}, []string{"description"}},
		"everything":       {workspace.NewProject{Description: "a\x00b"}, []string{"name", "description"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := b.CreateProject(t.Context(), b.acme, in.NewProject)
			requireInvalid(t, err, in.fields...)
			_, err = b.PatchProject(t.Context(), b.acme, project.ID, workspace.ProjectPatch{Name: &in.Name, Description: &in.Description})
			requireInvalid(t, err, in.fields...)
		})
	}
}

func TestProjectList(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	empty, err := b.ListProjects(ctx, b.acme, workspace.ProjectFilter{}, workspace.PageRequest{})
	require.NoError(t, err)
	require.NotNil(t, empty.Items)
	require.Empty(t, empty.Items)
	require.Empty(t, empty.Next)

	for _, name := range []string{"Roof", "100% wool", "100 wools", `C:\attic`, "snake_case", "snakeXcase"} {
		b.project(t, b.acme, name)
	}
	roof := b.project(t, b.acme, "New roof")
	_, err = b.PatchProject(ctx, b.acme, roof.ID, workspace.ProjectPatch{Archived: new(true)})
	require.NoError(t, err)

	for name, c := range map[string]struct {
		workspace.ProjectFilter

		want []string
	}{
		"all": {workspace.ProjectFilter{}, []string{
			"New roof", "snakeXcase", "snake_case", `C:\attic`, "100 wools", "100% wool", "Roof",
		}},
		"archived":          {workspace.ProjectFilter{Archived: new(true)}, []string{"New roof"}},
		"any case":          {workspace.ProjectFilter{Query: " ROOF "}, []string{"New roof", "Roof"}},
		"both":              {workspace.ProjectFilter{Query: "roof", Archived: new(false)}, []string{"Roof"}},
		"percent is itself": {workspace.ProjectFilter{Query: "0% w"}, []string{"100% wool"}},
		"underscore too":    {workspace.ProjectFilter{Query: "e_c"}, []string{"snake_case"}},
		"backslash too":     {workspace.ProjectFilter{Query: `:\a`}, []string{`C:\attic`}},
		"none":              {workspace.ProjectFilter{Query: "'; --"}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			page, err := b.ListProjects(t.Context(), b.acme, c.ProjectFilter, workspace.PageRequest{})
			require.NoError(t, err)
			names := []string{}
			for _, project := range page.Items {
				names = append(names, project.Name)
			}
			require.Equal(t, c.want, names)
			require.Empty(t, page.Next)
		})
	}
}

func TestProjectListRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.project(t, b.acme, "One")
	b.project(t, b.acme, "Two")
	first, err := b.ListProjects(ctx, b.acme, workspace.ProjectFilter{}, workspace.PageRequest{Limit: 1})
	require.NoError(t, err)
	require.NotEmpty(t, first.Next)

	list := func(f workspace.ProjectFilter, p workspace.PageRequest) error {
		_, err := b.ListProjects(ctx, b.acme, f, p)
		return err
	}
	requireInvalid(t, list(workspace.ProjectFilter{}, workspace.PageRequest{Limit: -1}), "limit")
	requireInvalid(t, list(workspace.ProjectFilter{}, workspace.PageRequest{Limit: 101}), "limit")
	requireInvalid(t, list(workspace.ProjectFilter{Query: strings.Repeat("x", 101)}, workspace.PageRequest{}), "q")
	requireInvalid(t, list(workspace.ProjectFilter{}, workspace.PageRequest{Cursor: "hello"}), "cursor")
	requireInvalid(t, list(workspace.ProjectFilter{}, workspace.PageRequest{Cursor: strings.Repeat("!", len(first.Next))}), "cursor")
	requireInvalid(t, list(workspace.ProjectFilter{Query: "o"}, workspace.PageRequest{Cursor: first.Next}), "cursor")
	require.NoError(t, list(workspace.ProjectFilter{}, workspace.PageRequest{Cursor: first.Next, Limit: 7}), "another limit is fine")
	_, err = b.ListTasks(ctx, b.acme, workspace.TaskFilter{}, workspace.PageRequest{Cursor: first.Next})
	requireInvalid(t, err, "cursor")
}

func TestNewWantsJobs(t *testing.T) {
	t.Parallel()
	_, err := workspace.New(workspace.Config{})
	require.Error(t, err)
}

// unknownID gives an id that nothing has.
func unknownID(t *testing.T) uuid.UUID {
	t.Helper()
	id, err := uuid.NewV7()
	require.NoError(t, err)
	return id
}
