package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
)

// jobView is a job as the CLI shows it. The JSON names are part of the interface.
type jobView struct {
	jobqueue.Job

	// Tenant is the tenant's slug, and empty for a job of the platform's own.
	Tenant string `json:"tenant,omitempty"`
}

func (c *cli) jobsList() *cobra.Command {
	var filter jobsFilter
	var states []string
	var before int64
	cmd := c.asOperator("list", "List jobs, the newest first", "",
		func(ctx context.Context, o *owner, q *jobqueue.Operator, _ []string) error {
			f, err := filter.find(ctx, o, states)
			if err != nil {
				return err
			}
			f.Before = before
			jobs, err := q.List(ctx, f)
			if err != nil {
				return err
			}
			return c.printJobs(ctx, o, jobs, filter.limit)
		})
	filter.bind(c, cmd, 50, "most jobs that are listed")
	cmd.Flags().StringSliceVar(&states, "state", nil, "only jobs in these states: "+strings.Join(jobqueue.States(), ", "))
	cmd.Flags().Int64Var(&before, "before", 0, "only jobs before this `ID`")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(jobqueue.States(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (c *cli) printJobs(ctx context.Context, o *owner, jobs []jobqueue.Job, limit int) error {
	ids := make([]string, len(jobs))
	for i, j := range jobs {
		ids[i] = j.TenantID
	}
	slugs, err := slugsOf(ctx, o, ids)
	if err != nil {
		return err
	}
	views, rows := make([]jobView, len(jobs)), make([][]string, len(jobs))
	for i, j := range jobs {
		views[i] = viewJob(j, slugs)
		attempts := fmt.Sprintf("%d/%d", j.Attempt, j.MaxAttempts)
		rows[i] = []string{
			strconv.FormatInt(j.ID, 10), j.State, j.Kind, j.Queue, slugs[j.TenantID], attempts, ago(j.ScheduledAt), oneLine(j.LastError),
		}
	}
	if len(jobs) == 0 && c.output == outputTable {
		c.note("there are none")
		return nil
	}
	if err = c.print(views, []string{"ID", "STATE", "KIND", "QUEUE", "TENANT", "ATTEMPT", "DUE", "LAST ERROR"}, rows); err != nil {
		return err
	}
	if len(jobs) == limit {
		c.note("there may be more: --before %d goes on", jobs[len(jobs)-1].ID)
	}
	return nil
}

func viewJob(j jobqueue.Job, slugs map[string]string) jobView {
	view := jobView{Job: j}
	if j.TenantID != "" {
		view.Tenant = slugs[j.TenantID]
	}
	return view
}

func (c *cli) jobsShow() *cobra.Command {
	var args bool
	cmd := c.asOperator("show ID", "Show one job with what went wrong",
		"Its arguments, which may hold ids of customers' things, are shown only with --args.",
		func(ctx context.Context, o *owner, q *jobqueue.Operator, words []string) error {
			ids, err := jobIDs(words)
			if err != nil {
				return err
			}
			d, err := q.Get(ctx, ids[0])
			if err != nil {
				return err
			}
			if !args {
				d.Args = nil
			}
			slugs, err := slugsOf(ctx, o, []string{d.TenantID})
			if err != nil {
				return err
			}
			view := struct {
				jobqueue.Details

				Tenant string `json:"tenant,omitempty"`
			}{d, viewJob(d.Job, slugs).Tenant}
			return c.printOne(view, jobFields(d, slugs[d.TenantID]))
		})
	cmd.Flags().BoolVar(&args, "args", false, "show the arguments, too")
	return cmd
}

func jobFields(d jobqueue.Details, tenant string) [][]string {
	when := func(at *time.Time) string {
		if at == nil {
			return "-"
		}
		return at.UTC().Format(time.RFC3339)
	}
	fields := [][]string{
		{"id", strconv.FormatInt(d.ID, 10)},
		{"state", d.State},
		{"kind", d.Kind},
		{"queue", d.Queue},
		{"tenant", tenant},
		{"tenant id", d.TenantID},
		{"priority", strconv.Itoa(d.Priority)},
		{"attempt", fmt.Sprintf("%d of %d", d.Attempt, d.MaxAttempts)},
		{"enqueued", when(&d.CreatedAt)},
		{"due", when(&d.ScheduledAt)},
		{"last attempt", when(d.AttemptedAt)},
		{"ended", when(d.FinalizedAt)},
		{"worker", d.Worker},
	}
	if d.Args != nil {
		fields = append(fields, []string{"args", string(d.Args)})
	}
	for _, f := range d.Failures {
		fields = append(fields, []string{fmt.Sprintf("failure %d", f.Attempt), when(&f.At)})
		for line := range strings.Lines(f.Error + "\n" + f.Trace) {
			if line = printable(strings.TrimRight(line, "\n")); line != "" {
				fields = append(fields, []string{"", line})
			}
		}
	}
	return fields
}
