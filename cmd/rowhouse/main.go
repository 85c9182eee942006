// Command rowhouse serves, works, migrates and administers a Rowhouse with the workspace in it. See the README, or `rowhouse help`.
package main

import (
	"os"

	"github.com/rowhousehq/rowhouse/pkg/cli"
)

func main() { os.Exit(cli.Main(product())) }
