package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rowhousehq/rowhouse/pkg/httpapi"
)

type readyz struct {
	Ready  bool              `json:"ready"`
	Checks map[string]string `json:"checks"`
}

func admin(t *testing.T, cfg httpapi.AdminConfig) (*httptest.Server, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	cfg.Log = zap.New(core)
	cfg.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "metrics") })
	h, err := httpapi.Admin(cfg)
	require.NoError(t, err)
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv, logs
}

func getReady(t *testing.T, srv *httptest.Server) (int, readyz, string) {
	t.Helper()
	status, body := get(t, srv.URL+"/readyz")
	var out readyz
	require.NoError(t, json.Unmarshal([]byte(body), &out))
	return status, out, body
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := new(http.Client).Do(req)
	require.NoError(t, err)
	defer resp.Body.Close() //nolint:errcheck // Read to its end.
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

func TestAdminPages(t *testing.T) {
	t.Parallel()
	srv, _ := admin(t, httpapi.AdminConfig{})
	for path, want := range map[string]struct {
		status int
		body   string
	}{
		"/healthz": {200, "ok\n"},
		"/metrics": {200, "metrics"},
		"/":        {404, "404 page not found\n"},
		"/debug":   {404, "404 page not found\n"},
	} {
		status, body := get(t, srv.URL+path)
		require.Equal(t, want.status, status, path)
		require.Equal(t, want.body, body, path)
	}
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	var broken, draining atomic.Bool
	srv, logs := admin(t, httpapi.AdminConfig{
		CacheFor: time.Nanosecond,
		Draining: draining.Load,
		Checks: []httpapi.Check{
			{Name: "database", Probe: func(context.Context) error {
				if broken.Load() {
					return errors.New("password of rowhouse_control is hunter2")
				}
				return nil
			}},
			{Name: "river", Probe: func(context.Context) error { return nil }},
		},
	})
	status, out, _ := getReady(t, srv)
	require.Equal(t, 200, status)
	require.Equal(t, readyz{true, map[string]string{"database": "ok", "river": "ok"}}, out)
	require.Zero(t, logs.Len(), "nothing has changed")

	broken.Store(true)
	for range 3 {
		var body string
		status, out, body = getReady(t, srv)
		require.Equal(t, 503, status)
		require.Equal(t, readyz{false, map[string]string{"database": "failing", "river": "ok"}}, out)
		require.NotContains(t, body, "hunter2")
	}
	require.Equal(t, 1, logs.Len(), "a failure is logged when it begins")

	broken.Store(false)
	status, _, _ = getReady(t, srv)
	require.Equal(t, 200, status)

	draining.Store(true)
	status, out, _ = getReady(t, srv)
	require.Equal(t, 503, status)
	require.Equal(t, readyz{false, map[string]string{"database": "ok", "river": "ok", "draining": "stopping"}}, out)
	draining.Store(false)
	_, out, _ = getReady(t, srv)
	require.Equal(t, readyz{true, map[string]string{"database": "ok", "river": "ok"}}, out)
}

func TestReadinessSparesTheDatabase(t *testing.T) {
	t.Parallel()
	var probes atomic.Int64
	srv, _ := admin(t, httpapi.AdminConfig{
		CacheFor: time.Hour,
		Checks:   []httpapi.Check{{Name: "database", Probe: func(context.Context) error { probes.Add(1); return nil }}},
	})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			resp, err := http.Get(srv.URL + "/readyz")
			if err == nil {
				_ = resp.Body.Close()
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, probes.Load())
}

func TestReadinessEndsInTime(t *testing.T) {
	t.Parallel()
	srv, _ := admin(t, httpapi.AdminConfig{
		CheckTimeout: time.Millisecond,
		Checks: []httpapi.Check{
			{Name: "database", Probe: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
			{Name: "river", Probe: func(context.Context) error { panic("broken") }},
		},
	})
	status, out, _ := getReady(t, srv)
	require.Equal(t, 503, status)
	require.Equal(t, map[string]string{"database": "failing", "river": "failing"}, out.Checks)
}

func TestAdminConfigIsChecked(t *testing.T) {
	t.Parallel()
	good := httpapi.AdminConfig{Metrics: http.NotFoundHandler(), Log: zap.NewNop()}
	for name, spoil := range map[string]func(*httpapi.AdminConfig){
		"no metrics": func(c *httpapi.AdminConfig) { c.Metrics = nil },
		"no log":     func(c *httpapi.AdminConfig) { c.Log = nil },
		"nameless check": func(c *httpapi.AdminConfig) {
			c.Checks = []httpapi.Check{{Probe: func(context.Context) error { return nil }}}
		},
		"check of nothing": func(c *httpapi.AdminConfig) { c.Checks = []httpapi.Check{{Name: "database"}} },
		"negative timeout": func(c *httpapi.AdminConfig) { c.CheckTimeout = -1 },
	} {
		cfg := good
		spoil(&cfg)
		_, err := httpapi.Admin(cfg)
		require.Error(t, err, name)
	}
}
