package tenancy

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// RunState is what a fleet run has come to.
type RunState string

// The states of a run. All but done and superseded can be resumed; running, if whoever was at it is gone.
const (
	RunRunning    RunState = "running"
	RunPaused     RunState = "paused"
	RunStopped    RunState = "stopped"
	RunDone       RunState = "done"
	RunSuperseded RunState = "superseded"
)

// Run is one going over the fleet: who is to move to which version, and how far that has come. It is kept in the database, so that
// another process can go on where one has stopped.
type Run struct {
	// ID is what operators call it; 0 for a run that found nothing to do, of which nothing is kept.
	ID      int64      `json:"id"`
	State   RunState   `json:"state"`
	Reason  string     `json:"reason,omitempty"`
	Options RunOptions `json:"options"`
	// By is who started it or resumed it last.
	By      string     `json:"by"`
	Started time.Time  `json:"started"`
	Beat    time.Time  `json:"beat"`
	Ended   *time.Time `json:"ended,omitempty"`
	// Counts are the tenants by what became of them.
	Pending int `json:"pending"`
	Done    int `json:"done"`
	Failed  int `json:"failed"`
	Gone    int `json:"gone"`
}

// RunOptions say how a run goes through the fleet. [RunOptions.complete] fills in what is left out.
type RunOptions struct {
	// Target is the version that tenants are brought to. 0 is this program's newest, or with Down none at all.
	Target int64 `json:"target"`
	// Down takes migrations back instead.
	Down bool `json:"down,omitempty"`
	// Only are the ids of the tenants that take part; empty for all.
	Only []string `json:"only,omitempty"`
	// Canary is the size of the first wave. Each wave after it is twice as large as the one before. The zero value makes one wave of all.
	Canary Share `json:"canary,omitzero"`
	// Waves, if there are any, say how much of the fleet has been done at the end of each, instead.
	Waves []Share `json:"waves,omitempty"`
	// Workers is how many tenants are migrated at once. Default 4.
	Workers int `json:"workers"`
	// Batch is how many tenants at most share a transaction where their migrations allow it: fewer, so that it takes no more than 50 ms, as
	// far as that can be told from the tenants before. Requests to all of them wait until it ends. Default 1.
	Batch int `json:"batch"`
	// LockTries is how many times a tenant is tried whose tables are locked. Default 5.
	LockTries int `json:"lock_tries"`
	// MaxFailures is how many tenants may fail before the run stops; negative for any number.
	MaxFailures int `json:"max_failures"`
	// By names who starts the run, for others who want to.
	By string `json:"-"`
}

// complete fills in defaults and refuses what makes no sense.
func (o RunOptions) complete(newest int64) (RunOptions, error) {
	if o.Target == 0 && !o.Down {
		o.Target = newest
	}
	if o.Workers == 0 {
		o.Workers = 4
	}
	if o.Batch == 0 {
		o.Batch = 1
	}
	if o.LockTries == 0 {
		o.LockTries = 5
	}
	switch {
	case o.LockTries < 1 || o.LockTries > 100:
		return o, apperr.New(apperr.Invalid, "a tenant whose tables are locked can be tried 1 to 100 times, not %d", o.LockTries)
	case o.Target < 0 || o.Target > newest:
		return o, apperr.New(apperr.Invalid, "there is no version %d: this program knows up to %d", o.Target, newest)
	case o.Workers < 1 || o.Workers > 64:
		return o, apperr.New(apperr.Invalid, "there can be 1 to 64 workers, not %d", o.Workers)
	case o.Batch < 1 || o.Batch > 500:
		return o, apperr.New(apperr.Invalid, "1 to 500 tenants can share a transaction, not %d", o.Batch)
	case o.Down && o.Batch > 1:
		return o, apperr.New(apperr.Invalid, "migrations are taken back from one tenant at a time: leave --batch out")
	}
	for i := 1; i < len(o.Waves); i++ {
		if o.Waves[i].of(10_000) <= o.Waves[i-1].of(10_000) {
			return o, apperr.New(apperr.Invalid, "each wave must reach further than the one before it: %s does not", o.Waves[i])
		}
	}
	return o, nil
}

// Share is a part of the fleet: a number of tenants or a percentage.
type Share struct {
	Count   int
	Percent float64
}

// ParseShare reads "25" or "1%".
func ParseShare(text string) (Share, error) {
	wrong := apperr.New(apperr.Invalid, "%q is no part of a fleet: want a number of tenants like 25, or a percentage like 1%%", text)
	if digits, ok := strings.CutSuffix(text, "%"); ok {
		percent, err := strconv.ParseFloat(digits, 64)
		if err != nil || !(percent > 0 && percent <= 100) {
			return Share{}, wrong
		}
		return Share{Percent: percent}, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return Share{}, wrong
	}
	return Share{Count: n}, nil
}

// String gives what [ParseShare] reads.
func (s Share) String() string {
	if s.Percent > 0 {
		return strconv.FormatFloat(s.Percent, 'f', -1, 64) + "%"
	}
	return strconv.Itoa(s.Count)
}

// IsZero reports whether s was left out.
func (s Share) IsZero() bool { return s == Share{} }

// MarshalText is [Share.String].
func (s Share) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is [ParseShare].
func (s *Share) UnmarshalText(text []byte) (err error) {
	*s, err = ParseShare(string(text))
	return err
}

// of gives how many of n that is: one at the least.
func (s Share) of(n int) int {
	if s.Percent > 0 {
		return min(n, max(1, int(math.Ceil(s.Percent/100*float64(n)))))
	}
	return min(n, max(1, s.Count))
}

// waves gives how many of n tenants have been done at the end of each wave.
func (o RunOptions) waves(n int) (ends []int) {
	if n == 0 {
		return nil
	}
	switch {
	case len(o.Waves) > 0:
		for _, share := range o.Waves {
			if end := share.of(n); len(ends) == 0 || end > ends[len(ends)-1] {
				ends = append(ends, end)
			}
		}
	case !o.Canary.IsZero():
		for end, size := 0, o.Canary.of(n); end < n; size *= 2 {
			end = min(n, end+size)
			ends = append(ends, end)
		}
	}
	if len(ends) == 0 || ends[len(ends)-1] < n {
		ends = append(ends, n)
	}
	return ends
}

// StartRun goes over the fleet and brings every tenant that is not there to the version of opts, wave after wave. report is called by one
// goroutine at a time.
//
// One tenant's failure leaves that tenant on its old version, or quarantined if files outside a transaction did half their work, and the
// others untouched. When more than opts.MaxFailures have failed, when ctx ends, or on [Manager.PauseRun], no further tenant is begun, and
// the run can be resumed. [apperr.Partial] if anybody is not where it should be, [apperr.Conflict] if a run is under way.
//
// A run that was left unfinished is superseded: its tenants are part of this one.
func (m *Manager) StartRun(ctx context.Context, opts RunOptions, report func(MigrationResult)) (Run, error) {
	opts, err := opts.complete(m.Target())
	if err != nil {
		return Run{}, err
	}
	tenants, err := m.affected(ctx, opts)
	if err != nil || len(tenants) == 0 {
		return Run{State: RunDone, Options: opts}, err
	}
	hold, err := m.holdFleet(ctx)
	if err != nil {
		return Run{}, err
	}
	defer hold.release()
	id, err := m.writeRun(ctx, hold, opts, tenants)
	if err != nil {
		return Run{}, err
	}
	return m.work(ctx, hold, id, opts, report)
}

// ResumeRun goes on with a run that has stopped. retry takes up those that have failed, too.
func (m *Manager) ResumeRun(ctx context.Context, id int64, retry bool, by string, report func(MigrationResult)) (Run, error) {
	run, err := m.GetRun(ctx, id)
	if err != nil {
		return Run{}, err
	}
	if run.State == RunSuperseded {
		return run, apperr.New(apperr.Conflict, "run %d was superseded by a later one: see `rowhouse fleet runs`", id)
	}
	if known := m.Target(); run.Options.Target > known {
		return run, apperr.New(apperr.Conflict, "run %d goes to version %d, and this program knows up to %d: use the program that started it",
			id, run.Options.Target, known)
	}
	hold, err := m.holdFleet(ctx)
	if err != nil {
		return Run{}, err
	}
	defer hold.release()
	if err = m.reopenRun(ctx, hold, id, retry, by); err != nil {
		return Run{}, err
	}
	return m.work(ctx, hold, id, run.Options, report)
}

// PauseRun makes a run stop before its next tenant, wherever it is running. It can be resumed. Pausing one that does not run is refused.
func (m *Manager) PauseRun(ctx context.Context, id int64) (Run, error) {
	run, err := m.GetRun(ctx, id)
	if err != nil {
		return Run{}, err
	}
	tag, err := m.cfg.Pool.Exec(ctx, "update rowhouse.fleet_runs set state = 'paused' where id = $1 and state = 'running'", id)
	if err != nil {
		return Run{}, fmt.Errorf("pause run %d: %w", id, err)
	}
	if tag.RowsAffected() == 0 {
		return run, apperr.New(apperr.Conflict, "run %d is %s: only one that is running can be paused", id, run.State)
	}
	return m.GetRun(ctx, id)
}

// affected lists the tenants that a run is about, in one query. Their order says nothing of who they are, so that the first wave is a
// sample of all, and it is the same each time.
func (m *Manager) affected(ctx context.Context, opts RunOptions) ([]Tenant, error) {
	compare := "<"
	if opts.Down {
		compare = ">"
	}
	where := "where schema_version " + compare + " $1 and state in ('warm', 'ready', 'suspended', 'migrating', 'quarantined')"
	args := []any{opts.Target}
	if len(opts.Only) > 0 {
		where += " and id = any($2)"
		args = append(args, opts.Only)
	}
	return readTenants(ctx, m.cfg.Pool, where+" order by md5(id)", args...)
}

// spec gives what the engine is to do with t in a run.
func (o RunOptions) spec(t Tenant) tenantschema.Spec {
	return tenantschema.Spec{Name: t.Schema, Sealed: t.Tier != tenantschema.TierPooled, Version: o.Target}
}

// VersionCount is how many tenants of one state stand on one version.
type VersionCount struct {
	Version int64
	State   State
	Tenants int
}

// Versions counts the tenants by version and state.
func (m *Manager) Versions(ctx context.Context) ([]VersionCount, error) {
	rows, err := m.cfg.Pool.Query(ctx, `select schema_version, state, count(*) from rowhouse.tenants where state <> 'deleted'
		group by schema_version, state order by schema_version, state`)
	if err != nil {
		return nil, fmt.Errorf("count versions: %w", err)
	}
	counts, err := pgx.CollectRows(rows, pgx.RowToStructByPos[VersionCount])
	if err != nil {
		return nil, fmt.Errorf("count versions: %w", err)
	}
	return counts, nil
}

// PlannedMove is what a run would do with the tenants of one version.
type PlannedMove struct {
	From    int64
	Tenants int
	// Steps are the migrations that would run, in their order.
	Steps []tenantschema.Migration
}

// Plan is what a run would do.
type Plan struct {
	Options RunOptions
	Tenants int
	// Waves are how many tenants each has.
	Waves []int
	Moves []PlannedMove
}

// PlanRun tells what [Manager.StartRun] would do. It changes nothing.
func (m *Manager) PlanRun(ctx context.Context, opts RunOptions) (Plan, error) {
	opts, err := opts.complete(m.Target())
	if err != nil {
		return Plan{}, err
	}
	tenants, err := m.affected(ctx, opts)
	if err != nil {
		return Plan{}, err
	}
	p := Plan{Options: opts, Tenants: len(tenants)}
	last := 0
	for _, end := range opts.waves(len(tenants)) {
		p.Waves, last = append(p.Waves, end-last), end
	}
	counts := map[int64]int{}
	for _, t := range tenants {
		counts[t.SchemaVersion]++
	}
	for _, from := range slices.Sorted(maps.Keys(counts)) {
		p.Moves = append(p.Moves, PlannedMove{from, counts[from], m.cfg.Provisioner.Way(from, opts.Target)})
	}
	return p, nil
}

// MigrateAll brings every tenant that is behind to the newest version, as one wave that no failure stops.
func (m *Manager) MigrateAll(ctx context.Context, by string, report func(MigrationResult)) error {
	_, err := m.StartRun(ctx, RunOptions{MaxFailures: -1, By: by}, report)
	return err
}
