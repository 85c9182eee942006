package jobqueue

import (
	"time"

	"github.com/rowhousehq/rowhouse/pkg/job"
)

// backlogLimits says for each queue how long the oldest job may wait before that is worth a warning.
func backlogLimits() map[string]time.Duration {
	return map[string]time.Duration{
		job.QueueCritical: 10 * time.Second,
		job.QueueDefault:  time.Minute,
		job.QueueBulk:     time.Hour,
	}
}

// warnAgainAfter keeps the log of a long backlog short.
const warnAgainAfter = 5 * time.Minute

// What is to be said of a queue after a check.
type backlogNews int

const (
	backlogSilent backlogNews = iota
	backlogGrows
	backlogOver
)

// backlog watches how long the oldest job of one queue waits.
type backlog struct {
	limit    time.Duration
	previous time.Duration
	warned   bool      // and not yet said that it is over
	warnedAt time.Time // the last time
}

// check is told the age of the oldest job, which is 0 if none waits.
func (b *backlog) check(now time.Time, age time.Duration) backlogNews {
	previous := b.previous
	b.previous = age
	switch {
	case age <= b.limit && b.warned:
		b.warned = false
		return backlogOver
	// A queue that grows younger is being worked off.
	case previous > b.limit && age > previous && (b.warnedAt.IsZero() || now.Sub(b.warnedAt) >= warnAgainAfter):
		b.warned, b.warnedAt = true, now
		return backlogGrows
	}
	return backlogSilent
}
