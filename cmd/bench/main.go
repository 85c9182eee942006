// Command bench measures what it costs to keep tenants apart: the same HTTP handlers over four ways to the database, side by side.
//
//	            JSON lines                        HTTP/1.1, 32 clients, closed loop
//	bench ───────────────────▶ bench -role load ─────────────────────────────────────┐
//	  │         JSON lines                                                           ▼
//	  ├──────────────────────▶ bench -role server   ceiling │ naive │ pooled │ sealed    one Echo each
//	  │                                                 │        │       │        │
//	  └── SQL as superuser, /proc ──────────────▶ PostgreSQL: 8 connections of each
//
// The ways: "ceiling" is pgx on one schema without tenants, the most that this stack can do; "naive" sets role and path, queries and
// resets, one round trip each; "pooled" and "sealed" are tenantschema with tenants of those tiers.
//
// Guarantees: variants take turns in short rounds, and a ratio compares rounds that stand next to each other; each response is held
// against the tenant that was asked for, and each insert against the queue, so that no speed is gained by a wrong row; a run with an error
// or a wrong row fails. What it makes in the server of TEST_DATABASE_URL, it drops.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// envURL names a server to work on: its maintenance database, as a superuser. pkg/pgtest/run sets it.
const envURL = "TEST_DATABASE_URL"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout)
	if err != nil && ctx.Err() != nil { // The children have ended for the same reason, and may have said so first.
		err = fmt.Errorf("stopped by a signal: %w", err)
	}
	stop()
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run is the program: the parent, or one of its two children when the first arguments are "-role server" or "-role load".
func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	if len(args) == 2 && args[0] == roleFlag {
		switch args[1] {
		case roleServer:
			return serve(ctx, in, out)
		case roleLoad:
			return generate(ctx, in, out)
		}
		return fmt.Errorf("there is no role %q", args[1])
	}
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	var r report
	if o.from == "" {
		o.progress = func(format string, args ...any) {
			fmt.Fprintf(os.Stderr, "%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
		}
		if r, err = measure(ctx, o); err != nil { // What was measured up to there may have taken half an hour.
			return errors.Join(err, r.save(o.out))
		}
	} else if r, err = readReport(o.from); err != nil {
		return err
	}
	return publish(r, o, out)
}

// options are what the command line chooses.
type options struct {
	url        string
	tenants    []int
	sharedMax  int
	clients    int
	conns      int
	cellSize   int
	rounds     int
	round      time.Duration
	warmup     time.Duration
	keep       bool
	out, write string
	from       string
	// progress is told what goes on.
	progress func(format string, args ...any)
}

func parseOptions(args []string) (options, error) {
	o := options{url: os.Getenv(envURL)}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	tenants := flags.String("tenants", "1,200,2000", "`numbers` of tenants, ascending")
	flags.IntVar(&o.sharedMax, "shared-max", 2000, "the most tenants that naive and pooled are measured with")
	flags.IntVar(&o.clients, "clients", 32, "HTTP clients, each with one request at a time")
	flags.IntVar(&o.conns, "conns", 8, "database connections of each variant")
	flags.IntVar(&o.cellSize, "cell-size", 0, "tenants that share a login role; 0 is the product's default")
	flags.IntVar(&o.rounds, "rounds", 3, "measured rounds of each variant in each configuration")
	flags.DurationVar(&o.round, "round", 2*time.Second, "length of a round")
	flags.DurationVar(&o.warmup, "warmup", 2*time.Second, "load before the first round of a configuration, after a tour of all tenants")
	flags.BoolVar(&o.keep, "keep", false, "leave the database and its roles in the server, which is going to be removed anyway")
	flags.StringVar(&o.out, "out", "", "write all numbers as JSON into this `file`")
	flags.StringVar(&o.write, "write", "", "write the report into this Markdown `file`, and its chart beside it")
	flags.StringVar(&o.from, "from", "", "measure nothing: make the report from this `file` of an earlier -out")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	for text := range strings.SplitSeq(*tenants, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 1 {
			return o, fmt.Errorf("-tenants wants positive numbers like 1,200,2000, not %q", *tenants)
		}
		o.tenants = append(o.tenants, n)
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("bench takes no arguments, only flags: %q", flags.Args())
	case !slices.IsSorted(o.tenants):
		return o, errors.New("-tenants wants ascending numbers: tenants are added, never taken away")
	case o.clients < 1 || o.conns < 2 || o.rounds < 1 || o.round <= 0 || o.warmup < 0:
		return o, errors.New("-clients, -rounds and -round must be positive, -conns 2 or more, -warmup not negative")
	case o.url == "" && o.from == "":
		return o, fmt.Errorf("there is no server: run this by `make bench`, or set %s to a superuser's URL", envURL)
	}
	return o, nil
}

// save writes all numbers into a file, if one is named.
func (r report) save(file string) error {
	if file == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		err = os.WriteFile(file, append(text, '\n'), 0o644) //nolint:gosec // Nothing in it is secret.
	}
	if err != nil {
		return fmt.Errorf("write numbers: %w", err)
	}
	return nil
}

// publish writes the report where it is wanted: its text to out, unless into a file. The error says that the run was no good.
func publish(r report, o options, out io.Writer) error {
	if err := r.save(o.out); err != nil {
		return err
	}
	if o.write == "" {
		fmt.Fprint(out, r.markdown("", ""))
	} else if err := writePage(r, o.write); err != nil {
		return err
	}
	return r.fault()
}

func readReport(file string) (report, error) {
	var r report
	text, err := os.ReadFile(file)
	if err != nil {
		return r, err
	}
	if err = json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("read %s: %w", file, err)
	}
	return r, nil
}
