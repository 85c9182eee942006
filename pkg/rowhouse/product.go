// Package rowhouse is what a product is to the platform, and the platform to a product.
//
//	Product ─▶ cli.Main ─▶ up, serve, work, provision, migrate, fleet, tenant, key, jobs, …
//	             │
//	             └─▶ Open: jobs, mails, webhooks, identity, files ─▶ Product.Open(Platform) ─▶ Parts: routes, workers, backfills
//
// A program is a [Product] and one line: os.Exit(cli.Main(product)). All that knows of tenants, who they are, where their schemas are, which of
// them may be served, who calls, is the platform's; the product says what a tenant's schema holds and what is done with it, and is given a
// tenant's scope for each call. docs/build-your-own.md walks through one.
//
// The guarantees are those of the parts: a handler runs only for a tenant that may be served, with the scope of the host that was called; a job
// runs with the scope of the tenant in whose transaction it was enqueued; and nothing of a product ever holds a connection.
package rowhouse

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"

	"go.uber.org/zap"

	"github.com/rowhousehq/rowhouse/migrations"
	"github.com/rowhousehq/rowhouse/pkg/filestore"
	"github.com/rowhousehq/rowhouse/pkg/httpapi"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/live"
	"github.com/rowhousehq/rowhouse/pkg/mail"
	"github.com/rowhousehq/rowhouse/pkg/telemetry"
	"github.com/rowhousehq/rowhouse/pkg/webhook"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Product is what is told to a program about the product that it serves.
type Product struct {
	// Name is the program's, as people type it: small letters, digits and -. Required.
	Name string
	// Title is the product's, as its customers know it. Default Name.
	Title string
	// Migrations are the product's own goose files, which name no schema, numbered from 10001. They run after the platform's: see
	// [migrations.With]. Required.
	Migrations fs.FS
	// Versions are the schemas of tenants that the code runs on; a tenant outside of them waits. Min is the newest migration that the code
	// cannot do without: what a release adds to it, the release before must have rolled out. Required.
	Versions tenantschema.Versions
	// EventKinds are the kinds of events that customers' webhooks may ask for, such as "invoice.paid". Without any there are no webhooks.
	EventKinds []string
	// Try is an address of the product's API to GET with a key, such as /api/v1/invoices: `up` shows how, for each demo tenant.
	Try string
	// Open makes the product. It is called once in a process that serves or works, before either begins. Required.
	Open func(*Platform) (Parts, error)
}

// Platform is what a product is made with. It is safe for concurrent use, also after Open has returned.
type Platform struct {
	// Jobs enqueues inside the transaction that is the reason for a job. It can only be used after Open has returned.
	Jobs Jobs
	// Mail sends mails to a tenant's people, by jobs.
	Mail *mail.Service
	// Webhooks tells customers' own systems of the product's events; nil without [Product.EventKinds].
	Webhooks *webhook.Service
	// Identity knows a tenant's people and keys.
	Identity *identity.Service
	// Files holds each tenant's files.
	Files *filestore.Store
	// Quota says how much a tenant may have; nil for no limits.
	Quota Quota
	// BaseDomain is the name below which tenants have their subdomains.
	BaseDomain string
	// MaxUploadBytes is what the configuration allows a file to have.
	MaxUploadBytes int64
	// Live makes what tells the product's pages of changes that read finds; it is closed with the process. It is called once at most, and nil in
	// a process that tells nobody.
	Live    func(read live.Read) (*live.Hub, error)
	Log     *zap.Logger
	Metrics *telemetry.Metrics
}

// Quota says how much a tenant may have, by the id of the tenant: 0 is no limit, and plan is what the limit's plan is called.
type Quota interface {
	MaxUsers(tenantID string) (most int64, plan string)
	MaxStorage(tenantID string) (most int64, plan string)
	MaxJobs(tenantID string) (most int64, plan string)
}

// Jobs enqueues jobs. What opts leave open is what the args ask for, see [job.Args].
type Jobs interface {
	Enqueue(ctx context.Context, tx *tenantschema.Tx, args job.Args, opts job.Opts) (job.Receipt, error)
	EnqueueMany(ctx context.Context, tx *tenantschema.Tx, args []job.Args, opts job.Opts) ([]job.Receipt, error)
}

// Parts is what a product gives to the platform. All of it may be left out.
type Parts struct {
	// Routes adds operations, by [httpapi.Operate], and pages to the tenants' hosts.
	Routes func(*httpapi.Edge) error
	// Workers says what is done with each kind of the product's jobs, by [jobqueue.Handle], and which come again and again, by
	// [jobqueue.Schedule]. It is called in processes that work jobs.
	Workers func(*jobqueue.Workers)
	// Backfills are the product's data migrations that run in batches.
	Backfills []job.Backfill
	// Edge changes the configuration of the tenants' hosts before it is used. Most products need only Routes.
	Edge func(*httpapi.Config)
	// Demo fills a demo tenant of `up`: "acme" or "globex". It is called until it has succeeded once, so that it makes only what is not there.
	Demo func(ctx context.Context, s tenantschema.Scope, slug string) error
}

var productName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,29}$`)

// Valid gives p with its defaults, and says what is missing.
func (p Product) Valid() (Product, error) {
	if !productName.MatchString(p.Name) {
		return p, fmt.Errorf("rowhouse: Product.Name %q is not 1 to 30 small letters, digits and -, beginning with a letter", p.Name)
	}
	if p.Migrations == nil || p.Open == nil {
		return p, errors.New("rowhouse: Product.Migrations and Open are required")
	}
	if p.Versions == (tenantschema.Versions{}) || !p.Versions.Valid() {
		return p, errors.New("rowhouse: Product.Versions must hold a version: give the newest migration that the code cannot do without as Min")
	}
	if _, err := p.TenantFiles(); err != nil {
		return p, err
	}
	if p.Title == "" {
		p.Title = p.Name
	}
	return p, nil
}

// TenantFiles gives all files of a tenant's schema: the platform's and the product's.
func (p Product) TenantFiles() (fs.FS, error) { return migrations.With(p.Migrations) }
