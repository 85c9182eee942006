package jobqueue

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/riverqueue/river"

	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

// Args is what a job is to do: a struct that is stored as JSON. Kind names the worker; it never changes once jobs of it were enqueued.
//
// Args may also have a method InsertOpts() river.InsertOpts to choose Queue, Priority, MaxAttempts, ScheduledAt and Tags. It is an alias,
// so that a package that enqueues need not import this one.
type Args = interface{ Kind() string }

// The queues. Each has workers of its own, so that none of them waits for another's jobs.
const (
	// QueueCritical is for what a person is waiting for.
	QueueCritical = "critical"
	// QueueDefault is where jobs go that choose no queue.
	QueueDefault = river.QueueDefault
	// QueueBulk is for what may take until tomorrow.
	QueueBulk = "bulk"
)

// queues gives each queue its share of max workers: a quarter, a half, a quarter, and one at the least.
func queues(workers int) map[string]river.QueueConfig {
	quarter := max(1, workers/4)
	return map[string]river.QueueConfig{
		QueueCritical: {MaxWorkers: quarter},
		QueueDefault:  {MaxWorkers: max(1, workers-2*quarter)},
		QueueBulk:     {MaxWorkers: quarter},
	}
}

// minWorkers is one for each queue.
const minWorkers = 3

// checkOpts refuses what args ask for that would break a guarantee, or leave a job where nobody works it.
func checkOpts(args Args) error {
	with, ok := args.(river.JobArgsWithInsertOpts)
	if !ok {
		return nil
	}
	opts := with.InsertOpts()
	switch {
	case len(opts.Metadata) > 0:
		return errors.New("InsertOpts.Metadata belongs to the platform: put it into the args")
	case opts.Pending:
		return errors.New("InsertOpts.Pending jobs would never be worked: use ScheduledAt")
	case !reflect.ValueOf(opts.UniqueOpts).IsZero():
		// River's keys know no tenant, so one tenant's job would keep another's away.
		return errors.New("InsertOpts.UniqueOpts is not supported: make the worker's effect unique in the tenant's schema")
	case opts.Queue != "" && !slices.Contains([]string{QueueCritical, QueueDefault, QueueBulk}, opts.Queue):
		return fmt.Errorf("nobody works a queue %q: want %q, %q or %q", opts.Queue, QueueCritical, QueueDefault, QueueBulk)
	}
	return nil
}

// stamp is what the platform writes into a job's metadata. River adds keys of its own beside it.
type stamp struct {
	Tenant string `json:"tenant"`
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
