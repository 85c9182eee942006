package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/isolation"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

func (c *cli) isolationCommand() *cobra.Command {
	return c.group("isolation", "Show that tenants cannot reach each other", "", c.isolationProve(), c.isolationVerify(), c.isolationKey())
}

// maxRows is how many tenants the table shows one by one.
const maxRows = 50

// maxNotes is how many breaches are told on standard error; the report has all.
const maxNotes = 20

func (c *cli) isolationProve() *cobra.Command {
	var all bool
	var reportFile string
	cmd := c.asOwner("prove [TENANT]", "Attack tenants from inside others, and compare the database with what should be there",
		"From inside the tenant's scope, with its role and on its login, every other tenant's tables are read, written, locked, altered and dropped\n"+
			"by name, directly and after every change of role that SQL can make; and some others attack it. With --all each tenant attacks a few others\n"+
			"and is attacked by at least one. Every attempt is undone. Owners, rights, policies, views, functions, roles and memberships of the whole\n"+
			"database are compared with what should be there.\n\n"+
			"A hole is named, with what mends it, and makes the exit code 5. What a tier does not promise is no hole, and is said.",
		func(ctx context.Context, cfg config.Config, o *owner, args []string) error {
			return c.prove(ctx, cfg, o, args, reportFile)
		})
	cmd.Args = func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) == 0 && !all:
			return usagef("say whom: rowhouse isolation prove TENANT, or rowhouse isolation prove --all")
		case len(args) > 0 && all:
			return usagef("%q is one argument too many: --all is all tenants", args[0])
		case len(args) > 1:
			return usagef("%q is one argument too many: one tenant, or --all", args[1])
		}
		return nil
	}
	cmd.ValidArgsFunction = c.completeTenants
	cmd.Flags().BoolVar(&all, "all", false, "prove all tenants")
	cmd.Flags().StringVar(&reportFile, "report", "", "write the report to this file, signed")
	return cmd
}

func (c *cli) prove(ctx context.Context, cfg config.Config, o *owner, args []string, reportFile string) error {
	var key isolation.Key
	var one *tenancy.Tenant
	var err error
	if reportFile != "" { // Before the work.
		if key, err = readSigningKey(cfg); err != nil {
			return err
		}
	}
	if len(args) > 0 {
		t, err := o.Get(ctx, args[0])
		if err != nil {
			return err
		}
		one = &t
	}
	engine, err := o.openEngine(ctx, cfg)
	if err != nil {
		return err
	}
	defer engine.Close()
	conn, err := o.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("connect as owner: %w", err)
	}
	database, err := isolation.Identify(ctx, conn.Conn())
	conn.Release()
	if err != nil {
		return err
	}
	r, err := isolation.Prove(ctx, isolation.Config{
		Manager: o.Manager, Engine: engine, EnqueueRole: o.logins.Enqueuer(), Database: database, Version: version,
	}, one)
	if err != nil {
		return err
	}
	if reportFile != "" {
		text, err := r.Sign(key)
		if err != nil {
			return err
		}
		if err = writeFile(reportFile, string(text)); err != nil {
			return apperr.Wrap(err, apperr.Invalid, "the report cannot be written to %s", reportFile)
		}
		c.note("signed report: %s (key %s)", reportFile, key.Public().ID())
	}
	return c.showProof(r)
}

// showProof prints a report. Breaches make an error.
func (c *cli) showProof(r *isolation.Report) error {
	n := r.Counts
	header := []string{"TENANT", "TIER", "ATTACKS", "ATTACKED BY", "ATTEMPTS", "REFUSED", "UNDECIDED", "BY DESIGN", "BREACHES", "FINDINGS"}
	var rows [][]string
	for _, t := range r.Tenants {
		rows = append(rows, []string{
			t.Slug, string(t.Tier), count(t.Attacked), count(t.AttackedBy), count(t.Attempts), count(t.Refused),
			count(t.Undecided), count(t.ByDesign),
			count(t.Breaches), count(t.Findings),
		})
	}
	if len(rows) > maxRows {
		header, rows = []string{"TENANTS", "PROBES", "ATTEMPTS", "REFUSED", "UNDECIDED", "BY DESIGN", "BREACHES", "WARNINGS"}, [][]string{{
			count(n.Tenants), count(n.Probes), count(n.Attempts), count(n.Refused), count(n.Undecided), count(n.ByDesign), count(n.Breaches),
			count(n.Warnings),
		}}
	}
	if err := c.print(r, header, rows); err != nil {
		return err
	}
	if c.output == outputTable && len(r.Findings) > 0 {
		if _, err := fmt.Fprintln(c.out); err != nil {
			return err
		}
		rows = rows[:0:0]
		for _, f := range r.Findings {
			level, whose := "warning", f.Tenant
			if f.Breach {
				level = "BREACH"
			}
			if whose == "" {
				whose = "-"
			}
			rows = append(rows, []string{level, whose, f.Kind, f.Object, f.Problem, f.Mend})
		}
		if err := c.print(nil, []string{"LEVEL", "TENANT", "KIND", "OBJECT", "PROBLEM", "TO MEND"}, rows); err != nil {
			return err
		}
	}
	c.noteProof(r)
	if n.Breaches > 0 {
		return apperr.New(apperr.Refused, "%d breaches: the walls between tenants have holes; what mends each stands above", n.Breaches)
	}
	return nil
}

// noteProof tells people what a report means.
func (c *cli) noteProof(r *isolation.Report) {
	for i, f := range r.Breaches() {
		if i == maxNotes {
			c.note("… and %d more breaches: the report has them all", len(r.Breaches())-i)
			break
		}
		c.note("BREACH: %s: %s", f.Object, f.Problem)
	}
	limits := map[string]bool{}
	for _, t := range r.Tenants {
		for _, limit := range t.Limits {
			if !limits[limit] {
				c.note("by design: %s", limit)
			}
			limits[limit] = true
		}
	}
	if r.Counts.Probes == 0 {
		c.note("there is no other tenant to try it on: the database was inspected, nothing was attacked")
	}
}

func (c *cli) isolationVerify() *cobra.Command {
	var keyText string
	cmd := &cobra.Command{
		Use: "verify FILE", Short: "Check the signature of a report that isolation prove --report wrote", Args: takes("FILE"),
		Long: "Check the signature of a report that `isolation prove --report` wrote. It needs no database and no secret.\n\n" +
			"Without --key it shows that the file is as it was when it was signed by the key that it names; whose key that is, only who owns it can\n" +
			"say. With --key it must be that key's signature. Exit code 5 if not.",
		RunE: func(_ *cobra.Command, args []string) error { return c.verify(args[0], keyText) },
	}
	cmd.Flags().StringVar(&keyText, "key", "", "the signer's public key, as isolation key prints it")
	return cmd
}

// verified is what `isolation verify` shows.
type verified struct {
	File      string             `json:"file"`
	KeyID     string             `json:"key_id"`
	PublicKey string             `json:"public_key"`
	KeyGiven  bool               `json:"key_given"`
	Version   string             `json:"version"`
	Database  isolation.Database `json:"database"`
	Tenant    string             `json:"tenant,omitempty"`
	Finished  time.Time          `json:"finished"`
	Counts    isolation.Counts   `json:"counts"`
}

func (c *cli) verify(path, keyText string) error {
	var want isolation.PublicKey
	var err error
	if keyText != "" {
		if want, err = isolation.ParsePublicKey(keyText); err != nil {
			return err
		}
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return apperr.New(apperr.NotFound, "there is no file %s", path)
	}
	if err != nil {
		return apperr.Wrap(err, apperr.Invalid, "the report cannot be read")
	}
	r, key, err := isolation.Verify(text)
	if err != nil {
		return err
	}
	if keyText != "" && !key.Equal(want) {
		return apperr.New(apperr.Refused, "the report is signed by another key: %s (%s), not %s", key.ID(), key, want.ID())
	}
	v := verified{path, key.ID(), key.String(), keyText != "", r.Version, r.Database, r.Tenant, r.Finished, r.Counts}
	about := r.Tenant
	if about == "" {
		about = "all tenants"
	}
	err = c.printOne(v, [][]string{
		{"signature", "valid"},
		{"key", key.ID()},
		{"public key", key.String()},
		{"database", strings.TrimSpace(r.Database.Name + " at " + r.Database.Host + " " + r.Database.System)},
		{"about", about},
		{"finished", r.Finished.Format(time.RFC3339)},
		{"tenants", count(r.Counts.Tenants)},
		{"attempts", count(r.Counts.Attempts)},
		{"refused", count(r.Counts.Refused)},
		{"breaches", count(r.Counts.Breaches)},
		{"warnings", count(r.Counts.Warnings)},
	})
	if err == nil && keyText == "" {
		c.note("the file is as it was when this key signed it. Whose key it is, the file cannot prove: ask its owner for the output of " +
			"`rowhouse isolation key`, compare, or give it here as --key")
	}
	return err
}
