package telemetry_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/telemetry"
)

// setup gives metrics and the URL where they are served.
func setup(t *testing.T) (*telemetry.Metrics, string) {
	t.Helper()
	m, err := telemetry.NewMetrics(telemetry.MetricsConfig{Version: "1.2.3", Revision: "abc"})
	require.NoError(t, err)
	server := httptest.NewServer(m.Handler())
	t.Cleanup(server.Close)
	return m, server.URL
}

// scrape gives all that is served.
func scrape(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	require.Equal(t, http.StatusOK, response.StatusCode)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body)
}

// fill uses every instrument.
func fill(t *testing.T, m *telemetry.Metrics) {
	t.Helper()
	m.ObserveRequest("GET", "/api/v1/tasks/:id", 200, 3*time.Millisecond)
	m.ObserveRequest("GET", "/api/v1/tasks/:id", 200, 2*time.Second)
	m.ObserveRequest("POST", "/api/v1/tasks", 422, time.Minute)
	m.TenantResolved(telemetry.TenantFound)
	m.TenantResolved(telemetry.TenantFound)
	m.TenantResolved(telemetry.TenantUnknown)
	m.WebhookDelivered(telemetry.WebhookSucceeded)
	m.ObserveJob("activity", "default", telemetry.JobCompleted, 4*time.Millisecond, 20*time.Millisecond)
	m.ObserveJob("activity", "default", telemetry.JobFailed, -time.Second, 20*time.Millisecond)
	m.ObserveQueues(map[string]telemetry.JobQueueStat{"default": {Waiting: 9}}, map[string]int64{"t2": 8, "t3": 1})
	m.ObserveQueues(map[string]telemetry.JobQueueStat{
		"bulk":    {Paused: true},
		"default": {Waiting: 1, Scheduled: 2, Running: 3, Retryable: 4, Discarded: 5, OldestAge: 1500 * time.Millisecond},
	}, map[string]int64{"t1": 1})
	m.CatalogRefreshed(7)
	m.CatalogRefreshed(8)
	m.CatalogRefreshFailed()
	m.MailSent()
	m.MailSent()
	m.MailRetried()
	require.NoError(t, m.RegisterPool("control", func() telemetry.PoolStat {
		return telemetry.PoolStat{Acquired: 3, Idle: 1, Total: 5, Max: 8, Waits: 9, WaitTime: 1500 * time.Millisecond, Opened: 7}
	}))
	require.NoError(t, m.RegisterPools("cell", func() map[string]telemetry.PoolStat {
		return map[string]telemetry.PoolStat{"cell_01": {Max: 16}, "cell_02": {Max: 17}}
	}))
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	m, url := setup(t)
	fill(t, m)
	require.NoError(t, testutil.ScrapeAndCompare(url, strings.NewReader(`
# HELP rowhouse_tenant_resolutions_total Lookups of a request's tenant by its host, by outcome: found, unknown, suspended or unavailable.
# TYPE rowhouse_tenant_resolutions_total counter
rowhouse_tenant_resolutions_total{outcome="found"} 2
rowhouse_tenant_resolutions_total{outcome="suspended"} 0
rowhouse_tenant_resolutions_total{outcome="unavailable"} 0
rowhouse_tenant_resolutions_total{outcome="unknown"} 1
# HELP rowhouse_jobs_worked_total Jobs worked once, by kind, queue and outcome: completed, failed, discarded, cancelled, snoozed or interrupted.
# TYPE rowhouse_jobs_worked_total counter
rowhouse_jobs_worked_total{kind="activity",outcome="completed",queue="default"} 1
rowhouse_jobs_worked_total{kind="activity",outcome="failed",queue="default"} 1
# HELP rowhouse_mails_total Deliveries of mails, by result: sent, retried (will be tried again) or failed (given up).
# TYPE rowhouse_mails_total counter
rowhouse_mails_total{result="failed"} 0
rowhouse_mails_total{result="retried"} 1
rowhouse_mails_total{result="sent"} 2
# HELP rowhouse_webhook_deliveries_total Attempts to deliver a webhook, by result: succeeded, failed (to be tried again) or given_up.
# TYPE rowhouse_webhook_deliveries_total counter
rowhouse_webhook_deliveries_total{result="failed"} 0
rowhouse_webhook_deliveries_total{result="given_up"} 0
rowhouse_webhook_deliveries_total{result="succeeded"} 1
# HELP rowhouse_catalog_tenants Tenants in this process's copy of the catalog.
# TYPE rowhouse_catalog_tenants gauge
rowhouse_catalog_tenants 8
# HELP rowhouse_catalog_refreshes_total Refreshes of this process's copy of the catalog, by outcome: ok or failed.
# TYPE rowhouse_catalog_refreshes_total counter
rowhouse_catalog_refreshes_total{outcome="failed"} 1
rowhouse_catalog_refreshes_total{outcome="ok"} 2
# HELP rowhouse_db_pool_acquired_connections Connections that are in use now.
# TYPE rowhouse_db_pool_acquired_connections gauge
rowhouse_db_pool_acquired_connections{pool="cell_01"} 0
rowhouse_db_pool_acquired_connections{pool="cell_02"} 0
rowhouse_db_pool_acquired_connections{pool="control"} 3
# HELP rowhouse_db_pool_max_connections Most connections that the pool may hold.
# TYPE rowhouse_db_pool_max_connections gauge
rowhouse_db_pool_max_connections{pool="cell_01"} 16
rowhouse_db_pool_max_connections{pool="cell_02"} 17
rowhouse_db_pool_max_connections{pool="control"} 8
# HELP rowhouse_db_pool_wait_seconds_total Time that those callers waited altogether.
# TYPE rowhouse_db_pool_wait_seconds_total counter
rowhouse_db_pool_wait_seconds_total{pool="cell_01"} 0
rowhouse_db_pool_wait_seconds_total{pool="cell_02"} 0
rowhouse_db_pool_wait_seconds_total{pool="control"} 1.5
`),
		"rowhouse_tenant_resolutions_total", "rowhouse_jobs_worked_total", "rowhouse_mails_total", "rowhouse_catalog_tenants",
		"rowhouse_catalog_refreshes_total",
		"rowhouse_db_pool_acquired_connections", "rowhouse_db_pool_max_connections", "rowhouse_db_pool_wait_seconds_total"))

	text := scrape(t, url)
	for _, line := range []string{
		`rowhouse_http_request_duration_seconds_bucket{code="200",method="GET",route="/api/v1/tasks/:id",le="0.0025"} 0`,
		`rowhouse_http_request_duration_seconds_bucket{code="200",method="GET",route="/api/v1/tasks/:id",le="0.005"} 1`,
		`rowhouse_http_request_duration_seconds_count{code="200",method="GET",route="/api/v1/tasks/:id"} 2`,
		`rowhouse_http_request_duration_seconds_sum{code="200",method="GET",route="/api/v1/tasks/:id"} 2.003`,
		`rowhouse_http_request_duration_seconds_count{code="422",method="POST",route="/api/v1/tasks"} 1`,
		`rowhouse_http_requests_in_flight 0`,
		`rowhouse_job_duration_seconds_count{kind="activity",outcome="failed",queue="default"} 1`,
		`rowhouse_job_wait_seconds_sum{kind="activity",queue="default"} 0.004`,
		`rowhouse_job_wait_seconds_count{kind="activity",queue="default"} 2`,
		`rowhouse_jobs_waiting{queue="default"} 1`,
		`rowhouse_jobs_scheduled{queue="default"} 2`,
		`rowhouse_jobs_running{queue="default"} 3`,
		`rowhouse_jobs_retryable{queue="default"} 4`,
		`rowhouse_jobs_discarded{queue="default"} 5`,
		`rowhouse_jobs_oldest_age_seconds{queue="default"} 1.5`,
		`rowhouse_jobs_queue_paused{queue="default"} 0`,
		`rowhouse_jobs_queue_paused{queue="bulk"} 1`,
		`rowhouse_jobs_tenant_waiting{tenant="t1"} 1`,
		`rowhouse_db_pool_connections{pool="control"} 5`,
		`rowhouse_db_pool_idle_connections{pool="control"} 1`,
		`rowhouse_db_pool_waits_total{pool="control"} 9`,
	} {
		require.Contains(t, text, line+"\n")
	}
	require.Regexp(t, `(?m)^rowhouse_build_info\{goversion="go[^"]+",revision="abc",version="1.2.3"\} 1$`, text)
	require.Regexp(t, `(?m)^rowhouse_catalog_last_refresh_timestamp_seconds 1\.\d+e\+09$`, text)
	require.NotContains(t, text, `tenant="t2"`, "those of the last count alone are shown")
	require.Contains(t, text, "\ngo_goroutines ")
	require.Contains(t, text, "\nprocess_cpu_seconds_total ")
}

// TestMetricsFollowTheConventions holds names, units and help against Prometheus's own rules, and the labels against ours: a label that
// customers can make more values of would grow for ever.
func TestMetricsFollowTheConventions(t *testing.T) {
	t.Parallel()
	m, url := setup(t)
	fill(t, m)
	text := scrape(t, url)
	found, err := promlint.New(strings.NewReader(text)).Lint()
	require.NoError(t, err)
	require.Empty(t, found)
	for line := range strings.SplitSeq(text, "\n") {
		name, labels, _ := strings.Cut(line, "{")
		if !strings.HasPrefix(name, "rowhouse_") {
			continue
		}
		if name != "rowhouse_jobs_tenant_waiting" { // Five at a time, and old ones vanish.
			require.NotContains(t, labels, "tenant=", line)
		}
		require.NotContains(t, labels, "slug=", line)
		require.NotContains(t, labels, "host=", line)
	}
}

// TestJobOutcomes: the queue has names of its own, because neither package imports the other.
func TestJobOutcomes(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{
		jobqueue.OutcomeCompleted, jobqueue.OutcomeFailed, jobqueue.OutcomeDiscarded,
		jobqueue.OutcomeCancelled, jobqueue.OutcomeSnoozed, jobqueue.OutcomeInterrupted,
	}, []string{
		telemetry.JobCompleted, telemetry.JobFailed, telemetry.JobDiscarded,
		telemetry.JobCancelled, telemetry.JobSnoozed, telemetry.JobInterrupted,
	})
}

func TestCountInFlight(t *testing.T) {
	t.Parallel()
	m, url := setup(t)
	inside, leave := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(m.CountInFlight(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(inside)
		<-leave
	})))
	t.Cleanup(server.Close)
	answered := make(chan error, 1)
	go func() {
		response, err := http.Get(server.URL)
		if err == nil {
			err = response.Body.Close()
		}
		answered <- err
	}()
	<-inside
	require.Contains(t, scrape(t, url), "\nrowhouse_http_requests_in_flight 1\n")
	close(leave)
	require.NoError(t, <-answered)
}

func TestRegisterPoolRefuses(t *testing.T) {
	t.Parallel()
	m, _ := setup(t)
	stat := func() telemetry.PoolStat { return telemetry.PoolStat{} }
	require.NoError(t, m.RegisterPool("control", stat))
	require.ErrorContains(t, m.RegisterPool("control", stat), `a pool named "control" is registered already`)
	require.Error(t, m.RegisterPool("", stat))
	require.Error(t, m.RegisterPool("cell", nil))
	require.Error(t, m.RegisterPools("", func() map[string]telemetry.PoolStat { return nil }))
	require.Error(t, m.RegisterPools("cell", nil))
}

// TestMetricsAreTheirOwn: two in one process share nothing.
func TestMetricsAreTheirOwn(t *testing.T) {
	t.Parallel()
	one, _ := setup(t)
	_, url := setup(t)
	one.CatalogRefreshed(5)
	require.Contains(t, scrape(t, url), "\nrowhouse_catalog_tenants 0\n")
}
