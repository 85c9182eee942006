package jobqueue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"
	"go.uber.org/zap/zapcore"

	"github.com/rowhousehq/rowhouse/pkg/telemetry"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// schema is where River's tables stand, for all tenants.
const schema = "river"

// hardStop is how long [Client.Stop] waits for jobs that were told to end.
const hardStop = 10 * time.Second

// Tenants looks tenants up. It must not answer from a cache: a job may have waited for days.
type Tenants interface {
	// ByID gives a tenant as this process knows it, which may be as it was a moment ago.
	ByID(id string) (tenancy.Tenant, bool)
	// FetchMany gives those that there are, in any order, as they are now.
	FetchMany(ctx context.Context, ids []string) ([]tenancy.Tenant, error)
}

// Observer is told of every run of a job, and how the queues stand.
type Observer interface {
	// ObserveJob is given the kind, the queue, one of the outcomes of this package, how long the job had waited since it was due, and how long
	// it ran.
	ObserveJob(kind, queue, outcome string, wait, run time.Duration)
	// ObserveQueues is told now and then how all queues stand, and which tenants have the most waiting jobs, by id.
	ObserveQueues(queues map[string]telemetry.JobQueueStat, tenants map[string]int64)
}

// Config is what a [Client] works with. A client without Workers only enqueues, and needs no other field.
type Config struct {
	// Workers says what to do with each kind of job. Nil makes a client that only enqueues.
	Workers *Workers
	// Pool logs in as the control role. Required with Workers.
	Pool *pgxpool.Pool
	// DB gives the scopes, Tenants looks up whose a job is. Required with Workers of tenants' jobs.
	DB      *tenantschema.DB
	Tenants Tenants
	// Quota, if set, bounds how many jobs of a tenant wait. It wants Pool.
	Quota Quota
	// Log gets one line per job and River's warnings. Required with Workers.
	Log *zap.Logger
	// Metrics, if set, is told of every job.
	Metrics Observer
	// Worked, if set, is told of each tenant for which a job was done, after it was. It must not wait.
	Worked func(tenantschema.Tenant)
	// ScheduleMetrics, if set, is told what schedules do.
	ScheduleMetrics ScheduleObserver

	// ID names this process among all that work jobs. No two may have the same at once. Default: made of host name and time.
	ID string
	// Versions are the schemas that the workers' code works on. Jobs of a tenant outside of them wait.
	Versions tenantschema.Versions
	// Queues are those that this process works, [Queues] by default.
	Queues []string
	// MaxWorkers is how many jobs run at once, over all queues: critical and bulk have a quarter each, default has the rest. Default 16,
	// at least 3.
	MaxWorkers int
	// MaxPerTenant is how many jobs of one tenant run at once in one queue, over all processes; those that set another number count by
	// their own. Default 0: no limit but the worker in twenty, one at the least, that each process keeps for other tenants in each queue.
	MaxPerTenant int
	// PollInterval is how often each queue looks for jobs when it is idle: the longest that a job waits for a free worker. Default 100 ms.
	PollInterval time.Duration
	// JobTimeout is how long a job may run before its context ends. Default a minute.
	JobTimeout time.Duration
	// RescueAfter is how long after its start a job is taken for lost, because the process that worked it died, and is worked again. It
	// must be longer than JobTimeout, and no job may go on that long after its context has ended: it would run twice. Default JobTimeout
	// and a minute more. The search for lost jobs adds up to half a minute, and a new leader up to 20 s.
	RescueAfter time.Duration
	// RecheckAfter is how long a job is put off if its tenant can no longer be served at the moment when it is to run. Jobs of tenants that
	// cannot be served are not taken otherwise. Default 15 s.
	RecheckAfter time.Duration
	// GaugeInterval is how often the jobs are counted, for Metrics and for a warning when jobs wait too long. Default 15 s.
	GaugeInterval time.Duration
	// ScheduleInterval is how often schedules are looked at: the longest that one is late when the queue is idle. Default a second.
	ScheduleInterval time.Duration
}

func (cfg *Config) validate() error {
	if cfg.Workers == nil {
		return nil
	}
	if cfg.Pool == nil || cfg.Log == nil {
		return errors.New("jobqueue: Config.Pool and Log are required to work jobs")
	}
	if cfg.Workers.ofTenants() && (cfg.DB == nil || cfg.Tenants == nil) {
		return errors.New("jobqueue: Config.DB and Tenants are required to work tenants' jobs")
	}
	for _, queue := range cfg.Queues {
		if !slices.Contains(Queues(), queue) {
			return fmt.Errorf("jobqueue: Config.Queues names %q: want some of %q", queue, Queues())
		}
	}
	if cfg.MaxWorkers < 0 || cfg.MaxPerTenant < 0 || cfg.PollInterval < 0 || cfg.JobTimeout < 0 || cfg.RescueAfter < 0 || cfg.RecheckAfter < 0 ||
		cfg.GaugeInterval < 0 || cfg.ScheduleInterval < 0 {
		return errors.New("jobqueue: Config's numbers must not be negative")
	}
	setDefault(&cfg.MaxWorkers, 16)
	setDefault(&cfg.PollInterval, 100*time.Millisecond)
	setDefault(&cfg.JobTimeout, time.Minute)
	setDefault(&cfg.RescueAfter, cfg.JobTimeout+time.Minute)
	setDefault(&cfg.RecheckAfter, 15*time.Second)
	setDefault(&cfg.GaugeInterval, 15*time.Second)
	setDefault(&cfg.ScheduleInterval, time.Second)
	if cfg.MaxWorkers < minWorkers {
		return fmt.Errorf("jobqueue: Config.MaxWorkers must be %d or more: each queue needs one", minWorkers)
	}
	if cfg.RescueAfter <= cfg.JobTimeout {
		return errors.New("jobqueue: Config.RescueAfter must be longer than JobTimeout: running jobs would be worked twice")
	}
	return nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Client enqueues jobs, and works them once started. It is safe for concurrent use.
type Client struct {
	cfg       Config
	river     *river.Client[pgx.Tx]
	turns     map[string]*turns // by queue
	met       sync.Map          // job's number to meeting, from when a job is taken until it has run
	gauge     *gauge
	quotas    quotas
	scheduler *scheduler // nil in a client that only enqueues
}

// New validates cfg. It does no I/O and starts nothing.
func New(cfg Config) (*Client, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, turns: map[string]*turns{}, gauge: newGauge(cfg)}
	hooks := []rivertype.Hook{river.HookInsertBeginFunc(makeUnique)}
	riverConfig := &river.Config{Schema: schema, Logger: slog.New(slog.DiscardHandler), Hooks: hooks}
	if cfg.Workers != nil {
		workersOf := queues(cfg.MaxWorkers)
		maps.DeleteFunc(workersOf, func(queue string, _ river.QueueConfig) bool {
			return len(cfg.Queues) > 0 && !slices.Contains(cfg.Queues, queue)
		})
		for queue, q := range workersOf {
			c.turns[queue] = newTurns(c, queue, q.MaxWorkers)
		}
		workers, err := cfg.Workers.bind(c)
		if err != nil {
			return nil, err
		}
		c.scheduler = newScheduler(c, cfg.Workers.schedules)
		*riverConfig = river.Config{
			Schema:               schema,
			ID:                   cfg.ID,
			Logger:               riverLog(cfg.Log),
			Middleware:           []rivertype.Middleware{river.WorkerMiddlewareFunc(c.observe)},
			Queues:               workersOf,
			Workers:              workers,
			Hooks:                hooks,
			JobTimeout:           cfg.JobTimeout,
			RescueStuckJobsAfter: cfg.RescueAfter,
			PollOnly:             true, // See driver.
			FetchPollInterval:    min(tick, cfg.PollInterval),
			FetchCooldown:        min(tick, cfg.PollInterval),
			// While two versions of the program run side by side, the old one leaves the new one's jobs alone.
			FetchOnlyKnownKinds: true,
			// Nor need a process work the jobs that it enqueues.
			SkipUnknownJobCheck: true,
			// Only the owner of an index may rebuild it, and the control role is not.
			ReindexerIndexNames: []string{},
		}
	}
	var err error
	if c.river, err = river.NewClient(driver{riverpgxv5.New(cfg.Pool), c}, riverConfig); err != nil {
		return nil, fmt.Errorf("jobqueue: %w", err)
	}
	return c, nil
}

// riverLog gives River a logger for what goes wrong. What it says of each job at lower levels, our own line says.
func riverLog(log *zap.Logger) *slog.Logger {
	core := log.Core()
	if raised, err := zapcore.NewIncreaseLevelCore(core, zapcore.WarnLevel); err == nil { // It fails where core is stricter already.
		core = raised
	}
	noStacks := zapslog.AddStacktraceAt(slog.LevelError + 1) // They would show River's insides.
	return slog.New(zapslog.NewHandler(core, zapslog.WithName("river"), noStacks))
}

// Start begins to work jobs and returns. ctx bounds the start alone: its end does not end the work, [Client.Stop] does.
func (c *Client) Start(ctx context.Context) error {
	if c.cfg.Workers == nil {
		return errors.New("jobqueue: a client without Config.Workers only enqueues")
	}
	if err := c.cfg.Pool.Ping(ctx); err != nil {
		return fmt.Errorf("jobqueue: start: %w", err)
	}
	if err := c.river.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("jobqueue: start: %w", err)
	}
	c.gauge.start(ctx)
	c.scheduler.start(ctx)
	return nil
}

// Stop takes no more jobs and waits for the running ones. When ctx ends before they do, their contexts are cancelled and they go back
// to the queue without having used up an attempt. When Stop returns nil, everything has ended. An error means that a job did not end
// within 10 s of being told to; it is worked again after [Config.RescueAfter].
func (c *Client) Stop(ctx context.Context) error {
	c.gauge.stop()
	c.scheduler.stop()
	if c.river.Stop(ctx) == nil {
		return nil
	}
	hardCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), hardStop)
	defer cancel()
	if err := c.river.StopAndCancel(hardCtx); err != nil {
		return fmt.Errorf("jobqueue: stop: jobs did not end although their contexts did: %w", err)
	}
	return nil
}
