package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// measure makes the place and the tenants, plays all rounds, and drops what it made.
func measure(ctx context.Context, o options) (r report, err error) {
	r = report{Settings: settings{
		Clients: o.clients, Conns: o.conns, Rounds: o.rounds,
		CellSize: o.cellSize, Round: o.round.Seconds(), Warmup: o.warmup.Seconds(),
	}}
	p, err := settle(ctx, o.url, o.cellSize)
	if err != nil {
		return r, err
	}
	defer func() {
		if o.keep {
			o.progress("left in the server: the database %s and its roles", p.Name)
			return
		}
		err = errors.Join(err, p.leave(context.WithoutCancel(ctx)))
	}()
	if r.Machine, err = inspectMachine(ctx, p.DatabaseURL); err != nil {
		return r, err
	}
	load, err := spawn(ctx, roleLoad)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, load.close()) }()
	b := &bench{o: o, place: &p, load: load, report: &r}
	tenants := fleet{place: &p, made: map[set]int{}, progress: o.progress}
	for _, n := range o.tenants {
		for _, variant := range o.variantsAt(n) {
			if variant == ceiling {
				continue // It has what it needs.
			}
			if err = tenants.grow(ctx, setOf(variant), n); err != nil {
				return r, err
			}
		}
		size, err := p.tidy(ctx)
		if err != nil {
			return r, err
		}
		o.progress("the database has %s", size)
		for _, distribution := range distributionsAt(n) {
			if err = b.serveAndPlay(ctx, n, distribution); err != nil {
				return r, err
			}
		}
	}
	r.Tiers, err = p.tiers(ctx)
	return r, err
}

// variantsAt gives the variants that are measured with n tenants.
func (o options) variantsAt(n int) []string {
	if n > o.sharedMax {
		return []string{ceiling, sealed}
	}
	return variants()
}

// distributionsAt gives the distributions that make a difference with n tenants.
func distributionsAt(n int) []string {
	if n == 1 {
		return []string{uniform}
	}
	return []string{uniform, zipf}
}

// operationsAt gives the operations that are measured with n tenants: always the mix, first, and each alone where the fleet has been
// warmed up by it and all variants take part.
func (o options) operationsAt(n int, distribution string) []string {
	if n > 1 && n <= o.sharedMax && distribution == zipf {
		return []string{opMix, opGet, opList, opInsert}
	}
	return []string{opMix}
}

// tiers gives the tiers of the tenants that pooled and sealed ran on.
func (p *place) tiers(ctx context.Context) (map[string]tenantschema.Tier, error) {
	bySlug, err := p.tenants(ctx)
	if err != nil {
		return nil, err
	}
	found := map[string]tenantschema.Tier{}
	for _, variant := range []string{pooled, sealed} {
		found[variant] = bySlug[setOf(variant).slug(0)].Tier
	}
	return found, nil
}

// bench is what the configurations of a run share.
type bench struct {
	o      options
	place  *place
	load   *child
	report *report
	seed   uint64
}

// serveAndPlay starts a server, so that all backends are new, and plays the configurations of one fleet and distribution.
func (b *bench) serveAndPlay(ctx context.Context, tenants int, distribution string) (err error) {
	server, err := spawn(ctx, roleServer)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.close()) }()
	var ready serverReady
	err = server.ask(serverConfig{
		Place: *b.place, Variants: b.o.variantsAt(tenants), Tenants: tenants, Conns: b.o.conns,
	}, &ready)
	if err != nil {
		return err
	}
	for _, operation := range b.o.operationsAt(tenants, distribution) {
		c := config{Tenants: tenants, Distribution: distribution, Operation: operation}
		if err = b.configuration(ctx, c, ready.Addrs); err != nil {
			return err
		}
	}
	return nil
}

// configuration warms the variants up and lets them take turns.
func (b *bench) configuration(ctx context.Context, c config, addrs map[string]string) error {
	if _, err := b.place.takeJobs(ctx); err != nil {
		return err
	}
	results := make([]result, 0, len(addrs))
	for _, variant := range b.o.variantsAt(c.Tenants) {
		results = append(results, result{config: c, Variant: variant})
	}
	duration := b.o.round
	if c.Operation != opMix { // One operation varies less than a mix of three.
		duration = duration * 3 / 4
	}
	b.seed++
	for i := range results {
		if c.Operation == opMix { // It comes first, and has met the tenants for the others.
			done, err := b.play(config{c.Tenants, c.Distribution, opTour}, results[i].Variant, addrs, tourMost)
			if err != nil {
				return err
			}
			results[i].Warmups = append(results[i].Warmups, done)
		}
		done, err := b.play(c, results[i].Variant, addrs, b.o.warmup)
		if err != nil {
			return err
		}
		results[i].Warmups = append(results[i].Warmups, done)
	}
	for n := range b.o.rounds {
		b.seed++
		turn := results
		for i := range turn {
			if n%2 == 1 { // There and back, so that nobody always follows the same one.
				i = len(turn) - 1 - i
			}
			done, err := b.play(c, turn[i].Variant, addrs, duration)
			if err != nil {
				return err
			}
			turn[i].Rounds = append(turn[i].Rounds, done)
			seen, err := b.place.look(ctx, turn[i].Variant)
			if err != nil {
				return err
			}
			turn[i].Backends = max(turn[i].Backends, seen.count)
			turn[i].BackendMB = max(turn[i].BackendMB, seen.maxMB)
		}
	}
	compare(results)
	b.report.Results = append(b.report.Results, results...)
	b.tell(results)
	return b.countJobs(ctx, c, results)
}

func (b *bench) play(c config, variant string, addrs map[string]string, duration time.Duration) (done outcome, err error) {
	if duration <= 0 {
		return done, nil
	}
	err = b.load.ask(round{
		Variant: variant, Addr: addrs[variant], Operation: c.Operation, Distribution: c.Distribution, Tenants: c.Tenants,
		Clients: b.o.clients, Duration: duration, Seed: b.seed,
	}, &done)
	return done, err
}

// countJobs holds the jobs against the inserts that were confirmed.
func (b *bench) countJobs(ctx context.Context, c config, results []result) error {
	jobs, err := b.place.takeJobs(ctx)
	if err != nil {
		return err
	}
	var inserts, errs int64
	for _, r := range results {
		for _, done := range slices.Concat(r.Rounds, r.Warmups) {
			inserts, errs = inserts+done.Inserts, errs+done.Errors
		}
	}
	if inserts != jobs && errs == 0 { // What failed for the client may have been committed.
		b.report.Problems = append(b.report.Problems, fmt.Sprintf("%s: %d inserts left %d jobs", c, inserts, jobs))
	}
	return nil
}

// tell says how a configuration went.
func (b *bench) tell(results []result) {
	var line strings.Builder
	for _, r := range results {
		fmt.Fprintf(&line, "  %s %.0f/s (%.2f)", r.Variant, r.Throughput(), r.Ratio.Median)
	}
	b.o.progress("%s:%s", results[0].config, line.String())
}
