package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/migrationlint"
)

func (c *cli) migrationsCommand() *cobra.Command {
	return c.group("migrations", "Check migration files before they are released", "", c.migrationsLint())
}

func (c *cli) migrationsLint() *cobra.Command {
	var strict, rules bool
	cmd := &cobra.Command{
		Use: "lint [DIR]", Short: "Read tenant migrations for what must not, or had better not, run in thousands of schemas",
		Long: "Read tenant migrations for what must not, or had better not, run in thousands of schemas: those of this program, or the goose files in DIR.\n\n" +
			"It parses each statement with PostgreSQL's own parser, needs no database and runs nothing. Errors (names with a schema, roles and rights,\n" +
			"settings, SELECT *, …) make the exit code 5. Warnings are statements that lock or rewrite a table, break code of the release before, or do not\n" +
			"work on a distributed database; with --strict they make it 5, too. Each finding says how to do it instead; docs/migrations.md says more.\n\n" +
			"A comment \"-- lint:allow RULE reason\" before a statement allows what the rule finds in it.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("%q is one argument too many: rowhouse migrations lint [DIR]", args[1])
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if rules {
				return c.printRules()
			}
			name := "this program's tenant migrations"
			fsys, err := c.product.TenantFiles()
			if err != nil {
				return err
			}
			if len(args) > 0 {
				name = args[0]
				if info, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
					return apperr.New(apperr.NotFound, "there is no directory %s", name)
				}
				fsys = os.DirFS(name)
			}
			return c.lint(fsys, name, strict)
		},
	}
	cmd.Flags().BoolVar(&strict, "strict", false, "warnings, too, make the exit code 5")
	cmd.Flags().BoolVar(&rules, "rules", false, "list the rules and read nothing")
	return cmd
}

// lint prints what is wrong with the files of fsys. Errors, and if strict warnings, make an error.
func (c *cli) lint(fsys fs.FS, name string, strict bool) error {
	findings, err := migrationlint.Lint(fsys)
	if errors.Is(err, migrationlint.ErrNoFiles) {
		return apperr.New(apperr.NotFound, "%s holds no migrations: %s", name, err)
	}
	if err != nil {
		return apperr.Wrap(err, apperr.Invalid, "%s cannot be read", name)
	}
	report := struct {
		Errors   int                     `json:"errors"`
		Warnings int                     `json:"warnings"`
		Findings []migrationlint.Finding `json:"findings"`
	}{Findings: append([]migrationlint.Finding{}, findings...)}
	var rows [][]string
	for _, f := range findings {
		level := string(f.Severity)
		switch f.Severity {
		case migrationlint.Error:
			report.Errors++
		case migrationlint.Warning:
			report.Warnings++
			if f.Kind != "" {
				level += " (" + string(f.Kind) + ")"
			}
		}
		rows = append(rows, []string{fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column), level, f.Rule, f.Problem, f.Fix})
	}
	header := []string{"PLACE", "SEVERITY", "RULE", "PROBLEM", "TO MEND"}
	if len(rows) == 0 {
		header = nil
	}
	if err = c.print(report, header, rows); err != nil {
		return err
	}
	if report.Errors > 0 || strict && report.Warnings > 0 {
		return apperr.New(apperr.Refused, "%d errors and %d warnings in %s: what mends each stands above", report.Errors, report.Warnings, name)
	}
	c.note("%s: no errors, %d warnings", name, report.Warnings)
	return nil
}

// printRules lists what lint looks for.
func (c *cli) printRules() error {
	all := migrationlint.Rules()
	var rows [][]string
	for _, r := range all {
		kind := string(r.Kind)
		if kind == "" {
			kind = "-"
		}
		rows = append(rows, []string{r.Name, string(r.Severity), kind, r.Looks, r.Why, r.Safe})
	}
	return c.print(all, []string{"RULE", "SEVERITY", "KIND", "LOOKS FOR", "WHY", "INSTEAD"}, rows)
}
