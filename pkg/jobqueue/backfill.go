package jobqueue

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river/rivertype"

	"github.com/rowhousehq/rowhouse/pkg/job"
)

// RunBackfill is the job that runs a backfill in one tenant.
type RunBackfill struct {
	Name string `json:"name"`
}

// Kind names the worker.
func (RunBackfill) Kind() string { return "jobs.backfill" }

// JobOpts asks for the queue of what may take until tomorrow, and for one job for each backfill.
func (r RunBackfill) JobOpts() job.Opts { return job.Opts{Queue: job.QueueBulk, Unique: r.Name} }

// FindBackfills is the job that enqueues [RunBackfill] for the tenants whose schemas have come to the version that a backfill needs.
type FindBackfills struct{}

// PlatformKind names the worker, and the schedule.
func (FindBackfills) PlatformKind() string { return "jobs.backfills" }

const (
	// backfillTurn is how long a tenant's backfill goes on before the worker is left to others.
	backfillTurn = 5 * time.Second
	// backfillBatch is how many tenants are given a job in one transaction.
	backfillBatch = 1000
)

// HandleBackfills runs the backfills: a tenant gets its jobs within a minute of its schema's coming to the version that they need, so
// wave by wave with a fleet that is migrated. Without backfills it does nothing. A backfill stays in the list until no tenant needs it.
func HandleBackfills(w *Workers, backfills ...job.Backfill) error {
	if len(backfills) == 0 {
		return nil
	}
	byName := map[string]job.Backfill{}
	for _, b := range backfills {
		if err := b.Check(); err != nil {
			return fmt.Errorf("jobqueue: %w", err)
		}
		if _, twice := byName[b.Name]; twice {
			return fmt.Errorf("jobqueue: there is a second backfill %q", b.Name)
		}
		byName[b.Name] = b
	}
	register(w, handler{kind: RunBackfill{}.Kind(), ofTenant: true}, nil,
		func(ctx context.Context, c *Client, row *rivertype.JobRow, args RunBackfill) error {
			b, known := byName[args.Name]
			if !known { // A newer version of the program knows it, or an older one did.
				return job.Snooze(time.Minute)
			}
			return c.backfill(ctx, row, b)
		})
	register(w, handler{kind: FindBackfills{}.PlatformKind()}, nil,
		func(ctx context.Context, c *Client, _ *rivertype.JobRow, _ FindBackfills) error {
			for _, b := range backfills {
				if err := c.findBackfills(ctx, b); err != nil {
					return err
				}
			}
			return nil
		})
	SchedulePlatform(w, ScheduleSpec{
		Name: FindBackfills{}.PlatformKind(), Cron: "* * * * *", Opts: job.Opts{Queue: job.QueueBulk, Unique: "minutely"},
	}, func(time.Time, *time.Location) FindBackfills { return FindBackfills{} })
	return nil
}

// backfill does batch after batch, and leaves the worker to others now and then.
func (c *Client) backfill(ctx context.Context, row *rivertype.JobRow, b job.Backfill) error {
	scope, err := c.enter(ctx, row)
	if err != nil {
		return err
	}
	tenant := scope.Tenant()
	if tenant.Version < b.Version { // It was taken back meanwhile.
		return job.Snooze(time.Minute)
	}
	for started := time.Now(); ; {
		done, rows, err := b.Batch(ctx, scope)
		if err != nil {
			return err
		}
		more := time.Since(started) < backfillTurn && ctx.Err() == nil
		if !done && more {
			continue
		}
		_, err = c.cfg.Pool.Exec(ctx, `update river.rowhouse_backfill set done_rows = $3, finished_at = case when $4 then now() end
			where tenant_id = $1 and name = $2`, tenant.ID, b.Name, rows, done)
		if err != nil {
			return fmt.Errorf("backfill %s: note how far it came: %w", b.Name, err)
		}
		if !done {
			return job.Snooze(0)
		}
		return nil
	}
}

// findBackfills gives a job to each tenant that can have the backfill and has none.
func (c *Client) findBackfills(ctx context.Context, b job.Backfill) error {
	for {
		n := 0
		err := pgx.BeginFunc(ctx, c.cfg.Pool, func(tx pgx.Tx) error {
			// Jobs that failed are forgotten by the queue after a week, and those that somebody deleted are gone at once: once more.
			_, err := tx.Exec(ctx, `delete from river.rowhouse_backfill b where name = $1 and finished_at is null
				and not exists (select from river.river_job j where j.id = b.job_id)`, b.Name)
			if err != nil {
				return err
			}
			rows, err := tx.Query(ctx, `insert into river.rowhouse_backfill (tenant_id, name)
				select id, $1 from rowhouse.tenants t where state = 'ready' and schema_version >= $2
					and not exists (select from river.rowhouse_backfill b where b.tenant_id = t.id and b.name = $1)
				order by id limit $3 on conflict do nothing returning tenant_id`, b.Name, b.Version, backfillBatch)
			if err != nil {
				return err
			}
			ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				return err
			}
			n = len(ids)
			args := RunBackfill{b.Name}
			orders := make([]order, n)
			for i, id := range ids {
				orders[i] = order{kind: args.Kind(), args: args, opts: args.JobOpts(), owner: id}
			}
			receipts, err := c.insert(ctx, tx, orders)
			if err != nil {
				return err
			}
			jobs := make([]int64, n)
			for i, r := range receipts {
				jobs[i] = r.ID
			}
			_, err = tx.Exec(ctx, `update river.rowhouse_backfill b set job_id = u.job from unnest($2::text[], $3::bigint[]) u (tenant, job)
				where b.tenant_id = u.tenant and b.name = $1`, b.Name, ids, jobs)
			return err
		})
		if err != nil {
			return fmt.Errorf("find tenants for backfill %s: %w", b.Name, err)
		}
		if n < backfillBatch {
			return nil
		}
	}
}

// backfillTable says which tenants were given a backfill, and how far each has come, for operators. What counts is the row in the tenant's own
// schema.
const backfillTable = `create table if not exists river.rowhouse_backfill (
	tenant_id   text        not null,
	name        text        not null,
	job_id      bigint,
	enqueued_at timestamptz not null default now(),
	done_rows   bigint      not null default 0,
	finished_at timestamptz,
	constraint rowhouse_backfill_pkey primary key (tenant_id, name)
)`

// BackfillStatus is how far a backfill has come in the fleet.
type BackfillStatus struct {
	Name string `json:"name"`
	// Tenants were given a job. In Finished of them it is done; in Failed the job has ended without, and waits for an operator's retry, or
	// until the queue forgets it and it gets another.
	Tenants  int64 `json:"tenants"`
	Finished int64 `json:"finished"`
	Failed   int64 `json:"failed"`
	// Rows is how many there were in all batches, as far as was noted.
	Rows int64 `json:"rows"`
	// Started is when the first tenant was given its job.
	Started time.Time `json:"started"`
}

// Backfills gives how far the backfills have come, those that began last first.
func (o *Operator) Backfills(ctx context.Context) ([]BackfillStatus, error) {
	rows, err := o.pool.Query(ctx, `select b.name, count(*), count(b.finished_at),
			count(*) filter (where b.finished_at is null and (j.id is null or j.state in ('discarded', 'cancelled'))),
			coalesce(sum(b.done_rows), 0)::bigint, min(b.enqueued_at)
		from river.rowhouse_backfill b left join river.river_job j on j.id = b.job_id group by b.name order by 6 desc, 1`)
	if err != nil {
		return nil, fmt.Errorf("read backfills: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[BackfillStatus])
	if err != nil {
		return nil, fmt.Errorf("read backfills: %w", err)
	}
	return found, nil
}
