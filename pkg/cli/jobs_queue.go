package cli

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
)

// queueView is how a queue stands. The JSON names are part of the interface.
type queueView struct {
	Queue            string  `json:"queue"`
	Waiting          int64   `json:"waiting"`
	Scheduled        int64   `json:"scheduled"`
	Running          int64   `json:"running"`
	Retryable        int64   `json:"retryable"`
	Discarded        int64   `json:"discarded"`
	OldestAgeSeconds float64 `json:"oldest_age_seconds"`
	Paused           bool    `json:"paused"`
}

type tenantJobsView struct {
	Tenant   string `json:"tenant"`
	TenantID string `json:"tenant_id"`
	Waiting  int64  `json:"waiting"`
}

// worstTenants is how many tenants `jobs stats` names.
const worstTenants = 10

func (c *cli) jobsStats() *cobra.Command {
	return c.asOperator("stats", "Count jobs by queue, and name the tenants with the most waiting jobs",
		"Jobs that ended well or were cancelled are not counted. Tenants are counted among the first 20000 waiting jobs of each queue.",
		func(ctx context.Context, o *owner, q *jobqueue.Operator, _ []string) error {
			stats, err := q.Stats(ctx, worstTenants)
			if err != nil {
				return err
			}
			return c.printStats(ctx, o, stats)
		})
}

func (c *cli) printStats(ctx context.Context, o *owner, stats jobqueue.Stats) error {
	view := struct {
		Queues  []queueView      `json:"queues"`
		Tenants []tenantJobsView `json:"tenants"`
	}{Tenants: []tenantJobsView{}}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	var rows [][]string
	for _, name := range jobqueue.Queues() {
		s := stats.Queues[name]
		view.Queues = append(view.Queues, queueView{
			Queue: name, Waiting: s.Waiting, Scheduled: s.Scheduled, Running: s.Running, Retryable: s.Retryable, Discarded: s.Discarded,
			OldestAgeSeconds: s.OldestAge.Seconds(), Paused: s.Paused,
		})
		paused := "no"
		if s.Paused {
			paused = "yes"
		}
		rows = append(rows, []string{
			name, number(s.Waiting), number(s.Scheduled), number(s.Running), number(s.Retryable), number(s.Discarded),
			s.OldestAge.Round(100 * time.Millisecond).String(), paused,
		})
	}
	ids := make([]string, len(stats.Tenants))
	for i, t := range stats.Tenants {
		ids[i] = t.TenantID
	}
	slugs, err := slugsOf(ctx, o, ids)
	if err != nil {
		return err
	}
	var worst [][]string
	for _, t := range stats.Tenants {
		view.Tenants = append(view.Tenants, tenantJobsView{Tenant: slugs[t.TenantID], TenantID: t.TenantID, Waiting: t.Waiting})
		worst = append(worst, []string{slugs[t.TenantID], number(t.Waiting)})
	}
	header := []string{"QUEUE", "WAITING", "SCHEDULED", "RUNNING", "RETRYABLE", "DISCARDED", "OLDEST", "PAUSED"}
	if err = c.print(view, header, rows); err != nil || c.output == outputJSON || len(worst) == 0 {
		return err
	}
	return c.print(nil, []string{"\nTENANT", "WAITING"}, worst)
}

func (c *cli) jobsPause() *cobra.Command {
	return c.queueCommand("pause QUEUE", "Keep all processes from taking jobs of a queue",
		"They hear of it within some two seconds. Jobs that run go on, and jobs go on being enqueued. To stop the jobs of one tenant, suspend it:\n"+
			"rowhouse tenant suspend TENANT.",
		func(ctx context.Context, q *jobqueue.Operator, queue string) error {
			if err := q.Pause(ctx, queue); err != nil {
				return err
			}
			c.note("next: rowhouse jobs resume %s", queue)
			return nil
		})
}

func (c *cli) jobsResume() *cobra.Command {
	return c.queueCommand("resume QUEUE", "Let a paused queue be worked again", "All processes hear of it within some two seconds.",
		func(ctx context.Context, q *jobqueue.Operator, queue string) error { return q.Resume(ctx, queue) })
}

// queueCommand makes a command on one queue, which shows how it stands then.
func (c *cli) queueCommand(use, short, long string, change func(ctx context.Context, q *jobqueue.Operator, queue string) error) *cobra.Command {
	cmd := c.asOperator(use, short, long, func(ctx context.Context, _ *owner, q *jobqueue.Operator, args []string) error {
		if err := change(ctx, q, args[0]); err != nil {
			return err
		}
		stats, err := q.Stats(ctx, 0)
		if err != nil {
			return err
		}
		s := stats.Queues[args[0]]
		view := struct {
			Queue   string `json:"queue"`
			Paused  bool   `json:"paused"`
			Waiting int64  `json:"waiting"`
			Running int64  `json:"running"`
		}{args[0], s.Paused, s.Waiting, s.Running}
		return c.printOne(view, [][]string{
			{"queue", view.Queue}, {"paused", strconv.FormatBool(view.Paused)}, {"waiting", strconv.FormatInt(view.Waiting, 10)},
			{"running", strconv.FormatInt(view.Running, 10)},
		})
	})
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return completeQueues(cmd, args, prefix)
	}
	return cmd
}
