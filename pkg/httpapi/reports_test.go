package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/httpapi"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
)

// queued is an edge whose product enqueues into the real queue.
func queued(t *testing.T, change func(*httpapi.Config)) (*edge, *workspace.Service) {
	t.Helper()
	queue, err := jobqueue.New(jobqueue.Config{})
	require.NoError(t, err)
	work, err := workspace.New(workspace.Config{Jobs: queue, Files: files(t)})
	require.NoError(t, err)
	return open(t, func(c *httpapi.Config) {
		c.Workspace = work
		if change != nil {
			change(c)
		}
	}), work
}

func TestReports(t *testing.T) {
	t.Parallel()
	e, work := queued(t, nil)
	const reports = "/api/v1/reports"
	day := time.Now().UTC().Format(time.DateOnly)
	ask := func(body any) answer { return e.do(call{method: "POST", path: reports, key: e.acmeKey, body: body}) }
	for _, state := range []string{"enqueued", "waiting"} {
		a := ask(object{"day": day})
		require.Equal(t, 202, a.status, a.body)
		require.JSONEq(t, `{"day":"`+day+`","time_zone":"UTC","job":"`+state+`"}`, a.body)
	}
	for location, body := range map[string]object{
		"body.day":       {"day": "2020-01-01"},
		"body.time_zone": {"day": day, "time_zone": "Nowhere"},
		"body.zone":      {"day": day, "zone": "UTC"},
	} {
		require.Equal(t, location, e.refused(ask(body), 422).Errors[0].Location)
	}
	e.refused(e.do(call{method: "POST", path: reports, key: e.key(e.acme, "read"), body: object{"day": day}}), 403)

	parsed, err := workspace.ParseDate(day)
	require.NoError(t, err)
	due := workspace.ReportDue{Day: parsed, TimeZone: "UTC"}
	require.NoError(t, work.DailyReport(t.Context(), e.engine.Tenant(e.acme.Engine()), due))
	var list struct {
		Items []struct {
			ID        string `json:"id"`
			Day       string `json:"day"`
			Kind      string `json:"kind"`
			TimeZone  string `json:"time_zone"`
			CSVBytes  int    `json:"csv_bytes"`
			HTMLBytes int    `json:"html_bytes"`
			CreatedAt string `json:"created_at"`
		} `json:"items"`
	}
	e.do(call{path: reports, key: e.acmeKey}).into(t, &list)
	require.Len(t, list.Items, 1)
	report := list.Items[0]
	require.Equal(t, []string{day, "daily", "UTC"}, []string{report.Day, report.Kind, report.TimeZone})
	one := e.do(call{path: reports + "/" + report.ID, key: e.acmeKey})
	require.Equal(t, 200, one.status)
	require.Contains(t, one.body, report.CreatedAt)

	table := e.do(call{path: reports + "/" + report.ID + "/csv", key: e.acmeKey})
	require.Equal(t, 200, table.status)
	require.Equal(t, "text/csv; charset=utf-8", table.header.Get("Content-Type"))
	require.Equal(t, "attachment; filename=daily-"+day+".csv", table.header.Get("Content-Disposition"))
	require.Len(t, table.body, report.CSVBytes)
	require.True(t, strings.HasPrefix(table.body, "project_id,project,todo,"))

	page := e.do(call{path: reports + "/" + report.ID + "/html", key: e.acmeKey})
	require.Equal(t, 200, page.status)
	require.Equal(t, "text/html; charset=utf-8", page.header.Get("Content-Type"))
	require.Equal(t, "inline; filename=daily-"+day+".html", page.header.Get("Content-Disposition"))
	require.Len(t, page.body, report.HTMLBytes)
	for _, a := range []answer{table, page} {
		require.Equal(t, []string{"nosniff"}, a.header.Values("X-Content-Type-Options"))
		require.Equal(t, []string{"no-store"}, a.header.Values("Cache-Control"))
		policy := a.header.Values("Content-Security-Policy")
		require.Len(t, policy, 1, "two would both hold")
		require.True(t, strings.HasPrefix(policy[0], "default-src 'none'; "), policy[0])
		require.NotContains(t, policy[0], "unsafe")
		require.Contains(t, policy[0], "; sandbox")
	}
	require.Contains(t, page.header.Get("Content-Security-Policy"), "style-src 'sha256-")
	require.NotContains(t, table.header.Get("Content-Security-Policy"), "style-src")

	// Acme's report is nothing at globex.
	for _, form := range []string{"", "/csv", "/html"} {
		path := reports + "/" + report.ID + form
		e.refused(e.do(call{host: "globex.localhost", path: path, key: e.globexKey}), 404)
		e.refused(e.do(call{host: "globex.localhost", path: path, key: e.acmeKey}), 401)
		e.refused(e.do(call{path: reports + "/nonsense" + form, key: e.acmeKey}), 404)
	}
	require.JSONEq(t, `{"items":[]}`, e.do(call{host: "globex.localhost", path: reports, key: e.globexKey}).body)
}

func TestImports(t *testing.T) {
	t.Parallel()
	e, work := queued(t, func(c *httpapi.Config) { c.MaxBodyBytes, c.MaxImportBytes = 1000, 2000 })
	project := e.newProject("acme.localhost", e.acmeKey, "Office")
	path := "/api/v1/projects/" + project.ID + "/imports"
	csv := func(path, file string, header ...string) call {
		h := http.Header{"Content-Type": {"text/csv; charset=utf-8"}}
		for i := 0; i < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return call{method: "POST", path: path, key: e.acmeKey, body: file, header: h}
	}
	type imported struct {
		ID           string                  `json:"id"`
		ProjectID    string                  `json:"project_id"`
		State        string                  `json:"state"`
		TotalRows    int                     `json:"total_rows"`
		DoneRows     int                     `json:"done_rows"`
		CreatedCount int                     `json:"created_count"`
		FailedCount  int                     `json:"failed_count"`
		Errors       []workspace.ImportError `json:"errors"`
		CreatedAt    time.Time               `json:"created_at"`
		FinishedAt   *time.Time              `json:"finished_at"`
	}
	// More than another body may have.
	file := "title,priority\nSweep,2\nMop,9\n" + strings.Repeat(" ", 1500) + ",\n"
	a := e.do(csv(path, file))
	require.Equal(t, 202, a.status, a.body)
	var made imported
	a.into(t, &made)
	require.Equal(t, "/api/v1/imports/"+made.ID, a.header.Get("Location"))
	require.Equal(t, imported{ID: made.ID, ProjectID: project.ID, State: "waiting", TotalRows: 3, Errors: []workspace.ImportError{},
		CreatedAt: made.CreatedAt}, made)

	scope := e.engine.Tenant(e.acme.Engine())
	page, err := work.ListImports(t.Context(), scope, uuid.MustParse(project.ID), workspace.PageRequest{})
	require.NoError(t, err)
	require.NoError(t, work.ImportTasks(t.Context(), scope, workspace.ImportDue{ImportID: page.Items[0].ID}))
	var now imported
	e.do(call{path: "/api/v1/imports/" + made.ID, key: e.acmeKey}).into(t, &now)
	require.Equal(t, []any{"done", 3, 1, 2}, []any{now.State, now.DoneRows, now.CreatedCount, now.FailedCount})
	require.Equal(t, 3, now.Errors[0].Line)
	require.Equal(t, "priority", now.Errors[0].Field)
	var list struct {
		Items []imported `json:"items"`
	}
	e.do(call{path: path, key: e.acmeKey}).into(t, &list)
	require.Equal(t, []imported{now}, list.Items)

	for name, c := range map[string]struct {
		call
		status   int
		location string
	}{
		"empty":              {csv(path, ""), 400, ""},
		"only a mark":        {csv(path, "\xef\xbb\xbf"), 422, "body.header"},
		"unknown column":     {csv(path, "title,owner\n"), 422, "body.header"},
		"not UTF-8":          {csv(path, "title\n\xff"), 422, "body.header"},
		"too large":          {csv(path, "title\n"+strings.Repeat("x", 2000)), 413, ""},
		"JSON":               {csv(path, "{}", "Content-Type", "application/json"), 415, ""},
		"no type":            {csv(path, "title\n", "Content-Type", ""), 415, ""},
		"compressed":         {csv(path, "title\n", "Content-Encoding", "gzip"), 415, ""},
		"no such project":    {csv("/api/v1/projects/"+made.ID+"/imports", "title\n"), 404, ""},
		"not an id":          {csv("/api/v1/projects/nonsense/imports", "title\n"), 404, ""},
		"no such import":     {call{path: "/api/v1/imports/" + project.ID, key: e.acmeKey}, 404, ""},
		"list of no project": {call{path: "/api/v1/projects/" + made.ID + "/imports", key: e.acmeKey}, 404, ""},
		"long page":          {call{path: path + "?limit=101", key: e.acmeKey}, 422, "query.limit"},
		"wrong page":         {call{path: path + "?limit=x", key: e.acmeKey}, 422, "query.limit"},
		"wrong cursor":       {call{path: path + "?cursor=x", key: e.acmeKey}, 422, "query.cursor"},
	} {
		a := e.do(c.call)
		require.Equal(t, c.status, a.status, "%s: %s", name, a.body)
		p := e.refused(a, c.status)
		if c.location != "" {
			require.NotEmpty(t, p.Errors, "%s: %s", name, a.body)
			require.Equal(t, c.location, p.Errors[0].Location, name)
		}
	}

	// Acme's import is nothing at globex, and acme's project takes none there.
	for _, c := range []call{{path: "/api/v1/imports/" + made.ID}, {path: path}, csv(path, "title\n")} {
		c.host, c.key = "globex.localhost", e.globexKey
		e.refused(e.do(c), 404)
	}
}
