package jobqueue

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

// ScheduleSpec says when a job is enqueued again and again. Operators may change it while the program runs, for all tenants or for one, by
// `rowhouse jobs schedule`; what they have changed is kept when the program comes with another spec.
type ScheduleSpec struct {
	// Name is the schedule's, unique in the program: small letters, digits, _ - and dots, 100 at most. It never changes. Required.
	Name string
	// Cron is a cron expression of five fields, such as "0 6 * * *", or one of @hourly, @daily, @weekly, @monthly and @yearly. Required.
	//
	// When clocks are changed, a schedule for every hour goes by the time that passes. Any other goes by the clock: what is skipped in spring
	// comes an hour later, and what would come twice in autumn comes the first time.
	Cron string
	// Zone is the time zone that Cron is meant in, such as "Europe/Berlin". Default that of each tenant; of the platform's own, UTC.
	Zone string
	// Jitter spreads the tenants' jobs: each comes later by less than this, always by the same for the same tenant. In whole seconds, a day
	// at most. Default none.
	Jitter time.Duration
	// Opts is what is asked of the queue for these jobs. What it leaves open is what the args ask for. A unique key lets no second job come
	// while the first has not ended.
	Opts job.Opts
}

// schedule is a declared one.
type schedule struct {
	ScheduleSpec

	kind      string
	perTenant bool
	// order makes the job for a time that has come.
	order func(due time.Time, zone *time.Location, owner string) order
}

// Schedule enqueues a job of T's kind for each tenant whenever spec says so in the tenant's time zone. args is given the time that spec says
// (the jitter comes later) and the zone, and is called inside a transaction: it does no I/O and waits for nothing. The kind needs a worker,
// by [Handle].
//
// A time fires once for each tenant, whatever number of processes run and whatever dies when. Times that were missed, because nothing ran or
// because the tenant was suspended or being migrated, fire once altogether, as soon as it can be. A new tenant's first time is the next one
// after it is seen, within a minute.
func Schedule[T job.Args](w *Workers, spec ScheduleSpec, args func(due time.Time, zone *time.Location) T) {
	var zero T
	w.schedules = append(w.schedules, schedule{
		ScheduleSpec: spec, kind: zero.Kind(), perTenant: true,
		order: func(due time.Time, zone *time.Location, owner string) order {
			a := args(due, zone)
			opts := spec.Opts
			if with, ok := any(a).(job.WithOpts); ok {
				opts = opts.Or(with.JobOpts())
			}
			return order{kind: a.Kind(), args: a, opts: opts, owner: owner}
		},
	})
}

// SchedulePlatform is [Schedule] for one job of the platform's own, in UTC unless spec says otherwise. The kind needs a worker, by
// [HandlePlatform].
func SchedulePlatform[T job.PlatformArgs](w *Workers, spec ScheduleSpec, args func(due time.Time, zone *time.Location) T) {
	var zero T
	w.schedules = append(w.schedules, schedule{
		ScheduleSpec: spec, kind: zero.PlatformKind(),
		order: func(due time.Time, zone *time.Location, _ string) order {
			a := args(due, zone)
			return order{kind: a.PlatformKind(), args: a, opts: spec.Opts}
		},
	})
}

// scheduleName is the form of names. They stand in metrics and on command lines.
const scheduleName = `^[a-z0-9][a-z0-9._-]{0,99}$`

// maxJitter bounds [ScheduleSpec.Jitter].
const maxJitter = 24 * time.Hour

func (s schedule) validate() error {
	switch {
	case !regexp.MustCompile(scheduleName).MatchString(s.Name):
		return fmt.Errorf("the schedule's name is %q: want 1 to 100 small letters, digits, dots, _ and -", s.Name)
	case s.Jitter < 0 || s.Jitter > maxJitter:
		return fmt.Errorf("the jitter of the schedule %s is %s: want nothing to %s", s.Name, s.Jitter, maxJitter)
	case !s.Opts.At.IsZero():
		return fmt.Errorf("the schedule %s asks for jobs that are worked at one time: leave out Opts.At", s.Name)
	}
	if _, err := parseCron(s.Cron); err != nil {
		return fmt.Errorf("the schedule %s: the cron expression %w", s.Name, err)
	}
	if _, err := (order{kind: s.kind, opts: s.Opts}).insertOpts(); err != nil {
		return fmt.Errorf("the schedule %s: %w", s.Name, err)
	}
	if s.Zone == "" {
		return nil
	}
	if _, err := tenancy.ParseTimeZone(s.Zone); err != nil {
		return fmt.Errorf("the schedule %s: %w", s.Name, err)
	}
	return nil
}

// checkSchedules says what is wrong with the schedules. Each needs a worker: its jobs would pile up.
func (w *Workers) checkSchedules() error {
	kinds, seen := map[string]bool{}, map[string]bool{}
	for _, h := range w.handlers {
		kinds[h.kind] = true
	}
	for _, s := range w.schedules {
		err := s.validate()
		switch {
		case err != nil:
		case seen[s.Name]:
			err = fmt.Errorf("there is a second schedule with the name %s", s.Name)
		case !kinds[s.kind]:
			err = fmt.Errorf("the schedule %s enqueues jobs of the kind %q, which has no worker: add one by Handle", s.Name, s.kind)
		}
		if err != nil {
			return fmt.Errorf("jobqueue: %w", err)
		}
		seen[s.Name] = true
	}
	return nil
}

// build calls the function that makes the job. What it panics with is an error, and the job comes when that is mended.
func (s schedule) build(due time.Time, zone *time.Location, owner string) (o order, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the function that makes the args panicked: %v", p)
		}
	}()
	o = s.order(due.In(zone), zone, owner)
	if o.kind != s.kind {
		return o, errors.New("the args are of another kind than was declared")
	}
	return o, nil
}
