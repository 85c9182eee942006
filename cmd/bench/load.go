package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// The operations. A mix is 70 % get, 20 % list, 10 % insert.
const (
	opGet    = "get"
	opList   = "list"
	opInsert = "insert"
	opMix    = "mix"
	// opTour does each of them visits times for each tenant, which is how backends come to know all: PostgreSQL plans a prepared statement
	// anew for its first five executions.
	opTour = "tour"
	visits = 6
	// tourMost is how long a tour may take.
	tourMost = 10 * time.Minute
)

// The distributions of requests over tenants.
const (
	uniform = "uniform"
	zipf    = "zipf"
	// zipfS is the exponent: the tenant of rank k gets a share in proportion to k^-1.1.
	zipfS = 1.1
)

// round asks the load process for load on one variant.
type round struct {
	Variant      string        `json:"variant"`
	Addr         string        `json:"addr"`
	Operation    string        `json:"operation"`
	Distribution string        `json:"distribution"`
	Tenants      int           `json:"tenants"`
	Clients      int           `json:"clients"`
	Duration     time.Duration `json:"duration_ns"`
	// Seed chooses the requests. The same for all variants of a round.
	Seed uint64 `json:"seed"`
}

// outcome is what came of a round.
type outcome struct {
	Requests int64 `json:"requests"`
	Inserts  int64 `json:"inserts"`
	// Errors counts responses other than 200, and connections that broke. Mismatches counts those that were not of the tenant asked for.
	Errors     int64 `json:"errors"`
	Mismatches int64 `json:"mismatches"`
	// Problem describes one of them.
	Problem string `json:"problem,omitempty"`
	// Throughput is in correct responses a second, P50 and P99 in milliseconds.
	Throughput float64 `json:"throughput"`
	P50        float64 `json:"p50_ms"`
	P99        float64 `json:"p99_ms"`
}

// generate is the load process: it plays one round after another until its input ends.
func generate(ctx context.Context, in io.Reader, out io.Writer) error {
	dec, enc := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var r round
		if err := dec.Decode(&r); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read the parent's question: %w", err)
		}
		result, err := play(ctx, r)
		if err != nil {
			return err
		}
		if err = enc.Encode(result); err != nil {
			return err
		}
	}
}

// play runs a round: each client sends its next request when the last one is answered.
func play(ctx context.Context, r round) (outcome, error) {
	var players []*player
	defer func() {
		for _, p := range players {
			_ = p.client.conn.Close() // Nothing is under way any more.
		}
	}()
	order := rand.New(rand.NewPCG(tenantOrder, 0)).Perm(r.Tenants) //nolint:gosec // The same in each run is what is wanted.
	for i := range r.Clients {
		c, err := dial(r.Addr)
		if err != nil {
			return outcome{}, err
		}
		players = append(players, newPlayer(r, c, order, i))
	}
	begin := time.Now()
	var wait sync.WaitGroup
	for _, p := range players {
		wait.Go(func() { p.run(ctx, begin.Add(r.Duration)) })
	}
	wait.Wait()
	elapsed := time.Since(begin)
	if err := ctx.Err(); err != nil {
		return outcome{}, err
	}
	var total outcome
	var latency histogram
	for _, p := range players {
		total.Requests += p.done.Requests
		total.Inserts += p.done.Inserts
		total.Errors += p.done.Errors
		total.Mismatches += p.done.Mismatches
		if total.Problem == "" {
			total.Problem = p.done.Problem
		}
		latency.merge(&p.latency)
	}
	total.Throughput = float64(latency.total) / elapsed.Seconds()
	total.P50 = milliseconds(latency.quantile(0.5))
	total.P99 = milliseconds(latency.quantile(0.99))
	return total, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// tenantOrder is the seed of the order that zipf's ranks follow.
const tenantOrder = 20250101

// player is one client in a round.
type player struct {
	r      round
	set    set
	client *client
	broken bool
	random *rand.Rand
	zipf   *rand.Zipf
	order  []int
	// tour are the tenants that are still to be visited.
	tour    []int
	done    outcome
	latency histogram
}

func newPlayer(r round, c *client, order []int, number int) *player {
	random := rand.New(rand.NewPCG(r.Seed, uint64(number))) //nolint:gosec // Reproducible is what is wanted.
	p := &player{r: r, set: setOf(r.Variant), client: c, random: random, order: order}
	for n := number; n < len(order) && r.Operation == opTour; n += r.Clients {
		p.tour = append(p.tour, order[n])
	}
	if r.Distribution == zipf {
		p.zipf = rand.NewZipf(random, zipfS, 1, uint64(r.Tenants-1)) //nolint:gosec // Positive.
	}
	return p
}

func (p *player) run(ctx context.Context, end time.Time) {
	if p.r.Operation == opTour {
		for _, tenant := range p.tour {
			for _, operation := range slices.Repeat([]string{opGet, opList, opInsert}, visits) {
				if ctx.Err() != nil || p.broken || time.Now().After(end) {
					return
				}
				p.one(tenant, operation)
			}
		}
		return
	}
	for ctx.Err() == nil && !p.broken && !time.Now().After(end) {
		p.one(p.tenant(), p.operation())
	}
}

// one sends one request and notes what came of it.
func (p *player) one(tenant int, operation string) {
	begin := time.Now()
	problem, wrong := p.request(tenant, operation)
	p.done.Requests++
	switch {
	case problem == "":
		p.latency.add(time.Since(begin))
		return
	case wrong:
		p.done.Mismatches++
	default:
		p.done.Errors++
	}
	if p.done.Problem == "" {
		p.done.Problem = problem
	}
}

func (p *player) tenant() int {
	if p.zipf != nil {
		return p.order[p.zipf.Uint64()]
	}
	return p.order[p.random.IntN(len(p.order))]
}

func (p *player) operation() string {
	if p.r.Operation != opMix {
		return p.r.Operation
	}
	switch n := p.random.IntN(10); {
	case n < 7:
		return opGet
	case n < 9:
		return opList
	}
	return opInsert
}

// request sends a request for a tenant and checks the answer. problem is empty if all is well; wrong says that another tenant's rows came.
func (p *player) request(tenant int, operation string) (problem string, wrong bool) {
	owner := p.set.owner(tenant)
	host := p.set.slug(tenant) + ".localhost"
	var status int
	var answer []byte
	var err error
	var id uuid.UUID
	titles := 1
	switch operation {
	case opGet:
		id = p.set.task(owner, p.random.IntN(tasksEach))
		status, answer, err = p.client.do(http.MethodGet, "/task/"+id.String(), host, "")
	case opList:
		titles = listLength
		status, answer, err = p.client.do(http.MethodGet, "/tasks?project="+p.set.project(owner).String(), host, "")
	case opInsert:
		body := `{"project_id":"` + p.set.project(owner).String() + `","title":"` + p.set.title(owner, p.random.IntN(100)) + `"}`
		status, answer, err = p.client.do(http.MethodPost, "/task", host, body)
	}
	switch {
	case err != nil:
		p.broken = true // Where the next response would begin, nobody knows.
		return err.Error(), false
	case status != http.StatusOK:
		return fmt.Sprintf("%s of %s: %d %s", operation, host, status, answer[:min(len(answer), 500)]), false
	}
	if operation == opInsert {
		p.done.Inserts++
	}
	text := string(answer)
	of := strings.Count(text, `"title":"`+p.set.slug(owner)+` `)
	if of != titles || strings.Count(text, `"title":"`) != titles || operation == opGet && !strings.Contains(text, id.String()) {
		return fmt.Sprintf("%s of %s: %d of %d tasks are not its own: %s", operation, host, titles-of, titles, text[:min(len(text), 500)]), true
	}
	return "", false
}
