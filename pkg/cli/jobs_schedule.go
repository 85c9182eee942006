package cli

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
)

func (c *cli) newJobsScheduleCommand() *cobra.Command {
	return c.group("schedule", "List, change and run what is enqueued again and again",
		"Schedules are declared in code. What is set here goes before that, over restarts and new versions, until it is reset.\n"+
			"Processes that work jobs write down what schedules there are when they start.",
		c.jobsScheduleList(), c.jobsScheduleSet(), c.jobsScheduleRun(), c.jobsScheduleReset())
}

// onSchedules makes a command on the schedules of all tenants, or of one.
func (c *cli) onSchedules(
	use, short, long string, run func(ctx context.Context, s jobqueue.Schedules, tenantID string, args []string) error,
) *cobra.Command {
	var tenant string
	cmd := c.asOwner(use, short, long, func(ctx context.Context, _ config.Config, o *owner, args []string) error {
		id := ""
		if tenant != "" {
			t, err := o.Get(ctx, tenant)
			if err != nil {
				return err
			}
			id = t.ID
		}
		return run(ctx, jobqueue.Schedules{Pool: o.pool}, id, args)
	})
	cmd.Flags().StringVar(&tenant, "tenant", "", "for this tenant alone (default: for all)")
	_ = cmd.RegisterFlagCompletionFunc("tenant", func(cmd *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		return c.completeTenants(cmd, nil, prefix)
	})
	return cmd
}

func (c *cli) jobsScheduleList() *cobra.Command {
	return c.onSchedules("list", "List the schedules",
		"For all tenants: each schedule with the first time that is next, and the tenants for which something else was set.",
		func(ctx context.Context, s jobqueue.Schedules, tenantID string, _ []string) error {
			return c.printSchedules(ctx, s, tenantID, "")
		})
}

// printSchedules prints the schedules, or the one that is named.
func (c *cli) printSchedules(ctx context.Context, s jobqueue.Schedules, tenantID, name string) error {
	all, err := s.List(ctx, tenantID)
	if err != nil {
		return err
	}
	list, rows := []jobqueue.ScheduleStatus{}, [][]string{}
	for _, status := range all {
		if name == "" || status.Name == name {
			list, rows = append(list, status), append(rows, scheduleRow(status))
		}
	}
	if len(rows) == 0 && c.output == outputTable {
		c.note("there are none: a process that works jobs writes them down when it starts, and those of a new tenant within a minute")
		return nil
	}
	return c.print(list, []string{"SCHEDULE", "FOR", "CRON", "TIME ZONE", "ENABLED", "NEXT", "LAST", "CHANGED BY"}, rows)
}

func scheduleRow(s jobqueue.ScheduleStatus) []string {
	who, zone, by := s.Tenant, s.TimeZone, ""
	switch {
	case s.TenantID == "" && s.PerTenant:
		who = strconv.Itoa(s.Tenants) + " tenants"
	case s.TenantID == "":
		who = "the platform"
	}
	if zone == "" {
		zone = "each one's own"
	}
	if s.Changed {
		by = s.ChangedBy
	}
	at := func(t *time.Time) string {
		if t == nil {
			return "never"
		}
		return t.UTC().Format(time.RFC3339)
	}
	return []string{s.Name, who, s.Cron, zone, strconv.FormatBool(s.Enabled), at(s.NextAt), at(s.LastAt), by}
}

func (c *cli) jobsScheduleSet() *cobra.Command {
	var expression, zone string
	var enable, disable bool
	var cmd *cobra.Command
	cmd = c.onSchedules("set NAME", "Change when a schedule comes, or whether",
		"For all tenants for which nothing else was set, or for one. A tenant's own goes before that of all. What is due already still comes,\n"+
			"unless it is disabled.",
		func(ctx context.Context, s jobqueue.Schedules, tenantID string, args []string) error {
			change := jobqueue.ScheduleChange{By: operatorName()}
			if cmd.Flags().Changed("cron") {
				change.Cron = &expression
			}
			if cmd.Flags().Changed("time-zone") {
				change.TimeZone = &zone
			}
			if enable || disable {
				change.Enabled = &enable
			}
			if err := s.Set(ctx, args[0], tenantID, change); err != nil {
				return err
			}
			return c.printSchedules(ctx, s, tenantID, args[0])
		})
	one := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		flags := cmd.Flags()
		if !flags.Changed("cron") && !flags.Changed("time-zone") && !enable && !disable {
			return usagef("there is nothing to set: give --cron, --time-zone, --enable or --disable")
		}
		if enable && disable || flags.Changed("time-zone") && zone == "" {
			return usagef("give one of --enable and --disable, and a name with --time-zone: `rowhouse jobs schedule reset` takes back what was set")
		}
		return one(cmd, args)
	}
	cmd.Flags().StringVar(&expression, "cron", "", `minute, hour, day of the month, month and day of the week, such as "0 6 * * mon-fri"`)
	cmd.Flags().StringVar(&zone, "time-zone", "", "what the cron expression is meant in, such as Europe/Berlin")
	cmd.Flags().BoolVar(&enable, "enable", false, "let it come")
	cmd.Flags().BoolVar(&disable, "disable", false, "let it not come")
	return cmd
}

func (c *cli) jobsScheduleRun() *cobra.Command {
	return c.onSchedules("run NAME", "Let a schedule come now, once",
		"A process that works jobs enqueues them within a second, also if the schedule is disabled. Tenants that cannot be served get theirs when\n"+
			"they can be. The next time by the clock stays as it was.",
		func(ctx context.Context, s jobqueue.Schedules, tenantID string, args []string) error {
			n, err := s.Run(ctx, args[0], tenantID)
			if err != nil {
				return err
			}
			data := struct {
				Jobs int64 `json:"jobs"`
			}{n}
			return c.printOne(data, [][]string{{"jobs to come", strconv.FormatInt(n, 10)}})
		})
}

func (c *cli) jobsScheduleReset() *cobra.Command {
	return c.onSchedules("reset NAME", "Take back what was set, and follow the code again",
		"For all tenants, what was set for all; with --tenant, what was set for that one. The next time is the first one from now on.",
		func(ctx context.Context, s jobqueue.Schedules, tenantID string, args []string) error {
			if err := s.Reset(ctx, args[0], tenantID, operatorName()); err != nil {
				return err
			}
			return c.printSchedules(ctx, s, tenantID, args[0])
		})
}
