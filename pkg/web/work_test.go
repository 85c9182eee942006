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
		body := strings.ReplaceAll(got.body, `method="post" action="`+task+`/comments"`, "") // That a guest may.
		require.NotContains(t, body, `method="post" action="/tasks/`, path)
	}
	require.NotContains(t, gus.get("/tasks").body, ">ada</option>", "nor sees who the members are")
	require.Equal(t, http.StatusForbidden, gus.get(project+"/settings").status)
	for _, path := range []string{"/projects", project, project + "/tasks", project + "/archive", project + "/delete", task, task + "/move",
		task + "/delete", task + "/files"} {
		got := gus.submit(path, url.Values{"name": {"x"}, "title": {"x"}, "status": {"done"}})
		require.Equal(t, http.StatusForbidden, got.status, path)
		require.Contains(t, got.body, "Your role does not allow this")
	}
	require.Equal(t, http.StatusForbidden, gus.submit(task+"/labels", url.Values{"new_label": {"x"}}).status)
	for _, path := range []string{"/usage", "/settings/webhooks", "/settings/branding"} {
		require.Equal(t, http.StatusForbidden, gus.get(path).status, path)
	}
	require.Equal(t, http.StatusSeeOther, gus.submit(task+"/comments", url.Values{"body": {"Looks good"}}).status, "but comments")
	require.Contains(t, ada.get(task).body, "Looks good")
}

func TestComments(t *testing.T) {
	t.Parallel()
	h := open(t)
	ada, ben, eve := h.as(h.acme, "ada", identity.RoleOwner), h.as(h.acme, "ben", identity.RoleMember), h.as(h.globex, "eve", identity.RoleOwner)
	task := ada.task(ada.project("Moon launch"), "Paint")
	require.Equal(t, http.StatusUnprocessableEntity, ada.submit(task+"/comments", url.Values{"body": {" "}}).status)
	made := ada.submit(task+"/comments", url.Values{"body": {"<i>Two</i> coats"}})
	require.Contains(t, made.location, task+"#comment-")
	comment := "/comments/" + strings.TrimPrefix(made.location, task+"#comment-")
	require.Contains(t, ben.get(task).body, "&lt;i&gt;Two&lt;/i&gt; coats")
	require.NotContains(t, ben.get(task).body, `action="`+comment, "it is ada's")
	require.Equal(t, http.StatusForbidden, ben.submit(comment, url.Values{"text": {"x"}}).status)
	require.Equal(t, http.StatusForbidden, ben.submit(comment+"/delete", nil).status)
	require.Equal(t, http.StatusNotFound, eve.submit(comment, url.Values{"text": {"x"}}).status)
	require.Equal(t, http.StatusNotFound, eve.submit(comment+"/delete", nil).status)
	require.Equal(t, http.StatusNotFound, eve.submit(task+"/comments", url.Values{"body": {"x"}}).status)
	require.Equal(t, http.StatusSeeOther, ada.submit(comment, url.Values{"text": {"Three coats"}}).status)
	require.Contains(t, ben.get(task).body, "Three coats")
	require.Contains(t, ben.get("/search?q=coats").body, "<mark>coats</mark>")
	require.NotContains(t, eve.get("/search?q=coats").body, "Three")
	require.Equal(t, http.StatusSeeOther, ada.submit(comment+"/delete", nil).status)
	require.NotContains(t, ben.get(task).body, "Three coats")
}

func TestLabels(t *testing.T) {
	t.Parallel()
	h := open(t)
	ada, eve := h.as(h.acme, "ada", identity.RoleOwner), h.as(h.globex, "eve", identity.RoleOwner)
	project := ada.project("Moon launch")
	task := ada.task(project, "Paint")
	require.Equal(t, http.StatusSeeOther, ada.submit(task+"/labels", url.Values{"new_label": {"urgent"}, "color": {"#aa0000"}}).status)
	require.Equal(t, http.StatusUnprocessableEntity, ada.submit(task+"/labels", url.Values{"new_label": {"Urgent"}, "color": {"#aa0000"}}).status)
	require.Contains(t, ada.get(project).body, `fill="#aa0000"`)
	require.NotContains(t, eve.get("/tasks").body, "urgent")
	other := eve.task(eve.project("Clouds"), "Rain")
	labels, err := h.work.ListLabels(t.Context(), h.scope(h.acme), workspace.PageRequest{})
	require.NoError(t, err)
	require.Equal(t, http.StatusUnprocessableEntity, eve.submit(other+"/labels", url.Values{"label": {labels.Items[0].ID.String()}}).status)
	require.Equal(t, http.StatusSeeOther, ada.submit(task+"/labels", nil).status)
	require.NotContains(t, ada.get(project).body, `fill="#aa0000"`)
}

// The order on the board is that of whoever moved last.
func TestBoard_Order(t *testing.T) {
	t.Parallel()
	h := open(t)
	ada := h.as(h.acme, "ada", identity.RoleOwner)
	project := ada.project("Moon launch")
	one, two, three := ada.task(project, "One"), ada.task(project, "Two"), ada.task(project, "Three")
	id := func(path string) string { return strings.TrimPrefix(path, "/tasks/") }
	require.Equal(t, http.StatusSeeOther, ada.submit(three+"/move", url.Values{"status": {"todo"}, "after": {id(one)}, "before": {id(two)}}).status)
	board := ada.get(project).body
	require.Less(t, strings.Index(board, `data-title="One"`), strings.Index(board, `data-title="Three"`))
	require.Less(t, strings.Index(board, `data-title="Three"`), strings.Index(board, `data-title="Two"`))
	require.Equal(t, http.StatusUnprocessableEntity, ada.submit(three+"/move", url.Values{"status": {"gone"}}).status)
}

func TestSettings_WebhooksAndBranding(t *testing.T) {
	t.Parallel()
	h := open(t)
	ada, eve := h.as(h.acme, "ada", identity.RoleOwner), h.as(h.globex, "eve", identity.RoleOwner)
	require.Equal(t, http.StatusUnprocessableEntity, ada.submit("/settings/webhooks", url.Values{"url": {"ftp://x"}}).status)
	made := ada.submit("/settings/webhooks", url.Values{"url": {"https://hooks.example/acme"}, "kinds": {"task.created"}})
	require.Equal(t, http.StatusOK, made.status, made.body)
	require.Contains(t, made.body, "whsec_")
	require.NotContains(t, ada.get("/settings/webhooks").body, "whsec_", "the secret is shown once")
	found, err := h.hooks.List(t.Context(), h.scope(h.acme))
	require.NoError(t, err)
	one := "/settings/webhooks/" + found[0].ID.String()
	require.Equal(t, one, ada.submit(one+"/test", nil).location)
	require.Contains(t, ada.get(one).body, "webhook.test")
	require.Contains(t, ada.submit(one+"/rotate", nil).body, "whsec_")
	for _, act := range []string{"", "/test", "/rotate", "/delete", "/enable"} {
		if act == "" {
			require.Equal(t, http.StatusNotFound, eve.get(one).status)
			continue
		}
		require.Equal(t, http.StatusNotFound, eve.submit(one+act, nil).status, act)
	}
	require.Equal(t, "/settings/webhooks", ada.submit(one+"/delete", nil).location)

	require.Equal(t, http.StatusUnprocessableEntity, ada.submit("/settings/branding", url.Values{"own": {"1"}, "accent": {"#ffee00"}}).status)
	require.Equal(t, http.StatusSeeOther, ada.submit("/settings/branding", url.Values{"name": {"ACME!"}, "own": {"1"}, "accent": {"#8a1c1c"}}).status)
	page := ada.get("/").body
	require.Contains(t, page, "ACME!")
	_, sheet, ok := strings.Cut(page, `href="/branding.css`)
	require.True(t, ok)
	sheet, _, _ = strings.Cut(sheet, `"`)
	require.Contains(t, h.visitor("acme").get("/branding.css"+sheet).body, "#8a1c1c")
	require.NotContains(t, eve.get("/").body, "branding.css")
	require.Empty(t, eve.get("/branding.css").body)
	require.Contains(t, ada.get("/usage").body, "<svg class=\"chart\"")
}
