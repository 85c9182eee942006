package telemetry

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ScheduleMetrics shows what schedules do, in a process that works jobs.
type ScheduleMetrics struct {
	fired *prometheus.CounterVec
	lag   prometheus.Gauge
}

// RegisterSchedules adds the instruments for schedules. It is called once at most.
func (m *Metrics) RegisterSchedules() (*ScheduleMetrics, error) {
	s := &ScheduleMetrics{
		fired: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: "schedule", Name: "fired_total",
			Help: "Jobs that this process has enqueued because their time had come, by schedule.",
		}, []string{"name"}),
		lag: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: "schedule", Name: "lag_seconds",
			Help: "How long what was due the longest had been due when this process last looked: tenants that cannot be served do not count.",
		}),
	}
	for _, c := range []prometheus.Collector{s.fired, s.lag} {
		if err := m.registry.Register(c); err != nil {
			return nil, fmt.Errorf("telemetry: register metrics: %w", err)
		}
	}
	return s, nil
}

// ScheduleFired counts the jobs that a schedule has enqueued. The names are the program's own.
func (s *ScheduleMetrics) ScheduleFired(name string, jobs int) {
	s.fired.WithLabelValues(name).Add(float64(jobs))
}

// ScheduleLag records how late the scheduler is.
func (s *ScheduleMetrics) ScheduleLag(age time.Duration) { s.lag.Set(age.Seconds()) }
