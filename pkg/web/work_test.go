package web_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
)

// project makes a project by the form, and gives its path.
func (v *visitor) project(name string) string {
	v.h.t.Helper()
	made := v.submit("/projects", url.Values{"name": {name}, "description": {"About " + name}})
	require.Equal(v.h.t, http.StatusSeeOther, made.status, made.body)
	return made.location
}

// task makes a task by the form, and gives its path.
func (v *visitor) task(project, title string) string {
	v.h.t.Helper()
	made := v.submit(project+"/tasks", url.Values{"title": {title}, "status": {"todo"}, "open": {"1"}})
	require.Equal(v.h.t, http.StatusSeeOther, made.status, made.body)
	return made.location
}

// All of the work is done by links and forms.
func TestWork_WithoutScripts(t *testing.T) {
	t.Parallel()
	h := open(t)
	ada := h.as(h.acme, "ada", identity.RoleOwner)
	require.Contains(t, ada.get("/").body, "There are no projects yet.")

	wrong := ada.submit("/projects", url.Values{"name": {""}, "description": {"kept"}})
	require.Equal(t, http.StatusUnprocessableEntity, wrong.status)
	require.Contains(t, wrong.body, `aria-invalid="true"`)
	require.Contains(t, wrong.body, "kept")

	project := ada.project("Moon <b>launch</b>")
	first := ada.get(project)
	require.Contains(t, first.body, "Moon &lt;b&gt;launch&lt;/b&gt;")
	require.Contains(t, first.body, `role="status">The project`, "what was done is told once")
	require.NotContains(t, ada.get(project).body, `role="status">The project`)

	task := ada.task(project, "Paint the nose cone")
	require.Equal(t, http.StatusSeeOther, ada.submit(task+"/move", url.Values{"status": {"doing"}}).status)
	board := ada.get(project).body
	require.Less(t, strings.Index(board, `data-status="doing"`), strings.Index(board, `data-title="Paint the nose cone"`))

	saved := ada.submit(task, url.Values{
		"title": {"Paint it red"}, "status": {"done"}, "priority": {"4"}, "due_on": {"2026-12-24"}, "assignee_id": {""}, "description": {"a\nb"},
	})
	require.Equal(t, task, saved.location, saved.body)
	page := ada.get(task).body
	for _, want := range []string{"Paint it red", `value="done" selected`, `value="4" selected`, `value="2026-12-24"`, "a\nb"} {
		require.Contains(t, page, want)
	}
	bad := ada.submit(task, url.Values{"due_on": {"soon"}})
	require.Equal(t, http.StatusUnprocessableEntity, bad.status)
	require.Contains(t, bad.body, "Give a date like")

	list := ada.get(project + "/tasks?status=done&q=red").body
	require.Contains(t, list, "Paint it red")
	require.NotContains(t, ada.get("/tasks?status=open").body, "Paint it red")
	require.Equal(t, http.StatusOK, ada.get("/activity").status)

	require.Equal(t, http.StatusUnprocessableEntity, ada.submit(project+"/delete", url.Values{"confirm": {"Moon"}}).status)
	require.Equal(t, "/", ada.submit(project+"/archive", url.Values{"archived": {"1"}}).location)
	require.Contains(t, ada.get("/?archived=1").body, "launch")
	require.Equal(t, project, ada.submit(task+"/delete", nil).location)
	require.Equal(t, http.StatusNotFound, ada.get(task).status)
	require.Equal(t, "/", ada.submit(project+"/delete", url.Values{"confirm": {"Moon <b>launch</b>"}}).location)
	require.Equal(t, http.StatusNotFound, ada.get(project).status)
}

func (v *visitor) upload(path, name, content string) seen {
	v.h.t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, err := w.CreateFormFile("file", name)
	require.NoError(v.h.t, err)
	_, err = part.Write([]byte(content))
	require.NoError(v.h.t, err)
	require.NoError(v.h.t, w.Close())
	return v.do(http.MethodPost, path, w.FormDataContentType(), &b)
}

func TestFiles(t *testing.T) {
	t.Parallel()
	h := open(t)
	ada := h.as(h.acme, "ada", identity.RoleOwner)
	task := ada.task(ada.project("Moon launch"), "Paint")
	stored := ada.upload(task+"/files", `x"<script>.html`, "<script>alert(1)</script>")
	require.Equal(t, http.StatusSeeOther, stored.status, stored.body)
	page := ada.get(task).body
	_, rest, found := strings.Cut(page, `class="list-title" href="`)
	require.True(t, found, page)
	path, _, _ := strings.Cut(rest, `"`)
	file := ada.get(path)
	require.Equal(t, "<script>alert(1)</script>", file.body)
	require.True(t, strings.HasPrefix(file.header.Get("Content-Disposition"), "attachment;"))
	require.Contains(t, file.header.Get("Content-Security-Policy"), "sandbox")
	require.Equal(t, http.StatusUnprocessableEntity, ada.upload(task+"/files", "", "").status)

	// It is acme's alone, and somebody's who is signed in.
	eve := h.as(h.globex, "eve", identity.RoleOwner)
	require.Equal(t, http.StatusNotFound, eve.get(path).status)
	require.Equal(t, http.StatusNotFound, eve.submit(path+"/delete", nil).status)
	require.Equal(t, http.StatusSeeOther, h.visitor("acme").get(path).status)
	require.Equal(t, task+"#files", ada.submit(path+"/delete", nil).location)
}

// Whatever names something of another tenant names nothing, and a session of another tenant is none.
func TestWork_OtherTenant(t *testing.T) {
	t.Parallel()
	h := open(t)
	ada, eve := h.as(h.acme, "ada", identity.RoleOwner), h.as(h.globex, "eve", identity.RoleOwner)
	project := ada.project("Moon launch")
	task := ada.task(project, "Paint")
	own := eve.project("Clouds")
	for _, path := range []string{project, project + "/tasks", project + "/settings", task} {
		require.Equal(t, http.StatusOK, ada.get(path).status, path)
		got := eve.get(path)
		require.Equal(t, http.StatusNotFound, got.status, path)
		require.NotContains(t, got.body, "Moon")
		require.NotContains(t, got.body, "Paint")
	}
	for _, path := range []string{project, project + "/archive", project + "/delete", task, task + "/move", task + "/delete"} {
		form := url.Values{"name": {"x"}, "title": {"x"}, "status": {"done"}, "confirm": {"Moon launch"}, "archived": {"1"}}
		require.Equal(t, http.StatusNotFound, eve.submit(path, form).status, path)
	}
	require.Equal(t, http.StatusNotFound, eve.submit(project+"/tasks", url.Values{"title": {"x"}}).status)
	require.Equal(t, http.StatusNotFound, eve.upload(task+"/files", "a.txt", "x").status)
	for _, path := range []string{"/", "/tasks", "/activity", "/tasks?q=Paint"} {
		require.NotContains(t, eve.get(path).body, "Moon launch", path)
	}
	got, err := h.work.ListTasks(t.Context(), h.scope(h.acme), workspace.TaskFilter{}, workspace.PageRequest{})
	require.NoError(t, err)
	require.Len(t, got.Items, 1)
	require.Equal(t, "Paint", got.Items[0].Title)

	// The cookie, carried to the other host.
	thief := h.visitor("acme")
	thief.cookies = eve.cookies
	require.Equal(t, "/sign-in?next="+url.QueryEscape(project), thief.get(project).location)
	require.Equal(t, "/sign-in", thief.submit(task+"/delete", nil).location)
	require.Equal(t, http.StatusOK, eve.get(own).status)
}

// A guest reads, and nothing else.
func TestWork_Guest(t *testing.T) {
	t.Parallel()
	h := open(t)
	ada, gus := h.as(h.acme, "ada", identity.RoleOwner), h.as(h.acme, "gus", identity.RoleGuest)
	project := ada.project("Moon launch")
	task := ada.task(project, "Paint")
	for _, path := range []string{"/", project, project + "/tasks", task, "/tasks", "/activity"} {
		got := gus.get(path)
		require.Equal(t, http.StatusOK, got.status, path)
		require.NotContains(t, got.body, `method="post" action="/projects`, path)
		require.NotContains(t, got.body, `method="post" action="/tasks/`, path)
	}
	require.NotContains(t, gus.get("/tasks").body, ">ada</option>", "nor sees who the members are")
	require.Equal(t, http.StatusForbidden, gus.get(project+"/settings").status)
	for _, path := range []string{"/projects", project, project + "/tasks", project + "/archive", project + "/delete", task, task + "/move",
		task + "/delete", task + "/files"} {
		got := gus.submit(path, url.Values{"name": {"x"}, "title": {"x"}, "status": {"done"}})
		require.Equal(t, http.StatusForbidden, got.status, path)
		require.Contains(t, got.body, "Your role does not allow this")
	}
}
