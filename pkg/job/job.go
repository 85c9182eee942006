// Package job is how a feature speaks of background work, without knowing the queue: what a job is, what may be asked of the queue when one
// is enqueued, how a worker ends or puts off a run, and how an effect is had once although jobs may run twice.
//
// pkg/jobqueue is the queue. It takes and works what is described here.
package job

import (
	"context"
	"time"
)

// Args is what a job is to do: a struct that is stored as JSON, outside the tenant's schema, so it holds ids and no one's words. Kind names
// the worker; it never changes once jobs of it were enqueued.
//
// Args may also have a method JobOpts() Opts: what is asked of the queue for every job of that kind ([WithOpts]).
type Args = interface{ Kind() string }

// WithOpts is had by [Args] and [PlatformArgs] that ask for something whenever they are enqueued.
type WithOpts interface{ JobOpts() Opts }

// PlatformArgs is what a job of the platform's own is to do, which belongs to no tenant and is given no scope. Its method has another name
// than that of [Args], so that the compiler tells the two apart.
type PlatformArgs interface{ PlatformKind() string }

// The queues. Each has workers of its own, so that none of them waits for another's jobs.
const (
	// QueueCritical is for what a person is waiting for.
	QueueCritical = "critical"
	// QueueDefault is where jobs go that choose no queue.
	QueueDefault = "default"
	// QueueBulk is for what may take until tomorrow.
	QueueBulk = "bulk"
)

// Opts is what may be asked of the queue. The zero value asks for nothing.
type Opts struct {
	// Queue is one of the queues above. Default [QueueDefault].
	Queue string
	// Priority is from 1, the first to be worked, to 4, among the jobs of the same tenant in the same queue; no tenant goes before another
	// by it. Default 1.
	Priority int
	// At is when the job is to be worked, at the earliest. Default at once.
	At time.Time
	// MaxAttempts is how often the job is tried before it is discarded. Default 25, which takes some three weeks.
	MaxAttempts int
	// Unique, if not empty, makes this job the only one of its kind and tenant with that key which waits, runs or is to be tried again.
	Unique string
	// UniqueCompleted lets a job that has ended count too, until the queue forgets it: a day after it was completed or cancelled, a week
	// after it was discarded.
	UniqueCompleted bool
}

// Or gives o with what it leaves open taken from other.
func (o Opts) Or(other Opts) Opts {
	if o.Queue == "" {
		o.Queue = other.Queue
	}
	if o.Priority == 0 {
		o.Priority = other.Priority
	}
	if o.At.IsZero() {
		o.At = other.At
	}
	if o.MaxAttempts == 0 {
		o.MaxAttempts = other.MaxAttempts
	}
	if o.Unique == "" {
		o.Unique, o.UniqueCompleted = other.Unique, other.UniqueCompleted
	}
	return o
}

// Receipt is what enqueuing gives.
type Receipt struct {
	// ID is the job's number in the queue: of the one that was there already, if Duplicate.
	ID int64 `json:"id"`
	// Duplicate says that nothing was enqueued, because [Opts.Unique] found the job there.
	Duplicate bool `json:"duplicate"`
}

// Info is what a worker may know of the run that it is in.
type Info struct {
	// ID is the job's number in the queue, the same in all attempts.
	ID int64
	// Attempt is 1 in the first run. MaxAttempts is the number of the last one.
	Attempt, MaxAttempts int
	// EnqueuedAt is when the job was enqueued, by the clock of the database or of whoever enqueued it.
	EnqueuedAt time.Time
}

// Last says whether an error in this run discards the job.
func (i Info) Last() bool { return i.Attempt >= i.MaxAttempts }

type infoKey struct{}

// NewContext gives ctx with info, as the queue does for a worker.
func NewContext(ctx context.Context, info Info) context.Context {
	return context.WithValue(ctx, infoKey{}, info)
}

// FromContext gives what is known of the run that ctx belongs to: the zero Info outside of one.
func FromContext(ctx context.Context) Info {
	info, _ := ctx.Value(infoKey{}).(Info)
	return info
}
