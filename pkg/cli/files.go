package cli

import (
	"context"
	"time"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/filestore"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// thumbnailTimeout is some ten times what the largest picture that is decoded takes.
const thumbnailTimeout = 25 * time.Second

// newProduct makes the product, which enqueues through p's queue and publishes to p's webhooks.
func (p *platform) newProduct() (*workspace.Service, error) {
	files, err := filestore.Open(p.cfg.FilesDir())
	if err != nil {
		return nil, err
	}
	return workspace.New(workspace.Config{
		Jobs: p.jobs, Files: files, MaxUploadBytes: int64(p.cfg.Server.MaxUploadBytes), Events: published{p.webhooks}, Quota: p.catalog,
	})
}

// handleFiles registers the workers of files.
func (p *platform) handleFiles(w *jobqueue.Workers) {
	jobqueue.Handle(w, func(ctx context.Context, scope tenantschema.Scope, args workspace.ThumbnailDue) error {
		return p.product.MakeThumbnail(ctx, scope, args)
	}, jobqueue.Timeout(thumbnailTimeout))
	jobqueue.Handle(w, func(ctx context.Context, scope tenantschema.Scope, args workspace.SweepFiles) error {
		return p.product.SweepFiles(ctx, scope, args)
	})
	jobqueue.Schedule(w, jobqueue.ScheduleSpec{Name: workspace.SweepFiles{}.Kind(), Cron: "0 2 * * *", Jitter: 3 * time.Hour},
		func(time.Time, *time.Location) workspace.SweepFiles { return workspace.SweepFiles{} })
}

// removeFiles removes the files of a tenant that is deleted, and gives how many. Files on another machine it does not see.
func removeFiles(ctx context.Context, cfg config.Config, t tenancy.Tenant) (int, error) {
	files, err := filestore.Open(cfg.FilesDir())
	if err != nil {
		return 0, err
	}
	removed, err := files.DeleteTenant(ctx, t.Schema)
	if err != nil {
		return 0, apperr.Wrap(err, apperr.Partial, "the tenant is deleted, but not all of its files in %s are: run the same command with its id, %s",
			cfg.FilesDir(), t.ID)
	}
	return removed, nil
}
