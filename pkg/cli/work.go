package cli

import (
	"context"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/rowhousehq/rowhouse/pkg/config"
)

func (c *cli) workCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "work", Short: "Work background jobs; needs a migrated database and no owner's credentials", Args: takes(),
		Long: "Work background jobs and answer on the admin address, until SIGINT or SIGTERM; then finish the jobs that run, and end.\n\n" +
			"Any number of processes may work at once. A job whose process was killed is worked again by another.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := c.load(cmd)
			if err != nil {
				return err
			}
			return c.work(cmd.Context(), cfg)
		},
	}
	config.BindFlags(cmd.Flags(), "server.admin_addr", "database.url")
	return cmd
}

func (c *cli) work(ctx context.Context, cfg config.Config) error {
	admin, err := listen(ctx, cfg.Server.AdminAddr, "admin-addr")
	if err != nil {
		return err
	}
	defer closeUnused(admin)
	p, err := c.openProcess(ctx, cfg, true)
	if err != nil {
		return err
	}
	defer p.close()
	p.log.Info("working", zap.Int("workers", cfg.Jobs.Workers))
	return p.run(ctx, nil, admin)
}
