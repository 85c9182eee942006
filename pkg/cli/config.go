package cli

import (
	"github.com/spf13/cobra"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/config"
)

func (c *cli) configCommand() *cobra.Command {
	show := &cobra.Command{
		Use: "show", Short: "Print every key, its value and where that came from; secrets are hidden", Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, sources, err := c.load(cmd)
			if err != nil {
				return err
			}
			entries := config.Entries(cfg, sources)
			rows := make([][]string, len(entries))
			for i, e := range entries {
				rows[i] = []string{e.Key, e.Value, e.Source.String(), e.Env}
			}
			return c.print(entries, []string{"KEY", "VALUE", "SOURCE", "ENVIRONMENT"}, rows)
		},
	}
	check := &cobra.Command{
		Use: "check", Short: "Say whether the configuration is valid; all problems at once, exit code 2", Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := c.load(cmd)
			if err != nil {
				return err
			}
			secret, err := readSecret(cfg)
			if err != nil {
				return err
			}
			if cfg.Database.URL.IsSet() && secret == "" {
				return apperr.New(apperr.Invalid, "database.login_secret is not set, and every command that uses database.url needs it: "+
					"make one with `openssl rand -base64 32`")
			}
			return c.printOne(map[string]bool{"valid": true}, [][]string{{"the configuration is valid"}})
		},
	}
	for _, cmd := range []*cobra.Command{show, check} {
		config.BindFlags(cmd.Flags(), "server.addr", "server.admin_addr", "server.base_domain", "database.url")
	}
	return c.group("config", "Look at the configuration",
		"Keys come from flags, ROWHOUSE_* variables and a file, in this order. configs/rowhouse.yaml documents them all.", show, check)
}
