package jobqueue

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

// driver is River's driver for pgx, with two changes.
//
// Jobs are taken in turns: see [turns].
//
// There are no notifications. Any role may send one, and River would obey one that says "pause"; and each costs its transaction a round
// trip and a lock that all committing notifiers share.
type driver struct {
	*riverpgxv5.Driver

	c *Client
}

func (driver) SupportsListener() bool     { return false }
func (driver) SupportsListenNotify() bool { return false }

// GetExecutor is asked for by River.
func (d driver) GetExecutor() riverdriver.Executor {
	return executor{Executor: d.Driver.GetExecutor(), c: d.c}
}

type executor struct {
	riverdriver.Executor

	c *Client
}

// JobGetAvailable is asked for by River whenever a queue has free workers.
func (e executor) JobGetAvailable(ctx context.Context, params *riverdriver.JobGetAvailableParams) (*riverdriver.JobGetAvailableResult, error) {
	return e.c.turns[params.Queue].take(ctx, params)
}

// turns is how tenants take turns in a queue, as seen by this process.
//
// A fetch goes around the tenants that have a job waiting, in the order of their ids, from where the last fetch stopped, and gives each
// the same share of the free workers, then what is left to those that have more. So a tenant waits for one job of each other tenant at
// most, however many jobs those have; and whoever is alone has all workers. The walk is by an index: it costs a probe for each tenant
// that gets a turn, and none for those without jobs. Tenants that may not be served now are passed by, and their jobs stay as they are.
//
// Two caps hold back a tenant whose jobs take long: [Config.MaxPerTenant], counted over all processes, and one worker in twenty, one at
// the least, which no tenant gets beside all others of this process.
type turns struct {
	c       *Client
	queue   string
	workers int
	cap     int

	mu     sync.Mutex
	cursor string           // the tenant that got the last turn
	mine   map[string]int   // how many jobs of a tenant run in this process
	whose  map[int64]string // by the job's number
	last   time.Time        // when the database was asked
	next   time.Time        // when the database is asked again
	got    time.Time        // when its last answer was there
	batch  int              // how many jobs that brought
	capped bool             // whether the last fetch left workers free because of a cap
	idle   chan struct{}    // holds a token after the last job that ran has ended
}

func newTurns(c *Client, queue string, workers int) *turns {
	return &turns{
		c: c, queue: queue, workers: workers, cap: max(1, workers-max(1, workers/20)),
		mine: map[string]int{}, whose: map[int64]string{}, idle: make(chan struct{}, 1),
	}
}

// rounds bounds how often a fetch goes around.
const rounds = 3

// tick is how often River calls for jobs. Whether the database is asked is up to [turns.due].
const tick = 5 * time.Millisecond

// brief is how long jobs take that are over before it is worth to ask for others.
const brief = time.Millisecond

// take answers River's call, without asking the database when there is nothing to be had.
func (t *turns) take(ctx context.Context, params *riverdriver.JobGetAvailableParams) (*riverdriver.JobGetAvailableResult, error) {
	result := &riverdriver.JobGetAvailableResult{}
	if !t.due(params.MaxToLock) {
		return result, nil
	}
	params = t.gather(ctx, params)
	known := map[int64]time.Time{}
	more := true // Whoever had less than its share has no more.
	for round := 0; more && round < rounds && len(result.Jobs) < params.MaxToLock; round++ {
		jobs, full, err := t.round(ctx, params, params.MaxToLock-len(result.Jobs), result, known)
		if err != nil {
			if len(result.Jobs) > 0 { // They are ours and must be worked.
				break
			}
			return nil, fmt.Errorf("take jobs of queue %s: %w", t.queue, err)
		}
		more = full && jobs > 0
	}
	t.c.meet(ctx, result.Jobs, known)
	t.asked(len(result.Jobs), more || len(result.Jobs) == params.MaxToLock)
	return result, nil
}

// due says whether the database is to be asked for so many jobs. A few at a time cost as much as many: a fetch waits a little for more
// workers to be free.
func (t *turns) due(free int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if now.Before(t.next) || free < t.workers/4 && now.Sub(t.last) < 2*tick {
		return false
	}
	t.last = now
	return true
}

// gather gives jobs a moment to end if all that run have only just begun, and asks for all workers if they do. River calls as soon as the first of
// many jobs has ended, so that jobs which take next to nothing would be fetched by halves.
func (t *turns) gather(ctx context.Context, params *riverdriver.JobGetAvailableParams) *riverdriver.JobGetAvailableParams {
	t.mu.Lock()
	fresh := len(t.whose) > 0 && len(t.whose) < t.batch && time.Since(t.got) < brief
	t.mu.Unlock()
	if !fresh {
		return params
	}
	timer := time.NewTimer(brief)
	defer timer.Stop()
	select {
	case <-t.idle:
		all := *params
		all.MaxToLock = t.workers
		return &all
	case <-timer.C:
	case <-ctx.Done():
	}
	return params
}

// asked notes that it was. If there may be more it is asked again at once. Else it is asked again after [Config.PollInterval], or when a job
// ends whose tenant may then have another.
func (t *turns) asked(jobs int, more bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.got, t.batch = time.Now(), jobs
	t.next, t.capped = t.got.Add(t.c.cfg.PollInterval), false
	if more {
		t.next = time.Time{}
		return
	}
	for _, jobs := range t.mine {
		t.capped = t.capped || jobs >= t.cap || t.c.cfg.MaxPerTenant > 0
	}
}

// round goes around once. full says that a tenant got all that its share allowed, and so may have more.
func (t *turns) round(
	ctx context.Context, params *riverdriver.JobGetAvailableParams, want int, into *riverdriver.JobGetAvailableResult,
	known map[int64]time.Time,
) (jobs int, full bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	busy, counts := make([]string, 0, len(t.mine)), make([]int, 0, len(t.mine))
	for _, id := range slices.Sorted(maps.Keys(t.mine)) {
		busy, counts = append(busy, id), append(counts, t.mine[id])
	}
	// One round trip, and one transaction: of the statement that takes, too.
	batch := &pgx.Batch{}
	batch.Queue("begin")
	batch.Queue("lock table " + lockOf(t.queue) + " in share row exclusive mode")
	batch.Queue(settleSQL)
	versions := t.c.cfg.Versions
	batch.Queue(takeSQL, t.queue, t.cursor, want, params.Kind, busy, counts, t.cap, t.c.cfg.MaxPerTenant, versions.Min, versions.Max,
		params.Now, params.ClientID, params.MaxAttemptedBy)
	batch.Queue("commit")
	results := t.c.cfg.Pool.SendBatch(ctx, batch)
	for range 3 {
		if _, err = results.Exec(); err != nil {
			_ = results.Close() // The pool closes the connection, since it is in a transaction.
			return 0, false, err
		}
	}
	var got []taken
	rows, err := results.Query()
	if err == nil {
		got, err = pgx.CollectRows(rows, scanTaken)
	}
	// Only what was committed is ours. If nobody can say, the jobs are found again by whoever looks for lost ones.
	if closeErr := results.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return 0, false, err
	}
	jobs, full = t.keep(got, into, known)
	return jobs, full, nil
}

// keep notes what was taken, and in known, of when the row of its tenant was.
func (t *turns) keep(jobs []taken, into *riverdriver.JobGetAvailableResult, known map[int64]time.Time) (n int, full bool) {
	select {
	case <-t.idle: // That was before these.
	default:
	}
	last := 0
	for _, j := range jobs {
		into.Jobs = append(into.Jobs, j.row)
		if j.err == nil {
			t.mine[j.tenant]++
			t.whose[j.row.ID] = j.tenant
			if j.known != nil {
				known[j.row.ID] = *j.known
			}
		} else { // River fails it without running it.
			if into.DecodeErrors == nil {
				into.DecodeErrors = map[int64]error{}
			}
			into.DecodeErrors[j.row.ID] = j.err
		}
		if j.turn >= last {
			last, t.cursor = j.turn, j.tenant
		}
		full = full || j.place == j.share && j.share < j.room
	}
	return len(jobs), full
}

// ended is told of every job that is no longer run here.
func (t *turns) ended(job int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.capped {
		t.next = time.Time{}
	}
	tenant := t.whose[job]
	delete(t.whose, job)
	if t.mine[tenant]--; t.mine[tenant] <= 0 {
		delete(t.mine, tenant)
	}
	if len(t.whose) == 0 {
		select {
		case t.idle <- struct{}{}:
		default:
		}
	}
}

// meet looks up whose jobs are. The fetch saw the rows of the tenants, and says by known which state of them: who is the same in the catalog of
// this process need not be read again. What cannot be looked up now is looked up when the job is entered.
func (c *Client) meet(ctx context.Context, jobs []*rivertype.JobRow, known map[int64]time.Time) {
	ids := map[string][]int64{}
	now := time.Now()
	for _, j := range jobs {
		id, err := readStamp(j.Metadata)
		if err != nil {
			continue
		}
		if t, ok := c.cfg.Tenants.ByID(id); ok && t.UpdatedAt.Equal(known[j.ID]) {
			c.met.Store(j.ID, meeting{t, now})
			continue
		}
		ids[id] = append(ids[id], j.ID)
	}
	if len(ids) == 0 {
		return
	}
	found, err := c.cfg.Tenants.FetchMany(ctx, slices.Collect(maps.Keys(ids)))
	if err != nil {
		return
	}
	for _, t := range found {
		for _, id := range ids[t.ID] {
			c.met.Store(id, meeting{t, now})
		}
	}
}

// meeting is a tenant as it was a moment ago.
type meeting struct {
	tenant tenancy.Tenant
	at     time.Time
}
