// Package webhook tells customers' own systems what happened, by HTTP requests signed after the Standard Webhooks specification
// (https://www.standardwebhooks.com).
//
//	a change, in its InTx ─▶ Publish ─▶ for each endpoint that wants the kind: a delivery (row) and a job, in the same transaction
//
//	                 2xx
//	pending ─▶ send ─────▶ succeeded
//	   ▲        │
//	   │ wait   ├─ anything else, and attempts are left ─▶ pending
//	   └────────┤
//	            └─ 410, the last attempt, or an endpoint that is disabled ─▶ failed ─▶ Redeliver ─▶ pending
//
// Guarantees:
//
//   - What is published in a transaction is sent after its commit, or never was. An event that is published twice is one delivery.
//   - A delivery arrives at least once. One whose success was noted is not sent again. All attempts and all endpoints are given the same
//     webhook-id, which is the event's id, so that a receiver can drop repeats.
//   - A request goes to a public address only, whatever the name resolves to at that moment; redirects are not followed, no proxy is used.
//   - A pending delivery has one job, which alone moves it on. Deleting an endpoint ends its deliveries.
//   - Secrets, payloads and answers stay in the tenant's schema. Jobs hold ids, observers are told the host.
package webhook

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Jobs enqueues jobs inside the transaction that is the reason for them, in one statement.
type Jobs interface {
	EnqueueMany(ctx context.Context, tx *tenantschema.Tx, args []job.Args, opts job.Opts) ([]job.Receipt, error)
}

// Observer is told of every attempt, after it was noted in the tenant's schema.
type Observer interface {
	ObserveDelivery(a Attempt)
}

// Config is what a [Service] needs.
type Config struct {
	// Jobs is where deliveries wait. Required.
	Jobs Jobs
	// Kinds are the kinds of events that may be published and asked for. Required.
	Kinds []string
	// Observer, if set, is told of every attempt.
	Observer Observer
	// AllowHTTP lets endpoints be http://, where payloads can be read on the way.
	AllowHTTP bool
	// AllowPrivate lets requests go to private and loopback addresses, and to every port. A customer can then reach what is not public.
	AllowPrivate bool
	// DisableAfter is how long an endpoint may fail everything before it is disabled. Default 5 days.
	DisableAfter time.Duration
	// Keep is how long deliveries are kept, counted from their event. Default 30 days.
	Keep time.Duration
	// Backoff is how long after the attempt of that number, from 1, the next one is. Default the schedule of Standard Webhooks: 5 s, 5 min,
	// 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h, and up to a tenth more. After ten attempts a delivery has failed.
	Backoff func(attempt int) time.Duration
	// Timeout is how long an attempt may take in all. Default 15 s; a connection has a third of it.
	Timeout time.Duration
	// Clock tells the time. Default time.Now.
	Clock func() time.Time
}

// Service manages endpoints and delivers to them. It holds no connection and no tenant: each call is given its scope. All methods are
// safe for concurrent use.
type Service struct {
	cfg    Config
	client *http.Client
}

// New validates cfg and makes a Service.
func New(cfg Config) (*Service, error) {
	if cfg.Jobs == nil || len(cfg.Kinds) == 0 {
		return nil, errors.New("webhook: Config.Jobs and Kinds are required")
	}
	if cfg.DisableAfter < 0 || cfg.Keep < 0 || cfg.Timeout < 0 {
		return nil, errors.New("webhook: Config.DisableAfter, Keep and Timeout must not be negative")
	}
	if cfg.DisableAfter == 0 {
		cfg.DisableAfter = 5 * day
	}
	if cfg.Keep == 0 {
		cfg.Keep = 30 * day
	}
	if cfg.Backoff == nil {
		cfg.Backoff = standardBackoff
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 15 * time.Second
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	return &Service{cfg: cfg, client: newClient(cfg.Timeout, cfg.AllowPrivate)}, nil
}

const day = 24 * time.Hour

// now gives the time in the precision that PostgreSQL keeps, so that what is returned is what is stored.
func (s *Service) now() time.Time { return s.cfg.Clock().UTC().Truncate(time.Microsecond) }
