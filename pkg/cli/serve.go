package cli

import (
	"context"
	"errors"
	"net"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/rowhousehq/rowhouse/pkg/config"
)

func (c *cli) serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "serve", Short: "Serve the tenants' subdomains; needs a migrated database and no owner's credentials", Args: takes(),
		Long: "Serve the tenants' subdomains and the admin address, until SIGINT or SIGTERM; then answer what was accepted, and end.\n\n" +
			"Of database.url only host, port, database and TLS are used. Jobs are enqueued here and worked by `rowhouse work`.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := c.load(cmd)
			if err != nil {
				return err
			}
			return c.serve(cmd.Context(), cfg)
		},
	}
	config.BindFlags(cmd.Flags(), "server.addr", "server.admin_addr", "server.base_domain", "database.url")
	return cmd
}

func (c *cli) serve(ctx context.Context, cfg config.Config) (err error) {
	public, admin, err := listenBoth(ctx, cfg)
	if err != nil {
		return err
	}
	defer closeUnused(public, admin)
	p, err := c.openProcess(ctx, cfg, false)
	if err != nil {
		return err
	}
	defer p.close()
	return p.run(ctx, public, admin)
}

// listenBoth opens both ports before anything else, since that is what most often goes wrong.
func listenBoth(ctx context.Context, cfg config.Config) (public, admin net.Listener, err error) {
	if public, err = listen(ctx, cfg.Server.Addr, "addr"); err != nil {
		return nil, nil, err
	}
	if admin, err = listen(ctx, cfg.Server.AdminAddr, "admin-addr"); err != nil {
		closeUnused(public)
		return nil, nil, err
	}
	return public, admin, nil
}

// closeUnused closes listeners that no server has taken; one that was closed already says so, and that is fine.
func closeUnused(listeners ...net.Listener) {
	for _, ln := range listeners {
		_ = ln.Close()
	}
}

// run serves on public, if it is not nil, and admin, and works jobs if the platform does, until ctx ends. The order of the end: requests
// first, since they enqueue jobs and read what jobs wrote; then jobs; the admin address last, so that probes are answered throughout.
func (p *platform) run(ctx context.Context, public, admin net.Listener) error {
	var draining func() bool
	serving := func(ctx context.Context) error {
		<-ctx.Done()
		return nil
	}
	if public != nil {
		server, err := p.publicServer()
		if err != nil {
			return err
		}
		draining = server.Draining
		serving = func(ctx context.Context) error { return server.Run(ctx, public) }
	}
	adminServer, err := p.adminServer(draining)
	if err != nil {
		return err
	}
	// Its own context: it outlives ctx until everything else has ended.
	adminCtx, stopAdmin := context.WithCancel(context.WithoutCancel(ctx))
	defer stopAdmin()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return adminServer.Run(adminCtx, admin) })
	group.Go(func() error {
		defer stopAdmin()
		if p.works {
			if err := p.house.Queue.Start(ctx); err != nil {
				return err
			}
		}
		if public != nil {
			p.log.Info("serving", zap.String("addr", public.Addr().String()), zap.Int("tenants", p.catalog.Len()))
		}
		err := serving(ctx)
		p.log.Info("stopping")
		if !p.works {
			return err
		}
		stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.cfg.Jobs.ShutdownTimeout)
		defer cancel()
		return errors.Join(err, p.house.Queue.Stop(stopCtx))
	})
	return group.Wait()
}
