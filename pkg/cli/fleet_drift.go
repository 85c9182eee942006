package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func (c *cli) fleetDrift() *cobra.Command {
	var workers int
	cmd := c.asOwner("drift [TENANT...]", "Show what tenants' schemas hold otherwise than they should",
		"Each schema (all of them, or those of the tenants named) is compared with what this program's migrations, grants and seal make of the\n"+
			"tenant's version and tier. A line with - is what should be there, one with + is what is there instead or too much. Nothing is changed.\n\n"+
			"Exit code 4 if any has drifted, or could not be compared: this program does not know the version of one that a newer one has migrated.",
		func(ctx context.Context, _ config.Config, o *owner, args []string) error {
			return c.drift(ctx, o, args, workers)
		})
	cmd.Args = func(*cobra.Command, []string) error {
		if workers < 1 || workers > 64 {
			return usagef("--workers takes 1 to 64, not %d", workers)
		}
		return nil
	}
	cmd.ValidArgsFunction = func(cmd *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		return c.completeTenants(cmd, nil, prefix)
	}
	cmd.Flags().IntVar(&workers, "workers", 4, "how many tenants are compared at a time")
	return cmd
}

// drifted is one tenant in the report of `fleet drift`.
type drifted struct {
	Slug          string                    `json:"slug"`
	SchemaVersion int64                     `json:"schema_version"`
	Tier          tenantschema.Tier         `json:"tier"`
	State         tenancy.State             `json:"state"`
	Differences   []tenantschema.Difference `json:"differences,omitempty"`
	Error         string                    `json:"error,omitempty"`
}

func (c *cli) drift(ctx context.Context, o *owner, names []string, workers int) error {
	tenants, err := o.Comparable(ctx, names)
	if err != nil {
		return err
	}
	report := struct {
		Compared int       `json:"compared"`
		Drifted  int       `json:"drifted"`
		Failed   int       `json:"failed"`
		Tenants  []drifted `json:"tenants"`
	}{Tenants: []drifted{}}
	began := time.Now()
	progress := c.progress("tenants compared", len(tenants))
	driftErr := o.Drift(ctx, tenants, workers, func(r tenancy.DriftResult) {
		d := drifted{
			Slug: r.Tenant.Slug, SchemaVersion: r.Tenant.SchemaVersion, Tier: r.Tenant.Tier, State: r.Tenant.State, Differences: r.Differences,
		}
		switch {
		case r.Err != nil:
			report.Failed++
			d.Error = r.Err.Error()
		case len(r.Differences) > 0:
			report.Drifted++
		}
		if r.Err == nil {
			report.Compared++
		}
		if r.Err != nil || len(r.Differences) > 0 {
			report.Tenants = append(report.Tenants, d)
		}
		progress.step(r.Err != nil)
	})
	progress.end()
	slices.SortFunc(report.Tenants, func(a, b drifted) int { return strings.Compare(a.Slug, b.Slug) })
	if c.output == outputJSON {
		err = c.print(report, nil, nil)
	} else {
		err = c.printDrift(report.Tenants)
	}
	if err != nil {
		return err
	}
	c.note("%d tenants compared, %d have drifted, %d could not be compared, in %s",
		report.Compared, report.Drifted, report.Failed, time.Since(began).Round(time.Millisecond))
	return driftErr
}

// printDrift writes a paragraph for each tenant. It is no table: definitions have lines and tabs of their own.
func (c *cli) printDrift(tenants []drifted) error {
	for _, t := range tenants {
		var text strings.Builder
		fmt.Fprintf(&text, "%s (version %d, %s, %s)\n", t.Slug, t.SchemaVersion, t.Tier, t.State)
		if t.Error != "" {
			fmt.Fprintf(&text, "  not compared: %s\n", t.Error)
		}
		for _, d := range t.Differences {
			text.WriteString("  " + strings.ReplaceAll(d.String(), "\n", "\n  ") + "\n")
		}
		if _, err := fmt.Fprint(c.out, text.String()); err != nil {
			return err
		}
	}
	return nil
}
