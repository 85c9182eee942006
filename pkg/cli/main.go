// Package cli is the program: each command has a file, which parses flags into a configuration and calls one function, and app.go puts the parts
// together. [Main] is all of it that others call.
package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // Tenants have time zones, and not every machine has a database of them.

	"github.com/rowhousehq/rowhouse/pkg/rowhouse"
)

// version is set by the linker. See the Makefile.
var version = "dev"

// Main runs the program of a product with the process's arguments, environment and streams, until it has done what they ask for or a signal
// ends it, and gives the exit code.
func Main(product rowhouse.Product) int {
	// The first signal asks for an orderly end; after it the default is back, so that a second one ends the program at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	product, err := product.Valid()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err) // It is a mistake in the program.
		return exitFailed
	}
	c := &cli{product: product, out: os.Stdout, err: os.Stderr, environ: os.Environ()}
	return c.run(ctx, os.Args[1:])
}
