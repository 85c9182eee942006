package mail

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// attempts is how often a mail is tried: over a day, with the queue's growing pauses. A link in a mail that comes later has expired.
const attempts = 14

// Delivery is the job that delivers a mail of its tenant.
type Delivery struct {
	MailID uuid.UUID `json:"mail_id"`
}

// Kind names the job.
func (Delivery) Kind() string { return "mail.deliver" }

// JobOpts is asked for by the queue.
func (Delivery) JobOpts() job.Opts { return job.Opts{MaxAttempts: attempts} }

// Send puts m into the outbox, as part of tx: when tx commits the mail will be delivered, and if it does not, there never was a mail. The error is
// apperr.Invalid for a message that is wrong.
func (s *Service) Send(ctx context.Context, tx *tenantschema.Tx, m Message) error {
	if err := m.validate(); err != nil {
		return err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("mail: send: %w", err)
	}
	// It stands in the row, so that it stays the same even if the sender's domain is changed before the mail is delivered.
	messageID := id.String() + s.cfg.From.Address[strings.LastIndexByte(s.cfg.From.Address, '@'):]
	const sql = `INSERT INTO mails (id, kind, to_name, to_address, subject, text_body, html_body, message_id, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`
	_, err = tx.Exec(ctx, sql, id, m.Kind, m.To.Name, m.To.Address, m.Subject, m.Text, m.HTML, messageID, s.now())
	if err != nil {
		return fmt.Errorf("mail: send: %w", err)
	}
	if _, err = s.cfg.Jobs.Enqueue(ctx, tx, Delivery{MailID: id}, job.Opts{Queue: m.queue()}); err != nil {
		return fmt.Errorf("mail: send: %w", err)
	}
	return nil
}
