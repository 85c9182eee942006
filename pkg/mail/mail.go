// Package mail sends mails to a tenant's people: an outbox in the tenant's schema, delivered by jobs.
//
//	feature, in its InTx ─▶ Send(ctx, tx, message) ─▶ [row in mails, queued] + [job with its id]: same transaction
//	worker ─▶ row ─▶ Transport ─▶ row: sent, or failed with the server's answer; else the queue tries again
//
// Guarantees:
//
//   - A mail and the reason for it are committed together, or neither is. The words of a mail never leave the tenant's schema, except to the
//     transport: neither jobs nor errors nor log lines hold an address, a subject or a body.
//   - A mail is handed to the transport at least once. If a worker dies between the server's answer and the note of it, it is handed over
//     again with the same Message-ID, by which receivers tell that it is the same. What is noted as sent is not sent again.
//   - No header can be injected: addresses are parsed, and control characters are refused in all that becomes a header.
package mail

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Jobs enqueues a job inside the transaction that is the reason for it.
type Jobs interface {
	Enqueue(ctx context.Context, tx *tenantschema.Tx, args job.Args, opts job.Opts) (job.Receipt, error)
}

// Metrics is told what became of each delivery.
type Metrics interface {
	// MailSent: the transport took it.
	MailSent()
	// MailRetried: not now; the queue will try again.
	MailRetried()
	// MailFailed: given up.
	MailFailed()
}

// Config is what a [Service] needs.
type Config struct {
	// From is the sender of all mails. Required.
	From Address
	// Jobs is where deliveries are enqueued. Required.
	Jobs Jobs
	// Transport takes the mails. Nil makes a service that sends by other processes' workers.
	Transport Transport
	// Metrics, if set, is told of every delivery.
	Metrics Metrics
	// Clock tells the time. Default time.Now.
	Clock func() time.Time
}

// Service sends mails. It holds no connection and no tenant. All methods are safe for concurrent use.
type Service struct {
	cfg       Config
	templates templates
}

// New validates cfg and makes a Service.
func New(cfg Config) (*Service, error) {
	if cfg.Jobs == nil {
		return nil, errors.New("mail: Config.Jobs is required")
	}
	if problem := addressProblem(cfg.From); problem != "" {
		return nil, fmt.Errorf("mail: Config.From: %s", problem)
	}
	if cfg.Metrics == nil {
		cfg.Metrics = noMetrics{}
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	parsed, err := parseTemplates()
	if err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	return &Service{cfg: cfg, templates: parsed}, nil
}

// now gives the time in the precision that PostgreSQL keeps.
func (s *Service) now() time.Time { return s.cfg.Clock().UTC().Truncate(time.Microsecond) }

type noMetrics struct{}

func (noMetrics) MailSent()    {}
func (noMetrics) MailRetried() {}
func (noMetrics) MailFailed()  {}
