// Package workspace is the product that ships with Rowhouse: projects and their tasks, and a feed of what happened. It is written to
// be copied: one file per thing, SQL beside the code that runs it, no layer in between.
//
// The shape, for a feature of your own:
//
//   - Every exported method takes the tenant as its [tenantschema.Scope] and owns its transaction. A single statement goes through the
//     scope itself (one round trip); several that belong together go through Scope.InTx, composed of unexported helpers that
//     take a [tenantschema.DBTX].
//   - What must happen after a change is a job, enqueued in the change's own transaction: both are committed or neither is.
//     Jobs may run twice, so what they do is idempotent. Job arguments leave the tenant's schema: they hold ids and no one's words.
//   - What a caller did wrong is an apperr.Error: Invalid with the fields, or NotFound. A thing of another tenant is not found.
//     Constraints of the database are told apart by SQLSTATE and name, in errors.go.
//   - A list is a [Page] by cursor, newest first, and costs the same on the last page as on the first.
package workspace

import (
	"context"
	"errors"
	"time"

	"github.com/rowhousehq/rowhouse/pkg/filestore"
	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Jobs enqueues a job inside the transaction that is the reason for it.
type Jobs interface {
	Enqueue(ctx context.Context, tx *tenantschema.Tx, args job.Args, opts job.Opts) (job.Receipt, error)
}

// Events tells the world of what happened, as part of the transaction that made it so.
type Events interface {
	Publish(ctx context.Context, tx *tenantschema.Tx, e Event) error
}

// Config is what a [Service] needs.
type Config struct {
	// Jobs is where follow-up work goes. Required.
	Jobs Jobs
	// Files is where the files of tasks lie. Required.
	Files *filestore.Store
	// MaxUploadBytes bounds each of them. Default 25 MiB.
	MaxUploadBytes int64
	// Events, if set, is given each event of [EventKinds].
	Events Events
	// Quota, if set, bounds what a tenant may store.
	Quota Quota
	// Clock tells the time. Default time.Now.
	Clock func() time.Time
}

// Service is the product's use cases. It holds no connection and no tenant: each call is given its scope. All methods are safe for
// concurrent use.
type Service struct {
	jobs      Jobs
	files     *filestore.Store
	maxUpload int64
	events    Events
	quota     Quota
	clock     func() time.Time
	actor     Actor
	// drawing has room for one: a decoded picture may take hundreds of megabytes.
	drawing chan struct{}
}

// New validates cfg and makes a Service.
func New(cfg Config) (*Service, error) {
	if cfg.Jobs == nil || cfg.Files == nil {
		return nil, errors.New("workspace: Config.Jobs and Files are required")
	}
	if cfg.MaxUploadBytes < 0 {
		return nil, errors.New("workspace: Config.MaxUploadBytes must not be negative")
	}
	if cfg.MaxUploadBytes == 0 {
		cfg.MaxUploadBytes = 25 << 20
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	return &Service{
		jobs: cfg.Jobs, files: cfg.Files, maxUpload: cfg.MaxUploadBytes, events: cfg.Events, quota: cfg.Quota, clock: cfg.Clock,
		drawing: make(chan struct{}, 1),
	}, nil
}

// MaxUploadBytes is the most that a file of a task may have.
func (s *Service) MaxUploadBytes() int64 { return s.maxUpload }

// now gives the time in the precision that PostgreSQL keeps, so that what is returned is what is stored.
func (s *Service) now() time.Time { return s.clock().UTC().Truncate(time.Microsecond) }
