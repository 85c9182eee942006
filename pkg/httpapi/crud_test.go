package httpapi_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/workspace"
)

type object map[string]any

type project struct {
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	Description string     `json:"description"`
	ArchivedAt  *time.Time `json:"archived_at"`
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
}

type task struct {
	ID          string     `json:"id"`
	ProjectID   string     `json:"project_id"`
	Title       string     `json:"title"`
	Description string     `json:"description"`
	Status      string     `json:"status"`
	Priority    int        `json:"priority"`
	AssigneeID  *string    `json:"assignee_id"`
	DueOn       *string    `json:"due_on"`
	LabelIDs    []string   `json:"label_ids"`
	Position    string     `json:"position"`
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
	CompletedAt *time.Time `json:"completed_at"`
}

type list[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"`
}

func (e *edge) newProject(host, key, name string) project {
	e.t.Helper()
	a := e.do(call{method: http.MethodPost, host: host, path: "/api/v1/projects", key: key, body: object{"name": name}})
	require.Equal(e.t, http.StatusCreated, a.status, a.body)
	var p project
	a.into(e.t, &p)
	return p
}

func TestProjects(t *testing.T) {
	t.Parallel()
	e := open(t, nil)

	created := e.do(call{method: "POST", path: "/api/v1/projects", key: e.acmeKey, body: object{"name": "  Office  ", "description": "Move"}})
	require.Equal(t, 201, created.status, created.body)
	require.Equal(t, "application/json", created.header.Get("Content-Type"))
	var p project
	created.into(t, &p)
	require.Equal(t, "Office", p.Name)
	require.Nil(t, p.ArchivedAt)
	require.Equal(t, "/api/v1/projects/"+p.ID, created.header.Get("Location"))

	path := created.header.Get("Location")
	got := e.do(call{path: path, key: e.acmeKey})
	require.Equal(t, 200, got.status)
	require.Equal(t, created.body, got.body)

	head := e.do(call{method: "HEAD", path: path, key: e.acmeKey})
	require.Equal(t, 200, head.status)
	require.Empty(t, head.body)
	require.Equal(t, got.header.Get("Content-Length"), head.header.Get("Content-Length"))

	patched := e.do(call{method: "PATCH", path: path, key: e.acmeKey, body: object{"archived": true},
		header: http.Header{"Content-Type": {"application/merge-patch+json"}}})
	require.Equal(t, 200, patched.status, patched.body)
	var after project
	patched.into(t, &after)
	require.Equal(t, "Office", after.Name, "what is absent stays")
	require.Equal(t, "Move", after.Description)
	require.NotNil(t, after.ArchivedAt)

	for query, want := range map[string]int{"": 1, "?archived=true": 1, "?archived=false": 0, "?q=OFF": 1, "?q=nothing": 0} {
		a := e.do(call{path: "/api/v1/projects" + query, key: e.acmeKey})
		require.Equal(t, 200, a.status, a.body)
		var found list[project]
		a.into(t, &found)
		require.Len(t, found.Items, want, query)
		require.NotNil(t, found.Items, "an empty list is [], not null")
		require.Empty(t, a.header.Get("Link"))
	}

	deleted := e.do(call{method: "DELETE", path: path, key: e.acmeKey})
	require.Equal(t, 204, deleted.status)
	require.Empty(t, deleted.body)
	for _, method := range []string{"GET", "DELETE"} {
		e.refused(e.do(call{method: method, path: path, key: e.acmeKey}), 404)
	}
	e.refused(e.do(call{method: "PATCH", path: path, key: e.acmeKey, body: object{}}), 404)
}

func TestTasks(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	in := e.newProject("acme.localhost", e.acmeKey, "Office")

	created := e.do(call{method: "POST", path: "/api/v1/tasks", key: e.acmeKey, body: object{
		"project_id": in.ID, "title": "Boxes", "due_on": "2026-12-01", "priority": 3,
	}})
	require.Equal(t, 201, created.status, created.body)
	var first task
	created.into(t, &first)
	require.Equal(t, "todo", first.Status)
	require.Equal(t, "2026-12-01", *first.DueOn)
	require.Contains(t, created.body, `"assignee_id":null`)

	path := created.header.Get("Location")
	patch := func(body any) task {
		a := e.do(call{method: "PATCH", path: path, key: e.acmeKey, body: body})
		require.Equal(t, 200, a.status, a.body)
		var out task
		a.into(t, &out)
		return out
	}
	// Absent, a value and null are three things.
	require.Equal(t, "2026-12-01", *patch(object{"status": "done"}).DueOn)
	require.Equal(t, "2026-12-24", *patch(object{"due_on": "2026-12-24"}).DueOn)
	require.Nil(t, patch(object{"due_on": nil}).DueOn)
	require.NotNil(t, patch(object{}).CompletedAt)
	e.refused(e.do(call{method: "PATCH", path: path, key: e.acmeKey, body: object{"title": nil}}), 422)

	unknown := uuid.NewString()
	p := e.refused(e.do(call{method: "PATCH", path: path, key: e.acmeKey, body: object{"assignee_id": unknown}}), 422)
	require.Equal(t, "body.assignee_id", p.Errors[0].Location)
	p = e.refused(e.do(call{method: "POST", path: "/api/v1/tasks", key: e.acmeKey, body: object{"project_id": unknown, "title": "x"}}), 422)
	require.Equal(t, "body.project_id", p.Errors[0].Location)

	other := e.newProject("acme.localhost", e.acmeKey, "Other")
	second := e.do(call{method: "POST", path: "/api/v1/tasks", key: e.acmeKey, body: object{
		"project_id": other.ID, "title": "Vans", "due_on": "2027-01-05",
	}})
	require.Equal(t, 201, second.status, second.body)
	for query, want := range map[string]int{
		"": 2, "?project_id=" + other.ID: 1, "?status=todo": 1, "?status=todo,done": 2, "?status=doing": 0, "?q=van": 1,
		"?due_after=2027-01-04": 1, "?due_before=2027-01-05": 0, "?assignee_id=" + unknown: 0, "?project_id=" + unknown: 0,
	} {
		var found list[task]
		a := e.do(call{path: "/api/v1/tasks" + query, key: e.acmeKey})
		require.Equal(t, 200, a.status, a.body)
		a.into(t, &found)
		require.Len(t, found.Items, want, query)
	}

	require.Equal(t, 204, e.do(call{method: "DELETE", path: path, key: e.acmeKey}).status)
	e.refused(e.do(call{path: path, key: e.acmeKey}), 404)
}

func TestActivity(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	in := e.newProject("acme.localhost", e.acmeKey, "Office")
	a := e.do(call{method: "POST", path: "/api/v1/tasks", key: e.acmeKey, body: object{"project_id": in.ID, "title": "Boxes"}})
	require.Equal(t, 201, a.status)
	var made task
	a.into(t, &made)
	e.do(call{method: "PATCH", path: "/api/v1/tasks/" + made.ID, key: e.acmeKey, body: object{"status": "done"}})
	for _, args := range e.jobs.args { // What the worker would do.
		event, ok := args.(workspace.ActivityRecorded)
		require.True(t, ok)
		require.NoError(t, e.work.RecordActivity(t.Context(), e.engine.Tenant(e.acme.Engine()), event))
	}

	for query, want := range map[string]int{"": 2, "?subject_id=" + made.ID: 2, "?project_id=" + in.ID: 2, "?project_id=" + made.ID: 0} {
		got := e.do(call{path: "/api/v1/activity" + query, key: e.acmeKey})
		require.Equal(t, 200, got.status, got.body)
		var feed list[struct {
			Kind      string `json:"kind"`
			SubjectID string `json:"subject_id"`
			Data      object `json:"data"`
		}]
		require.NoError(t, jsonLoose(got.body, &feed))
		require.Len(t, feed.Items, want, query)
		if want == 2 {
			require.Equal(t, "task.status_changed", feed.Items[0].Kind, "newest first")
			require.Equal(t, object{"from": "todo", "to": "done"}, feed.Items[0].Data)
			require.Equal(t, made.ID, feed.Items[1].SubjectID)
		}
	}
}

func TestPagesByLink(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	const total = 7
	var want []string
	for i := range total {
		want = append(want, e.newProject("acme.localhost", e.acmeKey, strings.Repeat("p", i+1)).ID)
	}
	link := regexp.MustCompile(`^<(/api/v1/projects\?[^>]+)>; rel="next"$`)
	var got []string
	path, pages := "/api/v1/projects?limit=3&q=p&archived=false", 0
	for path != "" {
		a := e.do(call{path: path, key: e.acmeKey})
		require.Equal(t, 200, a.status, a.body)
		var page list[project]
		a.into(t, &page)
		for _, p := range page.Items {
			got = append(got, p.ID)
		}
		pages++
		path = ""
		if header := a.header.Get("Link"); header != "" {
			m := link.FindStringSubmatch(header)
			require.NotNil(t, m, header)
			path = m[1]
			u, err := url.Parse(path)
			require.NoError(t, err)
			require.Equal(t, page.Next, u.Query().Get("cursor"))
			require.Equal(t, "3", u.Query().Get("limit"))
			require.Equal(t, "p", u.Query().Get("q"), "filters are kept")
		}
	}
	require.Equal(t, 3, pages)
	require.ElementsMatch(t, want, got)
	require.Equal(t, want[total-1], got[0], "newest first")

	first := e.do(call{path: "/api/v1/projects?limit=1", key: e.acmeKey})
	var page list[project]
	first.into(t, &page)
	for _, bad := range []string{
		"/api/v1/projects?q=p&cursor=" + page.Next, "/api/v1/tasks?cursor=" + page.Next, "/api/v1/projects?cursor=nonsense",
		"/api/v1/projects?cursor=%00", "/api/v1/projects?cursor=" + strings.Repeat("A", 5000), "/api/v1/projects?cursor=%ff%fe",
	} {
		p := e.refused(e.do(call{path: bad, key: e.acmeKey}), 422)
		require.Equal(t, "query.cursor", p.Errors[0].Location, bad)
	}
	for _, limit := range []string{"0", "-1", "101", "99999999999999999999", "ten", "1e2", "1.5"} {
		p := e.refused(e.do(call{path: "/api/v1/projects?limit=" + limit, key: e.acmeKey}), 422)
		require.Equal(t, "query.limit", p.Errors[0].Location, limit)
	}
}

// TestTenantsApart: for every kind of thing, what one tenant has is nothing at the other.
func TestTenantsApart(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	theirs := e.newProject("globex.localhost", e.globexKey, "Secret plans")
	a := e.do(call{method: "POST", host: "globex.localhost", path: "/api/v1/tasks", key: e.globexKey, body: object{
		"project_id": theirs.ID, "title": "Hide",
	}})
	require.Equal(t, 201, a.status, a.body)
	var theirTask task
	a.into(t, &theirTask)

	normal := func(body, id string) string {
		body = regexp.MustCompile(`"request_id":"[^"]+"`).ReplaceAllString(body, "")
		return strings.ReplaceAll(body, id, "ID")
	}
	for kind, id := range map[string]string{"projects": theirs.ID, "tasks": theirTask.ID} {
		random := uuid.Must(uuid.NewV7()).String()
		for _, c := range []call{
			{method: "GET"}, {method: "PATCH", body: object{}}, {method: "PATCH", body: object{"description": "x"}}, {method: "DELETE"},
		} {
			c.key = e.acmeKey
			c.path = "/api/v1/" + kind + "/" + id
			of := e.do(c)
			e.refused(of, 404)
			c.path = "/api/v1/" + kind + "/" + random
			require.Equal(t, normal(e.do(c).body, random), normal(of.body, id), "%s %s", c.method, kind)
		}
		var mine list[object]
		e.do(call{path: "/api/v1/" + kind, key: e.acmeKey}).into(t, &mine)
		require.Empty(t, mine.Items)
		var whole list[object]
		e.do(call{host: "globex.localhost", path: "/api/v1/" + kind, key: e.globexKey}).into(t, &whole)
		require.Len(t, whole.Items, 1, "untouched")
	}
	p := e.refused(e.do(call{method: "POST", path: "/api/v1/tasks", key: e.acmeKey, body: object{"project_id": theirs.ID, "title": "x"}}), 422)
	require.Equal(t, "body.project_id", p.Errors[0].Location)
}
