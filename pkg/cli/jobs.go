package cli

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

func (c *cli) jobsCommand() *cobra.Command {
	return c.group("jobs", "See, retry, cancel and pause background jobs",
		"What `rowhouse work` does; these commands work with the owner's credentials.",
		c.jobsList(), c.jobsShow(), c.jobsRetry(), c.jobsCancel(), c.jobsPause(), c.jobsResume(), c.jobsStats(),
		c.newJobsScheduleCommand(), c.jobsBackfills())
}

// asOperator makes a command that looks into the queue with the owner's credentials.
func (c *cli) asOperator(
	use, short, long string, run func(ctx context.Context, o *owner, q *jobqueue.Operator, args []string) error,
) *cobra.Command {
	return c.asOwner(use, short, long, func(ctx context.Context, _ config.Config, o *owner, args []string) error {
		q, err := jobqueue.NewOperator(o.pool)
		if err != nil {
			return err
		}
		return run(ctx, o, q, args)
	})
}

// jobsFilter is which jobs a command is about, as its flags say.
type jobsFilter struct {
	tenant, queue, kind string
	limit               int
}

// bind adds the flags to cmd.
func (f *jobsFilter) bind(c *cli, cmd *cobra.Command, limit int, limitUsage string) {
	flags := cmd.Flags()
	flags.StringVar(&f.tenant, "tenant", "", "only jobs of this `tenant`")
	flags.StringVar(&f.queue, "queue", "", "only jobs of this queue: "+strings.Join(jobqueue.Queues(), ", "))
	flags.StringVar(&f.kind, "kind", "", "only jobs of this kind")
	flags.IntVar(&f.limit, "limit", limit, limitUsage)
	_ = cmd.RegisterFlagCompletionFunc("queue", completeQueues)
	_ = cmd.RegisterFlagCompletionFunc("tenant", func(cmd *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		return c.completeTenants(cmd, nil, prefix)
	})
}

// find gives the filter that the queue understands.
func (f *jobsFilter) find(ctx context.Context, o *owner, states []string) (jobqueue.Filter, error) {
	found := jobqueue.Filter{States: states, Queue: f.queue, Kind: f.kind, Limit: f.limit}
	if f.tenant != "" {
		t, err := o.Get(ctx, f.tenant)
		if err != nil {
			return jobqueue.Filter{}, err
		}
		found.TenantID = t.ID
	}
	return found, nil
}

func completeQueues(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return jobqueue.Queues(), cobra.ShellCompDirectiveNoFileComp
}

// jobIDs reads the numbers of jobs.
func jobIDs(args []string) ([]int64, error) {
	ids := make([]int64, len(args))
	for i, arg := range args {
		id, err := strconv.ParseInt(arg, 10, 64)
		if err != nil || id < 1 {
			return nil, usagef("%q is no number of a job: `rowhouse jobs list` shows them", arg)
		}
		ids[i] = id
	}
	return ids, nil
}

// slugsOf gives the names by which people know the tenants of those ids; a deleted one goes by its id.
func slugsOf(ctx context.Context, o *owner, ids []string) (map[string]string, error) {
	slices.Sort(ids)
	tenants, err := o.List(ctx, tenancy.ListFilter{IDs: slices.Compact(ids)})
	if err != nil {
		return nil, err
	}
	slugs := map[string]string{"": "-"} // The platform's own jobs.
	for _, id := range ids {
		if id != "" {
			slugs[id] = id
		}
	}
	for _, t := range tenants {
		slugs[t.ID] = t.Label()
	}
	return slugs, nil
}

// oneLine gives the beginning of a text from elsewhere as it may stand in a table on a terminal.
func oneLine(text string) string {
	const most = 80
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	return printable(text)
}

// printable gives text without what would break a table or move a terminal's cursor.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}

// ago gives how long ago something was, or in how long it is to come.
func ago(at time.Time) string {
	if d := time.Until(at).Round(time.Second); d > 0 {
		return "in " + d.String()
	}
	return time.Since(at).Round(time.Second).String() + " ago"
}
