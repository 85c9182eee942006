package workspace_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// due asks for the report of a day in Berlin.
func due(year int, month time.Month, day int) workspace.ReportDue {
	return workspace.ReportDue{Day: workspace.NewDate(year, month, day), TimeZone: "Europe/Berlin"}
}

// reports lists all of a tenant.
func (b *bundle) reports(t *testing.T, scope tenantschema.Scope) []workspace.Report {
	t.Helper()
	page, err := b.ListReports(t.Context(), scope, workspace.PageRequest{Limit: workspace.MaxLimit})
	require.NoError(t, err)
	require.Empty(t, page.Next)
	return page.Items
}

// report makes the report and gives its table, as maps from the header, and its page.
func (b *bundle) report(t *testing.T, scope tenantschema.Scope, d workspace.ReportDue) ([]map[string]string, string) {
	t.Helper()
	require.NoError(t, b.DailyReport(t.Context(), scope, d))
	var id uuid.UUID
	for _, r := range b.reports(t, scope) {
		if r.Day == d.Day {
			id = r.ID
		}
	}
	table, err := b.ReportCSV(t.Context(), scope, id)
	require.NoError(t, err)
	lines, err := csv.NewReader(bytes.NewReader(table.Content)).ReadAll()
	require.NoError(t, err)
	rows := make([]map[string]string, 0, len(lines))
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, cell := range line {
			row[lines[0][i]] = cell
		}
		rows = append(rows, row)
	}
	page, err := b.ReportHTML(t.Context(), scope, id)
	require.NoError(t, err)
	return rows, string(page.Content)
}

func TestDailyReport(t *testing.T) {
	t.Parallel()
	b := setup(t)
	attic, cellar := b.project(t, b.acme, "Attic"), b.project(t, b.acme, "Cellar")
	gone := b.project(t, b.acme, "Gone")
	_, err := b.PatchProject(t.Context(), b.acme, gone.ID, workspace.ProjectPatch{Archived: new(true)})
	require.NoError(t, err)
	at := func(text string) {
		t.Helper()
		moment, err := time.Parse(time.RFC3339, text)
		require.NoError(t, err)
		b.clock.advance(moment.Sub(b.clock.Now()))
	}
	add := func(project workspace.Project, moment string, in workspace.NewTask) workspace.Task {
		t.Helper()
		at(moment)
		in.ProjectID, in.Title = project.ID, "Sweep"
		return b.task(t, b.acme, in)
	}
	// Berlin's clocks were set back on 25 October 2026: the day had 25 hours, from 22:00 to 23:00 in UTC.
	add(attic, "2026-10-24T21:59:59Z", workspace.NewTask{})
	add(attic, "2026-10-24T22:00:00Z", workspace.NewTask{Status: workspace.StatusDoing})
	add(attic, "2026-10-25T22:59:59Z", workspace.NewTask{Status: workspace.StatusCancelled})
	finished := add(attic, "2026-10-25T23:00:00Z", workspace.NewTask{})
	_, err = b.PatchTask(t.Context(), b.acme, finished.ID, workspace.TaskPatch{Status: new(workspace.StatusDone)})
	require.NoError(t, err)
	add(gone, "2026-10-25T12:00:00Z", workspace.NewTask{})
	october := func(day int) *workspace.Date { return new(workspace.NewDate(2026, time.October, day)) }
	add(cellar, "2026-09-25T12:00:00Z", workspace.NewTask{DueOn: october(1)})
	add(cellar, "2026-09-26T12:00:00Z", workspace.NewTask{DueOn: october(25)})
	add(cellar, "2026-09-27T12:00:00Z", workspace.NewTask{DueOn: october(26)})
	add(cellar, "2026-09-28T12:00:00Z", workspace.NewTask{DueOn: october(1), Status: workspace.StatusDone})

	at("2026-10-26T05:00:00Z")
	rows, page := b.report(t, b.acme, due(2026, time.October, 25))
	require.Len(t, rows, 2, "what is put away is not told of")
	require.Len(t, rows[0], 7+60)
	series := func(row map[string]string, name string) map[string]string {
		got := map[string]string{}
		for column, cell := range row {
			if day, ok := strings.CutPrefix(column, name+" "); ok && cell != "0" {
				got[day] = cell
			}
		}
		return got
	}
	figures := func(row map[string]string) []string {
		return []string{row["project"], row["todo"], row["doing"], row["overdue"], row["created"], row["finished"]}
	}
	require.Equal(t, []string{"Cellar", "3", "0", "2", "0", "0"}, figures(rows[0]), "the most open first; the 26th is today")
	require.Equal(t, map[string]string{"2026-09-26": "1", "2026-09-27": "1", "2026-09-28": "1"}, series(rows[0], "created"))
	require.Equal(t, map[string]string{"2026-09-28": "1"}, series(rows[0], "finished"))
	require.Equal(t, cellar.ID.String(), rows[0]["project_id"])
	require.Equal(t, []string{"Attic", "1", "1", "0", "2", "0"}, figures(rows[1]))
	require.Equal(t, map[string]string{"2026-10-24": "1", "2026-10-25": "2"}, series(rows[1], "created"))
	require.Empty(t, series(rows[1], "finished"))
	require.Contains(t, page, "Daily report, Sunday, 25 October 2026")
	require.Contains(t, page, "From 2026-09-26 to 2026-10-25: 6 created, 1 finished, 2 at most")

	rows, _ = b.report(t, b.acme, due(2026, time.October, 26))
	require.Equal(t, []string{"Attic", "1", "1", "0", "1", "1"}, figures(rows[1]))
	require.Equal(t, "2", rows[0]["overdue"], "what is due today is not overdue")

	utc, _ := b.report(t, b.globex, due(2026, time.October, 25))
	require.Empty(t, utc)
}

// What stands on the page is described, and nothing in it comes from elsewhere or runs.
func TestReportPage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 52 {
		b.project(t, b.acme, fmt.Sprintf("Project %d", i))
	}
	_, page := b.report(t, b.acme, due(2026, time.November, 24))
	require.Contains(t, page, "And 2 more projects")
	require.NotRegexp(t, `(?i)<script|<link|<img|<iframe|https?:|url\(|@import|\sstyle=|\son[a-z]+=`, page)
	require.Contains(t, page, "prefers-color-scheme: dark")
	require.Contains(t, page, "@media print")

	report := b.reports(t, b.acme)[0]
	file, err := b.ReportHTML(t.Context(), b.acme, report.ID)
	require.NoError(t, err)
	require.Equal(t, "daily-2026-11-24.html", file.Name)
	require.Regexp(t, `^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='$`, file.Policy)
	require.Equal(t, len(file.Content), report.HTMLBytes)
	doc, err := html.Parse(bytes.NewReader(file.Content))
	require.NoError(t, err)
	var meta string
	ids, charts, tables := map[string]bool{}, 0, 0
	var labelled []string
	for n := range doc.Descendants() {
		attr := map[string]string{}
		for _, a := range n.Attr {
			attr[a.Key] = a.Val
		}
		if id := attr["id"]; id != "" {
			require.False(t, ids[id], id)
			ids[id] = true
		}
		labelled = append(labelled, strings.Fields(attr["aria-labelledby"])...)
		switch {
		case attr["http-equiv"] == "Content-Security-Policy":
			meta = attr["content"]
		case n.Data == "svg" && attr["role"] == "img":
			charts++
		case n.Data == "table":
			tables++
		}
	}
	require.Equal(t, file.Policy, meta, "the same when it is opened from a disk")
	require.Equal(t, 51, charts)
	require.Equal(t, charts, tables)
	for _, id := range labelled {
		require.True(t, ids[id], id)
	}
	table, err := b.ReportCSV(t.Context(), b.acme, report.ID)
	require.NoError(t, err)
	require.Equal(t, "daily-2026-11-24.csv", table.Name)
	require.Equal(t, len(table.Content), report.CSVBytes)
	require.Equal(t, 53, bytes.Count(table.Content, []byte("\n")), "the table has all")
}

func TestReportHoldsNobodysMarkup(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.project(t, b.acme, `=HYPERLINK("http://x","y")`)
	b.project(t, b.acme, `</title><style>*{}</style><script>alert(1)</script><b onclick=x>"'`)
	b.project(t, b.acme, "@a,b;\"c\"")
	rows, page := b.report(t, b.acme, due(2026, time.November, 24))
	require.Equal(t, `'@a,b;"c"`, rows[0]["project"])
	require.Equal(t, `</title><style>*{}</style><script>alert(1)</script><b onclick=x>"'`, rows[1]["project"], "no formula, so as it is")
	require.Equal(t, `'=HYPERLINK("http://x","y")`, rows[2]["project"])
	require.NotContains(t, page, "<script")
	require.NotContains(t, page, "<b ")
	require.Equal(t, 1, strings.Count(page, "<style>"))
	require.Contains(t, page, "&lt;script&gt;alert(1)")
}

func TestReportOfAnEmptyTenant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rows, page := b.report(t, b.acme, due(2026, time.November, 24))
	require.Empty(t, rows)
	require.Contains(t, page, "0 created, 0 finished")
	require.NotRegexp(t, `NaN|class="late"|And \d`, page)
}

func TestReportIsMadeOnceAndSwept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	require.NoError(t, b.DailyReport(ctx, b.acme, due(2026, time.November, 23)))
	first := b.reports(t, b.acme)
	project := b.project(t, b.acme, "Attic")
	b.task(t, b.acme, workspace.NewTask{ProjectID: project.ID, Title: "Sweep"})
	b.clock.advance(time.Hour)
	require.NoError(t, b.DailyReport(ctx, b.acme, due(2026, time.November, 23)))
	again := b.reports(t, b.acme)
	require.Len(t, again, 1)
	require.Equal(t, first[0].ID, again[0].ID)
	require.Equal(t, b.clock.Now(), again[0].CreatedAt)
	require.Greater(t, again[0].CSVBytes, first[0].CSVBytes)

	// A run that saw an earlier moment and comes to its end later changes nothing.
	b.clock.advance(-time.Minute)
	require.NoError(t, b.DailyReport(ctx, b.acme, due(2026, time.November, 23)))
	require.Equal(t, again, b.reports(t, b.acme))
	b.clock.advance(time.Minute)

	b.clock.advance((workspace.KeepReports - 2) * 24 * time.Hour)
	last := due(2027, time.February, 20)
	require.NoError(t, b.DailyReport(ctx, b.acme, last))
	require.Len(t, b.reports(t, b.acme), 2, "the 90th day")
	b.clock.advance(24 * time.Hour)
	require.NoError(t, b.DailyReport(ctx, b.acme, last))
	left := b.reports(t, b.acme)
	require.Len(t, left, 1)
	require.Equal(t, last.Day, left[0].Day)
}

func TestReportWorker(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	for _, want := range []bool{false, true} {
		receipt, err := b.RequestReport(ctx, b.acme, due(2026, time.November, 24))
		require.NoError(t, err)
		require.Equal(t, want, receipt.Duplicate)
	}
	receipt, err := b.RequestReport(ctx, b.globex, due(2026, time.November, 24))
	require.NoError(t, err)
	require.False(t, receipt.Duplicate, "another tenant's report is another")
	var queue string
	require.NoError(t, b.db.Control.QueryRow(ctx, `SELECT DISTINCT queue FROM river.river_job`).Scan(&queue))
	require.Equal(t, job.QueueBulk, queue)

	ended := b.work(t, b.Service)
	next(t, ended, "workspace.daily_report completed")
	next(t, ended, "workspace.daily_report completed")
	ours, theirs := b.reports(t, b.acme), b.reports(t, b.globex)
	require.Len(t, ours, 1)
	require.Len(t, theirs, 1)
	for _, ask := range []func() error{
		func() error { _, err := b.GetReport(ctx, b.globex, ours[0].ID); return err },
		func() error { _, err := b.ReportCSV(ctx, b.globex, ours[0].ID); return err },
		func() error { _, err := b.ReportHTML(ctx, b.globex, ours[0].ID); return err },
	} {
		requireNotFound(t, ask())
	}
	got, err := b.GetReport(ctx, b.acme, ours[0].ID)
	require.NoError(t, err)
	require.Equal(t, ours[0], got)
}

func TestReportRequestIsChecked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ask := func(d workspace.ReportDue) error {
		_, err := b.RequestReport(t.Context(), b.acme, d)
		return err
	}
	requireInvalid(t, ask(due(2026, time.November, 25)), "day")
	requireInvalid(t, ask(due(2026, time.August, 26)), "day")
	require.NoError(t, ask(due(2026, time.August, 27)))
	requireInvalid(t, ask(workspace.ReportDue{Day: workspace.NewDate(2026, 11, 24), TimeZone: "Local"}), "time_zone")
	// In Kiritimati it is tomorrow already.
	b.clock.advance(6 * time.Hour)
	require.NoError(t, ask(workspace.ReportDue{Day: workspace.NewDate(2026, 11, 25), TimeZone: "Pacific/Kiritimati"}))

	err := b.DailyReport(t.Context(), b.acme, workspace.ReportDue{Day: workspace.NewDate(2026, 11, 24), TimeZone: "Nowhere"})
	var cancelled *job.CancelError
	require.ErrorAs(t, err, &cancelled)
}

// The schedule makes the args out of this text.
func TestReportDueIsText(t *testing.T) {
	t.Parallel()
	var d workspace.ReportDue
	require.NoError(t, json.NewDecoder(strings.NewReader(`{"day":"2026-11-24","time_zone":"Europe/Berlin"}`)).Decode(&d))
	require.Equal(t, due(2026, time.November, 24), d)
	require.Equal(t, job.Opts{Queue: job.QueueBulk, Unique: "2026-11-24"}, d.JobOpts())
}
