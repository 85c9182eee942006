package jobqueue

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/telemetry"
)

// MaxCount is where [Operator.Stats] stops counting the jobs of a queue in a state: a number that is this large means "at least".
const MaxCount = 1_000_000

// sampled is how many of a queue's waiting jobs are asked whose they are, which stands in the table and in no index of River's.
const sampled = 20_000

// Stats is how the queue stands.
type Stats struct {
	// Queues are all queues by name.
	Queues map[string]telemetry.JobQueueStat
	// Tenants are those with the most waiting jobs, the worst first.
	Tenants []TenantStat
}

// TenantStat is how many jobs of a tenant wait, among the first 20,000 of each queue.
type TenantStat struct {
	TenantID string
	Waiting  int64
}

// queueStatsSQL is one row a queue. The counts and the oldest are read from River's index for fetching (state, queue, priority, scheduled_at,
// id) alone, as far as the table was vacuumed since it changed, and the oldest of each priority is its first entry. Jobs that ended well or
// were cancelled are not looked at.
const queueStatsSQL = `
select q.name,
	coalesce((select paused_at is not null from river.river_queue where name = q.name), false),
	coalesce((select extract(epoch from clock_timestamp() - min(first.scheduled_at)) from unnest('{1,2,3,4}'::smallint[]) as p (priority),
		lateral (select j.scheduled_at from river.river_job j where j.state = 'available' and j.queue = q.name and j.priority = p.priority
			order by j.scheduled_at limit 1) as first), 0)::float8,
	(select count(*) from (select from river.river_job where state = 'available' and queue = q.name limit $2) as counted),
	(select count(*) from (select from river.river_job where state = 'scheduled' and queue = q.name limit $2) as counted),
	(select count(*) from (select from river.river_job where state = 'running' and queue = q.name limit $2) as counted),
	(select count(*) from (select from river.river_job where state = 'retryable' and queue = q.name limit $2) as counted),
	(select count(*) from (select from river.river_job where state = 'discarded' and queue = q.name limit $2) as counted)
from unnest($1::text[]) as q (name)`

const tenantStatsSQL = `
select tenant, count(*) from unnest($1::text[]) as q (name),
	lateral (select metadata ->> 'tenant' as tenant from river.river_job where state = 'available' and queue = q.name limit $2) as waiting
where tenant is not null
group by tenant order by count(*) desc, tenant limit $3`

// Stats counts what is to be done, has failed or runs, and gives the tenants with the most waiting jobs. It reads [MaxCount] jobs of each queue and
// state at the most.
func (o *Operator) Stats(ctx context.Context, tenants int) (Stats, error) {
	return readStats(ctx, o.pool, MaxCount, tenants)
}

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func readStats(ctx context.Context, db querier, most, tenants int) (Stats, error) {
	stats := Stats{Queues: map[string]telemetry.JobQueueStat{}}
	rows, err := db.Query(ctx, queueStatsSQL, Queues(), most) //nolint:rowserrcheck // ForEachRow does.
	if err != nil {
		return Stats{}, fmt.Errorf("count jobs: %w", err)
	}
	var name string
	var s telemetry.JobQueueStat
	var age float64
	_, err = pgx.ForEachRow(rows, []any{&name, &s.Paused, &age, &s.Waiting, &s.Scheduled, &s.Running, &s.Retryable, &s.Discarded}, func() error {
		s.OldestAge = time.Duration(max(0, age) * float64(time.Second)) // Who enqueued it may have another clock.
		stats.Queues[name] = s
		return nil
	})
	if err != nil {
		return Stats{}, fmt.Errorf("count jobs: %w", err)
	}
	found, err := db.Query(ctx, tenantStatsSQL, Queues(), min(most, sampled), tenants)
	if err != nil {
		return Stats{}, fmt.Errorf("count jobs of tenants: %w", err)
	}
	if stats.Tenants, err = pgx.CollectRows(found, pgx.RowToStructByPos[TenantStat]); err != nil {
		return Stats{}, fmt.Errorf("count jobs of tenants: %w", err)
	}
	return stats, nil
}
