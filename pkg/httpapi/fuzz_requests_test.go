package httpapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/httpapi"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
)

// TestFuzzRequests sends random requests, good and bad, to all operations of two tenants with data. None may be answered with a failure of ours,
// and none with a word of the other tenant. Each tenant's words all bear its mark. `make api-fuzz` sends more; the same seed sends the same.
func TestFuzzRequests(t *testing.T) {
	t.Parallel()
	requests, seed := fromEnv(t, "API_FUZZ_REQUESTS", 2000), fromEnv(t, "API_FUZZ_SEED", 1)
	if testing.Short() {
		requests = min(requests, 300)
	}
	f := newFuzzer(t, seed)
	for i := range requests {
		f.request(i)
	}
	f.report(requests, seed)
}

func fromEnv(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, name)
	return n
}

// fuzzer makes the requests.
type fuzzer struct {
	*edge

	random  *rand.Rand
	ops     []operation
	schemas map[string]any
	houses  [2]*house
	status  map[int]int
	marked  int            // answers with words of the tenant that was asked
	good    map[string]int // answers of each operation that were no refusal
}

// house is a tenant as its users and its enemies know it.
type house struct {
	host, mark string
	tenant     tenancy.Tenant
	headers    []http.Header       // of callers: keys of each scope, a session
	ids        map[string][]string // of what is at /api/v1/<kind>/
	values     []string            // cursors, tags and keys of repeated requests that were seen
}

type operation struct {
	name, method, path string
	params             []any
	body               map[string]any // content type → media type
}

func newFuzzer(t *testing.T, seed int) *fuzzer {
	t.Helper()
	f := &fuzzer{
		edge:   open(t, func(cfg *httpapi.Config) { cfg.MaxBodyBytes, cfg.MaxImportBytes = 64<<10, 64<<10 }),
		random: rand.New(rand.NewPCG(uint64(seed), 7)),
		status: map[int]int{}, good: map[string]int{},
	}
	var doc struct {
		Paths      map[string]map[string]map[string]any `json:"paths"`
		Components struct {
			Schemas map[string]any `json:"schemas"`
		} `json:"components"`
	}
	require.NoError(t, json.Unmarshal([]byte(f.do(call{path: "/api/openapi.json"}).body), &doc))
	f.schemas = doc.Components.Schemas
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(doc.Paths[path])) {
			op := operation{name: method + " " + path, method: strings.ToUpper(method), path: path}
			op.params, _ = doc.Paths[path][method]["parameters"].([]any)
			if body, ok := doc.Paths[path][method]["requestBody"].(map[string]any); ok {
				op.body, _ = body["content"].(map[string]any)
			}
			f.ops = append(f.ops, op)
		}
	}
	f.houses = [2]*house{f.furnish("acme.localhost", f.acme), f.furnish("globex.localhost", f.globex)}
	return f
}

// furnish fills a tenant with one of everything, by the API and by what its jobs would do.
func (f *fuzzer) furnish(host string, tenant tenancy.Tenant) *house {
	f.t.Helper()
	h := &house{host: host, tenant: tenant, mark: "mark" + tenant.Slug + "mark", ids: map[string][]string{}}
	for _, scope := range append(identity.KeyScopes(), identity.ScopeAdmin) {
		h.headers = append(h.headers, http.Header{"Authorization": {"Bearer " + f.key(tenant, scope)}})
	}
	user, session := f.person(tenant, h.mark+"@example.com", identity.RoleOwner)
	h.headers = append(h.headers, cookie(session))
	h.ids["members"] = append(h.ids["members"], user.String())
	for i := range 20 { // To be changed and removed.
		id := f.guest(tenant, fmt.Sprintf("%s%d@example.com", h.mark, i))
		h.ids["members"] = append(h.ids["members"], id)
	}
	f.fill(h)
	scope := f.engine.Tenant(tenant.Engine())
	for _, args := range f.edge.jobs.take() {
		switch args := args.(type) {
		case workspace.ActivityRecorded:
			require.NoError(f.t, f.work.RecordActivity(f.t.Context(), scope, args))
		case workspace.ImportDue:
			require.NoError(f.t, f.work.ImportTasks(f.t.Context(), scope, args))
		}
	}
	due := workspace.ReportDue{Day: workspace.NewDate(2026, time.November, 24), TimeZone: "UTC"}
	require.NoError(f.t, f.work.DailyReport(f.t.Context(), scope, due))
	for kind, field := range map[string]string{"reports": "id", "activity": "event_id"} {
		var found list[map[string]any]
		require.NoError(f.t, jsonLoose(f.do(call{host: host, path: "/api/v1/" + kind, header: h.headers[2]}).body, &found))
		require.NotEmpty(f.t, found.Items, kind)
		for _, item := range found.Items {
			id, _ := item[field].(string)
			h.ids[kind] = append(h.ids[kind], id)
		}
	}
	return h
}

// fill makes one of everything that can be made.
func (f *fuzzer) fill(h *house) {
	f.t.Helper()
	post := func(path, kind string, body any) string {
		header := h.headers[2].Clone()
		if kind != "" {
			header.Set("Content-Type", kind)
		}
		a := f.do(call{method: "POST", host: h.host, path: path, body: body, header: header})
		require.Less(f.t, a.status, 300, "%s: %s", path, a.body)
		return h.made(a.header.Get("Location"))
	}
	project := post("/api/v1/projects", "", object{"name": h.mark, "description": h.mark})
	label := post("/api/v1/labels", "", object{"name": h.mark + strconv.Itoa(f.random.IntN(1<<40))})
	for range 3 {
		task := post("/api/v1/tasks", "", object{
			"project_id": project, "title": h.mark + " boxes", "description": h.mark, "label_ids": []string{label}, "due_on": "2026-12-01",
		})
		post("/api/v1/tasks/"+task+"/comments", "", object{"body": h.mark})
		post("/api/v1/tasks/"+task+"/attachments?name="+h.mark, "text/plain", h.mark)
	}
	post("/api/v1/keys", "", object{"name": h.mark, "scopes": []string{"read"}})
	if len(h.ids["invitations"]) < 20 {
		post("/api/v1/invitations", "", object{"email": fmt.Sprintf("%s%d@example.org", h.mark, f.random.IntN(1<<40)), "role": "guest"})
	}
	post("/api/v1/projects/"+project+"/imports", "text/csv", "title\n"+h.mark+"\n")
	if len(h.ids["webhooks"]) > 0 { // There may be only so many.
		f.do(call{method: "DELETE", host: h.host, path: "/api/v1/webhooks/" + h.ids["webhooks"][0], header: h.headers[2]})
		h.ids["webhooks"] = h.ids["webhooks"][1:]
	}
	header := h.headers[2]
	a := f.do(call{
		method: "POST", host: h.host, path: "/api/v1/webhooks", header: header,
		body: object{"url": "https://" + h.mark + ".example.com/", "description": h.mark},
	})
	if a.status == http.StatusCreated {
		f.do(call{method: "POST", host: h.host, path: "/api/v1/webhooks/" + h.made(a.header.Get("Location")) + "/test", header: header})
	}
}

// made keeps the id of a new thing, which stands at the end of its address.
func (h *house) made(location string) string {
	parts := strings.Split(location, "/")
	if len(parts) != 5 {
		return ""
	}
	kind := parts[3]
	h.ids[kind] = append(h.ids[kind], parts[4])
	if n := len(h.ids[kind]); n > 60 {
		h.ids[kind] = h.ids[kind][n-40:]
	}
	return parts[4]
}

// guest adds somebody who never comes.
func (f *fuzzer) guest(tenant tenancy.Tenant, email string) string {
	f.t.Helper()
	user, err := f.keys.CreateOwner(f.t.Context(), f.engine.Tenant(tenant.Engine()), identity.NewUser{Email: email, DisplayName: email})
	require.NoError(f.t, err)
	return user.ID.String()
}

// take gives what was enqueued since the last take.
func (j *jobs) take() []job.Args {
	j.mu.Lock()
	defer j.mu.Unlock()
	args := j.args
	j.args = nil
	return args
}

// request sends one, and looks at the answer.
func (f *fuzzer) request(number int) {
	f.t.Helper()
	at := f.random.IntN(2)
	here, there := f.houses[at], f.houses[1-at]
	op := pick(f.random, f.ops)
	if op.method == http.MethodDelete && f.one(2) { // Or soon nothing is left.
		op = pick(f.random, f.ops)
	}
	target := f.target(op, here, there)
	body, kind := f.body(op, here, there)
	req := httptest.NewRequestWithContext(f.t.Context(), http.MethodPost, "http://"+here.host+"/", bytes.NewReader(body))
	req.Method = op.method
	if f.random.IntN(40) == 0 {
		req.Method = pick(f.random, []string{"GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", "OPTIONS", "x"})
	}
	var err error
	if req.URL, err = url.Parse(target); err != nil {
		req.URL = &url.URL{Path: "/api/v1/tasks", RawQuery: target}
	}
	req.RequestURI = ""
	f.header(req.Header, here, there, kind)
	rec := httptest.NewRecorder()
	f.handler.ServeHTTP(rec, req)

	f.status[rec.Code]++
	shown := fmt.Sprintf("request %d: %s %s%s\nheader %q\nbody %.2000q\nanswer %d %.2000s", number, req.Method, here.host, target, req.Header, body,
		rec.Code, rec.Body)
	require.True(f.t, rec.Code < 500 || rec.Code == http.StatusServiceUnavailable, shown)
	require.NotContains(f.t, rec.Body.String(), there.mark, shown)
	require.NotContains(f.t, fmt.Sprint(rec.Header()), there.mark, shown)
	if strings.Contains(rec.Body.String(), here.mark) {
		f.marked++
	}
	if rec.Code < 300 {
		f.good[op.name]++
		here.learn(rec)
	}
	if number%250 == 0 {
		f.fill(here)
		f.edge.jobs.take() // Nobody works them.
		f.logs.TakeAll()
	}
}

// learn keeps what a client would: addresses of new things, cursors and tags.
func (h *house) learn(rec *httptest.ResponseRecorder) {
	h.made(rec.Header().Get("Location"))
	if tag := rec.Header().Get("ETag"); tag != "" {
		h.values = append(h.values, tag)
	}
	var page struct {
		Next string `json:"next"`
	}
	if json.Unmarshal(rec.Body.Bytes(), &page) == nil && page.Next != "" {
		h.values = append(h.values, page.Next)
	}
	if n := len(h.values); n > 200 {
		h.values = h.values[n-150:]
	}
}

func (f *fuzzer) report(requests, seed int) {
	f.t.Helper()
	f.t.Logf("%d requests, seed %d, to %d operations; answers by status: %v; %d with words of the tenant", requests, seed, len(f.ops), f.status, f.marked)
	require.Greater(f.t, f.marked, requests/10, "with so few words of a tenant in the answers, those of another would hardly be seen")
	var never []string
	for _, op := range f.ops {
		if f.good[op.name] == 0 {
			never = append(never, op.name)
		}
	}
	f.t.Logf("never answered with success: %q", never)
}

func pick[T any](random *rand.Rand, of []T) T { return of[random.IntN(len(of))] }
