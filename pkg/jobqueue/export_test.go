package jobqueue

import (
	"context"
	"time"
)

// SetScheduleClock makes the scheduler reckon next times from what clock makes of the database's time. What is due goes by the database alone.
func SetScheduleClock(c *Client, clock func(time.Time) time.Time) { c.scheduler.clock = clock }

// SchedulePass lets the scheduler of a client that was not started work once.
func SchedulePass(ctx context.Context, c *Client) error { return c.scheduler.pass(ctx) }

// ScheduleSync is SchedulePass at a time when the rows are held against the tenants.
func ScheduleSync(ctx context.Context, c *Client) error {
	c.scheduler.synced = time.Time{}
	return c.scheduler.pass(ctx)
}
