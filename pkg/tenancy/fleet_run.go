package tenancy

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

const (
	// beatEvery is how often a run says that it goes on, and looks whether it is to pause.
	beatEvery = time.Second
	// A tenant whose tables are locked is tried again after a pause that doubles.
	lockPauseLeast, lockPauseMost = 100 * time.Millisecond, 5 * time.Second
)

// MigrationResult is what became of one tenant in a run over the fleet.
type MigrationResult struct {
	Tenant   Tenant
	From, To int64
	Duration time.Duration
	// Attempts is how many times it was tried, which is more than once where tables were locked.
	Attempts int
	// Err is why the tenant is not where the run wants it; nil if it is.
	Err error
}

// runner is a run under way.
type runner struct {
	m      *Manager
	run    int64
	opts   RunOptions
	report func(MigrationResult)
	// ctx ends when no further tenant is to be begun; its cause says why.
	ctx  context.Context //nolint:containedctx // It belongs to the run as a whole.
	stop context.CancelCauseFunc
	pace pace

	mu     sync.Mutex // held while report is called
	failed int
}

// errPaused and errTooMany stop a run.
var (
	errPaused  = errors.New("paused by an operator")
	errTooMany = errors.New("too many tenants failed")
)

// work goes through what is pending in a run, and writes down what came of it.
func (m *Manager) work(ctx context.Context, h hold, id int64, opts RunOptions, report func(MigrationResult)) (Run, error) {
	items, err := m.pending(ctx, h, id)
	if err != nil {
		return Run{}, errors.Join(err, m.endRun(context.WithoutCancel(ctx), id, RunStopped, "its tenants could not be read"))
	}
	r := &runner{m: m, run: id, opts: opts, report: report}
	r.ctx, r.stop = context.WithCancelCause(ctx)
	r.waves(h, items)
	cause := context.Cause(r.ctx)
	r.stop(nil)
	state, reason := RunDone, ""
	switch {
	case cause == nil:
	case errors.Is(cause, errPaused):
		state, reason = RunPaused, cause.Error()
	case ctx.Err() != nil:
		state, reason = RunStopped, "interrupted"
	default:
		state, reason = RunStopped, cause.Error()
	}
	ctx = context.WithoutCancel(ctx)
	if err = m.endRun(ctx, id, state, reason); err != nil {
		return Run{ID: id, State: state, Reason: reason, Options: opts}, err
	}
	run, err := m.GetRun(ctx, id)
	if err != nil {
		return run, err
	}
	return run, run.verdict()
}

// verdict is nil if everybody is where they should be.
func (r Run) verdict() error {
	switch {
	case r.State != RunDone:
		return apperr.New(apperr.Partial, "run %d was stopped (%s) with %d of %d tenants still to do: `rowhouse fleet resume %d` goes on",
			r.ID, r.Reason, r.Pending, r.Pending+r.Done+r.Failed, r.ID)
	case r.Failed > 0:
		return apperr.New(apperr.Partial, "%d of %d tenants were not migrated: mend the cause, then `rowhouse fleet retry %d`",
			r.Failed, r.Done+r.Failed, r.ID)
	}
	return nil
}

// waves works wave by wave, until all is done or r.ctx ends.
func (r *runner) waves(h hold, items []item) {
	over := make(chan struct{})
	var beats sync.WaitGroup
	beats.Go(func() { r.beats(h, over) })
	defer beats.Wait()
	defer close(over)
	for len(items) > 0 && r.ctx.Err() == nil {
		end := slices.IndexFunc(items, func(it item) bool { return it.wave != items[0].wave })
		if end < 0 {
			end = len(items)
		}
		r.wave(items[:end])
		items = items[end:]
	}
}

// beats says that the run goes on until over is closed, and stops it when it should not.
func (r *runner) beats(h hold, over <-chan struct{}) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return
		case <-tick.C:
			if err := r.m.beat(context.WithoutCancel(r.ctx), h, r.run); err != nil {
				r.stop(err)
				return
			}
		}
	}
}

// wave migrates the tenants of one wave.
func (r *runner) wave(items []item) {
	var mu sync.Mutex
	take := func() (chunk []item) {
		mu.Lock()
		defer mu.Unlock()
		if r.ctx.Err() != nil {
			return nil
		}
		n := min(r.pace.share(r.opts.Batch), (len(items)+r.opts.Workers-1)/r.opts.Workers) // The last are left to all workers alike.
		chunk, items = items[:n], items[n:]
		return chunk
	}
	var workers sync.WaitGroup
	for range min(r.opts.Workers, len(items)) {
		workers.Go(func() {
			pool := sessions{m: r.m, most: sessionMigrates}
			defer pool.close()
			for chunk := take(); len(chunk) > 0; chunk = take() {
				r.chunk(&pool, chunk)
			}
		})
	}
	workers.Wait()
}

// sharedTime is what a transaction of several tenants should take: each holds the locks of all until it ends.
const sharedTime = 50 * time.Millisecond

// pace is how long a tenant's migration has taken lately, in nanoseconds; 0 before the first.
type pace struct{ each atomic.Int64 }

// share gives how many tenants, at most so many, are to share a transaction: one until it is known how long one takes.
func (p *pace) share(most int) int {
	each := p.each.Load()
	if each == 0 {
		return 1
	}
	return min(most, max(1, int(int64(sharedTime)/each)))
}

// took learns from a transaction of so many tenants.
func (p *pace) took(since time.Time, tenants int) {
	each := max(1, int64(time.Since(since))/int64(tenants))
	if before := p.each.Load(); before > 0 {
		each = (before + each) / 2 // Of two at once one is forgotten.
	}
	p.each.Store(each)
}

// chunk migrates tenants that may share a transaction. If they cannot, or one of them fails, each goes alone.
func (r *runner) chunk(pool *sessions, items []item) {
	if len(items) > 1 && r.together(pool, items) {
		return
	}
	for _, it := range items {
		if r.ctx.Err() != nil {
			return
		}
		r.tell(r.alone(pool, it.Tenant))
	}
}

// together migrates tenants in one transaction; false if nothing came of it.
func (r *runner) together(pool *sessions, items []item) bool {
	started := time.Now()
	session, err := pool.get(r.ctx, len(items))
	if err != nil {
		return false // Each says why.
	}
	begun := time.Now()
	defer func() { r.pace.took(begun, len(items)) }()
	specs, ids := make([]tenantschema.Spec, len(items)), make([]string, len(items))
	for i, it := range items {
		specs[i], ids[i] = r.opts.spec(it.Tenant), it.ID
	}
	var reached []int64
	err = session.MigrateTogether(r.ctx, specs, func(ctx context.Context, tx pgx.Tx, versions []int64) error {
		reached = versions
		return r.moved(ctx, tx, ids, versions, true, started)
	})
	if err != nil {
		if !errors.Is(err, tenantschema.ErrApart) {
			pool.close() // Whatever state it is in.
		}
		return false
	}
	for i, it := range items {
		r.tell(MigrationResult{
			Tenant: it.arrived(reached[i]), From: it.SchemaVersion, To: reached[i], Duration: time.Since(started), Attempts: 1,
		})
	}
	return true
}

// moved writes down that tenants have got to a version. The session keeps the statement: to plan it takes longer than to run it.
func (r *runner) moved(ctx context.Context, tx pgx.Tx, ids []string, versions []int64, done bool, started time.Time) error {
	const name = "rowhouse_moved"
	if _, err := tx.Prepare(ctx, name, sqlMoved); err != nil {
		return fmt.Errorf("write down the migration: %w", err)
	}
	if _, err := tx.Exec(ctx, name, ids, versions, done, r.run, time.Since(started).Milliseconds()); err != nil {
		return fmt.Errorf("write down the migration: %w", err)
	}
	return nil
}

// arrived gives t as a migration leaves it.
func (t Tenant) arrived(version int64) Tenant {
	t.SchemaVersion = version
	if t.State != StateSuspended && t.State != StateWarm {
		t.State, t.StateReason = StateReady, ""
	}
	return t
}

// alone migrates one tenant. While its tables are locked it is tried again.
func (r *runner) alone(pool *sessions, t Tenant) MigrationResult {
	started := time.Now()
	result := MigrationResult{Tenant: t, From: t.SchemaVersion, To: t.SchemaVersion}
	pause := lockPauseLeast
	for result.Attempts = 1; ; result.Attempts++ {
		result.Err = r.move(pool, t, started)
		// lock_not_available, deadlock_detected
		if result.Attempts >= r.opts.LockTries || !sqlState(result.Err, "55P03", "40P01") || r.ctx.Err() != nil {
			break
		}
		select {
		case <-r.ctx.Done():
		case <-time.After(pause/2 + rand.N(pause)): //nolint:gosec // Nobody gains by guessing it.
		}
		pause = min(2*pause, lockPauseMost)
	}
	result.Duration = time.Since(started)
	if result.Err == nil {
		result.Tenant, result.To = t.arrived(r.opts.Target), r.opts.Target
	} else if fresh, err := r.m.byID(context.WithoutCancel(r.ctx), t.ID); err == nil {
		result.Tenant, result.To = fresh, fresh.SchemaVersion
	}
	return result
}

// migrateOne brings one tenant to the newest version, outside of any run.
func (m *Manager) migrateOne(ctx context.Context, pool *sessions, t Tenant) MigrationResult {
	r := &runner{m: m, opts: RunOptions{Target: m.Target(), LockTries: 1}, ctx: ctx}
	return r.alone(pool, t)
}

// move migrates one tenant, up or down, once.
func (r *runner) move(pool *sessions, t Tenant, started time.Time) error {
	session, err := pool.get(r.ctx, 1)
	if err != nil {
		return err
	}
	began := false // Files outside a transaction: by this call, not by another that holds the schema's lock.
	record := func(ctx context.Context, tx pgx.Tx, version int64, done bool) error {
		began = began || !done
		return r.moved(ctx, tx, []string{t.ID}, []int64{version}, done, started)
	}
	begun := time.Now()
	defer func() { r.pace.took(begun, 1) }()
	migrate := session.Migrate
	if r.opts.Down {
		migrate = session.Rollback
	}
	if err = migrate(r.ctx, r.opts.spec(t), record); err == nil {
		return nil
	}
	pool.close()
	if !began {
		return err
	}
	// Files outside a transaction may have done half their work: nobody should meet the tenant unawares. A suspended one stays suspended,
	// and cannot be resumed before it is mended.
	_, quarantineErr := r.m.cfg.Pool.Exec(context.WithoutCancel(r.ctx), `update rowhouse.tenants set migration_error = $2,
		state_reason = case when state = 'migrating' then 'migration failed: ' || $2 else state_reason end,
		state = case when state = 'migrating' then 'quarantined' else state end
		where id = $1 and state in ('migrating', 'suspended', 'warm')`, t.ID, err.Error())
	return errors.Join(err, quarantineErr)
}

// tell reports what became of a tenant, and stops the run if too many have failed.
func (r *runner) tell(result MigrationResult) {
	if result.Err != nil && r.ctx.Err() != nil && errors.Is(result.Err, context.Canceled) {
		return // It was not begun.
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if result.Err != nil {
		r.failed++
		if err := r.m.failed(context.WithoutCancel(r.ctx), r.run, result); err != nil {
			r.stop(err)
		}
		if r.opts.MaxFailures >= 0 && r.failed > r.opts.MaxFailures {
			r.stop(fmt.Errorf("%w: %d", errTooMany, r.failed))
		}
	}
	r.report(result)
}
