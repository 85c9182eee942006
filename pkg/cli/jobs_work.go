package cli

import (
	"context"
	"time"

	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/mail"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// The product's jobs take milliseconds, a turn of an import some seconds. What a killed worker held is worked again rescueAfter its start, and
// the pause of whoever looks.
const (
	jobTimeout  = 30 * time.Second
	rescueAfter = 40 * time.Second
)

// openJobs makes the queue's client, and the product, which enqueues through it. The product's workers are registered here.
func (p *platform) openJobs() (err error) {
	jobs := jobqueue.Config{Pool: p.control}
	workers := jobqueue.NewWorkers()
	if p.works {
		jobs = jobqueue.Config{
			Workers: workers, Pool: p.control, DB: p.engine, Tenants: p.catalog, Log: p.log.Named("jobs"), Metrics: p.metrics,
			Versions: codeVersions(), MaxWorkers: p.cfg.Jobs.Workers, MaxPerTenant: p.cfg.Jobs.MaxPerTenant, PollInterval: p.cfg.Jobs.PollInterval,
			JobTimeout: jobTimeout, RescueAfter: rescueAfter,
		}
		if jobs.ScheduleMetrics, err = p.metrics.RegisterSchedules(); err != nil {
			return err
		}
		jobqueue.HandleForgetEffects(workers)
		if err = p.handle(workers); err != nil {
			return err
		}
	}
	jobs.Quota = p.catalog
	if p.jobs, err = jobqueue.New(jobs); err != nil {
		return err
	}
	if err = p.openMail(); err != nil {
		return err
	}
	if p.webhooks, err = newWebhooks(p.cfg.Webhooks, p.jobs, p.metrics, p.log); err != nil {
		return err
	}
	p.product, err = p.newProduct()
	return err
}

// handle registers the product's workers, and what comes by itself. The client is made with what the workers are, and the workers are methods
// of services that enqueue through the client, so that they are looked up when they run.
func (p *platform) handle(workers *jobqueue.Workers) error {
	jobqueue.Handle(workers, func(ctx context.Context, scope tenantschema.Scope, args workspace.ActivityRecorded) error {
		return p.product.RecordActivity(ctx, scope, args)
	})
	jobqueue.Handle(workers, func(ctx context.Context, scope tenantschema.Scope, args workspace.ReportDue) error {
		return p.product.DailyReport(ctx, scope, args)
	})
	jobqueue.Schedule(workers, jobqueue.ScheduleSpec{Name: "workspace.daily_report", Cron: "0 5 * * *", Jitter: time.Hour},
		func(due time.Time, zone *time.Location) workspace.ReportDue {
			return workspace.ReportDue{Day: workspace.NewDate(due.In(zone).Date()).AddDays(-1), TimeZone: zone.String()}
		})
	jobqueue.Handle(workers, func(ctx context.Context, scope tenantschema.Scope, args workspace.ImportDue) error {
		return p.product.ImportTasks(ctx, scope, args)
	})
	jobqueue.Handle(workers, func(ctx context.Context, scope tenantschema.Scope, args mail.Delivery) error {
		return p.mails.Deliver(ctx, scope, args)
	})
	p.handleWebhooks(workers)
	p.handleFiles(workers)
	return jobqueue.HandleBackfills(workers, workspace.Backfills()...)
}
