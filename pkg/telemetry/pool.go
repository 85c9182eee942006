package telemetry

import (
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// PoolStat is the state of a pool of database connections.
type PoolStat struct {
	// Acquired connections are in use, Idle ones are not, and Total also counts those that are being opened. Max is the limit of Total.
	Acquired, Idle, Total, Max int
	// Waits is how often no connection was idle, WaitTime how long callers waited then altogether, until they had one.
	Waits    int64
	WaitTime time.Duration
	// Opened is how many connections were opened altogether.
	Opened int64
}

// FromPgxPool gives the state of a pgx pool.
func FromPgxPool(s *pgxpool.Stat) PoolStat {
	return PoolStat{
		Acquired: int(s.AcquiredConns()), Idle: int(s.IdleConns()), Total: int(s.TotalConns()), Max: int(s.MaxConns()),
		Waits: s.EmptyAcquireCount(), WaitTime: s.EmptyAcquireWaitTime(), Opened: s.NewConnsCount(),
	}
}

// poolCollector asks the registered pools at each scrape.
type poolCollector struct {
	acquired, idle, total, limit, waits, waitSeconds, opened *prometheus.Desc

	mu      sync.Mutex
	sources map[string]func() map[string]PoolStat
}

func newPoolCollector() *poolCollector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "db_pool", name), help, []string{"pool"}, nil)
	}
	return &poolCollector{
		acquired:    desc("acquired_connections", "Connections that are in use now."),
		idle:        desc("idle_connections", "Connections that are open and not in use."),
		total:       desc("connections", "Connections that are open or being opened."),
		limit:       desc("max_connections", "Most connections that the pool may hold."),
		waits:       desc("waits_total", "How often no connection was idle when one was wanted, and one was got in the end."),
		waitSeconds: desc("wait_seconds_total", "Time that those callers waited altogether."),
		opened:      desc("opened_total", "Connections that were opened. In pools of tenants each must load their tables anew: many a second are a fault."),
		sources:     map[string]func() map[string]PoolStat{},
	}
}

func (c *poolCollector) add(name string, source func() map[string]PoolStat) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, taken := c.sources[name]; taken {
		return fmt.Errorf("telemetry: a pool named %q is registered already", name)
	}
	c.sources[name] = source
	return nil
}

// Describe implements [prometheus.Collector].
func (c *poolCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.acquired, c.idle, c.total, c.limit, c.waits, c.waitSeconds, c.opened} {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *poolCollector) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	sources := make([]func() map[string]PoolStat, 0, len(c.sources))
	for _, source := range c.sources {
		sources = append(sources, source)
	}
	c.mu.Unlock() // Not held while foreign code runs.
	for _, source := range sources {
		for name, s := range source() {
			gauge := func(d *prometheus.Desc, v int) {
				out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), name)
			}
			gauge(c.acquired, s.Acquired)
			gauge(c.idle, s.Idle)
			gauge(c.total, s.Total)
			gauge(c.limit, s.Max)
			out <- prometheus.MustNewConstMetric(c.waits, prometheus.CounterValue, float64(s.Waits), name)
			out <- prometheus.MustNewConstMetric(c.waitSeconds, prometheus.CounterValue, s.WaitTime.Seconds(), name)
			out <- prometheus.MustNewConstMetric(c.opened, prometheus.CounterValue, float64(s.Opened), name)
		}
	}
}
