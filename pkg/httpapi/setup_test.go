package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rowhousehq/rowhouse/pkg/filestore"
	"github.com/rowhousehq/rowhouse/pkg/httpapi"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/telemetry"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/pkg/webhook"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// street is a catalog that tests can rearrange.
type street struct {
	mu     sync.Mutex
	bySlug map[string]tenancy.Tenant
}

func (s *street) BySlug(slug string) (tenancy.Tenant, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.bySlug[slug]
	return t, ok
}

func (s *street) put(t tenancy.Tenant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bySlug[t.Slug] = t
}

// jobs keeps what is enqueued. That it commits with the data is the queue's own test.
type jobs struct {
	mu   sync.Mutex
	args []job.Args
}

func (j *jobs) Enqueue(_ context.Context, _ *tenantschema.Tx, args job.Args, _ job.Opts) (job.Receipt, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.args = append(j.args, args)
	return job.Receipt{}, nil
}

func (j *jobs) EnqueueMany(_ context.Context, _ *tenantschema.Tx, args []job.Args, _ job.Opts) ([]job.Receipt, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.args = append(j.args, args...)
	return make([]job.Receipt, len(args)), nil
}

// edge is the public handler behind a real listener, on a real database with two tenants.
type edge struct {
	t       testing.TB
	cfg     httpapi.Config // before the test's change
	db      *pgtest.DB
	handler http.Handler
	url     string
	street  *street
	logs    *observer.ObservedLogs
	metrics *telemetry.Metrics
	jobs    *jobs
	keys    *identity.Service
	work    *workspace.Service
	hooks   *webhook.Service
	engine  *tenantschema.DB
	// acme and globex are two customers, each with a key that may do everything.
	acme, globex       tenancy.Tenant
	acmeKey, globexKey string
}

// open makes an edge; change may alter its configuration.
func open(tb testing.TB, change func(*httpapi.Config)) *edge {
	tb.Helper()
	e := &edge{t: tb, db: pgtest.New(tb), street: &street{bySlug: map[string]tenancy.Tenant{}}, jobs: &jobs{}}
	var err error
	e.engine, err = tenantschema.Open(e.db.EngineConfig(tenantschema.Config{
		MaxConns: 4, AcquireTimeout: 10 * time.Second, Tracer: telemetry.DBTimer{},
	}))
	require.NoError(tb, err)
	tb.Cleanup(e.engine.Close)
	e.metrics, err = telemetry.NewMetrics(telemetry.MetricsConfig{})
	require.NoError(tb, err)
	e.keys, err = identity.New(identity.Config{Jobs: e.jobs})
	require.NoError(tb, err)
	e.work, err = workspace.New(workspace.Config{Jobs: e.jobs, Files: files(tb)})
	require.NoError(tb, err)
	e.hooks, err = webhook.New(webhook.Config{Jobs: e.jobs, Kinds: workspace.EventKinds()})
	require.NoError(tb, err)
	core, logs := observer.New(zap.DebugLevel)
	e.logs = logs
	cfg := httpapi.Config{
		BaseDomain: "localhost", Catalog: e.street, DB: e.engine, Keys: e.keys, Workspace: e.work, Webhooks: e.hooks, Log: zap.New(core), Metrics: e.metrics,
		MaxBodyBytes: 64 << 10, Versions: tenantschema.Versions{Min: 1},
	}
	e.cfg = cfg
	if change != nil {
		change(&cfg)
	}
	e.handler, err = httpapi.New(cfg)
	require.NoError(tb, err)
	srv := httptest.NewServer(e.handler)
	tb.Cleanup(srv.Close)
	e.url = srv.URL

	e.acme, e.acmeKey = e.tenant("acme", identity.ScopeAdmin)
	e.globex, e.globexKey = e.tenant("globex", identity.ScopeAdmin)
	return e
}

// again serves the same tenants a second time, otherwise configured, and gives the URL.
func (e *edge) again(change func(*httpapi.Config)) string {
	e.t.Helper()
	cfg := e.cfg
	change(&cfg)
	handler, err := httpapi.New(cfg)
	require.NoError(e.t, err)
	srv := httptest.NewServer(handler)
	e.t.Cleanup(srv.Close)
	return srv.URL
}

// files are a product's, until the test ends.
func files(tb testing.TB) *filestore.Store {
	tb.Helper()
	store, err := filestore.Open(tb.TempDir())
	require.NoError(tb, err)
	return store
}

// tenant makes a tenant that is being served, and a key of it.
func (e *edge) tenant(slug, scope string) (tenancy.Tenant, string) {
	e.t.Helper()
	tenant := e.db.Tenant(slug)
	e.street.put(tenant)
	return tenant, e.key(tenant, scope)
}

func (e *edge) key(tenant tenancy.Tenant, scope string) string {
	e.t.Helper()
	_, token, err := e.keys.CreateKey(e.t.Context(), e.engine.Tenant(tenant.Engine()), identity.NewKey{Name: "test", Scopes: []string{scope}})
	require.NoError(e.t, err)
	return token
}

// call is a request to be made.
type call struct {
	method, host, path, key string
	body                    any // a string is sent as it is, anything else as JSON
	header                  http.Header
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// into reads the body as JSON.
func (a answer) into(tb testing.TB, v any) {
	tb.Helper()
	dec := json.NewDecoder(bytes.NewReader([]byte(a.body)))
	dec.DisallowUnknownFields()
	require.NoError(tb, dec.Decode(v), a.body)
}

func (e *edge) do(c call) answer {
	e.t.Helper()
	a, err := e.try(e.t.Context(), c)
	require.NoError(e.t, err)
	return a
}

func (e *edge) try(ctx context.Context, c call) (answer, error) {
	var body io.Reader
	if c.body != nil {
		text, ok := c.body.(string)
		if !ok {
			raw, err := json.Marshal(c.body)
			if err != nil {
				return answer{}, err
			}
			text = string(raw)
		}
		body = bytes.NewReader([]byte(text))
	}
	if c.method == "" {
		c.method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, c.method, e.url+c.path, body)
	if err != nil {
		return answer{}, err
	}
	req.Host = c.host
	if c.host == "" {
		req.Host = "acme.localhost"
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	maps.Copy(req.Header, c.header)
	// No keep-alive, no redirects, no decompression: tests look at what was sent.
	resp, err := (&http.Transport{DisableKeepAlives: true, DisableCompression: true}).RoundTrip(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close() //nolint:errcheck // Read to its end.
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(text)}, err
}

// problem is how errors look on the wire.
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	RequestID string `json:"request_id"`
	Errors    []struct {
		Location string `json:"location"`
		Message  string `json:"message"`
	} `json:"errors"`
}

// refused checks that a is a problem of that status and gives it.
func (e *edge) refused(a answer, status int) problem {
	e.t.Helper()
	require.Equal(e.t, status, a.status, a.body)
	require.Equal(e.t, "application/problem+json", a.header.Get("Content-Type"))
	var p problem
	a.into(e.t, &p)
	require.Equal(e.t, status, p.Status)
	require.NotEmpty(e.t, p.Title)
	require.NotEmpty(e.t, p.Detail)
	require.Regexp(e.t, `^urn:rowhouse:problem:[a-z_]+$`, p.Type)
	require.Equal(e.t, a.header.Get("X-Request-Id"), p.RequestID)
	return p
}

// jsonLoose reads JSON of which the test knows only a part.
func jsonLoose(text string, v any) error { return json.Unmarshal([]byte(text), v) }
