package tenancy

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// fleetLock names the lock of whoever runs over the fleet.
const fleetLock = "rowhouse.fleet"

// hold is the right to run over the fleet. It ends with its connection.
type hold struct{ conn *pgxpool.Conn }

// holdFleet takes that right, or says who has it.
func (m *Manager) holdFleet(ctx context.Context) (hold, error) {
	conn, err := m.cfg.Pool.Acquire(ctx)
	if err != nil {
		return hold{}, apperr.Wrap(err, apperr.Unavailable, "the database cannot be reached as its owner")
	}
	locked, err := tenantschema.TryLock(ctx, conn.Conn(), fleetLock)
	if err == nil && !locked {
		err = m.busyFleet(ctx)
	}
	if err != nil {
		conn.Release()
		return hold{}, err
	}
	return hold{conn}, nil
}

func (h hold) release() {
	tenantschema.Unlock(context.Background(), h.conn.Conn(), fleetLock)
	h.conn.Release()
}

// busyFleet says who runs over the fleet.
func (m *Manager) busyFleet(ctx context.Context) error {
	runs, err := m.readRuns(ctx, "where r.state in ('running', 'paused') order by r.id desc limit 1")
	if err != nil {
		return err
	}
	if len(runs) == 0 {
		return apperr.New(apperr.Conflict, "somebody else begins or ends a run over the fleet at this moment: try again")
	}
	run := runs[0]
	return apperr.New(apperr.Conflict, "%s runs over the fleet since %s (run %d, %d of %d tenants): wait, or `rowhouse fleet pause %d`",
		run.By, run.Started.UTC().Format(time.RFC3339), run.ID, run.Done+run.Failed, run.Done+run.Failed+run.Pending, run.ID)
}

// writeRun writes down a run and all who are to move, and ends those that were left.
func (m *Manager) writeRun(ctx context.Context, h hold, opts RunOptions, tenants []Tenant) (id int64, err error) {
	options, err := json.Marshal(opts)
	if err != nil {
		return 0, err
	}
	ends := opts.waves(len(tenants))
	rows := make([][]any, len(tenants))
	wave := 0
	for i, t := range tenants {
		if i == ends[wave] {
			wave++
		}
		rows[i] = []any{int64(0), t.ID, wave + 1, i, t.SchemaVersion}
	}
	err = pgx.BeginFunc(ctx, h.conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `update rowhouse.fleet_runs set state = 'superseded', ended_at = now()
			where state in ('running', 'paused', 'stopped')`)
		if err != nil {
			return err
		}
		err = tx.QueryRow(ctx, "insert into rowhouse.fleet_runs (down, target, options, started_by) values ($1, $2, $3, $4) returning id",
			opts.Down, opts.Target, options, opts.By).Scan(&id)
		if err != nil {
			return err
		}
		for _, row := range rows {
			row[0] = id
		}
		_, err = tx.CopyFrom(ctx, pgx.Identifier{"rowhouse", "fleet_run_tenants"},
			[]string{"run", "tenant", "wave", "place", "from_version"}, pgx.CopyFromRows(rows))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("write down the run: %w", err)
	}
	return id, nil
}

// reopenRun makes a run one that runs.
func (m *Manager) reopenRun(ctx context.Context, h hold, id int64, retry bool, by string) error {
	err := pgx.BeginFunc(ctx, h.conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `update rowhouse.fleet_runs set state = 'running', reason = '', started_by = $2, beat_at = now(), ended_at = null
			where id = $1`, id, by); err != nil {
			return err
		}
		if !retry {
			return nil
		}
		_, err := tx.Exec(ctx, "update rowhouse.fleet_run_tenants set state = 'pending', error = '' where run = $1 and state = 'failed'", id)
		return err
	})
	if err != nil {
		return fmt.Errorf("reopen run %d: %w", id, err)
	}
	return nil
}

// item is a tenant that a run has still to move.
type item struct {
	Tenant

	wave int
}

// pending lists who is left, wave by wave. Those that have been archived or deleted meanwhile are written off.
func (m *Manager) pending(ctx context.Context, h hold, run int64) ([]item, error) {
	_, err := h.conn.Exec(ctx, `update rowhouse.fleet_run_tenants f set state = 'gone', ended_at = now() from rowhouse.tenants t
		where f.run = $1 and f.state = 'pending' and t.id = f.tenant and t.state in ('archived', 'deleted')`, run)
	if err != nil {
		return nil, fmt.Errorf("read run %d: %w", run, err)
	}
	rows, err := h.conn.Query(ctx, `select tenant, wave from rowhouse.fleet_run_tenants
		where run = $1 and state = 'pending' order by wave, place`, run)
	if err != nil {
		return nil, fmt.Errorf("read run %d: %w", run, err)
	}
	type place struct {
		ID   string
		Wave int
	}
	places, err := pgx.CollectRows(rows, pgx.RowToStructByPos[place])
	if err != nil {
		return nil, fmt.Errorf("read run %d: %w", run, err)
	}
	ids := make([]string, len(places))
	for i, p := range places {
		ids[i] = p.ID
	}
	tenants, err := readTenants(ctx, h.conn, "where id = any($1)", ids)
	if err != nil {
		return nil, err
	}
	byID := make(map[string]Tenant, len(tenants))
	for _, t := range tenants {
		byID[t.ID] = t
	}
	items := make([]item, len(places))
	for i, p := range places {
		items[i] = item{byID[p.ID], p.Wave}
	}
	return items, nil
}

// sqlMoved writes down that tenants have got to a version, in the transaction in which they do: $1 ids, $2 versions, $3 whether that is the
// end, $4 the run, $5 how many milliseconds it took. Only files that run outside a transaction let anybody see "migrating". A suspended
// tenant stays suspended throughout, and one made ahead stays nobody's.
const sqlMoved = `with moved as (
		update rowhouse.tenants t set schema_version = v.version,
			state_reason = case when state = 'suspended' then state_reason else '' end,
			migration_error = case when $3 then '' else 'it has begun and not ended' end,
			state = case when state in ('warm', 'suspended') then state when $3 then 'ready' else 'migrating' end
		from unnest($1::text[], $2::bigint[]) as v (id, version)
		where t.id = v.id and t.state in ('warm', 'ready', 'suspended', 'migrating', 'quarantined')
		returning t.id, t.schema_version)
	update rowhouse.fleet_run_tenants f set state = case when $3 then 'done' else f.state end, to_version = moved.schema_version, error = '',
		attempts = f.attempts + 1, duration_ms = $5, ended_at = case when $3 then clock_timestamp() end
	from moved where f.run = $4 and f.tenant = moved.id`

// failed writes down that a tenant could not be moved.
func (m *Manager) failed(ctx context.Context, run int64, r MigrationResult) error {
	_, err := m.cfg.Pool.Exec(ctx, `update rowhouse.fleet_run_tenants set state = 'failed', error = $3, attempts = attempts + $4, duration_ms = $5,
			to_version = $6, ended_at = clock_timestamp()
		where run = $1 and tenant = $2`, run, r.Tenant.ID, r.Err.Error(), r.Attempts, r.Duration.Milliseconds(), r.To)
	if err != nil {
		return fmt.Errorf("write down the failure of %s: %w", r.Tenant.Slug, err)
	}
	return nil
}

// beat says that the run goes on, and learns whether it should.
func (m *Manager) beat(ctx context.Context, h hold, run int64) error {
	var state RunState
	err := h.conn.QueryRow(ctx, "update rowhouse.fleet_runs set beat_at = clock_timestamp() where id = $1 returning state", run).Scan(&state)
	if err != nil {
		return fmt.Errorf("the connection that holds the run was lost: %w", err)
	}
	if state != RunRunning {
		return errPaused
	}
	return nil
}

// endRun writes down what a run has come to.
func (m *Manager) endRun(ctx context.Context, run int64, state RunState, reason string) error {
	_, err := m.cfg.Pool.Exec(ctx, `update rowhouse.fleet_runs set state = $2, reason = $3, beat_at = clock_timestamp(),
		ended_at = case when $2 = 'done' then clock_timestamp() end where id = $1 and state <> 'superseded'`, run, string(state), reason)
	if err != nil {
		return fmt.Errorf("write down the end of run %d: %w", run, err)
	}
	return nil
}

// Runs lists the runs, the latest first, at most so many.
func (m *Manager) Runs(ctx context.Context, most int) ([]Run, error) {
	return m.readRuns(ctx, "order by r.id desc limit $1", most)
}

// GetRun finds a run. [apperr.NotFound] if there is none.
func (m *Manager) GetRun(ctx context.Context, id int64) (Run, error) {
	runs, err := m.readRuns(ctx, "where r.id = $1", id)
	if err != nil {
		return Run{}, err
	}
	if len(runs) == 0 {
		return Run{}, apperr.New(apperr.NotFound, "there is no run %d: see `rowhouse fleet runs`", id)
	}
	return runs[0], nil
}

func (m *Manager) readRuns(ctx context.Context, tail string, args ...any) ([]Run, error) {
	rows, err := m.cfg.Pool.Query(ctx, `select r.id, r.state, r.reason, r.options, r.started_by, r.started_at, r.beat_at, r.ended_at, n.*
		from rowhouse.fleet_runs r, lateral (select count(*) filter (where f.state = 'pending'), count(*) filter (where f.state = 'done'),
			count(*) filter (where f.state = 'failed'), count(*) filter (where f.state = 'gone')
			from rowhouse.fleet_run_tenants f where f.run = r.id) n `+tail, args...)
	if err != nil {
		return nil, fmt.Errorf("read runs: %w", err)
	}
	runs, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r Run, err error) {
		err = row.Scan(&r.ID, &r.State, &r.Reason, &r.Options, &r.By, &r.Started, &r.Beat, &r.Ended, &r.Pending, &r.Done, &r.Failed, &r.Gone)
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("read runs: %w", err)
	}
	return runs, nil
}

// RunFailure is a tenant that a run could not move.
type RunFailure struct {
	Slug    string `json:"slug"`
	ID      string `json:"id"`
	State   State  `json:"state"`
	Version int64  `json:"version"`
	Error   string `json:"error"`
}

// RunFailures lists those that have failed in a run.
func (m *Manager) RunFailures(ctx context.Context, run int64) ([]RunFailure, error) {
	rows, err := m.cfg.Pool.Query(ctx, `select coalesce(t.slug, t.schema_name), t.id, t.state, t.schema_version, f.error
		from rowhouse.fleet_run_tenants f join rowhouse.tenants t on t.id = f.tenant
		where f.run = $1 and f.state = 'failed' order by 1`, run)
	if err != nil {
		return nil, fmt.Errorf("read failures: %w", err)
	}
	failures, err := pgx.CollectRows(rows, pgx.RowToStructByPos[RunFailure])
	if err != nil {
		return nil, fmt.Errorf("read failures: %w", err)
	}
	return failures, nil
}
