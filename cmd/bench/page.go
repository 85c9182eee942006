package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// What stands between the marks is written by hand and survives the next run.
const (
	beginNotes = "<!-- begin: notes -->"
	endNotes   = "<!-- end: notes -->"
)

// writePage writes the report into a Markdown file and the chart beside it.
func writePage(r report, file string) error {
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	notes := "\n"
	if _, rest, ok := strings.Cut(string(old), beginNotes); ok {
		if notes, _, ok = strings.Cut(rest, endNotes); !ok {
			return fmt.Errorf("%s has no %q after %q: what is between them would be lost", file, endNotes, beginNotes)
		}
	}
	if err = os.MkdirAll(filepath.Dir(file), 0o755); err != nil { //nolint:gosec // Documentation.
		return err
	}
	chart := strings.TrimSuffix(file, filepath.Ext(file)) + ".svg"
	if err = os.WriteFile(chart, []byte(r.chart()), 0o644); err != nil { //nolint:gosec // As above.
		return err
	}
	return os.WriteFile(file, []byte(r.markdown(notes, filepath.Base(chart))), 0o644) //nolint:gosec // As above.
}

// markdown gives the report as text. Without a chart it is for a terminal: no picture, no room for notes.
func (r report) markdown(notes, chart string) string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say("# Performance\n")
	say("What it costs to keep tenants apart, against one plain schema without any. Made by `make bench-large` (`cmd/bench`); `make bench` is " +
		"the shorter run.\n")
	if chart != "" {
		say("![Throughput of each variant as a share of the ceiling's, by number of tenants](%s)\n", chart)
	}
	r.sayTargets(say)
	r.sayWarnings(say)
	if chart != "" {
		say("%s%s%s\n", beginNotes, notes, endNotes)
	}
	r.sayMix(say)
	r.sayOperations(say)
	r.sayDetails(say)
	r.sayMethod(say)
	return strings.TrimRight(b.String(), "\n") + "\n"
}

func (r report) sayTargets(say func(string, ...any)) {
	say("## Targets\n")
	say("Zipf, the mix of operations, medians over %d rounds.\n", r.Settings.Rounds)
	say("| target | measured | |\n|---|---|---|")
	for _, t := range r.targets() {
		say("| %s | %s | %s |", t.text, t.found, t.verdict())
	}
	say("")
}

func (r report) sayWarnings(say func(string, ...any)) {
	for _, variant := range []string{pooled, sealed} {
		if tier := string(r.Tiers[variant]); tier != variant {
			say("**The tenants of %s are of the tier %q: it is not what was to be measured.**\n", variant, tier)
		}
	}
	if err := r.fault(); err != nil {
		say("**This run is void: %s**\n", err)
	}
}

func (r report) sayMix(say func(string, ...any)) {
	say("## Throughput of the mix\n")
	say("70 %% get, 20 %% list, 10 %% insert. Share of the ceiling's requests a second; in parentheses the lowest and the highest round.\n")
	say("| tenants | requests | ceiling, requests/s | naive | pooled | sealed |\n|---|---|---|---|---|---|")
	for _, c := range r.configs() {
		if c.Operation == opMix {
			say("| %s | %s | %s |", thousands(c.Tenants), c.Distribution, strings.Join(r.shares(c), " | "))
		}
	}
	say("")
}

func (r report) sayOperations(say func(string, ...any)) {
	if !slices.ContainsFunc(r.configs(), func(c config) bool { return c.Operation != opMix }) {
		return
	}
	say("## Each operation alone\n")
	say("`get`: one task by its id. `list`: the %d newest of a project. `insert`: a task and its job in one transaction.\n", listLength)
	say("| operation | tenants | requests | ceiling, requests/s | naive | pooled | sealed |\n|---|---|---|---|---|---|---|")
	for _, c := range r.configs() {
		if c.Operation != opMix {
			say("| %s | %s | %s | %s |", c.Operation, thousands(c.Tenants), c.Distribution, strings.Join(r.shares(c), " | "))
		}
	}
	say("")
}

// shares gives the ceiling's throughput and the others' ratios to it.
func (r report) shares(c config) []string {
	var cells []string
	for _, variant := range variants() {
		found, ok := r.find(c.Tenants, c.Distribution, c.Operation, variant)
		switch {
		case !ok:
			cells = append(cells, "–")
		case variant == ceiling:
			cells = append(cells, thousands(int(found.Throughput())))
		default:
			cells = append(cells, fmt.Sprintf("%.2f (%.2f–%.2f)", found.Ratio.Median, found.Ratio.Min, found.Ratio.Max))
		}
	}
	return cells
}

func (r report) sayDetails(say func(string, ...any)) {
	say("## Latency and memory\n")
	say("Milliseconds, with their ratio to the ceiling's. Memory: of the variant's largest backend, in MB, without shared buffers.\n")
	say("| operation | tenants | requests | variant | requests/s | p50 | p99 | backend |\n|---|---|---|---|---|---|---|---|")
	for _, found := range r.Results {
		memory := "n/a"
		if found.BackendMB > 0 {
			memory = fmt.Sprintf("%.0f", found.BackendMB)
		}
		say("| %s | %s | %s | %s | %s | %.2f (%.2f ×) | %.2f (%.2f ×) | %s |", found.Operation, thousands(found.Tenants), found.Distribution,
			found.Variant, thousands(int(found.Throughput())), found.over(p50), found.P50Ratio.Median, found.over(p99), found.P99Ratio.Median, memory)
	}
	if slices.ContainsFunc(r.Results, func(found result) bool { return found.BackendMB == 0 }) {
		say("\nn/a: the memory of the backends could not be read; it takes a PostgreSQL on the same machine, and Linux.")
	}
	say("")
}

func (r report) sayMethod(say func(string, ...any)) {
	m, s, total := r.Machine, r.Settings, r.counts()
	say("## How it was measured\n")
	say("- Machine: %s, %d cores, %.0f GB of memory, %s. PostgreSQL %s (%s), Go %s. %s. Load, server and PostgreSQL share the machine.",
		m.CPU, m.Cores, m.MemoryGB, m.System, m.Postgres, m.Settings, m.Go, m.Date)
	say("- One process serves all variants, each by an Echo of its own with the same handlers; another makes the load: %d clients, one request "+
		"at a time each, on connections that are kept. Each variant has %d database connections to the same PostgreSQL.", s.Clients, s.Conns)
	say("- `ceiling`: pgx on one schema, prepared statements, no role, no path, no tenants. It holds the rows of %d tenants, with statistics, "+
		"and is asked for them as the others are for theirs.", plainProjects)
	say("- `naive`: a connection of a pool, SET ROLE, SET search_path, the query, RESET of both: four round trips. One login role for all, the " +
		"tenants of `pooled`, pgx's default of cached statements, and no seal on the queue.")
	cells := "as many tenants share a login role as the product has it by default"
	if s.CellSize > 0 {
		cells = fmt.Sprintf("%d tenants share a login role", s.CellSize)
	}
	say("- `pooled`, `sealed`: `tenantschema` with its defaults and tenants of that tier; %s.", cells)
	say("- A tenant has one project of %d tasks, and those that the run inserts. All schemas come from the same migrations.", tasksEach)
	say("- `make bench` turns autovacuum off: thousands of tenants that are made and written to within " +
		"minutes pass its thresholds all at once, and each time it analyses a table, the plans that every backend has of it are made anew.")
	say("- Requests go to tenants evenly (uniform), or to the tenant of rank k in proportion to k^-%.1f (zipf), in an order drawn once.", zipfS)
	say("- Before the first round of a fleet and distribution, backends are new; each variant is warmed up by a tour of all "+
		"tenants, each operation %d times, and by %s s of the load that follows. Then the variants take turns, %d rounds of %s s each (three quarters of it for one operation alone). A ratio is "+
		"that of two rounds of the same turn; what is printed is the median of the ratios.",
		visits, number(s.Warmup), s.Rounds, number(s.Round))
	say("- Each of the %s responses was held against the tenant that was asked for, and the number of jobs against the %s inserts: %s wrong, "+
		"%s errors.", thousands(int(total.Requests)), thousands(int(total.Inserts)), thousands(int(total.Mismatches)), thousands(int(total.Errors)))
	say("- Clients wait for their answers, so a slow variant is also asked less: latencies are those of a server that is busy, not overrun.")
	say("- With more than 2,000 tenants only the ceiling and `sealed` are measured.")
}

// number writes a number as short as it can be.
func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// thousands writes 10000 as 10,000.
func thousands(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
