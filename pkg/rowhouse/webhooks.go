package rowhouse

import (
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/telemetry"
	"github.com/rowhousehq/rowhouse/pkg/webhook"
)

// newWebhooks makes the webhooks of what the product publishes.
func newWebhooks(
	cfg config.Webhooks, kinds []string, jobs webhook.Jobs, metrics *telemetry.Metrics, log *zap.Logger,
) (*webhook.Service, error) {
	return webhook.New(webhook.Config{
		Jobs: jobs, Kinds: kinds, Observer: deliveries{metrics, log.Named("webhooks")},
		AllowHTTP: cfg.AllowHTTP, AllowPrivate: cfg.AllowPrivate, DisableAfter: cfg.DisableAfter, Keep: cfg.Keep,
	})
}

// handleWebhooks registers the workers of the webhooks.
func handleWebhooks(w *jobqueue.Workers, hooks *webhook.Service) {
	jobqueue.Handle(w, hooks.Deliver)
	jobqueue.Handle(w, hooks.SweepDeliveries)
	jobqueue.Schedule(w, jobqueue.ScheduleSpec{Name: "webhooks.sweep", Cron: "0 2 * * *", Jitter: 2 * time.Hour},
		func(time.Time, *time.Location) webhook.Sweep { return webhook.Sweep{} })
}

// deliveries counts and logs each attempt.
type deliveries struct {
	metrics *telemetry.Metrics
	log     *zap.Logger
}

// ObserveDelivery writes the attempt's one log line. Of the address it has the host alone: customers put secrets into the rest.
func (d deliveries) ObserveDelivery(a webhook.Attempt) {
	d.metrics.WebhookDelivered(a.Result)
	level := zapcore.InfoLevel
	if a.Result == webhook.ResultGivenUp {
		level = zapcore.WarnLevel
	}
	fields := []zap.Field{
		zap.String("tenant", a.TenantID), zap.Stringer("endpoint", a.EndpointID), zap.Stringer("event", a.EventID), zap.String("host", a.Host),
		zap.Int("attempt", a.Number), zap.String("result", a.Result), zap.Int("status", a.Status),
		zap.Float64("duration_ms", float64(a.Duration.Microseconds())/1000),
	}
	if a.Problem != "" {
		fields = append(fields, zap.String("problem", a.Problem))
	}
	if a.Disabled {
		fields = append(fields, zap.Bool("disabled", true))
	}
	d.log.Log(level, "webhook", fields...)
}
