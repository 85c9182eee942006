package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/rowhousehq/rowhouse/pkg/config"
)

func (c *cli) tenantSetTimeZone() *cobra.Command {
	return c.asOwner("set-time-zone TENANT ZONE", "Change what a tenant's days and hours go by",
		"ZONE is a name such as Europe/Berlin or UTC. The tenant's schedules follow within a minute; what is due already still comes.",
		func(ctx context.Context, cfg config.Config, o *owner, args []string) error {
			t, err := o.SetTimeZone(ctx, args[0], args[1])
			if err != nil {
				return err
			}
			view := viewTenant(cfg, t)
			return c.printOne(view, view.fields())
		})
}
