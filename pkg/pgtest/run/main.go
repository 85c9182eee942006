// Command run runs another command with a PostgreSQL server for its tests:
//
//	go run ./pkg/pgtest/run [-set NAME=VALUE]... -- go test ./...
//
// It starts one server, with the settings of PostgreSQL that -set gives it, gives its URL to the command in TEST_DATABASE_URL, and
// removes the server when the command has ended. Where TEST_DATABASE_URL is set already, it only runs the command. Its exit code is the
// command's, or 128 and the number of the signal that ended it, as in a shell; 2 when it was called wrongly, 1 when there is no server.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"github.com/rowhousehq/rowhouse/pkg/pgtest/internal/testserver"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	settings := map[string]string{}
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprintln(os.Stderr, "usage: run [-set NAME=VALUE]... -- COMMAND [ARGUMENT...]") }
	flags.Func("set", "", func(setting string) error {
		name, value, ok := strings.Cut(setting, "=")
		if !ok || name == "" {
			return errors.New("want NAME=VALUE, as in shared_buffers=1GB")
		}
		settings[name] = value
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if args = flags.Args(); len(args) == 0 {
		flags.Usage()
		return 2
	}
	// The command gets what a terminal sends to the whole group a second time, which does no harm; what is sent to us alone, it needs.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)

	if os.Getenv(testserver.EnvURL) != "" {
		return command(args, os.Environ(), signals)
	}
	server, err := start(settings, signals)
	if err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
		return 1
	}
	code := command(args, append(os.Environ(), testserver.EnvURL+"="+server.URL), signals)
	if err = server.Stop(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
		code = max(code, 1)
	}
	return code
}

// start starts the server, or gives up when a signal comes.
func start(settings map[string]string, signals <-chan os.Signal) (*testserver.Server, error) {
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	server, err := testserver.Start(ctx, settings)
	cancel()
	<-stopped
	return server, err
}

// command runs the command with our standard streams, passes signals on, and gives its exit code.
func command(args, environ []string, signals <-chan os.Signal) int {
	// A context would kill it, and it is to end by itself.
	cmd := exec.CommandContext(context.Background(), args[0], args[1:]...) //nolint:gosec // Running what it is told is its purpose.
	cmd.Env = environ
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
		return 127
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case sig := <-signals:
			if err := cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
				fmt.Fprintln(os.Stderr, "run:", err)
			}
		case err := <-ended:
			return exitCode(err)
		}
	}
}

func exitCode(err error) int {
	if err == nil {
		return 0
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		fmt.Fprintln(os.Stderr, "run:", err)
		return 1
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return exit.ExitCode()
}
