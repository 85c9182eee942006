package jobqueue

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Tenancy is what tenancy.Manager, which is the owner, does with the queue.
type Tenancy struct{}

// End removes the jobs of a tenant and gives how many: those that wait, with their arguments, and those that have ended. One that runs at this
// moment stays. The tenant's schedules go, too.
func (Tenancy) End(ctx context.Context, tx pgx.Tx, tenantID string) (int64, error) {
	// First, since it waits for a scheduler that enqueues at this moment: that job is then removed with the others.
	if _, err := tx.Exec(ctx, "delete from river.rowhouse_schedule where tenant_id = $1", tenantID); err != nil {
		return 0, fmt.Errorf("end schedules of tenant %s: %w", tenantID, err)
	}
	if _, err := tx.Exec(ctx, "delete from river.rowhouse_backfill where tenant_id = $1", tenantID); err != nil {
		return 0, fmt.Errorf("end backfills of tenant %s: %w", tenantID, err)
	}
	tag, err := tx.Exec(ctx, `delete from river.river_job
		where metadata @> pg_catalog.jsonb_build_object('tenant', $1::text) and state <> 'running'`, tenantID)
	if err != nil {
		return 0, fmt.Errorf("end jobs of tenant %s: %w", tenantID, err)
	}
	return tag.RowsAffected(), nil
}

// Count counts the jobs by tenant, without those that run. It reads the whole queue.
func (Tenancy) Count(ctx context.Context, tx pgx.Tx) (map[string]int64, error) {
	rows, err := tx.Query(ctx, `select metadata ->> 'tenant', count(*) from river.river_job
		where state <> 'running' and metadata ->> 'tenant' is not null group by 1`)
	if err != nil {
		return nil, fmt.Errorf("count jobs: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct {
		ID   string
		Jobs int64
	}])
	if err != nil {
		return nil, fmt.Errorf("count jobs: %w", err)
	}
	counts := map[string]int64{}
	for _, f := range found {
		counts[f.ID] = f.Jobs
	}
	return counts, nil
}
