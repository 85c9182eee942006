package telemetry

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// queuesStale is when a count of the jobs is too old to be shown: the metrics then end, which is better than numbers that stand still.
const queuesStale = time.Minute

// JobQueueStat is how a queue stands.
type JobQueueStat struct {
	// Waiting jobs are due, Scheduled ones are to come, Retryable ones failed and are to be tried again, Discarded ones failed for the last time.
	Waiting, Scheduled, Running, Retryable, Discarded int64
	// OldestAge is how long the job that is due for the longest has waited; 0 if none waits.
	OldestAge time.Duration
	// Paused says that nobody takes jobs from it.
	Paused bool
}

// ObserveQueues records how all queues stand, and how many jobs wait of the tenants that have the most, by id. Those that it does not name vanish.
func (m *Metrics) ObserveQueues(queues map[string]JobQueueStat, tenants map[string]int64) {
	m.queues.mu.Lock()
	defer m.queues.mu.Unlock()
	m.queues.seen, m.queues.queues, m.queues.tenants = time.Now(), queues, tenants
}

// queueCollector shows the last count, as a whole: a scrape asks the database nothing, and never sees half of an older count.
type queueCollector struct {
	waiting, scheduled, running, retryable, discarded, age, paused, tenant *prometheus.Desc

	mu      sync.Mutex
	seen    time.Time
	queues  map[string]JobQueueStat
	tenants map[string]int64
}

func newQueueCollector() *queueCollector {
	desc := func(name, help, label string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "jobs", name), help, []string{label}, nil)
	}
	const all = " Every process that works jobs shows the same number: take the max, not the sum."
	return &queueCollector{
		waiting:   desc("waiting", "Jobs that are due and wait for a worker, by queue, up to 20000."+all, "queue"),
		scheduled: desc("scheduled", "Jobs that are to come, by queue, up to 20000."+all, "queue"),
		running:   desc("running", "Jobs that run, by queue, up to 20000."+all, "queue"),
		retryable: desc("retryable", "Jobs that failed and will be tried again, by queue, up to 20000."+all, "queue"),
		discarded: desc("discarded", "Jobs that failed for the last time, by queue, up to 20000; they are kept for a week."+all, "queue"),
		age:       desc("oldest_age_seconds", "How long the job that is due for the longest has waited, by queue."+all, "queue"),
		paused:    desc("queue_paused", "1 if the queue is paused, else 0."+all, "queue"),
		tenant:    desc("tenant_waiting", "Jobs that wait, of the five tenants with the most, by the tenant's id."+all, "tenant"),
	}
}

// Describe implements [prometheus.Collector].
func (c *queueCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.waiting, c.scheduled, c.running, c.retryable, c.discarded, c.age, c.paused, c.tenant} {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *queueCollector) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	seen, queues, tenants := c.seen, c.queues, c.tenants // The maps are not changed once they were given.
	c.mu.Unlock()
	if time.Since(seen) > queuesStale {
		return
	}
	gauge := func(d *prometheus.Desc, v float64, label string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, label)
	}
	for queue, s := range queues {
		gauge(c.waiting, float64(s.Waiting), queue)
		gauge(c.scheduled, float64(s.Scheduled), queue)
		gauge(c.running, float64(s.Running), queue)
		gauge(c.retryable, float64(s.Retryable), queue)
		gauge(c.discarded, float64(s.Discarded), queue)
		gauge(c.age, s.OldestAge.Seconds(), queue)
		paused := 0.0
		if s.Paused {
			paused = 1
		}
		gauge(c.paused, paused, queue)
	}
	for tenant, waiting := range tenants {
		gauge(c.tenant, float64(waiting), tenant)
	}
}
