package telemetry

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const namespace = "rowhouse"

// What became of looking for the tenant of a request, for [Metrics.TenantResolved].
const (
	TenantFound       = "found"
	TenantUnknown     = "unknown"
	TenantSuspended   = "suspended"
	TenantUnavailable = "unavailable"
)

// Why a request was not answered because of a limit, for [Metrics.RequestRejected].
const (
	// RejectedTenant: the tenant asked too often.
	RejectedTenant = "tenant_rate"
	// RejectedCaller: one key or session asked too often.
	RejectedCaller = "caller_rate"
	// RejectedAddress: one address asked too often without credentials.
	RejectedAddress = "address_rate"
	// RejectedFailures: one address showed credentials that were no good too often.
	RejectedFailures = "address_failures"
	// RejectedConcurrency: the tenant had too much under way.
	RejectedConcurrency = "concurrency"
)

// What became of working a job once, for [Metrics.ObserveJob].
const (
	// JobCompleted: done.
	JobCompleted = "completed"
	// JobFailed: failed, and will be tried again.
	JobFailed = "failed"
	// JobDiscarded: failed for the last time.
	JobDiscarded = "discarded"
	// JobCancelled: given up on purpose, for example because its tenant is gone.
	JobCancelled = "cancelled"
	// JobSnoozed: put off, for example because its tenant is suspended.
	JobSnoozed = "snoozed"
	// JobInterrupted: cut short by a shutdown, and back in the queue.
	JobInterrupted = "interrupted"
)

// What became of an attempt to deliver a webhook, for [Metrics.WebhookDelivered].
const (
	// WebhookSucceeded: the receiver took it.
	WebhookSucceeded = "succeeded"
	// WebhookFailed: it will be tried again.
	WebhookFailed = "failed"
	// WebhookGivenUp: it failed and will not be tried again.
	WebhookGivenUp = "given_up"
)

// MetricsConfig says what program this is.
type MetricsConfig struct {
	// Version is the program's version. Default "dev".
	Version string
	// Revision is the commit that it was built from. Default "unknown".
	Revision string
}

// Metrics are the instruments of one process and their registry. All methods are safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	pools    *poolCollector
	queues   *queueCollector

	requests        *prometheus.HistogramVec
	inFlight        prometheus.Gauge
	resolutions     *prometheus.CounterVec
	rejections      *prometheus.CounterVec
	cacheLookups    *prometheus.CounterVec
	jobs            *prometheus.CounterVec
	jobDuration     *prometheus.HistogramVec
	jobWait         *prometheus.HistogramVec
	mailsSent       prometheus.Counter
	mailsRetried    prometheus.Counter
	mailsFailed     prometheus.Counter
	webhooks        *prometheus.CounterVec
	catalogTenants  prometheus.Gauge
	catalogSynced   prometheus.Gauge
	catalogOK       prometheus.Counter
	catalogFailures prometheus.Counter
}

// NewMetrics makes a registry with the instruments of Rowhouse, the Go runtime and the process.
func NewMetrics(cfg MetricsConfig) (*Metrics, error) {
	if cfg.Version == "" {
		cfg.Version = "dev"
	}
	if cfg.Revision == "" {
		cfg.Revision = "unknown"
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "What program this is: always 1.",
		ConstLabels: prometheus.Labels{"version": cfg.Version, "revision": cfg.Revision, "goversion": runtime.Version()},
	})
	build.Set(1)
	refreshes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Subsystem: "catalog", Name: "refreshes_total",
		Help: "Refreshes of this process's copy of the catalog, by outcome: ok or failed.",
	}, []string{"outcome"})
	mails := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "mails_total",
		Help: "Deliveries of mails, by result: sent, retried (will be tried again) or failed (given up).",
	}, []string{"result"})
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		pools:    newPoolCollector(),
		queues:   newQueueCollector(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: "http", Name: "request_duration_seconds",
			Help:    "Time from a request's arrival to its whole answer, by route pattern, method and status code.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"route", "method", "code"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: "http", Name: "requests_in_flight", Help: "Requests that are being answered now.",
		}),
		resolutions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: "tenant", Name: "resolutions_total",
			Help: "Lookups of a request's tenant by its host, by outcome: found, unknown, suspended or unavailable.",
		}, []string{"outcome"}),
		rejections: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: "http", Name: "requests_rejected_total",
			Help: "Requests that were answered with 429, by the limit: tenant_rate, caller_rate, address_rate, address_failures or concurrency.",
		}, []string{"reason"}),
		cacheLookups: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: "cache", Name: "lookups_total",
			Help: "Lookups in a cache of tenants' data, by cache and outcome: hit, miss, or bypassed (nothing is kept: the process does not hear of changes).",
		}, []string{"cache", "outcome"}),
		jobs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: "jobs", Name: "worked_total",
			Help: "Jobs worked once, by kind, queue and outcome: completed, failed, discarded, cancelled, snoozed or interrupted.",
		}, []string{"kind", "queue", "outcome"}),
		jobDuration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: "job", Name: "duration_seconds",
			Help:    "Time that working a job once took, by kind, queue and outcome.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800},
		}, []string{"kind", "queue", "outcome"}),
		jobWait: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: "job", Name: "wait_seconds",
			Help:    "Time from when a job was due to when its work began, by kind and queue.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800},
		}, []string{"kind", "queue"}),
		mailsSent:    mails.WithLabelValues("sent"),
		mailsRetried: mails.WithLabelValues("retried"),
		mailsFailed:  mails.WithLabelValues("failed"),
		webhooks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: "webhook", Name: "deliveries_total",
			Help: "Attempts to deliver a webhook, by result: succeeded, failed (to be tried again) or given_up.",
		}, []string{"result"}),
		catalogTenants: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: "catalog", Name: "tenants", Help: "Tenants in this process's copy of the catalog.",
		}),
		catalogSynced: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: "catalog", Name: "last_refresh_timestamp_seconds",
			Help: "When this process's copy of the catalog was last refreshed, in seconds since 1970; 0 if never.",
		}),
		catalogOK:       refreshes.WithLabelValues("ok"),
		catalogFailures: refreshes.WithLabelValues("failed"),
	}
	// A series that begins at 0 shows its first increase; one that appears with it does not.
	for _, outcome := range []string{TenantFound, TenantUnknown, TenantSuspended, TenantUnavailable} {
		m.resolutions.WithLabelValues(outcome)
	}
	for _, reason := range []string{RejectedTenant, RejectedCaller, RejectedAddress, RejectedFailures, RejectedConcurrency} {
		m.rejections.WithLabelValues(reason)
	}
	for _, result := range []string{WebhookSucceeded, WebhookFailed, WebhookGivenUp} {
		m.webhooks.WithLabelValues(result)
	}
	for _, c := range []prometheus.Collector{
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), build,
		m.requests, m.inFlight, m.resolutions, m.rejections, m.cacheLookups, m.jobs, m.jobDuration, m.jobWait, mails, m.webhooks,
		m.catalogTenants, m.catalogSynced, refreshes, m.pools, m.queues,
	} {
		if err := m.registry.Register(c); err != nil {
			return nil, fmt.Errorf("telemetry: register metrics: %w", err)
		}
	}
	return m, nil
}

// Handler answers /metrics. What cannot be gathered is left out, and counted in promhttp_metric_handler_errors_total.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		Registry: m.registry, ErrorHandling: promhttp.ContinueOnError, EnableOpenMetrics: true,
	})
}

// ObserveRequest records an answered request. Method and route are out of fixed sets (the route is a pattern such as /api/v1/tasks/:id),
// never what a client made up: each combination is kept for ever.
func (m *Metrics) ObserveRequest(method, route string, status int, elapsed time.Duration) {
	m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Observe(elapsed.Seconds())
}

// CountInFlight wraps next so that its requests are counted while they are answered.
func (m *Metrics) CountInFlight(next http.Handler) http.Handler {
	return promhttp.InstrumentHandlerInFlight(m.inFlight, next)
}

// TenantResolved records what became of looking for a request's tenant. The outcome is one of the constants of this package.
func (m *Metrics) TenantResolved(outcome string) { m.resolutions.WithLabelValues(outcome).Inc() }

// RequestRejected records a request that was not answered because of a limit. The reason is one of the constants of this package.
func (m *Metrics) RequestRejected(reason string) { m.rejections.WithLabelValues(reason).Inc() }

// CacheLookedUp records what became of looking for a value in a cache. Both are out of fixed sets.
func (m *Metrics) CacheLookedUp(cache, outcome string) {
	m.cacheLookups.WithLabelValues(cache, outcome).Inc()
}

// ObserveJob records that a job has been worked once: how long it had waited since it was due, and how long the work took. The outcome is
// one of the constants of this package.
func (m *Metrics) ObserveJob(kind, queue, outcome string, wait, elapsed time.Duration) {
	m.jobs.WithLabelValues(kind, queue, outcome).Inc()
	m.jobDuration.WithLabelValues(kind, queue, outcome).Observe(elapsed.Seconds())
	// The two ends of a wait are told by the clocks of two machines.
	m.jobWait.WithLabelValues(kind, queue).Observe(max(wait, 0).Seconds())
}

// MailSent records that a mail server has taken a mail.
func (m *Metrics) MailSent() { m.mailsSent.Inc() }

// MailRetried records that a mail could not be delivered and will be tried again.
func (m *Metrics) MailRetried() { m.mailsRetried.Inc() }

// MailFailed records that a mail was given up.
func (m *Metrics) MailFailed() { m.mailsFailed.Inc() }

// WebhookDelivered records what became of an attempt to deliver a webhook. The result is one of the constants of this package.
func (m *Metrics) WebhookDelivered(result string) { m.webhooks.WithLabelValues(result).Inc() }

// CatalogRefreshed records that the copy of the catalog is fresh and how many tenants it holds.
func (m *Metrics) CatalogRefreshed(tenants int) {
	m.catalogTenants.Set(float64(tenants))
	m.catalogSynced.SetToCurrentTime()
	m.catalogOK.Inc()
}

// CatalogRefreshFailed records that the copy of the catalog could not be refreshed and may be old.
func (m *Metrics) CatalogRefreshFailed() { m.catalogFailures.Inc() }

// RegisterPool adds a pool of database connections under a name of its own. stat is called at each scrape, possibly by several at once.
func (m *Metrics) RegisterPool(name string, stat func() PoolStat) error {
	if name == "" || stat == nil {
		return errors.New("telemetry: RegisterPool wants a name and a function")
	}
	return m.pools.add(name, func() map[string]PoolStat { return map[string]PoolStat{name: stat()} })
}

// RegisterPools adds pools that come and go. The function gives those that there are by name; each name begins with prefix, which belongs to
// no other registered pool. It is called at each scrape, possibly by several at once.
func (m *Metrics) RegisterPools(prefix string, stats func() map[string]PoolStat) error {
	if prefix == "" || stats == nil {
		return errors.New("telemetry: RegisterPools wants a prefix and a function")
	}
	return m.pools.add(prefix, stats)
}
