package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// rehearsalView is a rehearsal as JSON.
type rehearsalView struct {
	Tenant      string          `json:"tenant"`
	From        int64           `json:"from"`
	Target      int64           `json:"target"`
	CopyMS      int64           `json:"copy_ms"`
	BeforeBytes int64           `json:"before_bytes"`
	AfterBytes  int64           `json:"after_bytes"`
	Steps       []rehearsedView `json:"steps"`
}

type rehearsedView struct {
	stepView

	DurationMS int64                   `json:"duration_ms"`
	Locks      []tenantschema.HeldLock `json:"locks"`
	Rewritten  []string                `json:"rewritten"`
	Error      string                  `json:"error,omitempty"`
}

func (c *cli) fleetRehearse() *cobra.Command {
	var to int64
	cmd := c.asOwner("rehearse [TENANT]", "Try the pending migrations on a copy of the largest tenant, or of one that is named",
		"The copy is made beside the tenant, from one moment, and removed at the end. It shows how long each file takes on that much data, which\n"+
			"locks it holds until its end, which tables it writes anew, and how the size changes. The tenant is only read; the disk must have room\n"+
			"for it once more. The exit code is 4 if a file fails.",
		func(ctx context.Context, _ config.Config, o *owner, args []string) error {
			name := ""
			if len(args) > 0 {
				name = args[0]
			}
			t, target, r, err := o.Rehearse(ctx, name, to)
			if err != nil {
				return err
			}
			if t.ID == "" {
				c.note("nothing to do: every tenant is on version %d", target)
				return c.print(rehearsalView{Target: target, Steps: []rehearsedView{}}, nil, nil)
			}
			view := rehearsalView{t.Slug, t.SchemaVersion, target, r.Copied.Milliseconds(), r.Before, r.After, []rehearsedView{}}
			var rows [][]string
			var failed error
			for _, step := range r.Steps {
				v := rehearsedView{
					stepView{step.Version, step.File, step.Tx, nil}, step.Took.Milliseconds(), append([]tenantschema.HeldLock{}, step.Locks...),
					append([]string{}, step.Rewritten...), "",
				}
				outcome := "done"
				if step.Err != nil {
					v.Error, outcome = step.Err.Error(), step.Err.Error()
					failed = apperr.New(apperr.Partial, "version %d fails on a copy of %s: mend it before you migrate", step.Version, t.Slug)
				}
				view.Steps = append(view.Steps, v)
				rows = append(rows, []string{
					strconv.FormatInt(step.Version, 10), step.File, step.Took.Round(time.Millisecond / 10).String(), describeLocks(step),
					strings.Join(step.Rewritten, ", "), strings.ReplaceAll(outcome, "\n", " "),
				})
			}
			if err = c.print(view, []string{"VERSION", "FILE", "TOOK", "LOCKS", "REWRITES", "OUTCOME"}, rows); err != nil {
				return err
			}
			c.note("copied %s in %s (%s); afterwards it had %s", t.Slug, r.Copied.Round(time.Millisecond), megabytes(r.Before), megabytes(r.After))
			return failed
		})
	cmd.Args = cobra.MaximumNArgs(1)
	cmd.ValidArgsFunction = c.completeTenants
	cmd.Flags().Int64Var(&to, "to", 0, "version to go to; 0 is the newest")
	bindTimeouts(cmd)
	return cmd
}

// describeLocks names the locks that matter.
func describeLocks(step tenantschema.RehearsedStep) string {
	if !step.Tx {
		return "not seen: outside a transaction"
	}
	texts := make([]string, len(step.Locks))
	for i, l := range step.Locks {
		texts[i] = l.Table + " " + strings.TrimSuffix(l.Mode, "Lock")
	}
	return strings.Join(texts, ", ")
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/(1<<20)) }
