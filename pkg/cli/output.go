package cli

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const (
	outputTable = "table"
	outputJSON  = "json"
)

// print writes data to standard output: as JSON, or as the table that its rows make. Every row has as many cells as the header.
func (c *cli) print(data any, header []string, rows [][]string) error {
	if c.output == outputJSON {
		encoder := json.NewEncoder(c.out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(data)
	}
	table := tabwriter.NewWriter(c.out, 0, 8, 2, ' ', 0)
	for _, row := range append([][]string{header}, rows...) {
		if len(row) > 0 {
			_, _ = fmt.Fprintln(table, strings.Join(row, "\t")) // Flush reports what went wrong.
		}
	}
	return table.Flush()
}

// printOne is print for a single thing, whose table has a line per field.
func (c *cli) printOne(data any, fields [][]string) error { return c.print(data, nil, fields) }

// note writes a message for people to standard error.
func (c *cli) note(format string, args ...any) {
	_, _ = fmt.Fprintln(c.err, c.named(fmt.Sprintf(format, args...))) // If standard error is gone there is nobody to tell.
}

// commandLine is how the messages of all packages speak of this program's commands.
const commandLine = `\browhouse (up|serve|work|provision|migrate|migrations|fleet|tenant|plan|jobs|` +
	`key|user|secrets|isolation|doctor|harden|config|health|new|--help)`

// named gives text with the program's own name in the commands that it tells people to run.
func (c *cli) named(text string) string {
	if c.product.Name == "rowhouse" || c.product.Name == "" {
		return text
	}
	return regexp.MustCompile(commandLine).ReplaceAllString(text, c.product.Name+" $1")
}

// nameAll does that for the help of cmd and all below it.
func (c *cli) nameAll(cmd *cobra.Command) {
	cmd.Short, cmd.Long = c.named(cmd.Short), c.named(cmd.Long)
	cmd.Flags().VisitAll(func(f *pflag.Flag) { f.Usage = c.named(f.Usage) })
	for _, child := range cmd.Commands() {
		c.nameAll(child)
	}
}

// flagNames lists the flags of cmd, its parents' included.
func flagNames(cmd *cobra.Command) []string {
	var names []string
	add := func(f *pflag.Flag) { names = append(names, f.Name) }
	cmd.LocalFlags().VisitAll(add)
	cmd.InheritedFlags().VisitAll(add)
	return names
}

// count formats a number for a table.
func count(n int) string { return strconv.Itoa(n) }
