// Package cli is the program: each command has a file, which parses flags into a configuration and calls one function, and app.go puts the parts
// together. [Main] is all of it that others call.
package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // Tenants have time zones, and not every machine has a database of them.
)

// version is set by the linker. See the Makefile.
var version = "dev"

// Main runs the program with the process's arguments, environment and streams, until it has done what they ask for or a signal ends it, and
// gives the exit code.
func Main() int {
	// The first signal asks for an orderly end; after it the default is back, so that a second one ends the program at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	c := &cli{out: os.Stdout, err: os.Stderr, environ: os.Environ()}
	return c.run(ctx, os.Args[1:])
}
