package jobqueue

import (
	"context"
	"time"

	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// ForgetEffects is the job that removes the keys of [job.Once] that no job can come back to.
type ForgetEffects struct{}

// Kind names the worker, and the schedule.
func (ForgetEffects) Kind() string { return "jobs.forget_effects" }

// effectsKept is longer than any job is tried.
const effectsKept = 30 * 24 * time.Hour

// HandleForgetEffects works [ForgetEffects], and lets it come every night in each tenant's time zone, spread over three hours.
func HandleForgetEffects(w *Workers) {
	Handle(w, func(ctx context.Context, s tenantschema.Scope, _ ForgetEffects) error {
		_, err := job.Forget(ctx, s, effectsKept)
		return err
	})
	Schedule(w, ScheduleSpec{
		Name: ForgetEffects{}.Kind(), Cron: "0 1 * * *", Jitter: 3 * time.Hour,
		// One that has not ended by the next night does for that, too.
		Opts: job.Opts{Queue: job.QueueBulk, Unique: "daily"},
	}, func(time.Time, *time.Location) ForgetEffects { return ForgetEffects{} })
}
