package web_test

import (
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/rowhousehq/rowhouse/pkg/filestore"
	"github.com/rowhousehq/rowhouse/pkg/httpapi"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/live"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/telemetry"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/pkg/web"
	"github.com/rowhousehq/rowhouse/pkg/webhook"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// street is a catalog of the tenants that a test makes.
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

// jobs takes what is enqueued and does nothing with it.
type jobs struct{}

func (jobs) Enqueue(context.Context, *tenantschema.Tx, job.Args, job.Opts) (job.Receipt, error) {
	return job.Receipt{}, nil
}

func (jobs) EnqueueMany(_ context.Context, _ *tenantschema.Tx, args []job.Args, _ job.Opts) ([]job.Receipt, error) {
	return make([]job.Receipt, len(args)), nil
}

// house is the product behind a real listener, on a real database with two tenants.
type house struct {
	t            testing.TB
	db           *pgtest.DB
	url          string
	stop         func() error
	street       *street
	engine       *tenantschema.DB
	people       *identity.Service
	work         *workspace.Service
	hooks        *webhook.Service
	live         *live.Hub
	letters      letters
	acme, globex tenancy.Tenant
}

const password = "correct horse battery"

// open makes a house.
func open(tb testing.TB) *house {
	tb.Helper()
	h := &house{t: tb, db: pgtest.New(tb), street: &street{bySlug: map[string]tenancy.Tenant{}}}
	var err error
	h.engine, err = tenantschema.Open(h.db.EngineConfig(tenantschema.Config{
		MaxConns: 4, AcquireTimeout: 10 * time.Second, Tracer: telemetry.DBTimer{},
	}))
	require.NoError(tb, err)
	tb.Cleanup(h.engine.Close)
	metrics, err := telemetry.NewMetrics(telemetry.MetricsConfig{})
	require.NoError(tb, err)
	h.people, err = identity.New(h.identityConfig())
	require.NoError(tb, err)
	store, err := filestore.Open(tb.TempDir())
	require.NoError(tb, err)
	h.work, err = workspace.New(workspace.Config{Jobs: jobs{}, Files: store})
	require.NoError(tb, err)
	h.hooks, err = webhook.New(webhook.Config{Jobs: jobs{}, Kinds: workspace.EventKinds()})
	require.NoError(tb, err)
	pool, err := pgxpool.New(tb.Context(), h.db.OwnerURL)
	require.NoError(tb, err)
	tb.Cleanup(pool.Close)
	listen, err := pgx.ParseConfig(h.db.OwnerURL)
	require.NoError(tb, err)
	h.live, err = live.New(tb.Context(), live.Config{
		Read: web.ReadChanges(h.work), Notify: pool, Listen: listen, Log: zap.NewNop(), Gather: time.Millisecond, Pause: 10 * time.Millisecond,
	})
	require.NoError(tb, err)
	tb.Cleanup(h.live.Close)
	log := zaptest.NewLogger(tb, zaptest.Level(zap.ErrorLevel))
	pages, err := web.New(web.Config{BaseDomain: "localhost", Identity: h.people, Workspace: h.work, Webhooks: h.hooks, Live: h.live, Log: log, Heartbeat: 50 * time.Millisecond})
	require.NoError(tb, err)
	handler, err := httpapi.New(httpapi.Config{
		BaseDomain: "localhost", Catalog: h.street, DB: h.engine, Keys: h.people, Workspace: h.work, Webhooks: h.hooks, Log: log, Metrics: metrics,
		Versions: tenantschema.Versions{Min: 1}, Product: pages.Routes,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Changed: h.live.Changed,
	})
	require.NoError(tb, err)
	h.serve(handler)
	h.acme, h.globex = h.tenant("acme"), h.tenant("globex")
	return h
}

// serve answers until the test ends, by the product's own server.
func (h *house) serve(handler http.Handler) {
	h.t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(h.t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(h.t, err)
	h.url = "http://" + ln.Addr().String()
	server, err := httpapi.NewServer(httpapi.ServerConfig{Handler: handler, Log: zap.NewNop()})
	require.NoError(h.t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(h.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx, ln) }()
	h.stop = func() error {
		stop()
		err, open := <-ended
		if open {
			close(ended)
		}
		return err
	}
	h.t.Cleanup(func() { _ = h.stop() })
}

// person adds somebody to a tenant.
func (h *house) person(t tenancy.Tenant, name string, role identity.Role) identity.User {
	h.t.Helper()
	hash, err := h.people.HashPassword(h.t.Context(), password)
	require.NoError(h.t, err)
	in := identity.NewUser{Email: name + "@" + t.Slug + ".example", DisplayName: name, PasswordHash: hash}
	u, err := h.people.CreateOwner(h.t.Context(), h.scope(t), in)
	require.NoError(h.t, err)
	if role != identity.RoleOwner {
		_, err = h.scope(t).Exec(h.t.Context(), `UPDATE users SET role = $2 WHERE id = $1`, u.ID, string(role))
		require.NoError(h.t, err)
	}
	return u
}

// as gives a visitor who is signed in as somebody new of that role.
func (h *house) as(t tenancy.Tenant, name string, role identity.Role) *visitor {
	h.t.Helper()
	u := h.person(t, name, role)
	in, err := h.people.SignIn(h.t.Context(), h.scope(t), u.Email, password, identity.Client{RemoteAddress: "192.0.2.1"})
	require.NoError(h.t, err)
	v := h.visitor(t.Slug)
	v.cookies["session"] = in.Token
	return v
}

func (h *house) tenant(slug string) tenancy.Tenant {
	h.t.Helper()
	t := h.db.Tenant(slug)
	h.street.mu.Lock()
	defer h.street.mu.Unlock()
	h.street.bySlug[slug] = t
	return t
}

func (h *house) scope(t tenancy.Tenant) tenantschema.Scope { return h.engine.Tenant(t.Engine()) }

// visitor is a browser without scripts at one tenant's host. It keeps cookies, and follows no redirects.
type visitor struct {
	h       *house
	host    string
	cookies map[string]string
	// header is sent with every request.
	header http.Header
}

func (h *house) visitor(slug string) *visitor {
	return &visitor{h: h, host: slug + ".localhost", cookies: map[string]string{}, header: http.Header{"Accept": {"text/html"}}}
}

// seen is what a visitor is shown.
type seen struct {
	status   int
	header   http.Header
	body     string
	location string
}

func (v *visitor) get(path string) seen {
	v.h.t.Helper()
	return v.do(http.MethodGet, path, "", nil)
}

// submit sends a form as a browser does.
func (v *visitor) submit(path string, form url.Values) seen {
	v.h.t.Helper()
	return v.do(http.MethodPost, path, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
}

func (v *visitor) do(method, path, contentType string, body io.Reader) seen {
	v.h.t.Helper()
	req, err := http.NewRequestWithContext(v.h.t.Context(), method, v.h.url+path, body)
	require.NoError(v.h.t, err)
	req.Host = v.host
	maps.Copy(req.Header, v.header)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for name, value := range v.cookies {
		req.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	require.NoError(v.h.t, err)
	defer resp.Body.Close() //nolint:errcheck // Read to its end.
	text, err := io.ReadAll(resp.Body)
	require.NoError(v.h.t, err)
	for _, c := range resp.Cookies() {
		if c.MaxAge < 0 {
			delete(v.cookies, c.Name)
		} else {
			v.cookies[c.Name] = c.Value
		}
	}
	return seen{resp.StatusCode, resp.Header, string(text), resp.Header.Get("Location")}
}
