package jobqueue

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

// Queues are the names of the queues, the most urgent first.
func Queues() []string { return []string{job.QueueCritical, job.QueueDefault, job.QueueBulk} }

// queues gives each queue its share of max workers: a quarter, a half, a quarter, and one at the least.
func queues(workers int) map[string]river.QueueConfig {
	quarter := max(1, workers/4)
	return map[string]river.QueueConfig{
		job.QueueCritical: {MaxWorkers: quarter},
		job.QueueDefault:  {MaxWorkers: max(1, workers-2*quarter)},
		job.QueueBulk:     {MaxWorkers: quarter},
	}
}

// minWorkers is one for each queue.
const minWorkers = 3

// stamp is what the platform writes into a job's metadata. River adds keys of its own beside it.
type stamp struct {
	// Tenant is the id of the tenant that the job belongs to; a platform job has none.
	Tenant string `json:"tenant,omitempty"`
}

// errNoStamp ends a job: nobody can say whose it is.
var errNoStamp = errors.New("jobqueue: the job has no valid tenant stamp")

// readStamp gives the tenant's id.
func readStamp(metadata []byte) (string, error) {
	var s stamp
	if err := json.Unmarshal(metadata, &s); err != nil || !tenancy.ValidID(s.Tenant) {
		return "", errNoStamp
	}
	return s.Tenant, nil
}

// order is a job as River inserts it. By being a type of ours it keeps River from asking the feature's type for options and hooks of
// River's own, which could change the stamp.
type order struct {
	kind string
	args any
	opts job.Opts
	// owner is the tenant's id, or nothing for the platform.
	owner string
}

// Kind is asked for by River.
func (o order) Kind() string { return o.kind }

// MarshalJSON is asked for by River, and gives the feature's own args.
func (o order) MarshalJSON() ([]byte, error) { return json.Marshal(o.args) }

// insertOpts is what River is told of it.
func (o order) insertOpts() (*river.InsertOpts, error) {
	switch {
	case o.kind == "":
		return nil, errors.New("Kind must not be empty")
	case o.opts.Queue != "" && !slices.Contains(Queues(), o.opts.Queue):
		return nil, fmt.Errorf("nobody works a queue %q: want one of %q", o.opts.Queue, Queues())
	case o.opts.Priority < 0 || o.opts.Priority > 4:
		return nil, fmt.Errorf("the priority is %d: want 1, the first, to 4", o.opts.Priority)
	case o.opts.MaxAttempts < 0 || o.opts.MaxAttempts > 1000:
		return nil, fmt.Errorf("the attempts are %d: want 1 to 1000", o.opts.MaxAttempts)
	case len(o.opts.Unique) > 1000:
		return nil, fmt.Errorf("the unique key has %d bytes: want 1000 at most", len(o.opts.Unique))
	}
	metadata, err := json.Marshal(stamp{Tenant: o.owner})
	if err != nil {
		return nil, err
	}
	return &river.InsertOpts{
		Metadata: metadata, Queue: o.opts.Queue, Priority: o.opts.Priority, ScheduledAt: o.opts.At, MaxAttempts: o.opts.MaxAttempts,
	}, nil
}

// The states in which a job that is unique counts, as bits of River's.
const (
	uniqueWaiting = 0b1111_0001 // available, pending, retryable, running, scheduled
	uniqueAll     = 0b1111_1111 // and cancelled, completed, discarded
)

// makeUnique writes the key of a unique job into what River is about to insert, since River's own know nothing of tenants: one tenant's
// job would keep another's away. The owner stands in front of the key in the clear, where a policy in the database holds it against the
// tenant: nobody can take a key of another's.
func makeUnique(_ context.Context, params *rivertype.JobInsertParams) error {
	o, ok := params.Args.(order)
	if !ok || o.opts.Unique == "" {
		return nil
	}
	sum := sha256.Sum256([]byte(o.kind + "\x00" + o.opts.Unique))
	params.UniqueKey = append([]byte(o.owner+"/"), sum[:]...)
	params.UniqueStates = uniqueWaiting
	if o.opts.UniqueCompleted {
		params.UniqueStates = uniqueAll
	}
	return nil
}
