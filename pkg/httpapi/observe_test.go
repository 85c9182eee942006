package httpapi_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// lineOf gives the one log line of an answer.
func (e *edge) lineOf(a answer) map[string]any {
	e.t.Helper()
	lines := e.logs.FilterField(zap.String("request_id", a.header.Get("X-Request-Id"))).All()
	require.Len(e.t, lines, 1)
	require.Equal(e.t, "request", lines[0].Message)
	return lines[0].ContextMap()
}

func TestCanonicalLine(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	in := e.newProject("acme.localhost", e.acmeKey, "Confidential name")
	a := e.do(call{path: "/api/v1/projects/" + in.ID + "?token=secret", key: e.acmeKey, header: http.Header{"User-Agent": {"spy"}}})
	require.Equal(t, 200, a.status)
	line := e.lineOf(a)
	require.ElementsMatch(t, []string{
		"request_id", "method", "route", "status", "duration_ms", "db_ms", "db_queries", "bytes", "tenant", "key",
	}, slices.Collect(maps.Keys(line)))
	require.Equal(t, "GET", line["method"])
	require.Equal(t, "/api/v1/projects/:id", line["route"])
	require.EqualValues(t, 200, line["status"])
	require.EqualValues(t, len(a.body), line["bytes"])
	require.Equal(t, e.acme.ID, line["tenant"])
	require.Len(t, line["key"], 36)
	require.Positive(t, line["duration_ms"])
	require.Positive(t, line["db_ms"])
	require.GreaterOrEqual(t, line["db_queries"], int64(2))

	for _, c := range []struct {
		call
		route, method string
	}{
		{call{path: "/no/such/" + in.ID, key: e.acmeKey}, "none", "GET"},
		{call{host: "nobody.localhost", path: "/x"}, "none", "GET"},
		{call{path: "/api/v1/projects", method: "PUT"}, "/api/v1/projects", "PUT"},
		{call{path: "/api/v1/projects", method: "BREW"}, "/api/v1/projects", "OTHER"},
		{call{path: "/api/docs", method: "HEAD"}, "/api/docs", "HEAD"},
		{call{path: "/api/docs/docs.js"}, "/api/docs/:asset", "GET"},
	} {
		line = e.lineOf(e.do(c.call))
		require.Equal(t, c.route, line["route"])
		require.Equal(t, c.method, line["method"])
	}
	rec := httptest.NewRecorder()
	e.metrics.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		`rowhouse_http_request_duration_seconds_count{code="200",method="GET",route="/api/v1/projects/:id"} 1`,
		`rowhouse_http_request_duration_seconds_count{code="405",method="OTHER",route="/api/v1/projects"} 1`,
		`rowhouse_http_request_duration_seconds_count{code="404",method="GET",route="none"} 2`,
		`rowhouse_tenant_resolutions_total{outcome="unknown"} 1`,
		`rowhouse_http_requests_in_flight 0`,
	} {
		require.Contains(t, rec.Body.String(), want)
	}
}

// TestLogsHoldNoSecrets looks for everything that was sent or stored in everything that was logged.
func TestLogsHoldNoSecrets(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	in := e.newProject("acme.localhost", e.acmeKey, "Confidential name")
	header := http.Header{"User-Agent": {"spy/1.0"}, "Cookie": {"session=biscuit"}, "X-Forwarded-For": {"192.0.2.55"}}
	for _, c := range []call{
		{path: "/api/v1/projects?q=confidential"},
		{path: "/api/v1/projects?cursor=confidential"},
		{path: "/api/v1/projects/" + in.ID},
		{path: "/confidential/path"},
		{method: "POST", path: "/api/v1/projects", body: `{"name": 5, "confidential": 1}`},
		{method: "POST", path: "/api/v1/projects", body: `confidential`},
		{method: "PATCH", path: "/api/v1/projects/" + in.ID, body: object{"description": "Confidential text"}},
	} {
		c.key, c.header = e.acmeKey, header
		e.do(c)
		c.key = e.globexKey
		e.do(c)
	}
	for _, entry := range e.logs.All() {
		for name, value := range entry.ContextMap() {
			text, _ := value.(string)
			for _, secret := range []string{
				e.acmeKey, e.globexKey, e.acmeKey[len(e.acmeKey)-43:], in.ID, "rh_", "onfidential", "spy", "biscuit", "192.0.2.55", "127.0.0.1",
			} {
				require.NotContains(t, text, secret, name)
			}
		}
		require.NotContains(t, entry.Message, "rh_")
	}
}

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	for _, c := range []call{
		{path: "/api/v1/projects", key: e.acmeKey}, {path: "/api/v1/projects"}, {path: "/no/such"}, {path: "/"},
		{host: "nobody.localhost", path: "/"},
		{host: "localhost", path: "/"}, {path: "/api/docs"}, {path: "/api/openapi.json"},
	} {
		a := e.do(c)
		require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"))
		require.Equal(t, "DENY", a.header.Get("X-Frame-Options"))
		require.Equal(t, "no-referrer", a.header.Get("Referrer-Policy"))
		require.Contains(t, a.header.Get("Content-Security-Policy"), "default-src 'none'")
		require.Contains(t, a.header.Get("Content-Security-Policy"), "frame-ancestors 'none'")
		require.NotContains(t, a.header.Get("Content-Security-Policy"), "unsafe")
		require.Equal(t, "no-store", a.header.Get("Cache-Control"))
		require.Regexp(t, `^[0-9a-f-]{36}$`, a.header.Get("X-Request-Id"))
		require.Empty(t, a.header.Get("Server"))
	}
}
