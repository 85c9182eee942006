package workspace_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func refused(t *testing.T, err error, code apperr.Code, field string) {
	t.Helper()
	require.Equal(t, code, apperr.CodeOf(err), "%v", err)
	if field == "" {
		return
	}
	var e *apperr.Error
	require.ErrorAs(t, err, &e)
	require.NotEmpty(t, e.Fields)
	require.Equal(t, field, e.Fields[0].Path)
}

// titles walks all pages of a list.
func (b *bundle) titles(t *testing.T, scope tenantschema.Scope, f workspace.TaskFilter, limit int) (all []string) {
	t.Helper()
	p := workspace.PageRequest{Limit: limit}
	for {
		page, err := b.ListTasks(t.Context(), scope, f, p)
		require.NoError(t, err)
		for _, task := range page.Items {
			all = append(all, task.Title)
		}
		if p.Cursor = page.Next; p.Cursor == "" {
			return all
		}
	}
}

func TestTaskOrders(t *testing.T) {
	t.Parallel()
	b := setup(t)
	in := b.project(t, b.acme, "Office")
	day := func(d int) *workspace.Date {
		date := workspace.NewDate(2026, time.December, d)
		return &date
	}
	for _, task := range []workspace.NewTask{
		{Title: "a", DueOn: day(3), Priority: 1}, {Title: "b", Priority: 4}, {Title: "c", DueOn: day(1), Priority: 1}, {Title: "d", DueOn: day(3)},
		{Title: "e", Priority: 4}, {Title: "f", DueOn: day(2), Priority: 2},
	} {
		task.ProjectID = in.ID
		b.task(t, b.acme, task)
		b.clock.advance(time.Second)
	}
	for sort, want := range map[workspace.TaskSort]string{
		"": "fedcba", "created": "abcdef", "-created": "fedcba", "due_on": "cfadbe", "-due_on": "dafceb", "priority": "dacfbe", "-priority": "ebfcad",
		"position": "abcdef", "-position": "fedcba",
	} {
		for _, limit := range []int{1, 2, 4, 100} {
			require.Equal(t, want, strings.Join(b.titles(t, b.acme, workspace.TaskFilter{Sort: sort}, limit), ""), "%s by %d", sort, limit)
		}
		require.Empty(t, b.titles(t, b.globex, workspace.TaskFilter{Sort: sort}, 2))
	}
	_, err := b.ListTasks(t.Context(), b.acme, workspace.TaskFilter{Sort: "title"}, workspace.PageRequest{})
	refused(t, err, apperr.Invalid, "sort")
	page, err := b.ListTasks(t.Context(), b.acme, workspace.TaskFilter{Sort: "due_on"}, workspace.PageRequest{Limit: 1})
	require.NoError(t, err)
	_, err = b.ListTasks(t.Context(), b.acme, workspace.TaskFilter{Sort: "priority"}, workspace.PageRequest{Cursor: page.Next})
	refused(t, err, apperr.Invalid, "cursor")
	for _, tail := range []string{"AAAA", "x", "LTE"} {
		_, err = b.ListTasks(t.Context(), b.acme, workspace.TaskFilter{Sort: "due_on"}, workspace.PageRequest{Cursor: page.Next + tail})
		refused(t, err, apperr.Invalid, "cursor")
	}

	start := b.clock.Now()
	require.Equal(t, []string{"e", "b"}, b.titles(t, b.acme, workspace.TaskFilter{Priorities: []int{4}}, 10))
	after := start.Add(-2 * time.Second)
	require.Equal(t, []string{"f"}, b.titles(t, b.acme, workspace.TaskFilter{CreatedAfter: &after}, 10))
	require.Equal(t, []string{"f"}, b.titles(t, b.acme, workspace.TaskFilter{UpdatedAfter: &after}, 10))
	_, err = b.ListTasks(t.Context(), b.acme, workspace.TaskFilter{Priorities: []int{5}}, workspace.PageRequest{})
	refused(t, err, apperr.Invalid, "priority")
}

// Whatever is moved where, however often, the board is as a list would be.
func TestTasksMove(t *testing.T) {
	t.Parallel()
	b := setup(t)
	in := b.project(t, b.acme, "Office")
	other := b.task(t, b.acme, workspace.NewTask{ProjectID: b.project(t, b.acme, "Other").ID, Title: "elsewhere"})
	ids, want := map[string]uuid.UUID{}, []string{}
	for i := range 6 { // All in one millisecond: there is no room between them.
		title := string(rune('a' + i))
		ids[title], want = b.task(t, b.acme, workspace.NewTask{ProjectID: in.ID, Title: title}).ID, append(want, title)
	}
	board := func() []string {
		return b.titles(t, b.acme, workspace.TaskFilter{ProjectID: &in.ID, Sort: "position"}, 4)
	}
	require.Equal(t, want, board())
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 150 {
		moved, beside := want[random.IntN(len(want))], want[random.IntN(len(want))]
		if i > 50 { // Always into the same gap.
			moved, beside = want[len(want)-1], want[0]
		}
		if moved == beside {
			continue
		}
		id, patch := ids[beside], workspace.TaskPatch{}
		var next []string
		for _, title := range want {
			switch {
			case title == moved:
			case title == beside && i%2 == 0:
				patch.Before = &id
				next = append(next, moved, title)
			case title == beside:
				patch.After = &id
				next = append(next, title, moved)
			default:
				next = append(next, title)
			}
		}
		_, err := b.PatchTask(t.Context(), b.acme, ids[moved], patch)
		require.NoError(t, err)
		want = next
		require.Equal(t, want, board(), "move %d: %s beside %s", i, moved, beside)
	}
	a := ids["a"]
	for name, patch := range map[string]workspace.TaskPatch{
		"itself": {Before: &a}, "another project": {Before: &other.ID}, "nothing": {Before: new(uuid.New())},
	} {
		_, err := b.PatchTask(t.Context(), b.acme, a, patch)
		refused(t, err, apperr.Invalid, "before")
		require.Equal(t, want, board(), name)
	}
	_, err := b.PatchTask(t.Context(), b.acme, a, workspace.TaskPatch{Before: &other.ID, After: &other.ID})
	refused(t, err, apperr.Invalid, "after")
}

func TestLabels(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	urgent, err := b.CreateLabel(ctx, b.acme, workspace.NewLabel{Name: " Urgent ", Color: "#1E90FF"})
	require.NoError(t, err)
	require.Equal(t, workspace.Label{ID: urgent.ID, Name: "Urgent", Color: "#1e90ff", CreatedAt: b.clock.Now()}, urgent)
	home, err := b.CreateLabel(ctx, b.acme, workspace.NewLabel{Name: "Home"})
	require.NoError(t, err)
	_, err = b.CreateLabel(ctx, b.acme, workspace.NewLabel{Name: "URGENT"})
	refused(t, err, apperr.Invalid, "name")
	_, err = b.CreateLabel(ctx, b.acme, workspace.NewLabel{Name: "x", Color: "red"})
	refused(t, err, apperr.Invalid, "color")
	name := "urgent"
	_, err = b.PatchLabel(ctx, b.acme, home.ID, workspace.LabelPatch{Name: &name})
	refused(t, err, apperr.Invalid, "name")

	in := b.project(t, b.acme, "Office")
	task := b.task(t, b.acme, workspace.NewTask{ProjectID: in.ID, Title: "x", LabelIDs: []uuid.UUID{home.ID, urgent.ID, home.ID}})
	require.Equal(t, []uuid.UUID{urgent.ID, home.ID}, task.LabelIDs)
	stored, err := b.GetTask(ctx, b.acme, task.ID)
	require.NoError(t, err)
	require.Equal(t, task, stored)
	require.Equal(t, []string{"x"}, b.titles(t, b.acme, workspace.TaskFilter{LabelID: &home.ID}, 10))
	task, err = b.PatchTask(ctx, b.acme, task.ID, workspace.TaskPatch{LabelIDs: &[]uuid.UUID{urgent.ID}})
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{urgent.ID}, task.LabelIDs)
	require.Empty(t, b.titles(t, b.acme, workspace.TaskFilter{LabelID: &home.ID}, 10))

	// A label of another tenant is none.
	theirs, err := b.CreateLabel(ctx, b.globex, workspace.NewLabel{Name: "Urgent"})
	require.NoError(t, err)
	_, err = b.PatchTask(ctx, b.acme, task.ID, workspace.TaskPatch{LabelIDs: &[]uuid.UUID{theirs.ID}})
	refused(t, err, apperr.Invalid, "label_ids")
	_, err = b.CreateTask(ctx, b.acme, workspace.NewTask{ProjectID: in.ID, Title: "y", LabelIDs: []uuid.UUID{theirs.ID}})
	refused(t, err, apperr.Invalid, "label_ids")
	_, err = b.GetLabel(ctx, b.globex, urgent.ID)
	refused(t, err, apperr.NotFound, "")
	refused(t, b.DeleteLabel(ctx, b.globex, urgent.ID), apperr.NotFound, "")
	require.NoError(t, b.DeleteLabel(ctx, b.acme, urgent.ID))
	stored, err = b.GetTask(ctx, b.acme, task.ID)
	require.NoError(t, err)
	require.Empty(t, stored.LabelIDs)
	page, err := b.ListLabels(ctx, b.globex, workspace.PageRequest{})
	require.NoError(t, err)
	require.Equal(t, []workspace.Label{theirs}, page.Items)
}

func TestComments(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	ada, bob := b.user(t, b.acme, "ada@example.com"), b.user(t, b.acme, "bob@example.com")
	asAda, asBob := b.As(workspace.Actor{UserID: ada, Name: "Ada"}), b.As(workspace.Actor{UserID: bob, Name: "Bob"})
	asKey := b.As(workspace.Actor{KeyID: uuid.New(), Name: "Robot"})
	in := b.project(t, b.acme, "Office")
	task := b.task(t, b.acme, workspace.NewTask{ProjectID: in.ID, Title: "x"})
	b.jobs.take()

	said, err := asAda.CreateComment(ctx, b.acme, task.ID, " The vans come at nine.\n")
	require.NoError(t, err)
	require.Equal(t, workspace.Comment{
		ID: said.ID, TaskID: task.ID, AuthorID: &ada, AuthorName: "ada@example.com", Body: "The vans come at nine.", CreatedAt: b.clock.Now(),
	}, said)
	told := b.jobs.take()
	require.Len(t, told, 1)
	require.Equal(t, workspace.EventCommentCreated, told[0].Event)
	require.Equal(t, ada, told[0].ActorID)
	robot, err := asKey.CreateComment(ctx, b.acme, task.ID, "Done.")
	require.NoError(t, err)
	require.Equal(t, "Robot", robot.AuthorName)

	for _, who := range []*workspace.Service{asBob, asKey, b.Service, b.As(workspace.Actor{UserID: bob, Moderates: true})} {
		_, err = who.EditComment(ctx, b.acme, said.ID, "Never.")
		refused(t, err, apperr.Forbidden, "")
	}
	refused(t, asBob.DeleteComment(ctx, b.acme, said.ID), apperr.Forbidden, "")
	b.clock.advance(time.Minute)
	edited, err := asAda.EditComment(ctx, b.acme, said.ID, "At ten.")
	require.NoError(t, err)
	require.Equal(t, b.clock.Now(), *edited.EditedAt)
	for _, bad := range []string{"", " \n", strings.Repeat("x", 10001), "\x00"} {
		_, err = asAda.EditComment(ctx, b.acme, said.ID, bad)
		refused(t, err, apperr.Invalid, "body")
	}
	// Another tenant sees, changes and deletes nothing, even as the same person.
	_, err = asAda.GetComment(ctx, b.globex, said.ID)
	refused(t, err, apperr.NotFound, "")
	_, err = asAda.EditComment(ctx, b.globex, said.ID, "x")
	refused(t, err, apperr.NotFound, "")
	refused(t, asAda.DeleteComment(ctx, b.globex, said.ID), apperr.NotFound, "")
	_, err = asAda.CreateComment(ctx, b.globex, task.ID, "x")
	refused(t, err, apperr.NotFound, "")
	_, err = b.ListComments(ctx, b.globex, task.ID, workspace.PageRequest{})
	refused(t, err, apperr.NotFound, "")

	page, err := b.ListComments(ctx, b.acme, task.ID, workspace.PageRequest{})
	require.NoError(t, err)
	require.Equal(t, []workspace.Comment{robot, edited}, page.Items)
	require.NoError(t, b.As(workspace.Actor{UserID: bob, Moderates: true}).DeleteComment(ctx, b.acme, said.ID))
	require.NoError(t, asKey.DeleteComment(ctx, b.acme, robot.ID))
}

func TestFeedNamesWho(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	ada := b.user(t, b.acme, "ada@example.com")
	in := b.project(t, b.acme, "Office")
	_, err := b.As(workspace.Actor{UserID: ada}).CreateTask(ctx, b.acme, workspace.NewTask{ProjectID: in.ID, Title: "x"})
	require.NoError(t, err)
	b.task(t, b.acme, workspace.NewTask{ProjectID: in.ID, Title: "by itself"})
	for _, event := range b.jobs.take() {
		require.NoError(t, b.RecordActivity(ctx, b.acme, event))
	}
	feed, err := b.ListActivity(ctx, b.acme, workspace.ActivityFilter{}, workspace.PageRequest{})
	require.NoError(t, err)
	require.Nil(t, feed.Items[0].ActorID)
	require.Empty(t, feed.Items[0].ActorName)
	require.Equal(t, ada, *feed.Items[1].ActorID)
	require.Equal(t, "ada@example.com", feed.Items[1].ActorName)
}

func TestChangeTasks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	in := b.project(t, b.acme, "Office")
	first, second := b.task(t, b.acme, workspace.NewTask{ProjectID: in.ID, Title: "a"}), b.task(t, b.acme, workspace.NewTask{ProjectID: in.ID, Title: "b"})
	theirs := b.task(t, b.globex, workspace.NewTask{ProjectID: b.project(t, b.globex, "G").ID, Title: "g"})
	title, empty := "A", ""
	good := []workspace.TaskChange{
		{Create: &workspace.NewTask{ProjectID: in.ID, Title: "c"}}, {ID: first.ID, Patch: &workspace.TaskPatch{Title: &title}}, {ID: second.ID, Delete: true},
	}
	b.jobs.take()
	for _, bad := range []struct {
		workspace.TaskChange

		code  apperr.Code
		field string
	}{
		{workspace.TaskChange{Create: &workspace.NewTask{ProjectID: in.ID}}, apperr.Invalid, "items[3].create.title"},
		{workspace.TaskChange{Create: &workspace.NewTask{ProjectID: theirs.ProjectID, Title: "x"}}, apperr.Invalid, "items[3].create.project_id"},
		{workspace.TaskChange{ID: first.ID, Patch: &workspace.TaskPatch{Title: &empty}}, apperr.Invalid, "items[3].patch.title"},
		{workspace.TaskChange{ID: theirs.ID, Delete: true}, apperr.NotFound, "items[3].id"},
		{workspace.TaskChange{ID: theirs.ID, Patch: &workspace.TaskPatch{Title: &title}}, apperr.NotFound, "items[3].id"},
		{workspace.TaskChange{ID: first.ID}, apperr.Invalid, "items[3]"},
		{workspace.TaskChange{Delete: true}, apperr.Invalid, "items[3]"},
		{workspace.TaskChange{ID: first.ID, Delete: true, Patch: &workspace.TaskPatch{}}, apperr.Invalid, "items[3]"},
	} {
		_, err := b.ChangeTasks(ctx, b.acme, append(good[:3:3], bad.TaskChange))
		refused(t, err, bad.code, bad.field)
		require.Equal(t, []string{"b", "a"}, b.titles(t, b.acme, workspace.TaskFilter{}, 10), "all or nothing")
	}
	_, err := b.ChangeTasks(ctx, b.acme, nil)
	refused(t, err, apperr.Invalid, "items")
	_, err = b.ChangeTasks(ctx, b.acme, make([]workspace.TaskChange, workspace.MaxBulk+1))
	refused(t, err, apperr.Invalid, "items")

	done, err := b.ChangeTasks(ctx, b.acme, good)
	require.NoError(t, err)
	require.Equal(t, "c", done[0].Title)
	require.Equal(t, "A", done[1].Title)
	require.Nil(t, done[2])
	require.Equal(t, []string{"c", "A"}, b.titles(t, b.acme, workspace.TaskFilter{}, 10))
	require.Equal(t, []string{"g"}, b.titles(t, b.globex, workspace.TaskFilter{}, 10))
}

func TestSearch(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	in := b.project(t, b.acme, "Winter move")
	boxes := b.task(t, b.acme, workspace.NewTask{ProjectID: in.ID, Title: "Order boxes", Description: "Forty of the large ones, for the move."})
	vans := b.task(t, b.acme, workspace.NewTask{ProjectID: in.ID, Title: "Vans", Description: "Order three."})
	said, err := b.CreateComment(ctx, b.acme, vans.ID, "Boxes first, please.")
	require.NoError(t, err)
	b.task(t, b.globex, workspace.NewTask{ProjectID: b.project(t, b.globex, "Boxes").ID, Title: "Boxes of globex"})

	find := func(scope tenantschema.Scope, query string) (ids []uuid.UUID) {
		found, err := b.Search(ctx, scope, query, 0)
		require.NoError(t, err, query)
		for _, f := range found {
			ids = append(ids, f.ID)
		}
		return ids
	}
	require.Equal(t, []uuid.UUID{boxes.ID, said.ID}, find(b.acme, "boxes"), "a title counts more than a text")
	require.Equal(t, []uuid.UUID{boxes.ID, said.ID}, find(b.acme, "BOX"), "the beginning of a word")
	require.Equal(t, []uuid.UUID{boxes.ID}, find(b.acme, "order box"))
	require.Equal(t, []uuid.UUID{in.ID, boxes.ID}, find(b.acme, "move"), "projects first")
	require.Equal(t, []uuid.UUID{vans.ID}, find(b.acme, "order -boxes"))
	require.ElementsMatch(t, []uuid.UUID{boxes.ID, vans.ID}, find(b.acme, `"order boxes" or vans`))
	for _, nothing := range []string{"globex", "-", "&", "'", `"`, ":*", "order -\"large ones\" (", "\\", "!", "%", "ör", "or", `-"a b"`} {
		require.NotPanics(t, func() { find(b.acme, nothing) }, nothing)
	}
	require.Empty(t, find(b.acme, "globex"))
	found, err := b.Search(ctx, b.acme, "please", 0)
	require.NoError(t, err)
	require.Equal(t, []workspace.Found{{
		Type: "comment", ID: said.ID, ProjectID: in.ID, TaskID: &vans.ID, Title: "Vans",
		Excerpt: "Boxes first, " + workspace.HitBegins + "please" + workspace.HitEnds + ".", CreatedAt: said.CreatedAt,
	}}, found)
	_, err = b.Search(ctx, b.acme, " ", 0)
	refused(t, err, apperr.Invalid, "q")
	_, err = b.Search(ctx, b.acme, "x", 101)
	refused(t, err, apperr.Invalid, "limit")
}

func TestUsage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.user(t, b.acme, "ada@example.com")
	in := b.project(t, b.acme, "Office")
	done := workspace.StatusDone
	task := b.task(t, b.acme, workspace.NewTask{ProjectID: in.ID, Title: "x"})
	b.task(t, b.acme, workspace.NewTask{ProjectID: in.ID, Title: "y", Status: done})
	_, err := b.CreateAttachment(ctx, b.acme, task.ID, "a.txt", strings.NewReader("12345"))
	require.NoError(t, err)
	for i := range 3 {
		id, err := uuid.NewV7() // Of the real clock: what is older than the first day asked for is left out by the id.
		require.NoError(t, err)
		require.NoError(t, b.RecordActivity(ctx, b.acme, workspace.ActivityRecorded{
			EventID: id, Event: workspace.EventTaskCreated, ProjectID: in.ID, TaskID: task.ID, At: b.clock.Now().AddDate(0, 0, -i/2),
		}))
	}
	u, err := b.Usage(ctx, b.acme, 3)
	require.NoError(t, err)
	require.Equal(t, workspace.Usage{Users: 1, Projects: 1, Tasks: 2, OpenTasks: 1, Files: 1, FileBytes: 5, Activity: []workspace.DayActivity{
		{Day: workspace.NewDate(2026, 11, 22)}, {Day: workspace.NewDate(2026, 11, 23), Events: 1}, {Day: workspace.NewDate(2026, 11, 24), Events: 2},
	}}, u)
	theirs, err := b.Usage(ctx, b.globex, 1)
	require.NoError(t, err)
	require.Equal(t, workspace.Usage{Activity: []workspace.DayActivity{{Day: workspace.NewDate(2026, 11, 24)}}}, theirs)
	_, err = b.Usage(ctx, b.acme, 91)
	refused(t, err, apperr.Invalid, "days")
}

// BenchmarkSearch: 50,000 tasks of some forty words in one tenant, under the seal.
func BenchmarkSearch(b *testing.B) {
	db := setup(b)
	in := db.project(b, db.acme, "P")
	_, err := db.acme.Exec(b.Context(), `INSERT INTO tasks (id, project_id, title, description, position)
SELECT gen_random_uuid(), $1, 'task ' || n || ' ' || md5(n::text),
    (SELECT string_agg(substr(md5((n * 37 + w)::text), 1, 3 + (n + w) % 5), ' ') FROM generate_series(1, 40) AS w), n
FROM generate_series(1, 50000) AS n`, in.ID)
	require.NoError(b, err)
	for _, query := range []string{"a87ff679", "abc", "nothing here"} {
		b.Run(fmt.Sprintf("%q", query), func(b *testing.B) {
			for b.Loop() {
				_, err := db.Search(b.Context(), db.acme, query, 0)
				require.NoError(b, err)
			}
		})
	}
}
