package cli

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

// limitsView is a plan as the CLI shows it: null is no limit. The JSON names are part of the interface.
type limitsView struct {
	Name              string  `json:"name"`
	RequestsPerSecond *int    `json:"requests_per_second"`
	RequestBurst      *int    `json:"request_burst"`
	CallerPerSecond   *int    `json:"caller_per_second"`
	CallerBurst       *int    `json:"caller_burst"`
	Concurrency       *int    `json:"concurrency"`
	StatementTimeout  *string `json:"statement_timeout"`
	MaxUsers          *int64  `json:"max_users"`
	MaxStorageBytes   *int64  `json:"max_storage_bytes"`
	MaxJobs           *int64  `json:"max_jobs"`
	// Created says whether this call made the plan. Only `plan set` has it.
	Created *bool `json:"created,omitempty"`
}

// limited gives nil for no limit.
func limited[T int | int64](n T) *T {
	if n == 0 {
		return nil
	}
	return &n
}

func viewLimits(p tenancy.Limits) limitsView {
	v := limitsView{
		Name: p.Plan, RequestsPerSecond: limited(p.Requests.PerSecond), RequestBurst: limited(p.Requests.Burst),
		CallerPerSecond: limited(p.Caller.PerSecond), CallerBurst: limited(p.Caller.Burst), Concurrency: limited(p.Concurrency),
		MaxUsers: limited(p.MaxUsers), MaxStorageBytes: limited(p.MaxStorageBytes), MaxJobs: limited(p.MaxJobs),
	}
	if p.StatementTimeout != 0 {
		text := p.StatementTimeout.String()
		v.StatementTimeout = &text
	}
	return v
}

// noLimit is how no limit is written, in tables and in flags.
const noLimit = "none"

func showLimit[T int | int64](n *T) string {
	if n == nil {
		return noLimit
	}
	return strconv.FormatInt(int64(*n), 10)
}

func (v limitsView) rate(perSecond, burst *int) string {
	if perSecond == nil || burst == nil {
		return noLimit
	}
	return strconv.Itoa(*perSecond) + "/s, " + strconv.Itoa(*burst) + " at once"
}

func (v limitsView) storage() string {
	if v.MaxStorageBytes == nil {
		return noLimit
	}
	return config.ByteSize(*v.MaxStorageBytes).String()
}

func (v limitsView) timeout() string {
	if v.StatementTimeout == nil {
		return noLimit
	}
	return *v.StatementTimeout
}

func (v limitsView) fields() [][]string {
	return [][]string{
		{"name", v.Name},
		{"requests", v.rate(v.RequestsPerSecond, v.RequestBurst)},
		{"requests of one caller", v.rate(v.CallerPerSecond, v.CallerBurst)},
		{"concurrency", showLimit(v.Concurrency)},
		{"statement timeout", v.timeout()},
		{"users", showLimit(v.MaxUsers)},
		{"storage", v.storage()},
		{"waiting jobs", showLimit(v.MaxJobs)},
	}
}

func (c *cli) planCommand() *cobra.Command {
	return c.group("plan", "Show and change what the tenants of a plan may take",
		"`rowhouse tenant set-plan TENANT PLAN` gives a tenant another plan. Rates and concurrency hold in each process that serves.",
		c.planList(), c.planShow(), c.planSet())
}

func (c *cli) planList() *cobra.Command {
	return c.asOwner("list", "List the plans", "", func(ctx context.Context, _ config.Config, o *owner, _ []string) error {
		plans, err := o.Plans(ctx)
		if err != nil {
			return err
		}
		views, rows := make([]limitsView, len(plans)), make([][]string, len(plans))
		for i, p := range plans {
			v := viewLimits(p)
			views[i] = v
			rows[i] = []string{
				v.Name, showLimit(v.RequestsPerSecond), showLimit(v.CallerPerSecond), showLimit(v.Concurrency), v.timeout(), showLimit(v.MaxUsers),
				v.storage(), showLimit(v.MaxJobs),
			}
		}
		return c.print(views, []string{"PLAN", "REQUESTS/S", "OF A CALLER/S", "CONCURRENCY", "STATEMENT", "USERS", "STORAGE", "JOBS"}, rows)
	})
}

func (c *cli) planShow() *cobra.Command {
	return c.asOwner("show PLAN", "Show a plan", "", func(ctx context.Context, _ config.Config, o *owner, args []string) error {
		p, err := o.GetPlan(ctx, args[0])
		if err != nil {
			return err
		}
		view := viewLimits(p)
		return c.printOne(view, view.fields())
	})
}

func (c *cli) planSet() *cobra.Command {
	var change tenancy.PlanChange
	cmd := c.asOwner("set PLAN", "Change a plan, or make one",
		"What no flag names stays as it is; \"none\" takes a limit away. A new plan has no limits but those that are named. Running processes follow within\n"+
			"a second. A rate whose burst is not named lets three seconds' worth through at once.",
		func(ctx context.Context, _ config.Config, o *owner, args []string) error {
			if change == (tenancy.PlanChange{}) {
				return usagef("say what is to change: `rowhouse plan set --help` lists the flags")
			}
			p, created, err := o.SetPlan(ctx, args[0], change)
			if err != nil {
				return err
			}
			view := viewLimits(p)
			view.Created = &created
			return c.printOne(view, view.fields())
		})
	flags := cmd.Flags()
	flags.Var(limitFlag(&change.RequestsPerSecond, parseCount), "requests-per-second", "requests of a tenant, in each process")
	flags.Var(limitFlag(&change.RequestBurst, parseCount), "request-burst", "requests of a tenant at once, after a pause")
	flags.Var(limitFlag(&change.CallerPerSecond, parseCount), "caller-per-second", "requests of one API key or session, in each process")
	flags.Var(limitFlag(&change.CallerBurst, parseCount), "caller-burst", "requests of one API key or session at once, after a pause")
	flags.Var(limitFlag(&change.Concurrency, parseCount), "concurrency", "requests of a tenant that are answered at a time, in each process")
	flags.Var(limitFlag(&change.StatementTimeout, parseTimeout), "statement-timeout", "how long a statement of a request may take, such as 5s")
	flags.Var(limitFlag(&change.MaxUsers, parseLong), "max-users", "people who may sign in or are invited")
	flags.Var(limitFlag(&change.MaxStorageBytes, parseStorage), "max-storage", "size of all attached files, such as 10GiB")
	flags.Var(limitFlag(&change.MaxJobs, parseLong), "max-jobs", "jobs that wait for a worker")
	return cmd
}

func (c *cli) tenantSetPlan() *cobra.Command {
	return c.asOwner("set-plan TENANT PLAN", "Give a tenant another plan",
		"Running processes follow within a second. What the tenant has beyond the new plan's limits stays; it only gets no more. `rowhouse plan list` shows\n"+
			"the plans.",
		func(ctx context.Context, cfg config.Config, o *owner, args []string) error {
			t, err := o.SetTenantPlan(ctx, args[0], args[1])
			if err != nil {
				return err
			}
			view := viewTenant(cfg, t)
			return c.printOne(view, view.fields())
		})
}

// limit is the flag of a limit: nothing is said about it until it is set.
type limit[T comparable] struct {
	to    **T
	parse func(string) (T, error)
}

func limitFlag[T comparable](to **T, parse func(string) (T, error)) *limit[T] {
	return &limit[T]{to, parse}
}

func (l *limit[T]) Set(raw string) error {
	var v, zero T
	if raw != noLimit {
		var err error
		if v, err = l.parse(raw); err != nil {
			return err
		}
		if v == zero {
			return errors.New("must be more than 0, or none for no limit")
		}
	}
	*l.to = &v
	return nil
}

func (l *limit[T]) String() string { return "" }

func (l *limit[T]) Type() string { return "LIMIT" }

func parseCount(raw string) (int, error) {
	n, err := parseLong(raw)
	if err != nil || n > 1<<31-1 {
		return 0, errCount
	}
	return int(n), nil
}

func parseLong(raw string) (int64, error) {
	n, err := strconv.ParseInt(raw, 10, 64)
	if err != nil || n < 0 {
		return 0, errCount
	}
	return n, nil
}

var errCount = errors.New("must be a whole number, or none for no limit")

func parseTimeout(raw string) (time.Duration, error) {
	d, err := time.ParseDuration(strings.TrimSpace(raw))
	if err != nil || d < time.Millisecond {
		return 0, errors.New("must be a duration of a millisecond or more with a unit, such as 500ms or 5s, or none for no limit")
	}
	return d.Truncate(time.Millisecond), nil
}

func parseStorage(raw string) (int64, error) {
	n, err := config.ParseByteSize(raw)
	if err != nil {
		return 0, err
	}
	return int64(n), nil
}
