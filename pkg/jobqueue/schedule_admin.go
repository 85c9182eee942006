package jobqueue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

// Schedules is what operators may do with the schedules: of all tenants, where tenantID is empty, or of one. A process that works jobs
// writes down what schedules there are when it starts. The errors are [apperr.NotFound] and [apperr.Invalid].
type Schedules struct {
	// Pool logs in as the owner or the control role.
	Pool *pgxpool.Pool
}

// ScheduleStatus is how a schedule stands, for all tenants or for one. The JSON names are part of the command line's interface.
type ScheduleStatus struct {
	Name string `json:"name"`
	// TenantID is empty in the line of the schedule itself.
	TenantID  string `json:"tenant_id,omitempty"`
	Tenant    string `json:"tenant,omitempty"`
	PerTenant bool   `json:"per_tenant"`
	Kind      string `json:"kind"`
	// Cron is what holds, DeclaredCron what the code says.
	Cron         string `json:"cron"`
	DeclaredCron string `json:"declared_cron"`
	// TimeZone is what holds; empty is each tenant's own.
	TimeZone      string `json:"time_zone"`
	JitterSeconds int    `json:"jitter_seconds"`
	Enabled       bool   `json:"enabled"`
	// NextAt is when the next job comes: the first of any tenant's in the line of the schedule itself.
	NextAt    *time.Time `json:"next_at"`
	LastAt    *time.Time `json:"last_at"`
	LastJobID *int64     `json:"last_job_id"`
	// Tenants is how many have the schedule, in the line of the schedule itself.
	Tenants int `json:"tenants,omitempty"`
	// Changed says that operators have set something in this very line, and ChangedBy and ChangedAt who and when last did.
	Changed   bool       `json:"changed"`
	ChangedBy string     `json:"changed_by,omitempty"`
	ChangedAt *time.Time `json:"changed_at,omitempty"`
}

// statusSQL counts on the tenants' zone being theirs where nobody says otherwise.
const statusSQL = `select s.name, s.tenant_id, coalesce(t.slug, ''), d.per_tenant, d.kind, e.cron, d.declared_cron,
		case when s.tenant_id = '' and d.per_tenant then coalesce(d.time_zone, d.declared_zone) else e.zone end, d.jitter_seconds, e.enabled,
		coalesce(s.next_at, m.next_at), coalesce(s.last_at, m.last_at), s.last_job_id, coalesce(m.tenants, 0),
		num_nonnulls(s.cron, s.time_zone, s.enabled) > 0, s.changed_by, s.changed_at
	from river.rowhouse_schedule s join river.rowhouse_schedule d on d.name = s.name and d.tenant_id = ''
	left join rowhouse.tenants t on t.id = s.tenant_id
	left join lateral (select count(*) as tenants, min(o.next_at) as next_at, max(o.last_at) as last_at from river.rowhouse_schedule o
		where o.name = s.name and o.tenant_id <> '') m on s.tenant_id = '' and d.per_tenant ` + effectiveSQL

// List gives the schedules, and each tenant's of which something was set; or all of one tenant's.
func (s Schedules) List(ctx context.Context, tenantID string) ([]ScheduleStatus, error) {
	rows, err := s.Pool.Query(ctx, statusSQL+`where case when $1 = '' then s.tenant_id = '' or num_nonnulls(s.cron, s.time_zone, s.enabled) > 0
		else s.tenant_id = $1 end order by s.name, s.tenant_id`, tenantID)
	if err != nil {
		return nil, fmt.Errorf("list schedules: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[ScheduleStatus])
	if err != nil {
		return nil, fmt.Errorf("list schedules: %w", err)
	}
	return list, nil
}

// ScheduleChange is what an operator sets. What is nil stays as it is.
type ScheduleChange struct {
	Cron     *string
	TimeZone *string
	Enabled  *bool
	// By is who does it.
	By string
}

func (c ScheduleChange) validate() error {
	if c.Cron != nil {
		if _, err := parseCron(*c.Cron); err != nil {
			return apperr.New(apperr.Invalid, "the cron expression %s", err).WithField("cron", "cannot be read")
		}
	}
	if c.TimeZone != nil {
		if _, err := tenancy.ParseTimeZone(*c.TimeZone); err != nil {
			return err
		}
	}
	return nil
}

// Set changes a schedule for all tenants of which nothing else was set, or for one. It holds until [Schedules.Reset], whatever programs are
// started. What is due already still comes, unless it is disabled.
func (s Schedules) Set(ctx context.Context, name, tenantID string, c ScheduleChange) error {
	if err := c.validate(); err != nil {
		return err
	}
	return s.change(ctx, name, tenantID, false, `set cron = coalesce($3, cron), time_zone = coalesce($4, time_zone), enabled = coalesce($5, enabled),
		changed_by = $6, changed_at = now()`, c.Cron, c.TimeZone, c.Enabled, c.By)
}

// Reset takes back what [Schedules.Set] has set for all tenants, or for one, so that again the code is followed, and reckons the next time from
// now.
func (s Schedules) Reset(ctx context.Context, name, tenantID, by string) error {
	return s.change(ctx, name, tenantID, true, "set cron = null, time_zone = null, enabled = null, changed_by = $3, changed_at = now()", by)
}

// Run lets a schedule come now, once, for all tenants or for one, also if it is disabled, and gives for how many. A process that works jobs
// enqueues them, within a second; those of tenants that cannot be served wait for that.
func (s Schedules) Run(ctx context.Context, name, tenantID string) (n int64, err error) {
	err = s.locked(ctx, name, tenantID, func(tx pgx.Tx, perTenant bool) error {
		tag, err := tx.Exec(ctx, `update river.rowhouse_schedule set next_at = now(), due_at = null
			where name = $1 and case when $2 = '' then (tenant_id <> '') = $3 else tenant_id = $2 end`, name, tenantID, perTenant)
		n = tag.RowsAffected()
		return err
	})
	return n, err
}

func (s Schedules) change(ctx context.Context, name, tenantID string, anew bool, set string, args ...any) error {
	return s.locked(ctx, name, tenantID, func(tx pgx.Tx, _ bool) error {
		_, err := tx.Exec(ctx, "update river.rowhouse_schedule "+set+" where name = $1 and tenant_id = $2", append([]any{name, tenantID}, args...)...)
		if err == nil && anew {
			_, err = tx.Exec(ctx, "update river.rowhouse_schedule set basis = null where name = $1 and $2 in ('', tenant_id)", name, tenantID)
		}
		for more := err == nil; more; {
			var moved int
			var faults []error
			moved, faults, err = replan(ctx, tx, name, anew, func(now time.Time) time.Time { return now })
			if more = err == nil && moved > 0; len(faults) > 0 {
				return apperr.Wrap(errors.Join(faults...), apperr.Invalid, "the schedule %s would stand still", name)
			}
		}
		return err
	})
}

// locked runs fn in a transaction that keeps the schedulers from the schedule, with the tenant's row made if it was not there yet.
func (s Schedules) locked(ctx context.Context, name, tenantID string, fn func(tx pgx.Tx, perTenant bool) error) error {
	err := pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		var perTenant bool
		err := tx.QueryRow(ctx, "select per_tenant from river.rowhouse_schedule where name = $1 and tenant_id = '' for update", name).Scan(&perTenant)
		if errors.Is(err, pgx.ErrNoRows) {
			return apperr.New(apperr.NotFound, "there is no schedule %q: `rowhouse jobs schedule list` shows those that processes which work jobs "+
				"have declared", name)
		}
		if err != nil {
			return err
		}
		if tenantID != "" {
			if !perTenant {
				return apperr.New(apperr.Invalid, "the schedule %s is the platform's, not a tenant's: leave out --tenant", name)
			}
			if err = addTenant(ctx, tx, name, tenantID); err != nil {
				return err
			}
		}
		return fn(tx, perTenant)
	})
	if err != nil && apperr.CodeOf(err) == apperr.Internal {
		return fmt.Errorf("schedule %s: %w", name, err)
	}
	return err
}

func addTenant(ctx context.Context, tx pgx.Tx, name, tenantID string) error {
	var living bool
	if err := tx.QueryRow(ctx, "select exists (select from rowhouse.tenants t where t.id = $1 and "+livingTenant+")", tenantID).Scan(&living); err != nil {
		return err
	}
	if !living {
		return apperr.New(apperr.NotFound, "the tenant %s has no schedules: it is archived, deleted or nobody's", tenantID)
	}
	_, err := tx.Exec(ctx, "insert into river.rowhouse_schedule (name, tenant_id) values ($1, $2) on conflict do nothing", name, tenantID)
	return err
}
