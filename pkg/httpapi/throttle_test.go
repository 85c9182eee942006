package httpapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/httpapi"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/pkg/throttle"
)

// plans are what tests allow.
type plans struct {
	mu     sync.Mutex
	byName map[string]tenancy.Limits
}

func (p *plans) Limits(plan string) tenancy.Limits {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.byName[plan]
}

func (p *plans) set(l tenancy.Limits) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byName[l.Plan] = l
}

func onePlan(l tenancy.Limits) *plans {
	l.Plan = tenancy.StandardPlan
	return &plans{byName: map[string]tenancy.Limits{l.Plan: l}}
}

// scrape gives the metrics as they are now.
func (e *edge) scrape() string {
	e.t.Helper()
	rec := httptest.NewRecorder()
	e.metrics.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(e.t.Context(), http.MethodGet, "/metrics", http.NoBody))
	return rec.Body.String()
}

// A rate so slow that no test sees a token come back.
const never = 1

func TestRate_OfATenant(t *testing.T) {
	t.Parallel()
	allowed := onePlan(tenancy.Limits{Requests: tenancy.Rate{PerSecond: never, Burst: 3}})
	e := open(t, func(cfg *httpapi.Config) { cfg.Plans = allowed })
	second := e.key(e.acme, identity.ScopeRead)
	codes := map[int]int{}
	for i := range 8 {
		a := e.do(call{path: "/api/v1/projects", key: []string{e.acmeKey, second}[i%2]})
		codes[a.status]++
		require.Equal(t, `"tenant";q=3;w=3`, a.header.Get("RateLimit-Policy"))
		if a.status == http.StatusOK {
			require.Regexp(t, `^"tenant";r=[0-2];t=[1-3]$`, a.header.Get("RateLimit"))
			continue
		}
		p := e.refused(a, http.StatusTooManyRequests)
		require.Equal(t, "urn:rowhouse:problem:rate_limited", p.Type)
		require.Contains(t, p.Detail, `The plan "standard" of this workspace allows 1 requests a second.`)
		require.Regexp(t, `^"tenant";r=0;t=[1-3]$`, a.header.Get("RateLimit"))
		after, err := strconv.Atoi(a.header.Get("Retry-After"))
		require.NoError(t, err)
		require.Positive(t, after)
	}
	require.Positive(t, codes[http.StatusTooManyRequests])
	// What acme has spent is acme's.
	require.Equal(t, http.StatusOK, e.do(call{host: "globex.localhost", path: "/api/v1/projects", key: e.globexKey}).status)
	require.Contains(t, e.scrape(), `rowhouse_http_requests_rejected_total{reason="tenant_rate"} `+strconv.Itoa(codes[http.StatusTooManyRequests]))

	allowed.set(tenancy.Limits{Plan: tenancy.StandardPlan}) // A plan that changes holds for the next request.
	a := e.do(call{path: "/api/v1/projects", key: e.acmeKey})
	require.Equal(t, http.StatusOK, a.status)
	require.Empty(t, a.header.Get("RateLimit-Policy"))
}

// One key that floods takes nothing of its tenant's other keys, and the same key shown at another tenant is another caller.
func TestRate_OfACaller(t *testing.T) {
	t.Parallel()
	limits := tenancy.Limits{Caller: tenancy.Rate{PerSecond: never, Burst: 2}, Requests: tenancy.Rate{PerSecond: never, Burst: 8}}
	e := open(t, func(cfg *httpapi.Config) { cfg.Plans = onePlan(limits) })
	other := e.key(e.acme, identity.ScopeRead)
	rejected := 0
	for i := range 12 { // However the key is spelled, and whatever is sent along.
		a := e.do(call{path: "/api/v1/projects", header: http.Header{
			"Authorization": {"Bearer" + strings.Repeat(" ", i+1) + e.acmeKey}, "Cookie": {"__Host-session=" + strconv.Itoa(i)},
		}})
		require.Equal(t, `"caller";q=2;w=2, "tenant";q=8;w=8`, a.header.Get("RateLimit-Policy"))
		if a.status == http.StatusTooManyRequests {
			rejected++
			require.Contains(t, e.refused(a, http.StatusTooManyRequests).Detail, "This key or session may ask 1 times a second.")
		}
	}
	require.Greater(t, rejected, 5)
	require.Equal(t, http.StatusOK, e.do(call{path: "/api/v1/projects", key: other}).status)
	require.Equal(t, http.StatusUnauthorized, e.do(call{host: "globex.localhost", path: "/api/v1/projects", key: e.acmeKey}).status)
	require.Contains(t, e.scrape(), `rowhouse_http_requests_rejected_total{reason="caller_rate"} `+strconv.Itoa(rejected))
}

// Strangers are counted by their address, over all tenants; whoever has a key is not one of them.
func TestRate_OfStrangers(t *testing.T) {
	t.Parallel()
	e := open(t, func(cfg *httpapi.Config) {
		cfg.Strangers = throttle.Rate{PerSecond: 0.01, Burst: 2}
		cfg.Base = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	})
	require.Equal(t, http.StatusOK, e.do(call{path: "/api/docs"}).status)
	require.Equal(t, http.StatusTeapot, e.do(call{host: "localhost", path: "/"}).status)
	for _, host := range []string{"acme.localhost", "globex.localhost", "localhost"} {
		p := e.refused(e.do(call{host: host, path: "/api/docs"}), http.StatusTooManyRequests)
		require.Contains(t, p.Detail, "without credentials")
	}
	require.Equal(t, http.StatusOK, e.do(call{path: "/api/v1/projects", key: e.acmeKey}).status)
	require.Equal(t, http.StatusNotFound, e.do(call{host: "nobody.localhost", path: "/"}).status, "who is nobody's is told the same as ever")
}

// Bad credentials cost the address that shows them, and in the end nobody looks at them any more.
func TestRate_OfFailures(t *testing.T) {
	t.Parallel()
	e := open(t, func(cfg *httpapi.Config) {
		cfg.Failures = throttle.Rate{PerSecond: 0.01, Burst: 3}
		cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	from := func(address string) http.Header { return http.Header{"X-Forwarded-For": {address}} }
	for i := range 3 {
		a := e.do(call{path: "/api/v1/projects", key: "rh_wrong" + strconv.Itoa(i), header: from("192.0.2.7")})
		require.Equal(t, http.StatusUnauthorized, a.status)
	}
	for _, key := range []string{"rh_wrong", e.acmeKey} {
		p := e.refused(e.do(call{path: "/api/v1/projects", key: key, header: from("192.0.2.7")}), http.StatusTooManyRequests)
		require.Contains(t, p.Detail, "no valid credentials")
	}
	require.Equal(t, http.StatusOK, e.do(call{path: "/api/v1/projects", key: e.acmeKey, header: from("192.0.2.8")}).status)
	// Of IPv6 a customer has 2^64 addresses.
	for i := range 3 {
		e.do(call{path: "/api/v1/projects", key: "rh_wrong", header: from("2001:db8:1:1::" + strconv.Itoa(i+1))})
	}
	e.refused(e.do(call{path: "/api/v1/projects", key: e.acmeKey, header: from("2001:db8:1:1::99")}), http.StatusTooManyRequests)
	require.Equal(t, http.StatusOK, e.do(call{path: "/api/v1/projects", key: e.acmeKey, header: from("2001:db8:1:2::1")}).status)
}

// So many requests of a tenant are answered at a time and so many wait; strangers at its door and other tenants have turns of their own, and an
// answer that lasts gives its place back.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	inside, release := make(chan struct{}, 16), make(chan struct{})
	hold := func(c echo.Context) error {
		inside <- struct{}{}
		select {
		case <-release:
		case <-c.Request().Context().Done():
		}
		return c.NoContent(http.StatusNoContent)
	}
	e := open(t, func(cfg *httpapi.Config) {
		cfg.Plans = onePlan(tenancy.Limits{Concurrency: 2})
		cfg.Product = func(edge *httpapi.Edge) error {
			edge.Echo.GET("/hold", hold)
			edge.Echo.GET("/last", func(c echo.Context) error {
				if err := httpapi.Lasting(c.Request().Context()); err != nil {
					return err
				}
				return hold(c)
			})
			return nil
		}
	})
	var wg sync.WaitGroup
	statuses := make(chan int, 32)
	start := func(c call) {
		wg.Go(func() {
			a, err := e.try(context.WithoutCancel(t.Context()), c)
			if err == nil {
				statuses <- a.status
			}
		})
	}
	start(call{path: "/last", key: e.acmeKey})
	<-inside
	start(call{path: "/hold", key: e.acmeKey})
	<-inside
	start(call{path: "/hold", key: e.acmeKey})
	<-inside // Though a third is under way: that one lasts.
	start(call{path: "/hold", key: e.acmeKey})
	start(call{path: "/hold", key: e.acmeKey})
	require.Eventually(t, func() bool {
		a, err := e.try(t.Context(), call{path: "/hold", key: e.acmeKey})
		return err == nil && a.status == http.StatusTooManyRequests && a.header.Get("Retry-After") == "1"
	}, 20*time.Second, time.Millisecond)
	start(call{path: "/hold"}) // A stranger.
	<-inside
	require.Equal(t, http.StatusOK, e.do(call{host: "globex.localhost", path: "/api/v1/projects", key: e.globexKey}).status)
	require.Contains(t, e.scrape(), `rowhouse_http_requests_rejected_total{reason="concurrency"}`)
	close(release)
	wg.Wait()
	require.Equal(t, http.StatusOK, e.do(call{path: "/api/v1/projects", key: e.acmeKey}).status, "every place was given back")
}

// What a tenant's plan says of statements holds for its requests, and for nobody else's.
func TestStatementTimeout(t *testing.T) {
	t.Parallel()
	e := open(t, func(cfg *httpapi.Config) {
		cfg.Plans = &plans{byName: map[string]tenancy.Limits{"slow": {Plan: "slow", StatementTimeout: 50 * time.Millisecond}}}
		cfg.Product = func(edge *httpapi.Edge) error {
			edge.Echo.GET("/sleep", func(c echo.Context) error {
				ctx := c.Request().Context()
				if _, err := httpapi.ScopeOf(ctx).Exec(ctx, "select pg_sleep(0.3)"); err != nil {
					return err
				}
				return c.NoContent(http.StatusNoContent)
			})
			return nil
		}
	})
	e.acme.Plan = "slow"
	e.street.put(e.acme)
	e.refused(e.do(call{path: "/sleep"}), http.StatusServiceUnavailable)
	require.Equal(t, http.StatusNoContent, e.do(call{host: "globex.localhost", path: "/sleep"}).status)
}
