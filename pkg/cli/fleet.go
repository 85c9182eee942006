package cli

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

func (c *cli) fleetCommand() *cobra.Command {
	return c.group("fleet", "Migrate all tenants, and see where they stand",
		"A run goes over the fleet wave by wave, as the owner of the database. It is written down in the database: one that was stopped, or\n"+
			"killed, goes on with `fleet resume`. Only one runs at a time.",
		c.fleetStatus(), c.fleetPlan(), c.fleetRehearse(), c.fleetMigrate(), c.fleetDown(), c.fleetResume(), c.fleetRetry(), c.fleetPause(),
		c.fleetDrift(), c.fleetRuns(), c.fleetShow())
}

func (c *cli) fleetStatus() *cobra.Command {
	return c.asOwner("status", "Count the tenants by version and state, and show the run that is under way", "",
		func(ctx context.Context, _ config.Config, o *owner, _ []string) error {
			counts, err := o.Versions(ctx)
			if err != nil {
				return err
			}
			runs, err := o.Runs(ctx, 1)
			if err != nil {
				return err
			}
			type line struct {
				Version int64         `json:"version"`
				State   tenancy.State `json:"state"`
				Tenants int           `json:"tenants"`
			}
			status := struct {
				Target  int64        `json:"target"`
				Tenants []line       `json:"tenants"`
				LastRun *tenancy.Run `json:"last_run,omitempty"`
			}{Target: o.Target(), Tenants: []line{}}
			var rows [][]string
			for _, n := range counts {
				status.Tenants = append(status.Tenants, line{n.Version, n.State, n.Tenants})
				rows = append(rows, []string{fmt.Sprintf("%d of %d", n.Version, o.Target()), string(n.State), count(n.Tenants)})
			}
			if len(runs) > 0 {
				status.LastRun = &runs[0]
			}
			if err = c.print(status, []string{"VERSION", "STATE", "TENANTS"}, rows); err != nil {
				return err
			}
			if len(counts) == 0 {
				c.note("there are no tenants")
			}
			if len(runs) > 0 {
				c.note("last run: %s", describeRun(runs[0]))
			}
			return nil
		})
}

// describeRun says in a line how far a run has come.
func describeRun(r tenancy.Run) string {
	text := fmt.Sprintf("%d to version %d, %s", r.ID, r.Options.Target, r.State)
	if r.Reason != "" {
		text += " (" + r.Reason + ")"
	}
	text += fmt.Sprintf(", by %s since %s: %d done, %d failed, %d to do", r.By, r.Started.UTC().Format(time.RFC3339), r.Done, r.Failed, r.Pending)
	if r.State == tenancy.RunRunning {
		text += fmt.Sprintf("; last heard of %s ago", time.Since(r.Beat).Round(time.Second))
	}
	return text
}

// runFlags are what commands that start a run have in common.
type runFlags struct {
	canary  string
	waves   []string
	workers int
	batch   int
	tries   int
	most    int
}

func (f *runFlags) bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.canary, "canary", "1%", "size of the first wave, such as 1% or 25; each wave after it is twice as large")
	flags.StringSliceVar(&f.waves, "waves", nil, "how much has been done at the end of each wave instead, such as 1,10%,50%,100%")
	flags.IntVar(&f.workers, "workers", 4, "tenants at once")
	flags.IntVar(&f.tries, "lock-tries", 5, "how many times a tenant is tried whose tables are locked, after pauses that double")
	flags.IntVar(&f.most, "max-failures", 0, "tenants that may fail before the run stops; -1 for any number")
	cmd.MarkFlagsMutuallyExclusive("canary", "waves")
	bindTimeouts(cmd)
}

// bindTimeouts adds the flags of whatever runs migrations.
func bindTimeouts(cmd *cobra.Command) {
	config.BindFlags(cmd.Flags(), "tenants.lock_timeout", "tenants.statement_timeout")
}

// options makes a run's options of the flags.
func (f *runFlags) options(ctx context.Context, o *owner, tenants []string) (opts tenancy.RunOptions, err error) {
	opts = tenancy.RunOptions{Workers: f.workers, Batch: f.batch, LockTries: f.tries, MaxFailures: f.most, By: operatorName()}
	if len(f.waves) == 0 {
		if opts.Canary, err = tenancy.ParseShare(f.canary); err != nil {
			return opts, apperr.New(apperr.Invalid, "--canary: %v", err)
		}
	}
	for _, text := range f.waves {
		share, err := tenancy.ParseShare(strings.TrimSpace(text))
		if err != nil {
			return opts, apperr.New(apperr.Invalid, "--waves: %v", err)
		}
		opts.Waves = append(opts.Waves, share)
	}
	for _, name := range tenants {
		t, err := o.Get(ctx, name)
		if err != nil {
			return opts, err
		}
		opts.Only = append(opts.Only, t.ID)
	}
	return opts, nil
}

// operatorName names who runs this program: user, machine and process.
func operatorName() string {
	name := "somebody"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "a machine without a name"
	}
	return name + "@" + host + " (pid " + strconv.Itoa(os.Getpid()) + ")"
}

func (c *cli) fleetMigrate() *cobra.Command {
	var f runFlags
	var to int64
	cmd := c.asOwner("migrate [TENANT...]", "Bring tenants to the newest version, wave by wave",
		"All that are behind, or those that are named.\n\n"+
			"Each tenant is migrated in a transaction of its own where its files allow, while it is used. One that fails stays as it was, or is\n"+
			"quarantined if files outside a transaction did half their work. When more than --max-failures have failed no further tenant is begun.\n"+
			"Ctrl-C stops between tenants; `fleet resume` goes on. The exit code is 4 if any tenant is not where it should be.",
		func(ctx context.Context, _ config.Config, o *owner, args []string) error {
			opts, err := f.options(ctx, o, args)
			if err != nil {
				return err
			}
			opts.Target = to
			return c.fleetRun(ctx, o, opts)
		})
	cmd.Args = cobra.ArbitraryArgs
	f.bind(cmd)
	cmd.Flags().Int64Var(&to, "to", 0, "version to go to; 0 is the newest")
	cmd.Flags().IntVar(&f.batch, "batch", 1, "tenants that share a transaction at most, where their files allow and it is a short one")
	return cmd
}

func (c *cli) fleetDown() *cobra.Command {
	var f runFlags
	var to int64
	var yes bool
	cmd := c.asOwner("down [TENANT...]", "Take migrations back from tenants",
		"From all, or those that are named, by the Down part of each file, until they are on the version --to.\n\n"+
			"What a Down part drops is gone. In other ways it is like `fleet migrate`.",
		func(ctx context.Context, _ config.Config, o *owner, args []string) error {
			opts, err := f.options(ctx, o, args)
			if err != nil {
				return err
			}
			opts.Target, opts.Down = to, true
			if !yes {
				return apperr.New(apperr.Refused, "taking migrations back destroys what they have made, and the data in it: say --yes to do it")
			}
			return c.fleetRun(ctx, o, opts)
		})
	cmd.Args = cobra.ArbitraryArgs
	f.bind(cmd)
	cmd.Flags().Int64Var(&to, "to", 0, "version to go back to")
	cmd.Flags().BoolVar(&yes, "yes", false, "really take back what was migrated, and the data in it")
	_ = cmd.MarkFlagRequired("to") // The flag is there.
	return cmd
}

// fleetRun starts a run and shows it.
func (c *cli) fleetRun(ctx context.Context, o *owner, opts tenancy.RunOptions) error {
	plan, err := o.PlanRun(ctx, opts)
	if err != nil {
		return err
	}
	return c.showRun(ctx, o, plan.Tenants, func(report func(tenancy.MigrationResult)) (tenancy.Run, error) {
		return o.StartRun(ctx, opts, report)
	})
}

// showRun shows a run while it goes on, and what came of it.
func (c *cli) showRun(ctx context.Context, o *owner, total int, start func(func(tenancy.MigrationResult)) (tenancy.Run, error)) error {
	began := time.Now()
	bar := c.progress("tenants migrated", total)
	run, runErr := start(func(r tenancy.MigrationResult) { bar.step(r.Err != nil) })
	bar.end()
	if run.ID == 0 {
		if runErr == nil {
			c.note("nothing to do: every tenant is on version %d", run.Options.Target)
			return c.print(runReport{Run: run, Failures: []tenancy.RunFailure{}}, nil, nil)
		}
		return runErr
	}
	if err := c.printRun(context.WithoutCancel(ctx), o, run); err != nil {
		return cmp.Or(runErr, err)
	}
	c.note("run %d: %d tenants are on version %d, %d failed, %d to do, in %s", run.ID, run.Done, run.Options.Target, run.Failed, run.Pending,
		time.Since(began).Round(time.Millisecond))
	return runErr
}

// runReport is a run as JSON.
type runReport struct {
	tenancy.Run

	Failures []tenancy.RunFailure `json:"failures"`
}

// printRun prints a run, whose table names those that have failed.
func (c *cli) printRun(ctx context.Context, o *owner, run tenancy.Run) error {
	failures, err := o.RunFailures(ctx, run.ID)
	if err != nil {
		return err
	}
	var header []string
	var rows [][]string
	for _, f := range failures {
		header = []string{"FAILED", "VERSION", "STATE", "BECAUSE"}
		rows = append(rows, []string{f.Slug, strconv.FormatInt(f.Version, 10), string(f.State), strings.ReplaceAll(f.Error, "\n", " ")})
	}
	return c.print(runReport{run, failures}, header, rows)
}

// runID reads a run's number.
func runID(text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 {
		return 0, apperr.New(apperr.Invalid, "%q is no run: want its number, see `rowhouse fleet runs`", text)
	}
	return id, nil
}

// fleetOn makes a command about one run.
func (c *cli) fleetOn(use, short, long string, do func(ctx context.Context, o *owner, id int64) error) *cobra.Command {
	return c.asOwner(use+" RUN", short, long, func(ctx context.Context, _ config.Config, o *owner, args []string) error {
		id, err := runID(args[0])
		if err != nil {
			return err
		}
		return do(ctx, o, id)
	})
}

func (c *cli) fleetResume() *cobra.Command {
	cmd := c.fleetOn("resume", "Go on with a run that was stopped, paused or killed", "Tenants that have failed are left alone: `fleet retry` takes them up.",
		func(ctx context.Context, o *owner, id int64) error { return c.resume(ctx, o, id, false) })
	bindTimeouts(cmd)
	return cmd
}

func (c *cli) fleetRetry() *cobra.Command {
	cmd := c.fleetOn("retry", "Take up the tenants that have failed in a run, and go on with it", "",
		func(ctx context.Context, o *owner, id int64) error { return c.resume(ctx, o, id, true) })
	bindTimeouts(cmd)
	return cmd
}

func (c *cli) resume(ctx context.Context, o *owner, id int64, retry bool) error {
	run, err := o.GetRun(ctx, id)
	if err != nil {
		return err
	}
	total := run.Pending
	if retry {
		total += run.Failed
	}
	return c.showRun(ctx, o, total, func(report func(tenancy.MigrationResult)) (tenancy.Run, error) {
		return o.ResumeRun(ctx, id, retry, operatorName(), report)
	})
}

func (c *cli) fleetPause() *cobra.Command {
	return c.fleetOn("pause", "Make a run stop before its next tenant, wherever it is running", "`fleet resume` goes on.",
		func(ctx context.Context, o *owner, id int64) error {
			run, err := o.PauseRun(ctx, id)
			if err != nil {
				return err
			}
			c.note("run %s", describeRun(run))
			return c.printRun(ctx, o, run)
		})
}

func (c *cli) fleetShow() *cobra.Command {
	return c.fleetOn("show", "Show a run, and who has failed in it", "", func(ctx context.Context, o *owner, id int64) error {
		run, err := o.GetRun(ctx, id)
		if err != nil {
			return err
		}
		c.note("run %s", describeRun(run))
		return c.printRun(ctx, o, run)
	})
}

func (c *cli) fleetRuns() *cobra.Command {
	var most int
	cmd := c.asOwner("runs", "List the runs, the latest first", "",
		func(ctx context.Context, _ config.Config, o *owner, _ []string) error {
			runs, err := o.Runs(ctx, most)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, r := range runs {
				rows = append(rows, []string{
					strconv.FormatInt(r.ID, 10), strconv.FormatInt(r.Options.Target, 10), string(r.State),
					count(r.Done), count(r.Failed), count(r.Pending),
					r.Started.UTC().Format(time.RFC3339), r.By,
				})
			}
			if len(runs) == 0 {
				c.note("there was no run yet: rowhouse fleet migrate starts one")
			}
			return c.print(runs, []string{"RUN", "TARGET", "STATE", "DONE", "FAILED", "TO DO", "STARTED", "BY"}, rows)
		})
	cmd.Flags().IntVar(&most, "limit", 20, "most runs to list")
	return cmd
}
