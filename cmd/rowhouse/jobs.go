package main

import "github.com/spf13/cobra"

func (c *cli) newJobsCommand() *cobra.Command {
	return c.group("jobs", "See and steer background jobs", "", c.newJobsScheduleCommand())
}
