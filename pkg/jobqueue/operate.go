package jobqueue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

// MaxJobs is how many jobs an operator lists or changes at a time, at the most.
const MaxJobs = 10_000

// Operator looks into the queue and changes what stands in it, whosever it is. It is safe for concurrent use. What it changes, it changes job
// by job, so that whoever is interrupted does the same again and goes on.
type Operator struct {
	pool  *pgxpool.Pool
	river *river.Client[pgx.Tx]
}

// NewOperator validates and does no I/O. pool logs in as the owner or as the control role.
func NewOperator(pool *pgxpool.Pool) (*Operator, error) {
	if pool == nil {
		return nil, errors.New("jobqueue: an operator needs a pool")
	}
	c, err := New(Config{Pool: pool})
	if err != nil {
		return nil, err
	}
	return &Operator{pool: pool, river: c.river}, nil
}

// States are the states that a job can be in, in the order of its life.
func States() []string {
	return []string{
		string(rivertype.JobStateScheduled), string(rivertype.JobStateAvailable), string(rivertype.JobStateRunning),
		string(rivertype.JobStateRetryable), string(rivertype.JobStateCompleted), string(rivertype.JobStateCancelled),
		string(rivertype.JobStateDiscarded),
	}
}

// Job is a job as operators see it, without its args.
type Job struct {
	ID    int64  `json:"id"`
	State string `json:"state"`
	Kind  string `json:"kind"`
	Queue string `json:"queue"`
	// TenantID is empty for a job of the platform's own.
	TenantID    string    `json:"tenant_id,omitempty"`
	Priority    int       `json:"priority"`
	Attempt     int       `json:"attempt"`
	MaxAttempts int       `json:"max_attempts"`
	CreatedAt   time.Time `json:"created_at"`
	// ScheduledAt is when it is or was due.
	ScheduledAt time.Time  `json:"scheduled_at"`
	AttemptedAt *time.Time `json:"attempted_at,omitempty"`
	FinalizedAt *time.Time `json:"finalized_at,omitempty"`
	// Worker is the process that worked it last.
	Worker    string `json:"worker,omitempty"`
	LastError string `json:"last_error,omitempty"`
}

// Failure is an attempt that failed.
type Failure struct {
	At      time.Time `json:"at"`
	Attempt int       `json:"attempt"`
	Error   string    `json:"error"`
	// Trace is where it panicked, if it did.
	Trace string `json:"trace,omitempty"`
}

// Details are all that is known of a job.
type Details struct {
	Job

	Failures []Failure `json:"failures"`
	// Args may name a tenant's things, by their ids.
	Args json.RawMessage `json:"args,omitempty"`
}

// Filter says which jobs are meant: those for which all that is set holds.
type Filter struct {
	TenantID    string
	States      []string
	Queue, Kind string
	// Before is the id below which the list begins. 0: at the newest.
	Before int64
	// Limit is from 1 to [MaxJobs].
	Limit int
}

func (f Filter) validate() error {
	if f.TenantID != "" && !tenancy.ValidID(f.TenantID) {
		return apperr.New(apperr.Invalid, "%q is no id of a tenant", f.TenantID)
	}
	for _, s := range f.States {
		if !slices.Contains(States(), s) {
			return apperr.New(apperr.Invalid, "there is no state %q: a job is in one of %q", s, States())
		}
	}
	if f.Queue != "" {
		if err := checkQueue(f.Queue); err != nil {
			return err
		}
	}
	if f.Limit < 1 || f.Limit > MaxJobs {
		return apperr.New(apperr.Invalid, "the limit is %d: want 1 to %d", f.Limit, MaxJobs)
	}
	return nil
}

func checkQueue(name string) error {
	if !slices.Contains(Queues(), name) {
		return apperr.New(apperr.Invalid, "there is no queue %q: want one of %q", name, Queues())
	}
	return nil
}

// The columns of a [Job], as they stand in the table and as they are shown.
const (
	storedColumns = "id, state, kind, queue, metadata, priority, attempt, max_attempts, created_at, scheduled_at, attempted_at, finalized_at, " +
		"attempted_by, errors, args"
	jobColumns = "id, state::text, kind, queue, coalesce(metadata ->> 'tenant', ''), priority, attempt, max_attempts, created_at, scheduled_at, " +
		"attempted_at, finalized_at, coalesce(attempted_by[cardinality(attempted_by)], ''), coalesce(errors[cardinality(errors)] ->> 'error', '')"
)

func (j *Job) columns() []any {
	return []any{
		&j.ID, &j.State, &j.Kind, &j.Queue, &j.TenantID, &j.Priority, &j.Attempt, &j.MaxAttempts, &j.CreatedAt, &j.ScheduledAt, &j.AttemptedAt,
		&j.FinalizedAt, &j.Worker, &j.LastError,
	}
}

// query gives the statement that lists. A tenant's jobs are found by the index on the metadata before they are put in order, because the
// planner, who cannot know how few they are, would else go through the whole table for the newest of them.
func (f Filter) query() (sql string, args []any) {
	var conditions []string
	add := func(condition string, arg any) {
		args = append(args, arg)
		conditions = append(conditions, fmt.Sprintf(condition, len(args)))
	}
	if f.TenantID != "" {
		add("metadata @> pg_catalog.jsonb_build_object('tenant', $%d::text)", f.TenantID)
	}
	if len(f.States) > 0 { // In the text, where the planner sees how rare they are; validate knows that they are names.
		conditions = append(conditions, "state in ('"+strings.Join(f.States, "', '")+"')")
	}
	if f.Queue != "" {
		add("queue = $%d", f.Queue)
	}
	if f.Kind != "" {
		add("kind = $%d", f.Kind)
	}
	if f.Before > 0 {
		add("id < $%d", f.Before)
	}
	where := ""
	if len(conditions) > 0 {
		where = " where " + strings.Join(conditions, " and ")
	}
	args = append(args, f.Limit)
	end := fmt.Sprintf(" order by id desc limit $%d", len(args))
	if f.TenantID == "" {
		return "select " + jobColumns + " from river.river_job" + where + end, args
	}
	return "with its as materialized (select " + storedColumns + " from river.river_job" + where + ") select " + jobColumns + " from its" + end, args
}

// List gives the jobs of a filter, the newest first. It reads [Filter.Limit] jobs, or all jobs of the tenant that the filter names.
func (o *Operator) List(ctx context.Context, f Filter) ([]Job, error) {
	if err := f.validate(); err != nil {
		return nil, err
	}
	sql, args := f.query()
	rows, err := o.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	jobs, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (j Job, err error) { return j, row.Scan(j.columns()...) })
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	return jobs, nil
}

// Get gives one job. An error of code apperr.NotFound says that there is none of that number, or none any more.
func (o *Operator) Get(ctx context.Context, id int64) (Details, error) {
	var d Details
	var failures []byte
	err := o.pool.QueryRow(ctx, "select "+jobColumns+", coalesce(pg_catalog.to_jsonb(errors), '[]'), args from river.river_job where id = $1", id).
		Scan(append(d.columns(), &failures, &d.Args)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return Details{}, notThere(id)
	}
	if err != nil {
		return Details{}, fmt.Errorf("read job %d: %w", id, err)
	}
	if err = json.Unmarshal(failures, &d.Failures); err != nil {
		return Details{}, fmt.Errorf("read failures of job %d: %w", id, err)
	}
	return d, nil
}

func notThere(id int64) error {
	return apperr.New(apperr.NotFound, "there is no job %d: those that ended well or were cancelled are kept for a day, discarded ones for a week", id)
}
