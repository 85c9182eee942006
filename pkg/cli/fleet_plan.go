package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/migrationlint"
)

// planView is a plan as JSON.
type planView struct {
	Target  int64      `json:"target"`
	Tenants int        `json:"tenants"`
	Waves   []int      `json:"waves"`
	Moves   []moveView `json:"moves"`
}

// moveView is what would be done with the tenants of one version.
type moveView struct {
	From    int64      `json:"from"`
	Tenants int        `json:"tenants"`
	Steps   []stepView `json:"steps"`
}

// stepView is a migration that would run.
type stepView struct {
	Version     int64  `json:"version"`
	File        string `json:"file"`
	Transaction bool   `json:"transaction"`
	// Marks are the statements that lock or rewrite tables which were there before.
	Marks []migrationlint.Finding `json:"marks,omitempty"`
}

func (c *cli) fleetPlan() *cobra.Command {
	var f runFlags
	var to int64
	cmd := c.asOwner("plan [TENANT...]", "Show what `fleet migrate` would do; changes nothing", "",
		func(ctx context.Context, _ config.Config, o *owner, args []string) error {
			opts, err := f.options(ctx, o, args)
			if err != nil {
				return err
			}
			opts.Target = to
			plan, err := o.PlanRun(ctx, opts)
			if err != nil {
				return err
			}
			files, err := c.product.TenantFiles()
			if err != nil {
				return err
			}
			marks, err := migrationlint.Locks(files)
			if err != nil {
				return err
			}
			view := planView{Target: plan.Options.Target, Tenants: plan.Tenants, Waves: append([]int{}, plan.Waves...), Moves: []moveView{}}
			var rows [][]string
			for _, move := range plan.Moves {
				m := moveView{From: move.From, Tenants: move.Tenants, Steps: []stepView{}}
				for _, step := range move.Steps {
					how := "in a transaction"
					if !step.Tx {
						how = "outside a transaction"
					}
					m.Steps = append(m.Steps, stepView{step.Version, step.File, step.Tx, marks[step.File]})
					rows = append(rows, []string{
						strconv.FormatInt(move.From, 10), count(move.Tenants), step.File, how, describeMarks(marks[step.File]),
					})
				}
				view.Moves = append(view.Moves, m)
			}
			if plan.Tenants == 0 {
				c.note("nothing to do: every tenant is on version %d", plan.Options.Target)
				return c.print(view, nil, nil)
			}
			if err = c.print(view, []string{"FROM", "TENANTS", "FILE", "HOW", "LOCKS OR REWRITES"}, rows); err != nil {
				return err
			}
			c.note("%d tenants go to version %d in %d waves: %s", plan.Tenants, plan.Options.Target, len(plan.Waves), joinInts(plan.Waves))
			return nil
		})
	cmd.Args = cobra.ArbitraryArgs
	f.bind(cmd)
	cmd.Flags().Int64Var(&to, "to", 0, "version to go to; 0 is the newest")
	return cmd
}

// describeMarks names the kinds and the places of statements.
func describeMarks(marks []migrationlint.Finding) string {
	texts := make([]string, len(marks))
	for i, m := range marks {
		texts[i] = fmt.Sprintf("%s in line %d (%s)", m.Kind, m.Line, m.Rule)
	}
	return strings.Join(texts, ", ")
}

func joinInts(numbers []int) string {
	texts := make([]string, len(numbers))
	for i, n := range numbers {
		texts[i] = count(n)
	}
	return strings.Join(texts, ", ")
}
