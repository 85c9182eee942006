package jobqueue

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river/rivertype"
)

// Changed says what became of the jobs that were to be changed.
type Changed struct {
	// Done are those that were changed: retried, or cancelled.
	Done []int64 `json:"done"`
	// Told are those that run, and were told to end.
	Told []int64 `json:"told"`
	// Left are those that could not be changed.
	Left []Left `json:"left"`
}

// Left is a job that could not be changed, and why.
type Left struct {
	ID  int64  `json:"id"`
	Why string `json:"why"`
}

// Retry puts discarded and cancelled jobs back among those that wait, to be worked at once. A job that has used up its attempts gets one
// more. What is in another state is left as it is. An error comes with what was done before it.
func (o *Operator) Retry(ctx context.Context, ids ...int64) (Changed, error) {
	return o.each(ctx, "retry", ids, func(ctx context.Context, tx pgx.Tx, state rivertype.JobState, id int64, changed *Changed) error {
		if state != rivertype.JobStateDiscarded && state != rivertype.JobStateCancelled {
			changed.leave(id, "it is "+string(state)+": discarded and cancelled ones can be retried")
			return nil
		}
		_, err := o.river.JobRetryTx(ctx, tx, id)
		if err == nil {
			changed.Done = append(changed.Done, id)
		}
		return err
	})
}

// Cancel ends jobs without another attempt: those that wait at once. Those that run are told to end, which their process hears within two
// seconds, more or less, and obeys when their worker looks at its context; [Operator.Running] tells whether they did. An error comes with
// what was done before it.
func (o *Operator) Cancel(ctx context.Context, ids ...int64) (Changed, error) {
	return o.each(ctx, "cancel", ids, func(ctx context.Context, tx pgx.Tx, state rivertype.JobState, id int64, changed *Changed) error {
		switch state {
		case rivertype.JobStateCancelled, rivertype.JobStateCompleted, rivertype.JobStateDiscarded:
			changed.leave(id, "it is "+string(state)+" already")
			return nil
		case rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable, rivertype.JobStateRunning,
			rivertype.JobStateScheduled:
		}
		_, err := o.river.JobCancelTx(ctx, tx, id)
		switch {
		case err != nil:
			return err
		case state == rivertype.JobStateRunning:
			changed.Told = append(changed.Told, id)
		default:
			changed.Done = append(changed.Done, id)
		}
		return nil
	})
}

func (c *Changed) leave(id int64, why string) { c.Left = append(c.Left, Left{ID: id, Why: why}) }

// each calls change for each job in a transaction of its own, which holds the job: its state stays what it is.
func (o *Operator) each(
	ctx context.Context, verb string, ids []int64, change func(context.Context, pgx.Tx, rivertype.JobState, int64, *Changed) error,
) (Changed, error) {
	changed := Changed{Done: []int64{}, Told: []int64{}, Left: []Left{}}
	for _, id := range ids {
		next := changed
		err := pgx.BeginFunc(ctx, o.pool, func(tx pgx.Tx) error {
			var state rivertype.JobState
			err := tx.QueryRow(ctx, "select state::text from river.river_job where id = $1 for update", id).Scan(&state)
			if errors.Is(err, pgx.ErrNoRows) {
				next.leave(id, "there is none of that number, or none any more")
				return nil
			}
			if err != nil {
				return err
			}
			return change(ctx, tx, state, id, &next)
		})
		if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.ConstraintName == "river_job_unique_idx" {
			changed.leave(id, "another job is there already that is to be the only one of its key")
			continue
		}
		if err != nil {
			return changed, fmt.Errorf("%s job %d: %w", verb, id, err)
		}
		changed = next
	}
	return changed, nil
}

// Running gives those of the jobs that run.
func (o *Operator) Running(ctx context.Context, ids ...int64) ([]int64, error) {
	rows, err := o.pool.Query(ctx, "select id from river.river_job where id = any($1) and state = 'running' order by id", ids)
	if err != nil {
		return nil, fmt.Errorf("look at running jobs: %w", err)
	}
	running, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("look at running jobs: %w", err)
	}
	return running, nil
}

// Pause keeps all processes from taking jobs of a queue; they hear of it within two seconds, more or less. Jobs that run go on, and jobs go on
// being enqueued. A queue that is paused already stays so.
func (o *Operator) Pause(ctx context.Context, queue string) error {
	if err := checkQueue(queue); err != nil {
		return err
	}
	err := pgx.BeginFunc(ctx, o.pool, func(tx pgx.Tx) error {
		// A queue that no process has worked yet has no row, and could not be paused before the first one does.
		_, err := tx.Exec(ctx, "insert into river.river_queue (name, updated_at) values ($1, now()) on conflict (name) do nothing", queue)
		if err != nil {
			return err
		}
		return o.river.QueuePauseTx(ctx, tx, queue, nil)
	})
	if err != nil {
		return fmt.Errorf("pause queue %s: %w", queue, err)
	}
	return nil
}

// Resume lets a paused queue be worked again, within two seconds, more or less. One that is not paused stays so.
func (o *Operator) Resume(ctx context.Context, queue string) error {
	if err := checkQueue(queue); err != nil {
		return err
	}
	err := pgx.BeginFunc(ctx, o.pool, func(tx pgx.Tx) error { return o.river.QueueResumeTx(ctx, tx, queue, nil) })
	if err != nil && !errors.Is(err, rivertype.ErrNotFound) { // What nobody has worked or paused yet is not paused.
		return fmt.Errorf("resume queue %s: %w", queue, err)
	}
	return nil
}
