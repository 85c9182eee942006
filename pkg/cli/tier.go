package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

// settleTime is longer than servers take to hear of a change, and than a request may take.
const settleTime = 12 * time.Second

func (c *cli) tenantSetTier() *cobra.Command {
	var settle time.Duration
	cmd := c.asOwner("set-tier TENANT TIER", "Change how strongly a tenant is kept apart, while it is served",
		"pooled     the tenant's role and path are entered per transaction, on connections that the tenants of a cell share\n"+
			"sealed     and every table asks for proof that the transaction is the tenant's\n"+
			"dedicated  and the tenant has a login role and connections of its own\n\n"+
			"No request fails by it. To dedicated and back the old login and the new one are both good for --settle, so that requests under way and\n"+
			"servers that have not heard of it lose nothing; then the old one is closed. Interrupted, it is finished by running it again.",
		func(ctx context.Context, cfg config.Config, o *owner, args []string) error {
			tier, err := tenancy.ParseTier(args[1])
			if err != nil {
				return err
			}
			if settle < 0 {
				return usagef("--settle must not be negative")
			}
			t, err := o.SetTier(ctx, args[0], tier, settle)
			if err != nil {
				return err
			}
			view := viewTenant(cfg, t)
			return c.printOne(view, view.fields())
		})
	cmd.Flags().DurationVar(&settle, "settle", settleTime, "how long the old login stays good, to and from dedicated")
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 1 {
			return tierNames(), cobra.ShellCompDirectiveNoFileComp
		}
		return c.completeTenants(cmd, args, prefix)
	}
	return cmd
}

// bindTier adds the flag --tier to `tenant create`.
func bindTier(cmd *cobra.Command, tier *string) {
	cmd.Flags().StringVar(tier, "tier", "", "how strongly it is kept apart: pooled, sealed or dedicated (default sealed; see set-tier)")
	_ = cmd.RegisterFlagCompletionFunc("tier", cobra.FixedCompletions(tierNames(), cobra.ShellCompDirectiveNoFileComp))
}

func tierNames() (names []string) {
	for _, tier := range tenancy.Tiers() {
		names = append(names, string(tier))
	}
	return names
}
