package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
)

// jobsChange is a command that changes jobs: those of its arguments, or those of a filter.
type jobsChange struct {
	jobsFilter

	verb    string
	dryRun  bool
	confirm int
}

// changedView is the report. The JSON names are part of the interface.
type changedView struct {
	jobqueue.Changed

	// Found are the numbers of jobs that the filter found, by kind.
	Found  map[string]int `json:"found,omitempty"`
	DryRun bool           `json:"dry_run,omitempty"`
	// Running are the jobs that were told to end and still ran at last, and WaitedSeconds is how long they were waited for.
	Running       []int64 `json:"running,omitempty"`
	WaitedSeconds float64 `json:"waited_seconds,omitempty"`
}

func (j *jobsChange) bind(c *cli, cmd *cobra.Command) {
	j.jobsFilter.bind(c, cmd, 1000, "most jobs that are touched at a time")
	cmd.Flags().BoolVar(&j.dryRun, "dry-run", false, "only say how many jobs there are")
	cmd.Flags().IntVar(&j.confirm, "confirm", 0, "the `number` of jobs, or more, to say that you mean it")
}

// choose gives the jobs that are to be changed: ids, or those of the filter, which want to be confirmed.
func (j *jobsChange) choose(ctx context.Context, o *owner, q *jobqueue.Operator, ids, states []string, view *changedView) ([]int64, error) {
	if len(ids) > 0 {
		return jobIDs(ids)
	}
	f, err := j.find(ctx, o, states)
	if err != nil {
		return nil, err
	}
	jobs, err := q.List(ctx, f)
	if err != nil {
		return nil, err
	}
	view.Found = map[string]int{}
	chosen := make([]int64, len(jobs))
	for i, found := range jobs {
		chosen[i] = found.ID
		view.Found[found.Kind]++
	}
	if len(jobs) > j.confirm && !j.dryRun {
		return nil, apperr.New(apperr.Refused, "this would %s %d jobs (%s): say --confirm %d if that is what you want", j.verb, len(jobs),
			kinds(view.Found), len(jobs))
	}
	return chosen, nil
}

func (c *cli) jobsRetry() *cobra.Command {
	j := jobsChange{verb: "retry"}
	var failed, cancelled bool
	cmd := c.asOperator("retry", "Put discarded and cancelled jobs back among those that wait",
		"They are worked at once. A job whose attempts are used up gets one more. Other jobs are left as they are.\n\n"+
			"Without numbers, --failed takes all discarded jobs and --cancelled all cancelled ones, within --tenant, --queue and --kind.",
		func(ctx context.Context, o *owner, q *jobqueue.Operator, args []string) error {
			var states []string
			if failed {
				states = append(states, "discarded")
			}
			if cancelled {
				states = append(states, "cancelled")
			}
			var view changedView
			ids, err := j.choose(ctx, o, q, args, states, &view)
			if err != nil {
				return err
			}
			if !j.dryRun {
				view.Changed, err = q.Retry(ctx, ids...)
			}
			return c.reportChange(&j, view, ids, "retried", err)
		})
	cmd.Use = "retry (ID... | --failed | --cancelled)"
	cmd.Args = func(_ *cobra.Command, args []string) error {
		return j.check(args, failed || cancelled, "--failed or --cancelled")
	}
	j.bind(c, cmd)
	cmd.Flags().BoolVar(&failed, "failed", false, "all jobs that failed for the last time")
	cmd.Flags().BoolVar(&cancelled, "cancelled", false, "all jobs that were cancelled")
	return cmd
}

// check holds the numbers of jobs against the flags that would choose them.
func (j *jobsChange) check(args []string, chosen bool, by string) error {
	narrowed := chosen || j.tenant != "" || j.kind != "" || j.queue != ""
	switch {
	case len(args) > 0 && (narrowed || j.confirm != 0 || j.dryRun):
		return usagef("either numbers of jobs, or flags that choose them")
	case len(args) == 0 && !chosen:
		return usagef("which jobs? Give their numbers, or %s", by)
	}
	_, err := jobIDs(args)
	return err
}

func (c *cli) jobsCancel() *cobra.Command {
	j := jobsChange{verb: "cancel"}
	var wait time.Duration
	cmd := c.asOperator("cancel", "End jobs that wait or run, without another attempt",
		"Those that wait end at once. Those that run are told to end: their process hears of it within some two seconds, and their worker ends when\n"+
			"it looks at its context. --wait is how long this command waits for that (exit code 4 if some still run).\n\n"+
			"Without numbers it takes all jobs that have not ended within --tenant and --kind, of which one is needed, and --queue.",
		func(ctx context.Context, o *owner, q *jobqueue.Operator, args []string) error {
			var view changedView
			ids, err := j.choose(ctx, o, q, args, []string{"scheduled", "available", "running", "retryable"}, &view)
			if err != nil {
				return err
			}
			if !j.dryRun {
				if view.Changed, err = q.Cancel(ctx, ids...); err == nil {
					err = awaitEnd(ctx, q, wait, &view)
				}
			}
			return c.reportChange(&j, view, ids, "cancelled", err)
		})
	cmd.Use = "cancel (ID... | --tenant TENANT | --kind KIND)"
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if wait < 0 {
			return usagef("--wait must not be negative")
		}
		return j.check(args, j.tenant != "" || j.kind != "", "--tenant or --kind")
	}
	j.bind(c, cmd)
	cmd.Flags().DurationVar(&wait, "wait", 10*time.Second, "how long running jobs are waited for")
	return cmd
}

// awaitEnd waits until the jobs that were told to end have done so, or wait is over.
func awaitEnd(ctx context.Context, q *jobqueue.Operator, wait time.Duration, view *changedView) (err error) {
	if len(view.Told) == 0 {
		return nil
	}
	began := time.Now()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		view.Running, err = q.Running(ctx, view.Told...)
		view.WaitedSeconds = time.Since(began).Seconds()
		if err != nil || len(view.Running) == 0 || time.Since(began) >= wait {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// reportChange prints what became of the jobs. What was done before err is told, too.
func (c *cli) reportChange(j *jobsChange, view changedView, ids []int64, done string, err error) error {
	view.DryRun = j.dryRun
	if view.Changed.Done == nil { // Nothing was tried.
		view.Changed = jobqueue.Changed{Done: []int64{}, Told: []int64{}, Left: []jobqueue.Left{}}
	}
	rows := [][]string{{done, count(len(view.Done))}}
	if j.dryRun {
		rows = [][]string{{"found", count(len(ids))}}
		for _, kind := range slices.Sorted(maps.Keys(view.Found)) {
			rows = append(rows, []string{"  " + kind, count(view.Found[kind])})
		}
	}
	if len(view.Told) > 0 {
		waited := time.Duration(view.WaitedSeconds * float64(time.Second)).Round(100 * time.Millisecond)
		still := fmt.Sprintf("%d after %s", len(view.Running), waited)
		rows = append(rows, []string{"told to end", count(len(view.Told))}, []string{"still running", still})
	}
	for _, l := range view.Left {
		rows = append(rows, []string{"left " + strconv.FormatInt(l.ID, 10), l.Why})
	}
	if printErr := c.print(view, nil, rows); printErr != nil {
		return printErr
	}
	if err == nil && len(ids) == j.limit && len(view.Found) > 0 {
		c.note("there may be more: the same again goes on")
	}
	switch {
	case err != nil:
		return err
	case len(view.Left) > 0 && len(view.Left) == len(ids) && len(view.Found) == 0:
		return apperr.New(apperr.Conflict, "no job was %s", done)
	case len(view.Left) > 0:
		return apperr.New(apperr.Partial, "%d of %d jobs were not %s", len(view.Left), len(ids), done)
	case len(view.Running) > 0:
		return apperr.New(apperr.Partial, "%d jobs were told to end and still run", len(view.Running))
	}
	return nil
}

// kinds gives numbers by kind for a message.
func kinds(found map[string]int) string {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(found)) {
		parts = append(parts, strconv.Itoa(found[kind])+" "+kind)
	}
	return strings.Join(parts, ", ")
}
