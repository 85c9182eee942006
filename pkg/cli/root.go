package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/rowhouse"
)

// The exit codes. They are part of the interface: scripts rely on them.
const (
	exitDone     = 0
	exitFailed   = 1
	exitUsage    = 2
	exitNotFound = 3
	exitPartial  = 4
	exitRefused  = 5
)

// cli is one call of the program.
type cli struct {
	product  rowhouse.Product
	out, err io.Writer // data and messages
	environ  []string
	output   string // --output
}

// usageError is a command line that makes no sense. Its message says what would.
type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// run carries out a command line and gives the exit code.
func (c *cli) run(ctx context.Context, args []string) int {
	root := c.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil {
		e, isOurs := errors.AsType[*apperr.Error](err)
		message := err.Error()
		switch {
		case isOurs: // One line: causes from below may have several.
			message = strings.Join(strings.FieldsFunc(message, func(r rune) bool { return r == '\n' || r == '\t' }), " ")
		case ctx.Err() != nil && errors.Is(err, context.Canceled): // Ctrl-C; where it was is nobody's concern.
			message = "interrupted before it was done: run it again"
		}
		c.note("%s: %s", c.product.Name, message)
		if isOurs {
			for _, f := range e.Fields {
				if !strings.Contains(e.Message, f.Message) {
					c.note("  %s: %s", f.Path, f.Message)
				}
			}
		}
	}
	return exitCode(err)
}

func exitCode(err error) int {
	if err == nil {
		return exitDone
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[*config.Error](err); ok {
		return exitUsage
	}
	switch apperr.CodeOf(err) {
	case apperr.Invalid:
		return exitUsage
	case apperr.NotFound:
		return exitNotFound
	case apperr.Partial:
		return exitPartial
	case apperr.Refused:
		return exitRefused
	default:
		return exitFailed
	}
}

func (c *cli) root() *cobra.Command {
	root := c.group(c.product.Name, "A multi-tenant platform: every customer in a PostgreSQL schema of its own",
		"Exit codes: 0 done, 1 failed, 2 wrong usage or input, 3 not found, 4 partly done, 5 refused.",
		c.upCommand(), c.serveCommand(), c.workCommand(), c.provisionCommand(), c.migrateCommand(), c.fleetCommand(), c.migrationsCommand(),
		c.tenantCommand(), c.planCommand(), c.jobsCommand(), c.keyCommand(), c.userCommand(), c.secretsCommand(), c.isolationCommand(),
		c.doctorCommand(), c.hardenCommand(), c.configCommand(), c.healthCommand(), c.versionCommand())
	if c.product.Name == "rowhouse" { // The version of another product's program is not the platform's.
		root.AddCommand(c.newCommand())
	}
	root.SilenceErrors, root.SilenceUsage = true, true
	root.Version = version
	root.SetHelpCommand(&cobra.Command{ // cobra's own ends well although it knows no such command.
		Use: "help [COMMAND]", Short: "Help about any command",
		RunE: func(_ *cobra.Command, args []string) error {
			found, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return usagef("there is no command %q: `rowhouse --help` lists them", strings.Join(args, " "))
			}
			return found.Help()
		},
	})
	root.SetOut(c.out)
	root.SetErr(c.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%s; `%s --help` lists the flags", suggestFlag(cmd, err.Error()), cmd.CommandPath())
	})
	flags := root.PersistentFlags()
	config.BindConfigFlag(flags)
	config.BindFlags(flags, "data_dir")
	flags.StringVarP(&c.output, "output", "o", "table", "how to print data: table or json")
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if c.output != outputTable && c.output != outputJSON {
			return usagef("--output takes table or json, not %q", c.output)
		}
		return nil
	}
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{outputTable, outputJSON}, cobra.ShellCompDirectiveNoFileComp))
	c.nameAll(root)
	return root
}

// group is a command that only holds others. Alone it prints its help; an unknown word after it is an error.
func (c *cli) group(use, short, long string, children ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: strings.TrimSpace(short + ".\n\n" + long),
		Args:                       cobra.ArbitraryArgs,
		SuggestionsMinimumDistance: 2,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		message := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			return usagef("%s: did you mean %q?", message, near[0])
		}
		return usagef("%s; `%s --help` lists what there is", message, cmd.CommandPath())
	}
	cmd.AddCommand(children...)
	return cmd
}

// takes checks the number of arguments and names what is missing.
func takes(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		if len(args) < len(names) {
			return usagef("%s is missing: %s", strings.Join(names[len(args):], " and "), cmd.UseLine())
		}
		if len(names) == 0 {
			return usagef("%q is one argument too many: %s", args[0], cmd.UseLine())
		}
		return usagef("%q is one argument too many: %s", args[len(names)], cmd.UseLine())
	}
}

// suggestFlag adds the nearest flags to pflag's message about one that is unknown. What is near, cobra decides, as it does for commands.
func suggestFlag(cmd *cobra.Command, message string) string {
	name, unknown := strings.CutPrefix(message, "unknown flag: --")
	if !unknown {
		return message
	}
	flags := &cobra.Command{SuggestionsMinimumDistance: 2}
	for _, flag := range flagNames(cmd) {
		flags.AddCommand(&cobra.Command{Use: flag, Run: func(*cobra.Command, []string) {}})
	}
	near := flags.SuggestionsFor(name)
	if len(near) == 0 {
		return message
	}
	slices.Sort(near)
	return message + ": did you mean --" + strings.Join(near, " or --") + "?"
}

// load reads the configuration with the command's flags.
func (c *cli) load(cmd *cobra.Command) (config.Config, config.Sources, error) {
	environ := slices.DeleteFunc(slices.Clone(c.environ), func(entry string) bool { return strings.HasPrefix(entry, hardenVariable+"=") })
	return config.Load(config.LoadOptions{Flags: cmd.Flags(), Environ: environ, Search: config.SearchPath()})
}
