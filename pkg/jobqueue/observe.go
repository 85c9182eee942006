package jobqueue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// How a run of a job ends, in its log line and for [Observer].
const (
	// OutcomeCompleted: the worker returned nil.
	OutcomeCompleted = "completed"
	// OutcomeFailed: an error or a panic; it will be tried again.
	OutcomeFailed = "failed"
	// OutcomeDiscarded: an error or a panic for the last time.
	OutcomeDiscarded = "discarded"
	// OutcomeCancelled: ended without success and not to be tried again, for example because its tenant was deleted.
	OutcomeCancelled = "cancelled"
	// OutcomeSnoozed: put off without using up an attempt, mostly because its tenant cannot be served now.
	OutcomeSnoozed = "snoozed"
	// OutcomeInterrupted: cut short by a shutdown, and back in the queue without having used up an attempt.
	OutcomeInterrupted = "interrupted"
)

// errPanicked stands for a panic, which River catches and keeps with the job.
var errPanicked = errors.New("the worker panicked: the job's row has the trace")

// observe stands around each run of a job, the reading of its arguments included.
func (c *Client) observe(ctx context.Context, job *rivertype.JobRow, run func(context.Context) error) error {
	start := time.Now()
	result, outcome := errPanicked, failure(job)
	defer func() {
		c.met.Delete(job.ID)
		c.turns[job.Queue].ended(job.ID)
		c.report(job, outcome, time.Since(start), result)
	}()

	result = run(ctx)
	outcome = outcomeOf(ctx, job, result)
	if outcome == OutcomeInterrupted && !errors.Is(result, context.Canceled) {
		// River knows an interrupted job by this error, which a driver or a worker may have replaced by its own.
		return fmt.Errorf("%w: %w", context.Canceled, result)
	}
	return result
}

func outcomeOf(ctx context.Context, job *rivertype.JobRow, err error) string {
	if err == nil {
		return OutcomeCompleted
	}
	if errors.Is(context.Cause(ctx), river.ErrJobCancelledRemotely) {
		return OutcomeCancelled
	}
	if _, ok := errors.AsType[*river.JobSnoozeError](err); ok {
		return OutcomeSnoozed
	}
	if _, ok := errors.AsType[*river.JobCancelError](err); ok {
		return OutcomeCancelled
	}
	if ctx.Err() != nil { // This context has no deadline; what is left is a shutdown.
		return OutcomeInterrupted
	}
	return failure(job)
}

func failure(job *rivertype.JobRow) string {
	if job.Attempt >= job.MaxAttempts {
		return OutcomeDiscarded
	}
	return OutcomeFailed
}

// report writes the job's one log line.
func (c *Client) report(job *rivertype.JobRow, outcome string, run time.Duration, err error) {
	var wait time.Duration
	if job.AttemptedAt != nil {
		wait = max(0, job.AttemptedAt.Sub(job.ScheduledAt)) // The two may come from different clocks.
	}
	if c.cfg.Metrics != nil {
		c.cfg.Metrics.ObserveJob(job.Kind, job.Queue, outcome, wait, run)
	}
	fields := []zap.Field{
		zap.String("kind", job.Kind),
		zap.Int64("job_id", job.ID),
		zap.String("queue", job.Queue),
		zap.Int("attempt", job.Attempt),
		zap.String("outcome", outcome),
		zap.Float64("wait_ms", milliseconds(wait)),
		zap.Float64("duration_ms", milliseconds(run)),
	}
	if id, stampErr := readStamp(job.Metadata); stampErr == nil {
		fields = append(fields, zap.String("tenant", id))
	}
	if err != nil && outcome != OutcomeSnoozed {
		fields = append(fields, zap.Error(err))
	}
	c.cfg.Log.Log(levelOf(outcome), "job", fields...)
}

func levelOf(outcome string) zapcore.Level {
	switch outcome {
	case OutcomeDiscarded:
		return zap.ErrorLevel
	case OutcomeFailed, OutcomeCancelled:
		return zap.WarnLevel
	}
	return zap.InfoLevel
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
