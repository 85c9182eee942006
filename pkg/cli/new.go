package cli

import (
	"github.com/spf13/cobra"

	"github.com/rowhousehq/rowhouse/pkg/scaffold"
)

func (c *cli) newCommand() *cobra.Command {
	o := scaffold.Options{Version: version}
	cmd := &cobra.Command{
		Use: "new DIR", Short: "Write the skeleton of a product of your own: a program that builds, passes its tests and runs", Args: takes("DIR"),
		Long: "Write the skeleton of a product of your own into DIR, which is empty or not there yet: a Go module with migrations, an API, a test with two\n" +
			"tenants, a Makefile and a Dockerfile. `make up` there starts it. docs/build-your-own.md says how to go on.\n\n" +
			"The module requires Rowhouse in the version of this program. A development build has none that could be required: --replace then names the\n" +
			"directory of its source.",
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(_ *cobra.Command, args []string) error {
			o.Dir = args[0]
			name, err := scaffold.New(o)
			if err != nil {
				return err
			}
			if err = c.printOne(map[string]string{"name": name, "dir": o.Dir}, [][]string{{"name", name}, {"dir", o.Dir}}); err != nil {
				return err
			}
			c.note("next: cd %s && make test && make up", o.Dir)
			return nil
		},
	}
	cmd.Flags().StringVar(&o.Module, "module", "", "`path` of the Go module, whose last part is the program's name (default example.com/ and the name of DIR)")
	cmd.Flags().StringVar(&o.Replace, "replace", "", "`directory` with the source of Rowhouse, to be used instead of a released version")
	return cmd
}
