package cli

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
)

func (c *cli) jobsBackfills() *cobra.Command {
	return c.asOperator("backfills", "Show how far the data migrations have come that run in batches",
		"A tenant gets the job of a backfill within a minute of its schema's coming to the version that it needs. One that failed has a discarded\n"+
			"job: `rowhouse jobs list --kind jobs.backfill --state discarded` shows why, and `rowhouse jobs retry` lets it go on from where it was.",
		func(ctx context.Context, _ *owner, q *jobqueue.Operator, _ []string) error {
			list, err := q.Backfills(ctx)
			if err != nil {
				return err
			}
			if len(list) == 0 && c.output == outputTable {
				c.note("there are none: no tenant was given one")
				return nil
			}
			rows := make([][]string, len(list))
			for i, b := range list {
				rows[i] = []string{b.Name, "", "", "", "", b.Started.Format(time.RFC3339)}
				for column, n := range []int64{b.Tenants, b.Finished, b.Failed, b.Rows} {
					rows[i][column+1] = strconv.FormatInt(n, 10)
				}
			}
			return c.print(list, []string{"BACKFILL", "TENANTS", "FINISHED", "FAILED", "ROWS", "STARTED"}, rows)
		})
}
