package main

import (
	"context"
	"time"

	"github.com/rowhousehq/rowhouse/migrations"
	"github.com/rowhousehq/rowhouse/pkg/httpapi"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/rowhouse"
	"github.com/rowhousehq/rowhouse/pkg/web"
	"github.com/rowhousehq/rowhouse/pkg/webhook"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// thumbnailTimeout is some ten times what the largest picture that is decoded takes.
const thumbnailTimeout = 25 * time.Second

// product is the workspace.
func product() rowhouse.Product {
	return rowhouse.Product{
		Name: "rowhouse", Title: "Rowhouse", Migrations: migrations.Workspace(), Versions: tenantschema.Versions{Min: 12},
		EventKinds: workspace.EventKinds(), Try: "/api/v1/projects", Open: open,
	}
}

func open(p *rowhouse.Platform) (rowhouse.Parts, error) {
	service, err := workspace.New(workspace.Config{
		Jobs: p.Jobs, Files: p.Files, MaxUploadBytes: p.MaxUploadBytes, Events: published{p.Webhooks}, Quota: quota(p),
	})
	if err != nil {
		return rowhouse.Parts{}, err
	}
	pages, err := openPages(p, service)
	if err != nil {
		return rowhouse.Parts{}, err
	}
	return rowhouse.Parts{
		Routes:  pages.Routes,
		Edge:    func(cfg *httpapi.Config) { cfg.Workspace = service },
		Workers: func(w *jobqueue.Workers) { handle(w, service) }, Backfills: workspace.Backfills(),
		Demo: func(ctx context.Context, s tenantschema.Scope, slug string) error {
			return fillDemo(ctx, service, s, demoProjects()[slug])
		},
	}, nil
}

// quota gives the workspace its part of the platform's.
func quota(p *rowhouse.Platform) workspace.Quota {
	if p.Quota == nil {
		return nil
	}
	return p.Quota
}

// openPages makes the pages, which are told of what changes while somebody looks at them.
func openPages(p *rowhouse.Platform, service *workspace.Service) (*web.Pages, error) {
	cfg := web.Config{BaseDomain: p.BaseDomain, Identity: p.Identity, Workspace: service, Webhooks: p.Webhooks, Log: p.Log.Named("web")}
	if p.Live != nil {
		var err error
		if cfg.Live, err = p.Live(web.ReadChanges(service)); err != nil {
			return nil, err
		}
	}
	return web.New(cfg)
}

// handle registers the workspace's workers, and what comes by itself.
func handle(w *jobqueue.Workers, service *workspace.Service) {
	jobqueue.Handle(w, service.RecordActivity)
	jobqueue.Handle(w, service.DailyReport)
	jobqueue.Schedule(w, jobqueue.ScheduleSpec{Name: "workspace.daily_report", Cron: "0 5 * * *", Jitter: time.Hour},
		func(due time.Time, zone *time.Location) workspace.ReportDue {
			return workspace.ReportDue{Day: workspace.NewDate(due.In(zone).Date()).AddDays(-1), TimeZone: zone.String()}
		})
	jobqueue.Handle(w, service.ImportTasks)
	jobqueue.Handle(w, service.MakeThumbnail, jobqueue.Timeout(thumbnailTimeout))
	jobqueue.Handle(w, service.SweepFiles)
	jobqueue.Schedule(w, jobqueue.ScheduleSpec{Name: workspace.SweepFiles{}.Kind(), Cron: "0 2 * * *", Jitter: 3 * time.Hour},
		func(time.Time, *time.Location) workspace.SweepFiles { return workspace.SweepFiles{} })
}

// published gives what the workspace publishes to the webhooks.
type published struct{ to *webhook.Service }

// Publish is asked for by the workspace.
func (p published) Publish(ctx context.Context, tx *tenantschema.Tx, e workspace.Event) error {
	return p.to.Publish(ctx, tx, webhook.Event(e))
}
