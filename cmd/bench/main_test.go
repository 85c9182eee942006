package main

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// TestMain is also the children's entry: they are this program again, which here is the test binary.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == roleFlag {
		main()
		return
	}
	pgtest.Main(m, func() error { return goleak.Find() })
}

// TestWholeRun measures next to nothing, and wants everything that a run gives.
func TestWholeRun(t *testing.T) {
	t.Parallel()
	server := pgtest.Empty(t)
	dir := t.TempDir()
	page, numbers := filepath.Join(dir, "docs", "performance.md"), filepath.Join(dir, "bench.json")
	o := options{
		url: server, tenants: []int{2}, sharedMax: 2, clients: 4, conns: 2, rounds: 1, round: 30 * time.Millisecond,
		warmup: 10 * time.Millisecond, write: page, out: numbers, progress: t.Logf,
	}
	r, err := measure(t.Context(), o)
	require.NoError(t, err)
	require.NoError(t, publish(r, o, nil), "no error, no wrong row, a job for each insert")

	operations := len(variants()) * 4
	require.Len(t, r.Results, len(variants())+operations, "the mix in uniform, and each operation in zipf")
	require.Equal(t, map[string]tenantschema.Tier{pooled: tenantschema.TierPooled, sealed: tenantschema.TierSealed}, r.Tiers)
	for _, found := range r.Results {
		require.Len(t, found.Rounds, o.rounds)
		require.Positive(t, found.Ratio.Median, "%s, %s", found.config, found.Variant)
		require.Positive(t, found.Backends, "%s, %s", found.config, found.Variant)
		require.LessOrEqual(t, found.Backends, o.conns)
	}
	require.Positive(t, r.counts().Inserts)

	again, err := readReport(numbers)
	require.NoError(t, err)
	require.Equal(t, r, again)
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	for _, want := range []string{r.Machine.CPU, "| 2 | zipf |", "| insert | 2 | zipf |", "(performance.svg)", beginNotes} {
		require.Contains(t, string(text), want)
	}
	require.FileExists(t, filepath.Join(dir, "docs", "performance.svg"))

	conn, err := pgx.Connect(t.Context(), server)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	var left int
	require.NoError(t, conn.QueryRow(t.Context(), "select count(*) from pg_database where datname like 'rowhousebench%'").Scan(&left))
	require.Zero(t, left, "the database is dropped")
	require.NoError(t, conn.QueryRow(t.Context(), "select count(*) from pg_roles where rolname like 'rowhousebench%'").Scan(&left))
	require.Zero(t, left, "the roles are dropped")
}

// TestWrongRowsAreFound asks a server that gives everybody the rows of one tenant.
func TestWrongRowsAreFound(t *testing.T) {
	t.Parallel()
	s := setOf(pooled)
	mine := `{"id":"` + s.task(1, 0).String() + `","title":"` + s.title(1, 0) + `"}`
	theirs := strings.ReplaceAll(mine, s.slug(1), s.slug(2))
	list := func(of ...string) string { return "[" + strings.Join(of, ",") + "]" }
	twenty := strings.Split(strings.Repeat(mine+"\n", listLength), "\n")[:listLength]
	for name, c := range map[string]struct {
		operation, body string
		status          string
		wrong, fine     bool
	}{
		"own list":           {opList, list(twenty...), "200 OK", false, true},
		"one of another":     {opList, list(append(twenty[1:], theirs)...), "200 OK", true, false},
		"too short":          {opList, list(twenty[1:]...), "200 OK", true, false},
		"insert":             {opInsert, mine, "200 OK", false, true},
		"inserted elsewhere": {opInsert, theirs, "200 OK", true, false},
		"another task":       {opGet, strings.ReplaceAll(mine, s.task(1, 0).String(), s.project(1).String()), "200 OK", true, false},
		"failed":             {opGet, "no", "500 Internal Server Error", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlayer(round{Variant: pooled, Tenants: 3}, answering(t, c.status, c.body), []int{0, 1, 2}, 0)
			problem, wrong := p.request(1, c.operation)
			require.Equal(t, c.fine, problem == "", problem)
			require.Equal(t, c.wrong, wrong, problem)
		})
	}
}

func TestFaultyRunFails(t *testing.T) {
	t.Parallel()
	done := outcome{Requests: 10, Throughput: 10}
	require.NoError(t, report{Results: []result{{Rounds: []outcome{done}}}}.fault())
	for _, bad := range []outcome{{Errors: 1, Problem: "refused"}, {Mismatches: 1, Problem: "refused"}} {
		require.ErrorContains(t, report{Results: []result{{Rounds: []outcome{done, bad}}}}.fault(), "refused")
		require.ErrorContains(t, report{Results: []result{{Warmups: []outcome{bad}, Rounds: []outcome{done}}}}.fault(), "refused")
	}
	require.ErrorContains(t, report{Problems: []string{"3 inserts left 2 jobs"}}.fault(), "3 inserts")
}

// TestNotesSurvive makes a page twice.
func TestNotesSurvive(t *testing.T) {
	t.Parallel()
	page := filepath.Join(t.TempDir(), "performance.md")
	require.NoError(t, writePage(invented(), page))
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	const notes = "\nWhy it is so.\n"
	require.NoError(t, os.WriteFile(page, bytes.Replace(text, []byte(beginNotes+"\n"), []byte(beginNotes+notes), 1), 0o600))
	require.NoError(t, writePage(invented(), page))
	text, err = os.ReadFile(page)
	require.NoError(t, err)
	require.Contains(t, string(text), beginNotes+notes+endNotes)

	require.NoError(t, os.WriteFile(page, []byte(beginNotes+notes), 0o600))
	require.ErrorContains(t, writePage(invented(), page), "would be lost")
}

func TestTargets(t *testing.T) {
	t.Parallel()
	verdicts := func(r report) []string {
		var all []string
		for _, target := range r.targets() {
			all = append(all, target.found+" "+target.verdict())
		}
		return all
	}
	require.Equal(t, []string{"0.80 **not met**", "0.75 met", "3.75 × met", "0.96 met", "60 MB met", "1.50 × met"}, verdicts(invented()))
	require.Equal(t, strings.Repeat(" not measured", 6), strings.Join(verdicts(report{}), ""))
}

// invented is a report whose numbers are easy to check.
func invented() report {
	var r report
	ratiosWith := map[int][]float64{200: {1, 0.4, 0.6, 0.8}, 2000: {1, 0.2, 0.5, 0.75}, 10000: {1, 0, 0, 0.72}}
	for _, n := range slices.Sorted(maps.Keys(ratiosWith)) {
		ratios := ratiosWith[n]
		for _, distribution := range []string{uniform, zipf} {
			var results []result
			for i, variant := range variants() {
				if ratios[i] == 0 {
					continue
				}
				done := outcome{Throughput: 10000 * ratios[i], P50: 2, P99: 10}
				if variant == sealed {
					done.P99 = 15
				}
				results = append(results, result{
					config: config{n, distribution, opMix}, Variant: variant, Rounds: []outcome{done, done}, BackendMB: 60,
				})
			}
			compare(results)
			r.Results = append(r.Results, results...)
		}
	}
	return r
}

func TestHistogram(t *testing.T) {
	t.Parallel()
	var whole, half histogram
	for i := range 1000 {
		part := &whole
		if i%2 == 0 {
			part = &half
		}
		part.add(time.Duration(i+1) * time.Microsecond)
	}
	whole.merge(&half)
	for q, want := range map[float64]float64{0.5: 501, 0.99: 991, 0: 1, 1: 1000} {
		got := float64(whole.quantile(q)) / float64(time.Microsecond)
		require.InEpsilon(t, want, got, 0.035, "quantile %v", q)
	}
	require.Zero(t, (&histogram{}).quantile(0.5))
	for _, ns := range []uint64{0, 1, 31, 32, 63, 64, 65, 1000, 123456789, math.MaxInt64} {
		b := bucket(ns)
		require.GreaterOrEqual(t, uint64(upper(b)), ns)
		if b > 0 {
			require.Less(t, uint64(upper(b-1)), ns)
		}
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{ceiling, sealed}, options{sharedMax: 2000}.variantsAt(10000))
	require.Equal(t, variants(), options{sharedMax: 2000}.variantsAt(2000))
	require.Equal(t, []string{opMix}, options{sharedMax: 2000}.operationsAt(2000, uniform))
	require.Equal(t, []string{uniform}, distributionsAt(1))
	for want, args := range map[string][]string{
		"positive numbers": {"-tenants", "1,x"},
		"ascending":        {"-tenants", "200,1"},
		"no arguments":     {"-rounds", "2", "now"},
		"-conns":           {"-conns", "1"},
	} {
		_, err := parseOptions(args)
		require.ErrorContains(t, err, want)
	}
	// An earlier run's numbers make its page again, without a server.
	dir := t.TempDir()
	numbers, err := json.Marshal(invented())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bench.json"), numbers, 0o600))
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-from", filepath.Join(dir, "bench.json")}, nil, &out))
	require.Contains(t, out.String(), "| 2,000 | zipf | 10,000 | 0.20")
}
