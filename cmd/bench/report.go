package main

import (
	"fmt"
	"slices"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// report is all that a run found, as -out writes it.
type report struct {
	Machine  machine  `json:"machine"`
	Settings settings `json:"settings"`
	// Tiers says in which tier the tenants of a variant were made.
	Tiers   map[string]tenantschema.Tier `json:"tiers"`
	Results []result                     `json:"results"`
	// Problems are what was wrong besides the responses.
	Problems []string `json:"problems,omitempty"`
}

// settings are how it was measured. Times are in seconds.
type settings struct {
	Clients  int     `json:"clients"`
	Conns    int     `json:"conns"`
	CellSize int     `json:"cell_size"`
	Rounds   int     `json:"rounds"`
	Round    float64 `json:"round_s"`
	Warmup   float64 `json:"warmup_s"`
}

// config is what the variants are compared under.
type config struct {
	Tenants      int    `json:"tenants"`
	Distribution string `json:"distribution"`
	Operation    string `json:"operation"`
}

func (c config) String() string {
	return fmt.Sprintf("%s tenants, %s, %s", thousands(c.Tenants), c.Distribution, c.Operation)
}

// result is one variant in one configuration.
type result struct {
	config

	Variant string    `json:"variant"`
	Warmups []outcome `json:"warmups"`
	Rounds  []outcome `json:"rounds"`
	// Ratio, P50Ratio and P99Ratio compare with the ceiling.
	Ratio    spread `json:"ratio"`
	P50Ratio spread `json:"p50_ratio"`
	P99Ratio spread `json:"p99_ratio"`
	// Backends is how many the variant had at most, and BackendMB the memory of the largest in MB, 0 if it could not be read.
	Backends  int     `json:"backends"`
	BackendMB float64 `json:"backend_mb"`
}

// spread is the values of all rounds.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	s := spread{Median: sorted[middle], Min: sorted[0], Max: sorted[len(sorted)-1]}
	if len(sorted)%2 == 0 {
		s.Median = (sorted[middle-1] + sorted[middle]) / 2
	}
	return s
}

func throughput(o outcome) float64 { return o.Throughput }
func p50(o outcome) float64        { return o.P50 }
func p99(o outcome) float64        { return o.P99 }

// over gives the median of a measure over the rounds.
func (r result) over(measure func(outcome) float64) float64 {
	values := make([]float64, len(r.Rounds))
	for i, round := range r.Rounds {
		values[i] = measure(round)
	}
	return spreadOf(values).Median
}

// Throughput is in requests a second.
func (r result) Throughput() float64 { return r.over(throughput) }

// against compares each round with the round of base that was played next to it.
func (r result) against(base result, measure func(outcome) float64) spread {
	var values []float64
	for i := range min(len(r.Rounds), len(base.Rounds)) {
		if other := measure(base.Rounds[i]); other > 0 {
			values = append(values, measure(r.Rounds[i])/other)
		}
	}
	return spreadOf(values)
}

// compare fills in the ratios of a configuration, whose first result is the ceiling's.
func compare(results []result) {
	for i := range results {
		r := &results[i]
		r.Ratio = r.against(results[0], throughput)
		r.P50Ratio = r.against(results[0], p50)
		r.P99Ratio = r.against(results[0], p99)
	}
}

func (r report) find(tenants int, distribution, operation, variant string) (result, bool) {
	for _, found := range r.Results {
		if found.config == (config{tenants, distribution, operation}) && found.Variant == variant {
			return found, true
		}
	}
	return result{}, false
}

// configs gives the configurations in the order in which they were measured.
func (r report) configs() []config {
	var all []config
	for _, found := range r.Results {
		if !slices.Contains(all, found.config) {
			all = append(all, found.config)
		}
	}
	return all
}

// counts adds up what was asked and what went wrong, warm-up included.
func (r report) counts() (total outcome) {
	for _, found := range r.Results {
		for _, done := range slices.Concat(found.Rounds, found.Warmups) {
			total.Requests += done.Requests
			total.Inserts += done.Inserts
			total.Errors += done.Errors
			total.Mismatches += done.Mismatches
			if total.Problem == "" {
				total.Problem = done.Problem
			}
		}
	}
	return total
}

// fault says why the numbers are worth nothing, if they are: fast and wrong is not fast.
func (r report) fault() error {
	total := r.counts()
	switch {
	case total.Mismatches > 0 || total.Errors > 0:
		return fmt.Errorf("%d wrong rows and %d errors in %d requests, such as: %s", total.Mismatches, total.Errors, total.Requests, total.Problem)
	case len(r.Problems) > 0:
		return fmt.Errorf("the run is no good: %s", r.Problems[0])
	}
	return nil
}

// target is a promise about the sealed tier and what became of it.
type target struct {
	text, found string
	met, known  bool
}

func (t target) verdict() string {
	switch {
	case !t.known:
		return "not measured"
	case t.met:
		return "met"
	}
	return "**not met**"
}

func (r report) targets() []target {
	at := func(n int, variant string) (result, bool) { return r.find(n, zipf, opMix, variant) }
	var all []target
	for _, want := range []struct {
		tenants int
		ratio   float64
	}{{200, 0.85}, {2000, 0.70}} {
		t := target{text: fmt.Sprintf("%s tenants: sealed reaches %.2f of the ceiling", thousands(want.tenants), want.ratio)}
		if found, ok := at(want.tenants, sealed); ok {
			t.known, t.met, t.found = true, found.Ratio.Median >= want.ratio, fmt.Sprintf("%.2f", found.Ratio.Median)
		}
		all = append(all, t)
	}
	small, haveSmall := at(2000, sealed)
	large, haveLarge := at(10000, sealed)

	t := target{text: "2,000 tenants: sealed reaches 3 × naive"}
	if base, ok := at(2000, naive); ok && haveSmall {
		ratio := small.against(base, throughput).Median
		t.known, t.met, t.found = true, ratio >= 3, fmt.Sprintf("%.2f ×", ratio)
	}
	all = append(all, t)

	t = target{text: "10,000 tenants: sealed reaches 0.90 of what it does with 2,000, each as its ratio to the ceiling"}
	if haveSmall && haveLarge && small.Ratio.Median > 0 {
		ratio := large.Ratio.Median / small.Ratio.Median
		t.known, t.met, t.found = true, ratio >= 0.9, fmt.Sprintf("%.2f", ratio)
	}
	all = append(all, t)

	t = target{text: "10,000 tenants: a backend of sealed takes 64 MB at most, in either distribution"}
	even, haveEven := r.find(10000, uniform, opMix, sealed)
	if mb := max(even.BackendMB, large.BackendMB); haveEven && haveLarge && mb > 0 {
		t.known, t.met, t.found = true, mb <= 64, fmt.Sprintf("%.0f MB", mb)
	}
	all = append(all, t)

	t = target{text: "200 tenants and more: the p99 of sealed is 2 × the ceiling's at most"}
	worst := 0.0
	for _, c := range r.configs() {
		if found, ok := at(c.Tenants, sealed); ok && c.Tenants >= 200 {
			worst = max(worst, found.P99Ratio.Median)
		}
	}
	if worst > 0 {
		t.known, t.met, t.found = true, worst <= 2, fmt.Sprintf("%.2f ×", worst)
	}
	return append(all, t)
}
