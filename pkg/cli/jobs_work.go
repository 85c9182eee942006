package cli

import (
	"time"

	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/rowhouse"
)

// The product's jobs take milliseconds, a turn of an import some seconds. What a killed worker held is worked again rescueAfter its start, and
// the pause of whoever looks.
const (
	jobTimeout  = 30 * time.Second
	rescueAfter = 40 * time.Second
)

// openHouse puts the product on the platform.
func (p *platform) openHouse(product rowhouse.Product) (err error) {
	jobs := jobqueue.Config{}
	if p.works {
		jobs = jobqueue.Config{
			Pool: p.control, DB: p.engine, Tenants: p.catalog, Log: p.log.Named("jobs"), Metrics: p.metrics,
			Versions: product.Versions, MaxWorkers: p.cfg.Jobs.Workers, MaxPerTenant: p.cfg.Jobs.MaxPerTenant, PollInterval: p.cfg.Jobs.PollInterval,
			JobTimeout: jobTimeout, RescueAfter: rescueAfter,
		}
		if jobs.ScheduleMetrics, err = p.metrics.RegisterSchedules(); err != nil {
			return err
		}
	}
	secret, err := readSecret(p.cfg)
	if err != nil {
		return err
	}
	p.house, err = rowhouse.Open(product, rowhouse.Config{
		Config: p.cfg, Engine: p.engine, Catalog: p.catalog, Secret: secret, Jobs: jobs, Works: p.works, Log: p.log, Metrics: p.metrics, Version: version,
	})
	return err
}
