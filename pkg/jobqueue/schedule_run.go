package jobqueue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"
)

const (
	// fireBatch is how many jobs one transaction enqueues, and fireBatches how many of those one pass makes for a schedule.
	fireBatch   = 500
	fireBatches = 20
	// syncEvery is how often the rows are held against the tenants and what is declared.
	syncEvery = 30 * time.Second
	// forgetAfter is how long nobody has declared a schedule before its rows are removed.
	forgetAfter = 90 * 24 * time.Hour
)

// ScheduleObserver is told what schedules do.
type ScheduleObserver interface {
	// ScheduleFired is given a schedule's name and how many jobs it has just enqueued.
	ScheduleFired(name string, jobs int)
	// ScheduleLag is given, at each pass, how long what is due the longest has been: nothing if nothing is.
	ScheduleLag(age time.Duration)
}

// scheduler enqueues the jobs of the schedules. Every process that declares any has one.
//
// What keeps two of them from enqueuing a job twice is that the row is locked, and moved in the transaction that enqueues. Beside that one
// process at a time works at a schedule, so that they do not jostle: the one that has locked the schedule's own row, for a transaction. It
// is no advisory lock, because any role may hold one of those by its number, and the schedules would stand still.
type scheduler struct {
	c         *Client
	declared  map[string]schedule
	names     []string // all that are declared, and
	platforms []string // those of the platform's
	clock     func(time.Time) time.Time
	synced    time.Time

	end  context.CancelFunc
	done chan struct{}
}

func newScheduler(c *Client, schedules []schedule) *scheduler {
	s := &scheduler{c: c, declared: map[string]schedule{}, clock: func(now time.Time) time.Time { return now }}
	s.platforms = []string{} // None of them is not NULL.
	for _, declared := range schedules {
		s.declared[declared.Name] = declared
		s.names = append(s.names, declared.Name)
		if !declared.perTenant {
			s.platforms = append(s.platforms, declared.Name)
		}
	}
	return s
}

// start runs passes until stop.
func (s *scheduler) start(ctx context.Context) {
	if len(s.names) == 0 {
		return
	}
	ctx, s.end = context.WithCancel(context.WithoutCancel(ctx))
	s.done = make(chan struct{})
	go func() {
		defer close(s.done)
		ticker := time.NewTicker(s.c.cfg.ScheduleInterval)
		defer ticker.Stop()
		for {
			if err := s.pass(ctx); err != nil && ctx.Err() == nil {
				s.c.cfg.Log.Error("schedules", zap.Error(err))
			}
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	}()
}

// stop waits for the pass under way, whose transaction is rolled back if it cannot commit at once.
func (s *scheduler) stop() {
	if s == nil || s.done == nil {
		return
	}
	s.end()
	<-s.done
}

// pass does what there is to do now. When nothing is, it is one short query.
func (s *scheduler) pass(ctx context.Context) error {
	if now := time.Now(); s.synced.IsZero() || now.Sub(s.synced) >= syncEvery {
		if err := s.sync(ctx, s.synced.IsZero()); err != nil {
			return err
		}
		s.synced = now
	}
	due, lag, err := s.due(ctx)
	if err != nil {
		return fmt.Errorf("look for what is due: %w", err)
	}
	if s.c.cfg.ScheduleMetrics != nil {
		s.c.cfg.ScheduleMetrics.ScheduleLag(lag)
	}
	var failed error
	for _, name := range due { // One that fails keeps no other.
		for range fireBatches {
			n, err := s.fire(ctx, name)
			if err != nil {
				failed = errors.Join(failed, fmt.Errorf("%s: %w", name, err))
			}
			if n < fireBatch {
				break
			}
		}
	}
	return failed
}

// due gives the schedules of which something is due, and since when at the longest.
func (s *scheduler) due(ctx context.Context) (names []string, lag time.Duration, err error) {
	rows, err := s.c.cfg.Pool.Query(ctx, //nolint:rowserrcheck // ForEachRow gives it.
		`select s.name, now() - min(s.next_at) from river.rowhouse_schedule s
		left join rowhouse.tenants t on t.id = s.tenant_id
		where s.name = any($1) and s.next_at <= now() and (s.tenant_id = '') = (s.name = any($2)) and `+served+` group by 1 order by 2 desc`,
		s.names, s.platforms)
	if err != nil {
		return nil, 0, err
	}
	var name string
	var age time.Duration
	_, err = pgx.ForEachRow(rows, []any{&name, &age}, func() error {
		names, lag = append(names, name), max(lag, age)
		return nil
	})
	return names, lag, err
}

// lead locks a schedule for tx, if no other process works at it.
func lead(ctx context.Context, tx pgx.Tx, name string) (bool, error) {
	err := tx.QueryRow(ctx, "select name from river.rowhouse_schedule where name = $1 and tenant_id = '' for update skip locked", name).Scan(&name)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// fire enqueues jobs that are due, in one transaction with the move to their next times, and gives how many.
func (s *scheduler) fire(ctx context.Context, name string) (fired int, err error) {
	declared := s.declared[name]
	err = pgx.BeginFunc(ctx, s.c.cfg.Pool, func(tx pgx.Tx) error {
		if mine, err := lead(ctx, tx, name); err != nil || !mine {
			return err
		}
		rows, err := readPlanned(ctx, tx, "where s.name = $1 and s.next_at <= now() and (s.tenant_id <> '') = $2 and "+served+
			" order by s.next_at limit $3 for update of s skip locked", name, declared.perTenant, fireBatch)
		if err != nil || len(rows) == 0 {
			return err
		}
		orders, ids := make([]order, len(rows)), make([]int64, len(rows))
		for i := range rows {
			if orders[i], err = s.take(&rows[i], declared); err != nil {
				return err
			}
		}
		receipts, err := s.c.insert(ctx, tx, orders)
		if err != nil {
			return err
		}
		for i, r := range receipts {
			ids[i] = r.ID
		}
		fired = len(rows)
		return store(ctx, tx, rows, ids)
	})
	if err != nil {
		return 0, err
	}
	if fired > 0 && s.c.cfg.ScheduleMetrics != nil {
		s.c.cfg.ScheduleMetrics.ScheduleFired(name, fired)
	}
	return fired, nil
}

// take makes the job of a row that is due and moves the row on: to the first time that is still to come, however many were missed.
func (s *scheduler) take(p *planned, declared schedule) (order, error) {
	due := *p.NextAt // `run` asks for now, which is no time of the expression's.
	if p.DueAt != nil {
		due = *p.DueAt
	}
	table, err := p.plan(s.clock(p.Now))
	if err != nil { // It never comes again, until somebody sets what is right; this one time it does.
		s.c.cfg.Log.Error("a schedule stands still", zap.Error(err))
		table.zone = time.UTC
	}
	return declared.build(due, table.zone, p.TenantID)
}

// sync brings the rows up to date: what is declared if that is to be written, a row for each living tenant and for no other, and the next
// times of what has changed. Of all processes one does it.
func (s *scheduler) sync(ctx context.Context, declare bool) error {
	for _, name := range s.names {
		if declare {
			if err := s.declare(ctx, s.declared[name]); err != nil {
				return fmt.Errorf("declare the schedule %s: %w", name, err)
			}
		}
		for now, more := declare, true; more; now = true { // What was begun is finished.
			err := pgx.BeginFunc(ctx, s.c.cfg.Pool, func(tx pgx.Tx) (err error) {
				more, err = s.syncSome(ctx, tx, name, now)
				return err
			})
			if err != nil {
				return fmt.Errorf("bring the schedule %s up to date: %w", name, err)
			}
		}
	}
	_, err := s.c.cfg.Pool.Exec(ctx, `delete from river.rowhouse_schedule s using river.rowhouse_schedule d
		where d.name = s.name and d.tenant_id = '' and d.synced_at < now() - $1::interval`, forgetAfter)
	return err
}

// declare writes what the code says. Of two versions of the program the one that started last is heard.
func (s *scheduler) declare(ctx context.Context, d schedule) error {
	_, err := s.c.cfg.Pool.Exec(ctx, `insert into river.rowhouse_schedule as s
			(name, tenant_id, per_tenant, kind, declared_cron, declared_zone, jitter_seconds, synced_at)
		values ($1, '', $2, $3, $4, $5, $6, now())
		on conflict (name, tenant_id) do update set per_tenant = excluded.per_tenant, kind = excluded.kind, declared_cron = excluded.declared_cron,
			declared_zone = excluded.declared_zone, jitter_seconds = excluded.jitter_seconds, synced_at = excluded.synced_at,
			next_at = case when excluded.per_tenant then null else s.next_at end`,
		d.Name, d.perTenant, d.kind, d.Cron, d.Zone, int(d.Jitter/time.Second))
	return err
}

// syncSome does a bounded part of it, unless somebody else is at it, or has done it a moment ago and now is false. more says whether there
// is more to do.
func (s *scheduler) syncSome(ctx context.Context, tx pgx.Tx, name string, now bool) (more bool, err error) {
	if mine, err := lead(ctx, tx, name); err != nil || !mine {
		return false, err
	}
	tag, err := tx.Exec(ctx, `update river.rowhouse_schedule set synced_at = now()
		where name = $1 and tenant_id = '' and ($2 or synced_at < now() - $3::interval)`, name, now, syncEvery/2)
	if err != nil || tag.RowsAffected() == 0 {
		return false, err
	}

	_, err = tx.Exec(ctx, `insert into river.rowhouse_schedule (name, tenant_id) select d.name, t.id
		from river.rowhouse_schedule d cross join rowhouse.tenants t
		where d.name = $1 and d.tenant_id = '' and d.per_tenant and `+livingTenant+`
			and not exists (select from river.rowhouse_schedule s where s.name = d.name and s.tenant_id = t.id)
		on conflict do nothing`, name)
	if err != nil {
		return false, err
	}
	_, err = tx.Exec(ctx, `delete from river.rowhouse_schedule s using river.rowhouse_schedule d
		where s.name = $1 and s.tenant_id <> '' and d.name = s.name and d.tenant_id = ''
			and not (d.per_tenant and exists (select from rowhouse.tenants t where t.id = s.tenant_id and `+livingTenant+`))`, name)
	if err != nil {
		return false, err
	}
	n, faults, err := replan(ctx, tx, name, false, s.clock)
	for _, fault := range faults {
		s.c.cfg.Log.Error("a schedule stands still", zap.Error(fault))
	}
	return n > 0, err
}
