package rowhouse

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"go.uber.org/zap"

	"github.com/rowhousehq/rowhouse/pkg/cache"
	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/filestore"
	"github.com/rowhousehq/rowhouse/pkg/httpapi"
	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/live"
	"github.com/rowhousehq/rowhouse/pkg/mail"
	"github.com/rowhousehq/rowhouse/pkg/telemetry"
	"github.com/rowhousehq/rowhouse/pkg/throttle"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Config is what a process has when it opens a product. All is required, but for what says otherwise.
type Config struct {
	Config  config.Config
	Engine  *tenantschema.DB
	Catalog Catalog
	// Secret is the login secret, by which what tenants keep secret is encrypted. Without one there are neither second factors nor providers
	// of sign-in.
	Secret string
	// Jobs is how jobs are worked; its Workers are filled by [Open]. The zero value is for a process that only enqueues.
	Jobs jobqueue.Config
	// Works says that the process works jobs.
	Works bool
	// Plans says what the tenants may take, and how much they may have. It may be left out: then nothing is limited.
	Plans Plans
	// Cache holds what is read again and again. It may be left out: then nothing is held.
	Cache *cache.Hub
	// Live is what the product is given as Platform.Live, and Changed is told of each tenant in which a request may have changed something. Both
	// may be left out.
	Live    func(read live.Read) (*live.Hub, error)
	Changed func(tenantschema.Tenant)
	Log     *zap.Logger
	Metrics *telemetry.Metrics
	// Transport takes the mails. Default that of Config.
	Transport mail.Transport
	// Version is the program's. Default "dev".
	Version string
}

// Plans says what each tenant may take. tenancy.Catalog is one.
type Plans interface {
	httpapi.Plans
	Quota
}

// House is a product on its platform, in one process.
type House struct {
	Platform
	Parts

	// Queue is the client of the jobs. Whoever opened the house starts and stops it.
	Queue *jobqueue.Client

	product Product
	cfg     Config
}

// Open puts the platform's services and the product's parts together. Nothing of it holds a connection or a goroutine: there is nothing to close.
func Open(product Product, cfg Config) (*House, error) {
	product, err := product.Valid()
	if err != nil {
		return nil, err
	}
	h := &House{product: product, cfg: cfg}
	later := &laterJobs{}
	if err = h.openServices(later); err != nil {
		return nil, err
	}
	if h.Parts, err = product.Open(&h.Platform); err != nil {
		return nil, fmt.Errorf("open %s: %w", product.Name, err)
	}
	jobs := cfg.Jobs
	if cfg.Plans != nil {
		jobs.Quota = cfg.Plans
	}
	if cfg.Works {
		jobs.Workers = jobqueue.NewWorkers()
		if err = h.handle(jobs.Workers); err != nil {
			return nil, err
		}
	}
	if h.Queue, err = jobqueue.New(jobs); err != nil {
		return nil, err
	}
	later.client = h.Queue
	return h, nil
}

// openServices makes the platform's part of the house.
func (h *House) openServices(jobs Jobs) (err error) {
	cfg := h.cfg.Config
	h.Platform = Platform{
		Jobs: jobs, BaseDomain: cfg.Server.BaseDomain, MaxUploadBytes: int64(cfg.Server.MaxUploadBytes), Live: h.cfg.Live,
		Log: h.cfg.Log.Named(h.product.Name), Metrics: h.cfg.Metrics,
	}
	if h.cfg.Plans != nil {
		h.Platform.Quota = h.cfg.Plans
	}
	if h.Files, err = filestore.Open(cfg.FilesDir()); err != nil {
		return err
	}
	mails := mail.Config{From: cfg.Sender(), Jobs: jobs, Metrics: h.cfg.Metrics, Transport: h.cfg.Transport}
	if h.cfg.Works && mails.Transport == nil {
		if mails.Transport, err = transport(cfg.Mail); err != nil {
			return err
		}
	}
	if h.Mail, err = mail.New(mails); err != nil {
		return err
	}
	if h.Identity, err = openPeople(h.cfg, jobs, h.Mail); err != nil {
		return err
	}
	if len(h.product.EventKinds) > 0 {
		h.Webhooks, err = newWebhooks(cfg.Webhooks, h.product.EventKinds, jobs, h.cfg.Metrics, h.cfg.Log)
	}
	return err
}

// handle registers all workers, and what comes by itself.
func (h *House) handle(workers *jobqueue.Workers) error {
	jobqueue.HandleForgetEffects(workers)
	jobqueue.Handle(workers, h.Mail.Deliver)
	handlePeople(workers, h.Identity)
	if h.Webhooks != nil {
		handleWebhooks(workers, h.Webhooks)
	}
	if h.Workers != nil {
		h.Workers(workers)
	}
	return jobqueue.HandleBackfills(workers, h.Backfills...)
}

// Handler answers the public hosts. base, if it is not nil, answers the base domain itself.
func (h *House) Handler(base http.Handler) (http.Handler, error) {
	s, limits := h.cfg.Config.Server, h.cfg.Config.Limits
	cfg := httpapi.Config{
		BaseDomain: s.BaseDomain, Catalog: h.cfg.Catalog, DB: h.cfg.Engine, Keys: h.Identity, Webhooks: h.Webhooks, Product: h.Routes,
		Log: h.cfg.Log.Named("http"), Metrics: h.cfg.Metrics, TrustedProxies: s.TrustedProxies, CORSOrigins: s.CORSOrigins,
		MaxBodyBytes:   int64(s.MaxBodyBytes),
		MaxImportBytes: int64(s.MaxImportBytes), RequestTimeout: s.RequestTimeout, Versions: h.product.Versions, Version: h.cfg.Version,
		Strangers: throttle.Rate{PerSecond: float64(limits.AddressPerSecond), Burst: limits.AddressBurst},
		Failures:  throttle.Rate{PerSecond: float64(limits.FailuresPerMinute) / 60, Burst: limits.FailuresPerMinute},
		Title:     h.product.Title, Changed: h.cfg.Changed, Base: base,
	}
	if h.cfg.Plans != nil {
		cfg.Plans = h.cfg.Plans
	}
	if h.Edge != nil {
		h.Edge(&cfg)
	}
	return httpapi.New(cfg)
}

// laterJobs enqueues through a client that is made after those that hold it: the client is made with their workers.
type laterJobs struct{ client *jobqueue.Client }

var errTooEarly = errors.New("rowhouse: jobs can be enqueued after Open has returned")

// Enqueue is asked for by [Jobs].
func (l *laterJobs) Enqueue(ctx context.Context, tx *tenantschema.Tx, args job.Args, opts job.Opts) (job.Receipt, error) {
	if l.client == nil {
		return job.Receipt{}, errTooEarly
	}
	return l.client.Enqueue(ctx, tx, args, opts)
}

// EnqueueMany is asked for by [Jobs].
func (l *laterJobs) EnqueueMany(ctx context.Context, tx *tenantschema.Tx, args []job.Args, opts job.Opts) ([]job.Receipt, error) {
	if l.client == nil {
		return nil, errTooEarly
	}
	return l.client.EnqueueMany(ctx, tx, args, opts)
}
