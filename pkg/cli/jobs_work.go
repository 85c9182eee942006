package cli

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/live"
	"github.com/rowhousehq/rowhouse/pkg/rowhouse"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// The product's jobs take milliseconds, a turn of an import some seconds. What a killed worker held is worked again rescueAfter its start, and
// the pause of whoever looks.
const (
	jobTimeout  = 30 * time.Second
	rescueAfter = 40 * time.Second
)

// openHouse puts the product on the platform.
func (p *platform) openHouse(ctx context.Context, product rowhouse.Product, listen *pgx.ConnConfig) (err error) {
	jobs := jobqueue.Config{Pool: p.control}
	if p.works {
		jobs = jobqueue.Config{
			Pool: p.control, DB: p.engine, Tenants: p.catalog, Log: p.log.Named("jobs"), Metrics: p.metrics,
			Versions: product.Versions, MaxWorkers: p.cfg.Jobs.Workers, MaxPerTenant: p.cfg.Jobs.MaxPerTenant, PollInterval: p.cfg.Jobs.PollInterval,
			JobTimeout: jobTimeout, RescueAfter: rescueAfter, Worked: p.changed,
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
		Config: p.cfg, Engine: p.engine, Catalog: p.catalog, Plans: p.catalog, Cache: p.changes, Secret: secret, Jobs: jobs, Works: p.works,
		Log:     p.log,
		Metrics: p.metrics, Version: version, Changed: p.changed,
		Live: func(read live.Read) (*live.Hub, error) {
			p.live, err = live.New(ctx, live.Config{Read: read, Notify: p.control, Listen: listen, Log: p.log.Named("live")})
			return p.live, err
		},
	})
	return err
}

// changed tells those who look on that something in a tenant may have changed.
func (p *platform) changed(t tenantschema.Tenant) {
	if p.live != nil {
		p.live.Changed(t)
	}
}
