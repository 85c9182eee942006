package httpapi_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rowhousehq/rowhouse/pkg/httpapi"
	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func TestErrors(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	const projects, tasks = "/api/v1/projects", "/api/v1/tasks"
	in := e.newProject("acme.localhost", e.acmeKey, "Office")
	post := func(path string, body any) call { return call{method: "POST", path: path, body: body} }
	as := func(name, value string) call {
		return call{method: "POST", path: projects, body: `{"name":"x"}`, header: http.Header{name: {value}}}
	}
	task := func(field string, value any) call {
		body := object{"project_id": in.ID, "title": "x"}
		body[field] = value
		return post(tasks, body)
	}
	for name, c := range map[string]struct {
		call
		status   int
		location string
	}{
		"no such page":             {call{path: "/no/such"}, 404, ""},
		"operators' pages":         {call{path: "/healthz"}, 404, ""},
		"readiness":                {call{path: "/readyz"}, 404, ""},
		"metrics":                  {call{path: "/metrics"}, 404, ""},
		"huma's own pages":         {call{path: "/openapi.json"}, 404, ""},
		"schemas":                  {call{path: "/schemas/Problem.json"}, 404, ""},
		"no such asset":            {call{path: "/api/docs/../../errors.go"}, 404, ""},
		"asset below":              {call{path: "/api/docs/docs.js/x"}, 404, ""},
		"no such version":          {call{path: "/api/v2/projects"}, 404, ""},
		"trailing slash":           {call{path: projects + "/"}, 404, ""},
		"not an id":                {call{path: projects + "/nonsense"}, 404, ""},
		"path below an id":         {call{path: projects + "/" + in.ID + "/x"}, 404, ""},
		"second form of an id":     {call{path: projects + "/urn:uuid:" + in.ID}, 404, ""},
		"NUL in a path":            {call{path: projects + "/%00"}, 404, ""},
		"wrong method":             {call{method: "PUT", path: projects, body: object{}}, 405, ""},
		"made-up method":           {call{method: "BREW", path: projects + "/" + in.ID}, 405, ""},
		"method of a page":         {call{method: "POST", path: "/api/docs", body: object{}}, 405, ""},
		"wrong type":               {as("Content-Type", "text/plain"), 415, ""},
		"merge patch to create":    {as("Content-Type", "application/merge-patch+json"), 415, ""},
		"type that cannot be read": {as("Content-Type", ";;"), 415, ""},
		"wrong charset":            {as("Content-Type", "application/json; charset=latin1"), 415, ""},
		"compressed":               {as("Content-Encoding", "gzip"), 415, ""},
		"no body":                  {call{method: "POST", path: projects}, 400, ""},
		"not JSON":                 {post(projects, `{"name":`), 400, "body"},
		"two documents":            {post(projects, `{"name":"x"}{"name":"y"}`), 400, "body"},
		"invalid UTF-8":            {post(projects, "{\"name\":\"\xff\xfe\"}"), 400, ""},
		"too deep":                 {post(projects, strings.Repeat("[", 20000)), 400, "body"},
		"array":                    {post(projects, `[]`), 422, "body"},
		"null":                     {post(projects, `null`), 422, "body"},
		"missing field":            {post(projects, `{}`), 422, "body"},
		"unknown field":            {post(projects, `{"name":"x","owner":"me"}`), 422, "body.owner"},
		"unknown field of a patch": {call{method: "PATCH", path: projects + "/" + in.ID, body: `{"id":"x"}`}, 422, "body.id"},
		"wrong kind":               {post(projects, `{"name":5}`), 422, "body.name"},
		"null name":                {call{method: "PATCH", path: projects + "/" + in.ID, body: `{"name":null}`}, 422, "body.name"},
		"empty name":               {post(projects, `{"name":""}`), 422, "body.name"},
		"blank name":               {post(projects, `{"name":"  "}`), 422, "body.name"},
		"long name":                {post(projects, object{"name": strings.Repeat("x", 101)}), 422, "body.name"},
		"NUL in a name":            {post(projects, `{"name":"a\u0000b"}`), 422, "body.name"},
		"NUL in a text":            {post(projects, `{"name":"x","description":"a\u0000b"}`), 422, "body.description"},
		"NUL in a search":          {call{path: projects + "?q=%00"}, 422, "query.q"},
		"invalid UTF-8 in a query": {call{path: projects + "?q=%ff"}, 422, "query.q"},
		"unknown filter":           {call{path: projects + "?archive=true"}, 422, "query.archive"},
		"wrong filter":             {call{path: projects + "?archived=maybe"}, 422, "query.archived"},
		"wrong status":             {call{path: tasks + "?status=todo,never"}, 422, "query.status[1]"},
		"wrong id in a query":      {call{path: tasks + "?project_id=nonsense"}, 422, "query.project_id"},
		"wrong date in a query":    {call{path: tasks + "?due_after=2026-02-30"}, 422, "query.due_after"},
		"wrong date":               {task("due_on", "2026-02-30"), 422, "body.due_on"},
		"date of year 10000":       {task("due_on", "10000-01-01"), 422, "body.due_on"},
		"wrong id":                 {task("project_id", "x"), 422, "body.project_id"},
		"wrong priority":           {task("priority", 5), 422, "body.priority"},
		"huge priority":            {task("priority", 1e300), 422, "body.priority"},
	} {
		c.key = e.acmeKey
		a := e.do(c.call)
		require.Equal(t, c.status, a.status, "%s: %s", name, a.body)
		p := e.refused(a, c.status)
		if c.location != "" {
			require.NotEmpty(t, p.Errors, name)
			require.Equal(t, c.location, p.Errors[0].Location, "%s: %s", name, a.body)
			require.NotEmpty(t, p.Errors[0].Message, name)
		}
		if c.status == 405 {
			require.Contains(t, a.header.Get("Allow"), "GET", name)
		}
		require.NotContains(t, a.body, "SQLSTATE", name)
	}
	require.Equal(t, 400, e.raw("GET / HTTP/1.1\r\nHost: acme.localhost\r\nBad Header\r\n\r\n").status)
}

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	e := open(t, func(c *httpapi.Config) { c.MaxBodyBytes = 1000 })
	fits := `{"name":"x"}` + strings.Repeat(" ", 1000-12)
	require.Equal(t, 201, e.do(call{method: "POST", path: "/api/v1/projects", key: e.acmeKey, body: fits}).status)
	e.refused(e.do(call{method: "POST", path: "/api/v1/projects", key: e.acmeKey, body: fits + " "}), 413)

	const head = "POST /api/v1/projects HTTP/1.1\r\nHost: acme.localhost\r\nConnection: close\r\nAuthorization: Bearer "
	// Without a declared length the limit shows while reading.
	chunked := e.raw(head + e.acmeKey + "\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + fits + " " + "\r\n0\r\n\r\n")
	e.refused(chunked, 413)
	e.refused(e.raw(head+e.acmeKey+"\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n"), 400)
	// A stranger is told so before the body matters.
	e.refused(e.raw(head+"nobody\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n"), 401)
}

// TestBrokenBody: who hangs up in the middle of a body causes no error of ours.
func TestBrokenBody(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
	require.NoError(t, err)
	const head = "POST /api/v1/projects HTTP/1.1\r\nHost: acme.localhost\r\nContent-Length: 100\r\nAuthorization: Bearer "
	_, err = io.WriteString(conn, head+e.acmeKey+"\r\n\r\n{")
	require.NoError(t, err)
	tcp, ok := conn.(*net.TCPConn)
	require.True(t, ok)
	require.NoError(t, tcp.CloseWrite())
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	require.Equal(t, 400, resp.StatusCode)
	require.NoError(t, resp.Body.Close())
	require.NoError(t, conn.Close())
}

// TestSlowBody: who sends a body too slowly is told so, and does not hold a connection for ever.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	s := run(t, httpapi.ServerConfig{Handler: e.handler, ReadTimeout: 200 * time.Millisecond})
	conn, err := net.Dial("tcp", s.addr)
	require.NoError(t, err)
	const head = "POST /api/v1/projects HTTP/1.1\r\nHost: acme.localhost\r\nContent-Length: 100\r\nAuthorization: Bearer "
	_, err = io.WriteString(conn, head+e.acmeKey+"\r\n\r\n{")
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	require.Equal(t, 408, resp.StatusCode)
	require.NoError(t, resp.Body.Close())
	require.NoError(t, conn.Close())
	require.NoError(t, s.stop())
}

// failing is a queue that fails in the given way, and so makes the creation of a task fail.
type failing func(ctx context.Context, tx *tenantschema.Tx) error

func (f failing) Enqueue(ctx context.Context, tx *tenantschema.Tx, _ job.Args, _ job.Opts) (job.Receipt, error) {
	return job.Receipt{}, f(ctx, tx)
}

// failingEdge is an edge on which the creation of a task fails in the given way.
func failingEdge(t *testing.T, change func(*httpapi.Config), f failing) (*edge, call) {
	t.Helper()
	work, err := workspace.New(workspace.Config{Jobs: f, Files: files(t)})
	require.NoError(t, err)
	e := open(t, func(c *httpapi.Config) {
		c.Workspace = work
		if change != nil {
			change(c)
		}
	})
	// Not by the API, whose RequestTimeout may be the short one of a test.
	in, err := work.CreateProject(t.Context(), e.engine.Tenant(e.acme.Engine()), workspace.NewProject{Name: "Office"})
	require.NoError(t, err)
	return e, call{method: "POST", path: "/api/v1/tasks", key: e.acmeKey, body: object{"project_id": in.ID, "title": "x"}}
}

func TestPlainErrorStaysInside(t *testing.T) {
	t.Parallel()
	e, c := failingEdge(t, nil, func(context.Context, *tenantschema.Tx) error { return errors.New("secret of the house") })
	a := e.do(c)
	p := e.refused(a, 500)
	require.NotContains(t, a.body, "secret")
	require.Contains(t, p.Detail, "request id")
	line := e.logs.FilterField(zap.String("request_id", p.RequestID)).All()
	require.Len(t, line, 1)
	require.Equal(t, zap.ErrorLevel, line[0].Level)
	require.Contains(t, line[0].ContextMap()["error"], "secret of the house")
}

func TestPanicIsAnswered(t *testing.T) {
	t.Parallel()
	e, c := failingEdge(t, nil, func(context.Context, *tenantschema.Tx) error { panic("secret of the house") })
	a := e.do(c)
	p := e.refused(a, 500)
	require.NotContains(t, a.body, "secret")
	line := e.logs.FilterField(zap.String("request_id", p.RequestID)).All()
	require.Len(t, line, 1)
	require.Contains(t, line[0].ContextMap()["error"], "secret of the house")
	require.Contains(t, line[0].ContextMap()["stack"], "errors_test.go")
	require.Equal(t, 200, e.do(call{path: "/api/v1/tasks", key: e.acmeKey}).status, "the process lives on")
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	e, c := failingEdge(t, func(c *httpapi.Config) { c.RequestTimeout = 50 * time.Millisecond }, func(ctx context.Context, _ *tenantschema.Tx) error {
		<-ctx.Done()
		return ctx.Err()
	})
	a := e.do(c)
	e.refused(a, 503)
	require.NotEmpty(t, a.header.Get("Retry-After"))
}

func TestClientGone(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	e, c := failingEdge(t, nil, func(ctx context.Context, _ *tenantschema.Tx) error {
		close(entered)
		<-ctx.Done()
		return errors.New("whatever broke on the way out")
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { _, err := e.try(ctx, c); done <- err }()
	<-entered
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	require.Eventually(t, func() bool { return e.logs.FilterField(zap.Int("status", 499)).Len() == 1 }, 10*time.Second, time.Millisecond)
	require.Zero(t, e.logs.FilterLevelExact(zap.ErrorLevel).Len())
}

// TestLostConnection: a database that goes away in the middle of a request is 503, and the next request finds it again.
func TestLostConnection(t *testing.T) {
	t.Parallel()
	var adminURL string
	e, c := failingEdge(t, nil, func(ctx context.Context, tx *tenantschema.Tx) error {
		var pid int32
		if err := tx.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&pid); err != nil {
			return err
		}
		admin, err := pgx.Connect(ctx, adminURL)
		if err != nil {
			return err
		}
		defer admin.Close(ctx) //nolint:errcheck // Nothing follows.
		if _, err = admin.Exec(ctx, "SELECT pg_terminate_backend($1, 10000)", pid); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "SELECT 1")
		return err
	})
	adminURL = e.db.AdminURL
	e.refused(e.do(c), 503)
	require.Equal(t, 200, e.do(call{path: "/api/v1/tasks", key: e.acmeKey}).status)
}

// TestNoConnection: a pool that is used up, and a database that is not there, are 503.
func TestNoConnection(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	for name, connect := range map[string]func(tenantschema.Login) (*pgx.ConnConfig, error){
		"used up": e.db.Logins.Engine,
		"nobody listens": func(login tenantschema.Login) (*pgx.ConnConfig, error) {
			cfg, err := e.db.Logins.Engine(login)
			if err == nil {
				cfg.Host, cfg.Port, cfg.Fallbacks = "127.0.0.1", 1, nil
			}
			return cfg, err
		},
	} {
		db, err := tenantschema.Open(e.db.EngineConfig(tenantschema.Config{Connect: connect, MaxConns: 1, AcquireTimeout: 2 * time.Second}))
		require.NoError(t, err)
		t.Cleanup(db.Close)
		h, err := httpapi.New(httpapi.Config{
			BaseDomain: "localhost", Catalog: e.street, DB: db, Keys: e.keys, Workspace: e.work, Webhooks: e.hooks,
			Log: zap.NewNop(), Metrics: e.metrics,
		})
		require.NoError(t, err)
		ask := func() {
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://acme.localhost/api/v1/projects", nil)
			req.Header.Set("Authorization", "Bearer "+e.acmeKey)
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, req)
			a := answer{rec.Code, rec.Header(), rec.Body.String()}
			e.refused(a, 503)
			require.NotEmpty(t, a.header.Get("Retry-After"), name)
			require.NotContains(t, a.body, "took too long", "it is not the request that did")
		}
		if name == "used up" {
			require.NoError(t, db.Tenant(e.acme.Engine()).InTx(t.Context(), func(*tenantschema.Tx) error { ask(); return nil }))
			continue
		}
		ask()
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	good := httpapi.Config{
		BaseDomain: "example.com", Catalog: e.street, DB: e.engine, Keys: e.keys, Workspace: e.work, Webhooks: e.hooks,
		Log: zap.NewNop(), Metrics: e.metrics,
	}
	_, err := httpapi.New(good)
	require.NoError(t, err)
	for name, spoil := range map[string]func(*httpapi.Config){
		"no base":         func(c *httpapi.Config) { c.BaseDomain = "" },
		"base with port":  func(c *httpapi.Config) { c.BaseDomain = "example.com:8080" },
		"base is a URL":   func(c *httpapi.Config) { c.BaseDomain = "http://example.com" },
		"no catalog":      func(c *httpapi.Config) { c.Catalog = nil },
		"no db":           func(c *httpapi.Config) { c.DB = nil },
		"no keys":         func(c *httpapi.Config) { c.Keys = nil },
		"no log":          func(c *httpapi.Config) { c.Log = nil },
		"no metrics":      func(c *httpapi.Config) { c.Metrics = nil },
		"negative body":   func(c *httpapi.Config) { c.MaxBodyBytes = -1 },
		"negative time":   func(c *httpapi.Config) { c.RequestTimeout = -1 },
		"zero proxy":      func(c *httpapi.Config) { c.TrustedProxies = make([]netip.Prefix, 1) },
		"invalid version": func(c *httpapi.Config) { c.Versions = tenantschema.Versions{Min: 2, Max: 1} },
	} {
		cfg := good
		spoil(&cfg)
		_, err = httpapi.New(cfg)
		require.Error(t, err, name)
	}
}
