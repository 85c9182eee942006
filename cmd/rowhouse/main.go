// Command rowhouse serves, works, migrates and administers a Rowhouse. See the README, or `rowhouse help`.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // Tenants have time zones, and not every machine has a database of them.
)

// version is set by the linker. See the Makefile.
var version = "dev"

func main() {
	// The first signal asks for an orderly end; after it the default is back, so that a second one ends the program at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	c := &cli{out: os.Stdout, err: os.Stderr, environ: os.Environ()}
	os.Exit(c.run(ctx, os.Args[1:]))
}
