package main

import "github.com/spf13/cobra"

func (c *cli) fleetCommand() *cobra.Command {
	return c.group("fleet", "Look after the schemas of all tenants", "", c.fleetDrift())
}
