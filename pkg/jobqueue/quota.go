package jobqueue

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/job"
)

// Quota says how many jobs of a tenant may wait.
type Quota interface {
	// MaxJobs gives the most waiting jobs of the tenant with that id, 0 for no limit, and what the limit's plan is called.
	MaxJobs(tenantID string) (most int64, plan string)
}

// recountEvery is how old a count of waiting jobs may be.
const recountEvery = time.Second

// waitingSQL counts the jobs of a tenant that wait for a worker, up to a number, by the index that turns walk by.
const waitingSQL = `select count(*) from (select from river.river_job where state = 'available' and queue = any($1) and ` + owner +
	` = $2 limit $3) j`

// quotas know how many jobs of each tenant wait, as of a moment ago. So the limit costs no query for most jobs, and is not exact: each process may
// pass it by what it enqueues in a second, less what it has counted.
type quotas struct {
	mu      sync.Mutex
	waiting map[string]*waiting
}

type waiting struct {
	count int64
	at    time.Time
}

// maxCounts bounds the memory of quotas: beyond it all counts are made anew.
const maxCounts = 10_000

// room refuses with apperr.RateLimited if n more jobs are more than the tenant's plan allows. Urgent jobs are those that a person waits for, such as
// the mail that lets them in again: they are neither counted nor refused.
func (c *Client) room(ctx context.Context, tenantID string, orders []order) error {
	if c.cfg.Quota == nil || c.cfg.Pool == nil {
		return nil
	}
	most, plan := c.cfg.Quota.MaxJobs(tenantID)
	n := int64(0)
	for _, o := range orders {
		if o.opts.Queue != job.QueueCritical {
			n++
		}
	}
	if most == 0 || n == 0 {
		return nil
	}
	there, ok := c.quotas.add(tenantID, n, most, time.Now())
	if !ok {
		err := c.cfg.Pool.QueryRow(ctx, waitingSQL, []string{job.QueueDefault, job.QueueBulk}, tenantID, most+1).Scan(&there)
		if err != nil {
			return fmt.Errorf("count waiting jobs: %w", err)
		}
		there = c.quotas.counted(tenantID, there, n, most, time.Now())
	}
	if there+n > most {
		return &apperr.Error{
			Code: apperr.RateLimited, RetryAfter: 5 * time.Second,
			Message: fmt.Sprintf("The plan %q allows %d jobs to wait, and there are %d. Try again when some are done, or ask for a larger plan.",
				plan, most, there),
		}
	}
	return nil
}

// add counts n more jobs if they fit, and gives how many there were. It gives false if that was counted too long ago.
func (q *quotas) add(tenantID string, n, most int64, now time.Time) (there int64, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := q.waiting[tenantID]
	if w == nil || now.Sub(w.at) >= recountEvery {
		return 0, false
	}
	there = w.count
	if there+n <= most {
		w.count += n
	}
	return there, true
}

// counted takes note of a count, to which n are added if they fit.
func (q *quotas) counted(tenantID string, count, n, most int64, now time.Time) int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiting == nil || len(q.waiting) >= maxCounts {
		q.waiting = map[string]*waiting{}
	}
	w := &waiting{count: count, at: now}
	if count+n <= most {
		w.count += n
	}
	q.waiting[tenantID] = w
	return count
}
