package tenancy

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

// StandardPlan is the plan of a tenant that was given none.
const StandardPlan = "standard"

// plansChanged is what the channel of the catalog says when a plan has changed. It is no tenant's id.
const plansChanged = "plans"

// Rate is that of a token bucket: so many a second, and so many at once after a pause. The zero Rate is no limit.
type Rate struct {
	PerSecond int
	Burst     int
}

// Limits are what the tenants of a plan may take. Zero is no limit. Rates and concurrency hold in each process that serves.
type Limits struct {
	// Plan is the name of the plan.
	Plan string
	// Requests is the rate of all requests of a tenant, Caller that of one API key or session.
	Requests, Caller Rate
	// Concurrency is how many requests of a tenant are answered at a time.
	Concurrency int
	// StatementTimeout is how long a statement of a request may take.
	StatementTimeout time.Duration
	// MaxUsers counts people who may sign in, and those who are invited.
	MaxUsers int64
	// MaxStorageBytes is the size of all files that people have attached.
	MaxStorageBytes int64
	// MaxJobs counts jobs that wait for a worker, urgent ones aside.
	MaxJobs int64
}

const planColumns = "name, coalesce(requests_per_second, 0), coalesce(request_burst, 0), coalesce(caller_per_second, 0), " +
	"coalesce(caller_burst, 0), coalesce(concurrency, 0), coalesce(statement_timeout_ms, 0), coalesce(max_users, 0), " +
	"coalesce(max_storage_bytes, 0), coalesce(max_jobs, 0)"

func scanPlan(row pgx.CollectableRow) (Limits, error) {
	var p Limits
	var timeout int64
	err := row.Scan(&p.Plan, &p.Requests.PerSecond, &p.Requests.Burst, &p.Caller.PerSecond, &p.Caller.Burst, &p.Concurrency, &timeout,
		&p.MaxUsers, &p.MaxStorageBytes, &p.MaxJobs)
	p.StatementTimeout = time.Duration(timeout) * time.Millisecond
	return p, err
}

// readPlans gives all plans, by their names.
func readPlans(ctx context.Context, q querier) ([]Limits, error) {
	rows, err := q.Query(ctx, "select "+planColumns+" from rowhouse.plans order by name")
	if err != nil {
		return nil, fmt.Errorf("read plans: %w", err)
	}
	plans, err := pgx.CollectRows(rows, scanPlan)
	if err != nil {
		return nil, fmt.Errorf("read plans: %w", err)
	}
	return plans, nil
}

// Plans lists the plans by name.
func (m *Manager) Plans(ctx context.Context) ([]Limits, error) { return readPlans(ctx, m.cfg.Pool) }

// GetPlan gives a plan. [apperr.NotFound] if there is none of that name.
func (m *Manager) GetPlan(ctx context.Context, name string) (Limits, error) {
	plans, err := m.Plans(ctx)
	if err != nil {
		return Limits{}, err
	}
	names := make([]string, len(plans))
	for i, p := range plans {
		if p.Plan == name {
			return p, nil
		}
		names[i] = p.Plan
	}
	return Limits{}, apperr.New(apperr.NotFound, "there is no plan %q: there are %s", name, strings.Join(names, ", "))
}

// PlanChange says what is to change of a plan: nil leaves a limit as it is, 0 takes it away.
type PlanChange struct {
	RequestsPerSecond, RequestBurst, CallerPerSecond, CallerBurst, Concurrency *int
	StatementTimeout                                                           *time.Duration
	MaxUsers, MaxStorageBytes, MaxJobs                                         *int64
}

// apply gives p with the change. A rate whose burst nobody has named gets three seconds' worth.
func (c PlanChange) apply(p Limits) (Limits, error) {
	set(&p.Concurrency, c.Concurrency)
	set(&p.StatementTimeout, c.StatementTimeout)
	set(&p.MaxUsers, c.MaxUsers)
	set(&p.MaxStorageBytes, c.MaxStorageBytes)
	set(&p.MaxJobs, c.MaxJobs)
	p.Requests = p.Requests.with(c.RequestsPerSecond, c.RequestBurst)
	p.Caller = p.Caller.with(c.CallerPerSecond, c.CallerBurst)
	return p, p.validate()
}

func set[T any](field, to *T) {
	if to != nil {
		*field = *to
	}
}

func (r Rate) with(perSecond, burst *int) Rate {
	if perSecond != nil && *perSecond != r.PerSecond {
		r = Rate{*perSecond, 3 * *perSecond}
	}
	set(&r.Burst, burst)
	return r
}

const (
	maxPerSecond        = 1_000_000
	maxBurst            = 10_000_000
	maxConcurrency      = 100_000
	maxStatementTimeout = 24 * time.Hour
)

func (p Limits) validate() error {
	var err *apperr.Error
	refuse := func(path, message string) {
		if err == nil {
			err = apperr.New(apperr.Invalid, "the plan %q cannot be stored so", p.Plan)
		}
		err = err.WithField(path, message)
	}
	for _, rate := range []struct {
		name string
		Rate
	}{{"requests", p.Requests}, {"caller", p.Caller}} {
		switch {
		case rate.PerSecond < 0 || rate.PerSecond > maxPerSecond || rate.Burst < 0 || rate.Burst > maxBurst:
			refuse(rate.name, fmt.Sprintf("must be 0 to %d a second and 0 to %d at once; 0 is no limit", maxPerSecond, maxBurst))
		case (rate.PerSecond == 0) != (rate.Burst == 0):
			refuse(rate.name, "must have both a rate and a burst, or neither")
		}
	}
	if p.Concurrency < 0 || p.Concurrency > maxConcurrency {
		refuse("concurrency", "must be 0 to "+strconv.Itoa(maxConcurrency)+"; 0 is no limit")
	}
	if p.StatementTimeout < 0 || p.StatementTimeout > maxStatementTimeout || p.StatementTimeout%time.Millisecond != 0 {
		refuse("statement_timeout", "must be whole milliseconds, at most 24h; 0 is no limit")
	}
	if p.MaxUsers < 0 || p.MaxStorageBytes < 0 || p.MaxJobs < 0 {
		refuse("max_users, max_storage_bytes, max_jobs", "must not be negative; 0 is no limit")
	}
	if err != nil {
		return err
	}
	return nil
}

// SetPlan changes a plan, or makes it if there is none of that name: one without limits but those of change. Processes follow within a second.
// made says whether it is new.
func (m *Manager) SetPlan(ctx context.Context, name string, change PlanChange) (p Limits, made bool, err error) {
	if !validPlanName(name) {
		return Limits{}, false, apperr.New(apperr.Invalid, "a plan's name has 1 to 32 of a-z, 0-9 and -, not %q", name).
			WithField("name", "has 1 to 32 of a-z, 0-9 and -, and neither begins nor ends with -")
	}
	err = pgx.BeginFunc(ctx, m.cfg.Pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "insert into rowhouse.plans (name) values ($1) on conflict (name) do nothing", name)
		if err != nil {
			return err
		}
		made = tag.RowsAffected() == 1
		rows, err := tx.Query(ctx, "select "+planColumns+" from rowhouse.plans where name = $1 for update", name)
		if err != nil {
			return err
		}
		if p, err = pgx.CollectExactlyOneRow(rows, scanPlan); err != nil {
			return err
		}
		if p, err = change.apply(p); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `update rowhouse.plans set requests_per_second = nullif($2, 0), request_burst = nullif($3, 0),
			caller_per_second = nullif($4, 0), caller_burst = nullif($5, 0), concurrency = nullif($6, 0), statement_timeout_ms = nullif($7, 0),
			max_users = nullif($8::bigint, 0),
			max_storage_bytes = nullif($9::bigint, 0), max_jobs = nullif($10::bigint, 0) where name = $1`,
			name, p.Requests.PerSecond, p.Requests.Burst, p.Caller.PerSecond, p.Caller.Burst, p.Concurrency, p.StatementTimeout.Milliseconds(),
			p.MaxUsers, p.MaxStorageBytes, p.MaxJobs)
		return err
	})
	if err != nil {
		return Limits{}, false, fmt.Errorf("set plan %s: %w", name, err)
	}
	return p, made, nil
}

func validPlanName(s string) bool {
	return s != "" && len(s) <= 32 && s[0] != '-' && s[len(s)-1] != '-' &&
		!strings.ContainsFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' })
}

// SetTenantPlan gives a tenant another plan. Processes follow within a second. What it has beyond the new limits stays; it only gets no more.
func (m *Manager) SetTenantPlan(ctx context.Context, slug, plan string) (Tenant, error) {
	if _, err := m.GetPlan(ctx, plan); err != nil {
		return Tenant{}, err
	}
	t, err := m.Get(ctx, slug)
	if err != nil {
		return Tenant{}, err
	}
	tag, err := m.cfg.Pool.Exec(ctx, "update rowhouse.tenants set plan = $2 where id = $1 and state <> 'deleted'", t.ID, plan)
	if err != nil {
		return Tenant{}, fmt.Errorf("set plan of %s: %w", t.Label(), err)
	}
	if tag.RowsAffected() == 0 {
		return Tenant{}, apperr.New(apperr.Conflict, "the tenant %q is deleted", t.Label())
	}
	return m.byID(ctx, t.ID)
}

// Limits gives what a plan allows, without I/O. A name that it does not know yet has the limits of [StandardPlan].
func (c *Catalog) Limits(plan string) Limits {
	plans := *c.plans.Load()
	if p, ok := plans[plan]; ok {
		return p
	}
	return plans[StandardPlan]
}

// LimitsOf gives what the plan of the tenant with that id allows, without I/O.
func (c *Catalog) LimitsOf(id string) Limits {
	t, _ := c.ByID(id)
	return c.Limits(t.Plan)
}

// readPlans shows the plans as they are now.
func (c *Catalog) readPlans(ctx context.Context) error {
	plans, err := readPlans(ctx, c.cfg.Pool)
	if err != nil {
		return err
	}
	byName := make(map[string]Limits, len(plans))
	for _, p := range plans {
		byName[p.Plan] = p
	}
	c.plans.Store(&byName)
	return nil
}

// MaxUsers gives the limit of the tenant with that id, 0 for none, and the name of its plan, without I/O. It is what a feature asks for, like the
// two that follow.
func (c *Catalog) MaxUsers(id string) (most int64, plan string) {
	l := c.LimitsOf(id)
	return l.MaxUsers, l.Plan
}

// MaxStorage is in bytes. See [Catalog.MaxUsers].
func (c *Catalog) MaxStorage(id string) (most int64, plan string) {
	l := c.LimitsOf(id)
	return l.MaxStorageBytes, l.Plan
}

// MaxJobs counts those that wait for a worker. See [Catalog.MaxUsers].
func (c *Catalog) MaxJobs(id string) (most int64, plan string) {
	l := c.LimitsOf(id)
	return l.MaxJobs, l.Plan
}
