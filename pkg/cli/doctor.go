package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

func (c *cli) doctorCommand() *cobra.Command {
	var fix bool
	cmd := c.asOwner("doctor", "Find what kills, faults or people have left between catalog, schemas, roles and queue",
		"Schemas, roles and logins of no tenant; tenants whose schema, role, login, membership, rights or seal are missing; creations and deletions\n"+
			"that were cut off an hour ago or longer; versions that the catalog has wrong; jobs of deleted tenants.\n\n"+
			"--fix mends what can be mended without losing anything: no schema that holds a row is dropped, and no role that owns something. For the\n"+
			"rest it says what to run. The exit code is 0 if all is well or was mended, else 5.",
		func(ctx context.Context, _ config.Config, o *owner, _ []string) error {
			found, err := o.Doctor(ctx, fix)
			if err != nil {
				return err
			}
			return c.showTroubles(found, fix)
		})
	cmd.Flags().BoolVar(&fix, "fix", false, "mend what is safe to mend")
	return cmd
}

func (c *cli) showTroubles(found []tenancy.Trouble, fix bool) error {
	report := struct {
		Troubles []tenancy.Trouble `json:"troubles"`
		Fixed    int               `json:"fixed"`
		Left     int               `json:"left"`
	}{Troubles: append([]tenancy.Trouble{}, found...)}
	rows, safe := make([][]string, len(found)), 0
	for i, t := range found {
		outcome := "by hand"
		switch {
		case t.Fixed:
			outcome = "fixed"
			report.Fixed++
		case t.Error != "":
			outcome = "failed: " + t.Error
		case t.Safe:
			outcome = "--fix"
			safe++
		}
		rows[i] = []string{t.Kind, t.Object, t.Problem, c.named(t.Fix), outcome}
	}
	report.Left = len(found) - report.Fixed
	header := []string{"KIND", "OBJECT", "PROBLEM", "TO MEND", "OUTCOME"}
	if len(rows) == 0 {
		header = nil
	}
	if err := c.print(report, header, rows); err != nil {
		return err
	}
	switch {
	case report.Left == 0:
		c.note("%d troubles found, all mended", len(found))
		return nil
	case fix:
		return apperr.New(apperr.Refused, "%d of %d troubles are left: what mends each stands above", report.Left, len(found))
	default:
		return apperr.New(apperr.Refused, "%d troubles, of which `rowhouse doctor --fix` mends %d: what mends each stands above", len(found), safe)
	}
}
