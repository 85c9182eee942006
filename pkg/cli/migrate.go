package cli

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

func (c *cli) migrateCommand() *cobra.Command {
	var resetLogins bool
	up := &cobra.Command{
		Use: "up", Short: "Bring the control schema, River and every tenant to this program's versions", Args: takes(),
		Long: "Bring the control schema, River and every tenant to this program's versions, as the owner of the database.\n\n" +
			"Tenants go in one wave, each in one transaction where its files allow. One that fails stays on its old version, the others go on,\n" +
			"and the exit code is 4. It may be run again at any time. `rowhouse fleet` has more to say about how.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := c.load(cmd)
			if err != nil {
				return err
			}
			return c.migrateUp(cmd.Context(), cfg, resetLogins)
		},
	}
	up.Flags().BoolVar(&resetLogins, "reset-logins", false,
		"set the login roles' passwords anew although they were made with another login secret")
	status := &cobra.Command{
		Use: "status", Short: "Show which versions the schemas are on; changes nothing", Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := c.load(cmd)
			if err != nil {
				return err
			}
			return c.migrateStatus(cmd.Context(), cfg)
		},
	}
	for _, cmd := range []*cobra.Command{up, status} {
		config.BindFlags(cmd.Flags(), "database.url")
	}
	return c.group("migrate", "Migrate all schemas, or show their versions", "", up, status)
}

// migrated is one tenant in the report of `migrate up`.
type migrated struct {
	Slug       string        `json:"slug"`
	From       int64         `json:"from"`
	To         int64         `json:"to"`
	State      tenancy.State `json:"state"`
	DurationMS int64         `json:"duration_ms"`
	Error      string        `json:"error,omitempty"`
}

func (c *cli) migrateUp(ctx context.Context, cfg config.Config, resetLogins bool) error {
	logins, err := findLogins(cfg)
	if err != nil {
		return err
	}
	if err = migrateControl(ctx, logins, resetLogins); err != nil {
		return err
	}
	o, err := c.openOwner(ctx, cfg, logins)
	if err != nil {
		return err
	}
	defer o.pool.Close()
	report := struct {
		Target   int64      `json:"target"`
		Migrated int        `json:"migrated"`
		Failed   int        `json:"failed"`
		Tenants  []migrated `json:"tenants"`
	}{Target: o.Target(), Tenants: []migrated{}}
	started := time.Now()
	var rows [][]string
	migrateErr := c.migrateTenants(ctx, o, func(r tenancy.MigrationResult) {
		m := migrated{Slug: r.Tenant.Slug, From: r.From, To: r.To, State: r.Tenant.State, DurationMS: r.Duration.Milliseconds()}
		outcome := "done"
		report.Migrated++
		if r.Err != nil {
			m.Error, outcome = r.Err.Error(), r.Err.Error()
			report.Migrated--
			report.Failed++
		}
		report.Tenants = append(report.Tenants, m)
		rows = append(rows, []string{r.Tenant.Label(), strconv.FormatInt(m.From, 10), strconv.FormatInt(m.To, 10), string(m.State), outcome})
	})
	header := []string{"TENANT", "FROM", "TO", "STATE", "OUTCOME"}
	if len(rows) == 0 {
		header = nil
	}
	if err = c.print(report, header, rows); err != nil {
		return err
	}
	c.note("control schema and River are current; %d tenants migrated to version %d, %d failed, in %s",
		report.Migrated, report.Target, report.Failed, time.Since(started).Round(time.Millisecond))
	return migrateErr
}

// migrateTenants brings all tenants forward. While somebody else runs over the fleet it waits, since a deployment starts several at once.
func (c *cli) migrateTenants(ctx context.Context, o *owner, report func(tenancy.MigrationResult)) error {
	told := false
	for {
		err := o.MigrateAll(ctx, operatorName(), report)
		if apperr.CodeOf(err) != apperr.Conflict {
			return err
		}
		if !told {
			c.note("waiting: %v", err)
			told = true
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Second):
		}
	}
}

func (c *cli) migrateStatus(ctx context.Context, cfg config.Config) error {
	logins, err := findLogins(cfg)
	if err != nil {
		return err
	}
	o, err := c.openOwner(ctx, cfg, logins)
	if err != nil {
		return err
	}
	defer o.pool.Close()
	type versions struct {
		Version int64         `json:"version"`
		State   tenancy.State `json:"state"`
		Tenants int           `json:"tenants"`
	}
	status := struct {
		Control       int64      `json:"control"`
		ControlTarget int64      `json:"control_target"`
		RiverCurrent  bool       `json:"river_current"`
		TenantTarget  int64      `json:"tenant_target"`
		Tenants       []versions `json:"tenants"`
	}{TenantTarget: o.Target(), Tenants: []versions{}}
	if status.Control, status.ControlTarget, err = tenancy.ControlVersion(ctx, o.pool); err != nil {
		return err
	}
	if status.Control == 0 {
		return apperr.New(apperr.Unavailable, "the database has no control schema yet: run `rowhouse migrate up`")
	}
	if status.RiverCurrent, err = jobqueue.MigrationsCurrent(ctx, o.pool); err != nil {
		return err
	}
	counts, err := o.Versions(ctx)
	if err != nil {
		return err
	}
	river := "current"
	if !status.RiverCurrent {
		river = "behind"
	}
	rows := [][]string{
		{"control", fmt.Sprintf("%d of %d", status.Control, status.ControlTarget), "", ""},
		{"river", river, "", ""},
	}
	for _, n := range counts {
		status.Tenants = append(status.Tenants, versions{n.Version, n.State, n.Tenants})
		rows = append(rows, []string{"tenants", fmt.Sprintf("%d of %d", n.Version, o.Target()), string(n.State), strconv.Itoa(n.Tenants)})
	}
	return c.print(status, []string{"SCHEMA", "VERSION", "STATE", "TENANTS"}, rows)
}
