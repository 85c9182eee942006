package telemetry

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// WarmMetrics shows the tenants that are made ahead, in a process that makes them.
type WarmMetrics struct {
	tenants        *prometheus.GaugeVec
	claims, misses atomic.Int64
	refills        *prometheus.HistogramVec
}

// RegisterWarm adds the instruments for tenants made ahead. It is called once at most.
func (m *Metrics) RegisterWarm() (*WarmMetrics, error) {
	w := &WarmMetrics{
		tenants: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: "warm", Name: "tenants",
			Help: "Tenants made ahead, by state: ready to be claimed, or unfinished (half made, or on another schema version).",
		}, []string{"state"}),
		refills: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: "warm", Name: "refill_duration_seconds",
			Help:    "Time that making or migrating tenants ahead took, by outcome: ok or failed.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"outcome"}),
	}
	count := func(name, help string, n *atomic.Int64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: namespace, Subsystem: "warm", Name: name, Help: help},
			func() float64 { return float64(n.Load()) })
	}
	for _, outcome := range []string{"ok", "failed"} {
		w.refills.WithLabelValues(outcome)
	}
	for _, c := range []prometheus.Collector{
		w.tenants, w.refills,
		count("claims_total", "Creations that took a tenant made ahead, by all processes: every provisioner shows the same number.", &w.claims),
		count("misses_total", "Creations that found none made ahead, by all processes: every provisioner shows the same number.", &w.misses),
	} {
		if err := m.registry.Register(c); err != nil {
			return nil, fmt.Errorf("telemetry: register metrics: %w", err)
		}
	}
	return w, nil
}

// Seen records how the tenants made ahead stand. claims and misses are counts since the database was made.
func (w *WarmMetrics) Seen(ready, unfinished int, claims, misses int64) {
	w.tenants.WithLabelValues("ready").Set(float64(ready))
	w.tenants.WithLabelValues("unfinished").Set(float64(unfinished))
	w.claims.Store(claims)
	w.misses.Store(misses)
}

// Refilled records how long making or migrating tenants ahead took.
func (w *WarmMetrics) Refilled(elapsed time.Duration, ok bool) {
	outcome := "ok"
	if !ok {
		outcome = "failed"
	}
	w.refills.WithLabelValues(outcome).Observe(elapsed.Seconds())
}
