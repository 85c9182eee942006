package cli_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
)

// addJob puts a job into the queue and gives its number.
func addJob(t *testing.T, d *pgtest.DB, slug, kind, state string) (id int64) {
	t.Helper()
	require.NoError(t, d.Owner.QueryRow(t.Context(), `
		insert into river.river_job (args, kind, metadata, state, attempt, max_attempts, finalized_at, errors)
		values ('{"secret_id":"s3"}', $2, jsonb_build_object('tenant', $1::text), $3::text::river.river_job_state, 1, 1,
			case when $3 in ('discarded', 'cancelled') then now() end,
			case when $3 = 'discarded' then 
				array['{"at":"2026-01-02T03:04:05Z","attempt":1,"error":"no \u001b[31mluck\ntoday","trace":"here"}'::jsonb] end)
		returning id`, d.Tenant(slug).ID, kind, state).Scan(&id))
	return id
}

func jobState(t *testing.T, d *pgtest.DB, id int64) (state string) {
	t.Helper()
	require.NoError(t, d.Owner.QueryRow(t.Context(), "select state::text from river.river_job where id = $1", id).Scan(&state))
	return state
}

type jobsReport struct {
	Done    []int64        `json:"done"`
	Told    []int64        `json:"told"`
	Running []int64        `json:"running"`
	Found   map[string]int `json:"found"`
}

// What one tenant's jobs are asked for or changed by shows and touches no other's.
func TestJobs(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	h := onDatabase(t, d)
	acme, globex := addJob(t, d, "acme", "mail", "discarded"), addJob(t, d, "globex", "mail", "discarded")
	waiting, others := addJob(t, d, "acme", "mail", "available"), addJob(t, d, "globex", "mail", "available")
	report := addJob(t, d, "acme", "report", "cancelled")

	list := func(args ...string) (ids []int64) {
		var jobs []struct {
			ID     int64  `json:"id"`
			Tenant string `json:"tenant"`
		}
		h.json(&jobs, append([]string{"jobs", "list"}, args...)...)
		for _, j := range jobs {
			ids = append(ids, j.ID)
			require.Contains(t, []string{"acme", "globex"}, j.Tenant)
		}
		return ids
	}
	require.Equal(t, []int64{report, waiting, acme}, list("--tenant", "acme"))
	require.Equal(t, []int64{others, globex}, list("--tenant", d.Tenant("globex").ID))
	require.Equal(t, []int64{report, globex, acme}, list("--state", "discarded,cancelled"))
	require.Equal(t, []int64{report}, list("--kind", "report", "--queue", "default"))
	require.Equal(t, []int64{globex, acme}, list("--before", fmt.Sprint(waiting)))
	require.Contains(t, h.run("jobs", "list", "--limit", "2").errOut, fmt.Sprintf("--before %d", others))
	require.Contains(t, h.must("jobs", "list"), "no  [31mluck today")

	out := h.must("jobs", "show", fmt.Sprint(acme))
	require.Contains(t, out, "no  [31mluck")
	require.Contains(t, out, "here")
	require.NotContains(t, out, "s3")
	require.NotContains(t, out, "\x1b")
	require.NotContains(t, h.must("jobs", "show", fmt.Sprint(acme), "--output", "json"), "s3")
	require.Contains(t, h.must("jobs", "show", fmt.Sprint(acme), "--args"), `"s3"`)

	// A flood of changes is counted first.
	var found jobsReport
	h.json(&found, "jobs", "retry", "--failed", "--dry-run")
	require.Equal(t, map[string]int{"mail": 2}, found.Found)
	r := h.run("jobs", "retry", "--failed", "--confirm", "1")
	require.Equal(t, 5, r.code)
	require.Contains(t, r.errOut, "retry 2 jobs (2 mail): say --confirm 2")
	require.Equal(t, "discarded", jobState(t, d, acme))
	h.json(&found, "jobs", "retry", "--failed", "--tenant", "acme", "--confirm", "1")
	require.Equal(t, []int64{acme}, found.Done)
	require.Equal(t, "available", jobState(t, d, acme))
	require.Equal(t, "discarded", jobState(t, d, globex))
	require.Equal(t, "cancelled", jobState(t, d, report))
	r = h.run("jobs", "retry", fmt.Sprint(globex), fmt.Sprint(waiting))
	require.Equal(t, 4, r.code, r.errOut)
	require.Contains(t, r.out, "it is available")
	require.Equal(t, "available", jobState(t, d, globex))

	h.json(&found, "jobs", "cancel", "--tenant", "acme", "--confirm", "2")
	require.ElementsMatch(t, []int64{acme, waiting}, found.Done)
	require.Equal(t, "available", jobState(t, d, others))
	require.Equal(t, "available", jobState(t, d, globex))
	running := addJob(t, d, "acme", "mail", "running")
	r = h.run("jobs", "cancel", fmt.Sprint(running), "--wait", "0s", "--output", "json")
	require.Equal(t, 4, r.code, r.errOut)
	require.NoError(t, json.Unmarshal([]byte(r.out), &found))
	require.Equal(t, []int64{running}, found.Running)
}

func TestJobs_Queues(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	h := onDatabase(t, d)
	addJob(t, d, "acme", "mail", "available")
	var queue struct {
		Paused  bool `json:"paused"`
		Waiting int  `json:"waiting"`
	}
	h.json(&queue, "jobs", "pause", "default")
	require.True(t, queue.Paused)
	require.Equal(t, 1, queue.Waiting)
	var stats struct {
		Queues []struct {
			Queue   string `json:"queue"`
			Waiting int    `json:"waiting"`
			Paused  bool   `json:"paused"`
		} `json:"queues"`
		Tenants []struct {
			Tenant  string `json:"tenant"`
			Waiting int    `json:"waiting"`
		} `json:"tenants"`
	}
	h.json(&stats, "jobs", "stats")
	require.Len(t, stats.Queues, 3)
	require.Equal(t, "default", stats.Queues[1].Queue)
	require.True(t, stats.Queues[1].Paused)
	require.Equal(t, "acme", stats.Tenants[0].Tenant)
	require.Regexp(t, `(?m)^default +1 .* yes\n`, h.must("jobs", "stats"))
	h.json(&queue, "jobs", "resume", "default")
	require.False(t, queue.Paused)

	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"jobs pause other", 2, `want one of ["critical" "default" "bulk"]`},
		{"jobs pause", 2, "QUEUE is missing"},
		{"jobs show x", 2, "no number of a job"},
		{"jobs show 99", 3, "no job 99"},
		{"jobs list --state gone", 2, "no state"},
		{"jobs list --queue other", 2, "no queue"},
		{"jobs list --tenant acne", 3, `did you mean "acme"?`},
		{"jobs list --limit 0", 2, "limit"},
		{"jobs retry", 2, "--failed or --cancelled"},
		{"jobs retry 1 --failed", 2, "either numbers"},
		{"jobs retry 99", 1, "no job was retried"},
		{"jobs cancel", 2, "--tenant or --kind"},
		{"jobs cancel --queue default", 2, "--tenant or --kind"},
		{"jobs cancel 1 --wait -1s", 2, "--wait"},
		{"jobs cancel --tenant acme", 5, "cancel 1 jobs"},
	} {
		r := h.run(strings.Fields(c.args)...)
		require.Equal(t, c.code, r.code, "%s: %s", c.args, r.errOut)
		require.Contains(t, r.errOut, c.says, c.args)
	}
	require.Contains(t, h.must("__complete", "jobs", "pause", ""), "bulk")
	require.Contains(t, h.must("__complete", "jobs", "list", "--queue", ""), "critical")
	require.Contains(t, h.must("__complete", "jobs", "cancel", "--tenant", "ac"), "acme")
	require.Contains(t, h.must("__complete", "jobs", "list", "--state", ""), "retryable")
}

// The queue's pages are there for who knows the password, if there is one.
func TestJobs_Pages(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	h := onDatabase(t, d)
	id := addJob(t, d, "acme", "mail", "discarded")
	call := func(p *process, method, path, password, origin, body string) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.admin+path, strings.NewReader(body))
		require.NoError(t, err)
		if password != "" {
			request.SetBasicAuth("operator", password)
		}
		if origin != "" {
			request.Header.Set("Origin", origin)
		}
		response, err := (&http.Client{Timeout: time.Minute}).Do(request)
		require.NoError(t, err)
		defer response.Body.Close() //nolint:errcheck // Read to its end.
		var text buffer
		_, err = text.b.ReadFrom(response.Body)
		require.NoError(t, err)
		return response.StatusCode, text.String()
	}
	without := h.start("work")
	code, _ := call(without, http.MethodGet, "/jobs/", "a long password", "", "")
	require.Equal(t, http.StatusNotFound, code)
	h.env = append(h.env, "ROWHOUSE_JOBS_UI_PASSWORD=a long password")
	p := h.start("work")
	for _, password := range []string{"", "another password"} {
		code, body := call(p, http.MethodGet, "/jobs/api/jobs?state=discarded", password, "", "")
		require.Equal(t, http.StatusUnauthorized, code)
		require.NotContains(t, body, "s3")
	}
	code, body := call(p, http.MethodGet, "/jobs/", "a long password", "", "")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, body, "<html")
	code, body = call(p, http.MethodGet, "/jobs/api/jobs?state=discarded", "a long password", "", "")
	require.Equal(t, http.StatusOK, code, body)
	require.Contains(t, body, `"mail"`)
	for _, path := range []string{"/jobs/api/states", "/jobs/api/queues", "/jobs/api/features"} {
		code, body = call(p, http.MethodGet, path, "a long password", "", "")
		require.Equal(t, http.StatusOK, code, "%s: %s", path, body)
	}
	retry := fmt.Sprintf(`{"ids":["%d"]}`, id)
	code, _ = call(p, http.MethodPost, "/jobs/api/jobs/retry", "a long password", "https://evil.example", retry)
	require.Equal(t, http.StatusForbidden, code)
	require.Equal(t, "discarded", jobState(t, d, id))
	code, body = call(p, http.MethodPost, "/jobs/api/jobs/retry", "a long password", "http://"+p.admin, retry)
	require.Equal(t, http.StatusOK, code, body)
	require.NotEqual(t, "discarded", jobState(t, d, id))
	code, _ = call(p, http.MethodGet, "/readyz", "", "", "")
	require.Equal(t, http.StatusOK, code)
	soon(t, func() bool {
		_, text := call(p, http.MethodGet, "/metrics", "", "", "")
		return strings.Contains(text, `rowhouse_jobs_queue_paused{queue="bulk"} 0`)
	}, "the jobs are counted")
}
