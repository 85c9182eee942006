package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/httpapi"
	"github.com/rowhousehq/rowhouse/pkg/telemetry"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

func (c *cli) provisionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "provision", Short: "Keep tenants made ahead, so that creating one takes milliseconds; needs the owner's credentials", Args: takes(),
		Long: "Keep provisioning.warm tenants made ahead, and answer on the admin address, until SIGINT or SIGTERM. `rowhouse tenant create` then\n" +
			"takes one of them. Any number of these processes may run: they take turns.\n\n" +
			"It holds the owner's credentials: never let it be reached from the internet. It serves no requests and works no jobs.",
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
	if cfg.Provisioning.Warm == 0 {
		return apperr.New(apperr.Invalid, "provisioning.warm is 0, so there is nothing to do: set it to the number of tenants to keep ready")
	}
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
	p, err := startProvisioner(ctx, cfg, logins, log, metrics)
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

// provisioner keeps tenants made ahead in the background.
type provisioner struct {
	owner *owner
	end   context.CancelFunc
	done  chan struct{}
}

// startProvisioner begins, unless none are to be made ahead. stop must be called at the end.
func startProvisioner(
	ctx context.Context, cfg config.Config, logins *tenancy.Logins, log *zap.Logger, metrics *telemetry.Metrics,
) (*provisioner, error) {
	if cfg.Provisioning.Warm == 0 {
		return &provisioner{}, nil
	}
	o, err := openOwner(ctx, cfg, logins)
	if err != nil {
		return nil, err
	}
	if err = checkControl(ctx, o.pool); err != nil {
		o.pool.Close()
		return nil, err
	}
	warm, err := metrics.RegisterWarm()
	if err != nil {
		o.pool.Close()
		return nil, err
	}
	ctx, end := context.WithCancel(ctx)
	p := &provisioner{owner: o, end: end, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		o.KeepWarm(ctx, tenancy.KeepWarmConfig{
			Want: cfg.Provisioning.Warm, Log: log.Named("provisioner"),
			OnPool:   func(s tenancy.WarmPool) { warm.Seen(s.Ready, s.Unfinished, s.Claims, s.Misses) },
			OnRefill: func(elapsed time.Duration, err error) { warm.Refilled(elapsed, err == nil) },
		})
	}()
	return p, nil
}

// stop ends what runs and waits for it.
func (p *provisioner) stop() {
	if p.owner == nil {
		return
	}
	p.end()
	<-p.done
	p.owner.pool.Close()
}
