package cli

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/httpapi"
	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/telemetry"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func (c *cli) provisionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "provision", Short: "Make the tenants that were asked for, and some ahead; needs the owner's credentials", Args: takes(),
		Long: "Work the jobs that make tenants, keep provisioning.warm of them made ahead, so that making one takes milliseconds, and answer on the\n" +
			"admin address, until SIGINT or SIGTERM. Any number of these processes may run: they take turns.\n\n" +
			"It holds the owner's credentials: never let it be reached from the internet. It serves no requests and works no tenants' jobs.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := c.load(cmd)
			if err != nil {
				return err
			}
			return c.provision(cmd.Context(), cfg)
		},
	}
	config.BindFlags(cmd.Flags(), "server.admin_addr", "database.url")
	return cmd
}

func (c *cli) provision(ctx context.Context, cfg config.Config) error {
	admin, err := listen(ctx, cfg.Server.AdminAddr, "admin-addr")
	if err != nil {
		return err
	}
	defer closeUnused(admin)
	log, err := c.newLogger(cfg)
	if err != nil {
		return err
	}
	logins, err := findLogins(cfg)
	if err != nil {
		return err
	}
	metrics, err := telemetry.NewMetrics(telemetry.MetricsConfig{Version: version})
	if err != nil {
		return err
	}
	p, err := c.startProvisioner(ctx, cfg, logins, log, metrics, nil)
	if err != nil {
		return err
	}
	defer p.stop()
	server, err := newAdminServer(cfg, log, httpapi.AdminConfig{Metrics: metrics.Handler(), Checks: databaseChecks(p.owner.pool)})
	if err != nil {
		return err
	}
	log.Info("provisioning", zap.Int("warm", cfg.Provisioning.Warm))
	return server.Run(ctx, admin)
}

// provisioner is what a process does in the background that holds the owner's credentials: tenants are made by jobs, and ahead.
type provisioner struct {
	owner   *owner
	control *pgxpool.Pool
	jobs    *jobqueue.Client
	signUps *signUpMaker
	grace   time.Duration
	end     context.CancelFunc
	running sync.WaitGroup
}

// startProvisioner begins. stop must be called at the end. engine is that of the process, if it has one.
func (c *cli) startProvisioner(
	ctx context.Context, cfg config.Config, logins *tenancy.Logins, log *zap.Logger, metrics *telemetry.Metrics, engine *tenantschema.DB,
) (*provisioner, error) {
	o, err := c.openOwner(ctx, cfg, logins)
	if err != nil {
		return nil, err
	}
	p := &provisioner{owner: o, grace: cfg.Jobs.ShutdownTimeout, end: func() {}}
	if err = p.start(ctx, cfg, log, metrics, engine); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

func (p *provisioner) start(
	ctx context.Context, cfg config.Config, log *zap.Logger, metrics *telemetry.Metrics, engine *tenantschema.DB,
) error {
	if err := checkControl(ctx, p.owner.pool); err != nil {
		return err
	}
	control, err := p.owner.logins.As(p.owner.logins.Control())
	if err != nil {
		return err
	}
	if p.control, err = openPool(ctx, control, 4); err != nil {
		return err
	}
	if p.signUps, err = p.openSignUpMaker(ctx, cfg, log, engine); err != nil {
		return err
	}
	workers := jobqueue.NewWorkers()
	jobqueue.HandlePlatform(workers, p.owner.CreateByJob)
	p.signUps.handle(workers)
	p.jobs, err = jobqueue.New(jobqueue.Config{
		Workers: workers, Queues: []string{job.QueueCritical}, Pool: p.control, Log: log.Named("provisioner"), Metrics: metrics,
		MaxWorkers: 4 * provisionWorkers, PollInterval: cfg.Jobs.PollInterval, JobTimeout: jobTimeout, RescueAfter: rescueAfter,
	})
	if err != nil {
		return err
	}
	if err = p.jobs.Start(ctx); err != nil {
		p.jobs = nil
		return err
	}
	ctx, p.end = context.WithCancel(ctx)
	p.running.Go(func() { p.signUps.keepSwept(ctx) })
	if cfg.Provisioning.Warm == 0 {
		return nil
	}
	warm, err := metrics.RegisterWarm()
	if err != nil {
		return err
	}
	p.running.Go(func() {
		p.owner.KeepWarm(ctx, tenancy.KeepWarmConfig{
			Want: cfg.Provisioning.Warm, Log: log.Named("provisioner"),
			OnPool:   func(s tenancy.WarmPool) { warm.Seen(s.Ready, s.Unfinished, s.Claims, s.Misses) },
			OnRefill: func(elapsed time.Duration, err error) { warm.Refilled(elapsed, err == nil) },
		})
	})
	return nil
}

// provisionWorkers is how many tenants are made at once: the critical queue has a quarter of a process's workers.
const provisionWorkers = 4

// stop ends what runs and waits for it.
func (p *provisioner) stop() {
	p.end()
	p.running.Wait()
	if p.jobs != nil {
		ctx, cancel := context.WithTimeout(context.Background(), p.grace)
		defer cancel()
		_ = p.jobs.Stop(ctx) // What did not end is made again: the queue has it.
	}
	p.signUps.close()
	if p.control != nil {
		p.control.Close()
	}
	p.owner.pool.Close()
}
