package jobqueue

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

// scheduleTable says what the schedules are and when each comes next. No role but the owner and the control role has any right on it: the
// grants on all of River's tables cover it.
//
// The row with no tenant is the schedule itself. A schedule for tenants has one more row for each of them, made and removed by
// [scheduler.sync]. What operators have set (cron, time_zone, enabled) stands beside what the code declares, so that neither overwrites the
// other; a tenant's own goes before that of all.
//
// A row comes when next_at has passed by the database's clock. Whoever inserts the job moves next_at in the same transaction.
func scheduleTable() []string {
	return []string{
		`create table river.rowhouse_schedule (
			name           text        not null,
			tenant_id      text        not null default '',
			-- What the code declares, and when it last did. Only in the row of the schedule itself.
			per_tenant     boolean,
			kind           text,
			declared_cron  text,
			declared_zone  text,
			jitter_seconds integer,
			synced_at      timestamptz,
			-- What operators have set. Null leaves it to the row of the schedule, or to the code.
			cron           text,
			time_zone      text,
			enabled        boolean,
			changed_by     text        not null default '',
			changed_at     timestamptz,
			-- The time of the cron expression that comes next, when its turn is, and what the two were reckoned from.
			due_at         timestamptz,
			next_at        timestamptz,
			basis          text,
			last_at        timestamptz,
			last_job_id    bigint,
			constraint rowhouse_schedule_pkey primary key (name, tenant_id),
			constraint rowhouse_schedule_declared_check check ((tenant_id = '') = (kind is not null))
		)`,
		// Whether anything is due is one look into this for each schedule.
		"create index rowhouse_schedule_next_idx on river.rowhouse_schedule (name, next_at) where next_at is not null",
		"create index rowhouse_schedule_tenant_idx on river.rowhouse_schedule (tenant_id) where tenant_id <> ''",
	}
}

// makeScheduleTable makes the table if it is not there.
func makeScheduleTable(ctx context.Context, tx pgx.Tx) error {
	var exists bool
	if err := tx.QueryRow(ctx, "select to_regclass('river.rowhouse_schedule') is not null").Scan(&exists); err != nil || exists {
		return err
	}
	for _, sql := range scheduleTable() {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return fmt.Errorf("make the table of schedules: %w", err)
		}
	}
	return nil
}

// plannedSQL gives what holds for each row: s is the row, d that of its schedule, t its tenant, e what holds.
const plannedSQL = `select s.name, s.tenant_id, e.cron, e.zone, coalesce(d.jitter_seconds, 0), e.enabled, e.basis,
		s.due_at, s.next_at, s.last_at, now()
	from river.rowhouse_schedule s join river.rowhouse_schedule d on d.name = s.name and d.tenant_id = ''
	left join rowhouse.tenants t on t.id = s.tenant_id ` + effectiveSQL

const effectiveSQL = `cross join lateral (select w.cron, w.zone, w.enabled,
		concat_ws('|', w.cron, w.zone, d.jitter_seconds, w.enabled) as basis from (select
		coalesce(s.cron, d.cron, d.declared_cron) as cron,
		coalesce(s.time_zone, d.time_zone, nullif(d.declared_zone, ''), t.time_zone, 'UTC') as zone,
		coalesce(s.enabled, d.enabled, true) as enabled) w) e `

// served is the condition of rows whose turn may come: the others wait.
const served = "(s.tenant_id = '' or t.state = '" + string(tenancy.StateReady) + "')"

// livingTenant is the condition of tenants that have schedules.
const livingTenant = "t.state not in ('warm', 'archived', 'deleted')"

// planned is a row with what holds for it.
type planned struct {
	Name, TenantID string
	Cron, Zone     string
	JitterSeconds  int
	Enabled        bool
	Basis          string
	DueAt, NextAt  *time.Time
	LastAt         *time.Time
	Now            time.Time // the database's
}

func readPlanned(ctx context.Context, tx pgx.Tx, sql string, args ...any) ([]planned, error) {
	rows, err := tx.Query(ctx, plannedSQL+sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[planned])
}

// plan moves a row to the first time after the given one, or to none if it is disabled. The error leaves it at none.
func (p *planned) plan(after time.Time) (timetable, error) {
	p.DueAt, p.NextAt = nil, nil
	jitter := jitterOf(p.Name, p.TenantID, time.Duration(p.JitterSeconds)*time.Second)
	table, err := newTimetable(p.Cron, p.Zone, jitter)
	if err != nil {
		return table, fmt.Errorf("the schedule %s of %q: %w", p.Name, p.TenantID, err)
	}
	if !p.Enabled {
		return table, nil
	}
	if due := table.next(after); !due.IsZero() {
		next := due.Add(jitter)
		p.DueAt, p.NextAt = &due, &next
	}
	return table, nil
}

// store writes what was planned, and the jobs of those that came: their ids, or nothing.
func store(ctx context.Context, tx pgx.Tx, rows []planned, jobs []int64) error {
	names, tenants, bases := make([]string, len(rows)), make([]string, len(rows)), make([]string, len(rows))
	dues, nexts := make([]*time.Time, len(rows)), make([]*time.Time, len(rows))
	for i, p := range rows {
		names[i], tenants[i], bases[i], dues[i], nexts[i] = p.Name, p.TenantID, p.Basis, p.DueAt, p.NextAt
	}
	_, err := tx.Exec(ctx, `update river.rowhouse_schedule s set due_at = u.due, next_at = u.next, basis = u.basis,
			last_at = case when u.job is null then s.last_at else now() end, last_job_id = coalesce(u.job, s.last_job_id)
		from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::bigint[]) u(name, tenant, basis, due, next, job)
		where s.name = u.name and s.tenant_id = u.tenant`, names, tenants, bases, dues, nexts, jobs)
	return err
}

// replan moves the rows of a schedule whose expression, zone, jitter or being enabled has changed, a bounded number of them, and gives how
// many. What is due and was not disabled still comes; anew is for [Schedules.Reset], which starts from now. clock is what the time is.
// faults are rows that never come because what is written there cannot be read.
func replan(ctx context.Context, tx pgx.Tx, name string, anew bool, clock func(time.Time) time.Time) (n int, faults []error, err error) {
	rows, err := readPlanned(ctx, tx, `where s.name = $1 and (s.tenant_id <> '' or not d.per_tenant) and s.basis is distinct from e.basis
		limit 1000 for update of s`, name)
	if err != nil {
		return 0, nil, err
	}
	for i := range rows {
		p := &rows[i]
		now := clock(p.Now)
		if p.Enabled && !anew && p.NextAt != nil && !p.NextAt.After(now) {
			continue
		}
		if !anew && p.LastAt != nil && p.LastAt.After(now) { // The clock was put back: not the same time again.
			now = *p.LastAt
		}
		if _, err := p.plan(now); err != nil {
			faults = append(faults, err)
		}
	}
	return len(rows), faults, store(ctx, tx, rows, nil)
}
