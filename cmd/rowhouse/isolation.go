package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func (c *cli) isolationCommand() *cobra.Command {
	prove := c.asOwner("prove TENANT", "Try to reach every other tenant's tables from inside TENANT's scope",
		"From inside the tenant's scope, with its role, every other tenant's tables are read, written and altered by name. PostgreSQL must refuse\n"+
			"each attempt. An attempt that succeeds is undone, named, and makes the exit code 5.",
		func(ctx context.Context, cfg config.Config, o *owner, args []string) error {
			return c.prove(ctx, cfg, o, args[0])
		})
	return c.group("isolation", "Show that tenants cannot reach each other", "", prove)
}

// breach is an attempt that PostgreSQL did not refuse.
type breach struct {
	Victim    string `json:"victim"`
	Statement string `json:"statement"`
	Result    string `json:"result"`
}

func (c *cli) prove(ctx context.Context, cfg config.Config, o *owner, slug string) error {
	attacker, err := o.Get(ctx, slug)
	if err != nil {
		return err
	}
	others, err := o.List(ctx, tenancy.ListFilter{})
	if err != nil {
		return err
	}
	engine, err := o.openEngine(ctx, cfg)
	if err != nil {
		return err
	}
	defer engine.Close()
	report := struct {
		Tenant   string   `json:"tenant"`
		Victims  int      `json:"victims"`
		Attempts int      `json:"attempts"`
		Refused  int      `json:"refused"`
		Breaches []breach `json:"breaches"`
	}{Tenant: attacker.Slug, Breaches: []breach{}}
	var rows [][]string
	scope := engine.Tenant(attacker.Engine())
	for _, victim := range others {
		if victim.ID == attacker.ID || victim.State == tenancy.StateArchived || victim.State == tenancy.StateProvisioning {
			continue
		}
		attempts, err := tenantschema.Probe(ctx, o.pool, scope, victim.Schema)
		if err != nil {
			return err
		}
		refused := 0
		for _, attempt := range attempts {
			if attempt.Refused {
				refused++
				continue
			}
			report.Breaches = append(report.Breaches, breach{victim.Slug, attempt.Statement, attempt.Result})
			c.note("BREACH: inside %s: %s: %s", attacker.Slug, attempt.Statement, attempt.Result)
		}
		report.Victims++
		report.Attempts += len(attempts)
		report.Refused += refused
		rows = append(rows, []string{attacker.Slug, victim.Slug, count(len(attempts)), count(refused), count(len(attempts) - refused)})
	}
	if len(rows) == 0 && c.output == outputTable {
		c.note("there is no other tenant to try it on")
		return nil
	}
	if err = c.print(report, []string{"FROM", "INTO", "ATTEMPTS", "REFUSED", "BREACHES"}, rows); err != nil {
		return err
	}
	if n := len(report.Breaches); n > 0 {
		return apperr.New(apperr.Refused, "%d of %d attempts were not refused by PostgreSQL", n, report.Attempts)
	}
	return nil
}
