package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzAPI: nothing that a customer can send makes the edge fail. The seeds run with every test.
func FuzzAPI(f *testing.F) {
	for _, path := range []string{
		"/api/v1/projects", "/api/v1/tasks", "/api/v1/tasks/0192f3a1-7f4e-7b9e-8d9a-2f6c5b1e4a77", "/api/v1/projects/x", "/api/v1/activity", "/",
	} {
		for _, body := range []string{
			"", "{}", "null", "[]", "0", `""`, "{", `{"name":"\u0000"}`, `{"name":"x","name":5}`, "{\"name\":\"\xff\"}", `{"name":"\ud800"}`,
			`{"title":"x","project_id":"00000000-0000-0000-0000-000000000000"}`, `{"due_on":"-0001-01-01"}`, `{"due_on":"9999-12-31","priority":-0}`,
			`{"priority":1.0}`, `{"priority":1e400}`, `{"title":"` + strings.Repeat("\u00e9", 200) + `"}`,
			`{"assignee_id":null,"due_on":null,"status":""}`,
			strings.Repeat(`{"name":`, 500), `{"description":"\u2028\u202e\ufeff"}`, `{"name":true}`, `{"archived":"yes"}`,
		} {
			f.Add("POST", path, "", body)
			f.Add("PATCH", path, "", body)
		}
		for _, query := range []string{
			"limit=0", "limit=%00", "cursor=%00", "cursor=AAAA", "q=%ff", "q=%25_%5c", "status=todo,,", "due_after=0000-00-00", "=", "&&&", "%zz",
			"project_id=", "subject_id=%00", "limit=+5",
		} {
			f.Add("GET", path, query, "")
		}
		f.Add("DELETE", path, "", "x")
	}
	e := open(f, nil)
	f.Fuzz(func(t *testing.T, method, path, query, body string) {
		u := &url.URL{Path: path, RawQuery: query}
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://acme.localhost/", strings.NewReader(body))
		req.Method, req.URL = method, u
		req.Header.Set("Authorization", "Bearer "+e.acmeKey)
		rec := httptest.NewRecorder()
		e.handler.ServeHTTP(rec, req)
		if rec.Code >= 500 {
			t.Fatalf("%s %s with %q: %d %s", method, u, body, rec.Code, rec.Body)
		}
	})
}
