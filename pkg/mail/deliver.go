package mail

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// The states of a mail: queued, until it is sent or has failed.
const (
	stateQueued = "queued"
	stateSent   = "sent"
	stateFailed = "failed"
)

// noteTime is how long after the end of a job's context the outcome of its delivery may still be noted.
const noteTime = 5 * time.Second

// Deliver does the work of the job: it hands the mail to the transport and notes the outcome. A mail that was sent is left alone. The job ends
// ([job.Cancel]) when there is no such mail in the tenant, and when the server has refused it for good; any other error is a reason to try
// again, and in the last attempt the mail's end.
func (s *Service) Deliver(ctx context.Context, scope tenantschema.Scope, args Delivery) error {
	if s.cfg.Transport == nil {
		return errors.New("mail: deliver: this process has no transport")
	}
	m, state, err := s.find(ctx, scope, args.MailID)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return job.Cancel(apperr.New(apperr.NotFound, "There is no mail %s.", args.MailID))
	case err != nil:
		return fmt.Errorf("mail: deliver %s: %w", args.MailID, err)
	case state == stateSent:
		return nil
	case state == stateFailed: // Its worker died before it could end the job.
		return job.Cancel(fmt.Errorf("mail: deliver %s: it has failed before", args.MailID))
	}
	err = s.cfg.Transport.Deliver(ctx, m)
	if err != nil && errors.Is(ctx.Err(), context.Canceled) { // A shutdown, which is no attempt.
		return fmt.Errorf("mail: deliver %s: %w", args.MailID, err)
	}
	// The mail is gone, whatever becomes of this process now: noted late is better than sent twice.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTime)
	defer cancel()
	return s.conclude(ctx, scope, args.MailID, err)
}

// conclude notes the outcome of a delivery and says what the queue is to do with the job.
func (s *Service) conclude(ctx context.Context, scope tenantschema.Scope, id uuid.UUID, delivery error) error {
	if delivery == nil {
		if err := s.note(ctx, scope, id, stateSent, ""); err != nil {
			return err
		}
		s.cfg.Metrics.MailSent()
		return nil
	}
	refused, _ := errors.AsType[*RefusedError](delivery)
	final := refused != nil || job.FromContext(ctx).Last()
	state := stateQueued
	if final {
		state = stateFailed
	}
	if err := s.note(ctx, scope, id, state, answerOf(delivery)); err != nil {
		return errors.Join(err, delivery)
	}
	if final {
		s.cfg.Metrics.MailFailed()
	} else {
		s.cfg.Metrics.MailRetried()
	}
	delivery = fmt.Errorf("mail: deliver %s: %w", id, delivery)
	if refused != nil {
		return job.Cancel(delivery)
	}
	return delivery
}

// note writes down how an attempt ended. What the mail says goes when it will not be needed again.
func (s *Service) note(ctx context.Context, scope tenantschema.Scope, id uuid.UUID, state, lastError string) error {
	const sql = `UPDATE mails SET state = $2, attempts = attempts + 1, last_error = $3, sent_at = $4,
    text_body = CASE WHEN $2 = 'queued' THEN text_body ELSE '' END, html_body = CASE WHEN $2 = 'queued' THEN html_body ELSE '' END
WHERE id = $1 AND state = 'queued'`
	var sentAt *time.Time
	if state == stateSent {
		sentAt = new(s.now())
	}
	if _, err := scope.Exec(ctx, sql, id, state, lastError, sentAt); err != nil {
		return fmt.Errorf("mail: note that mail %s is %s: %w", id, state, err)
	}
	return nil
}

func (s *Service) find(ctx context.Context, scope tenantschema.Scope, id uuid.UUID) (m Outgoing, state string, err error) {
	const sql = `SELECT id, to_name, to_address, subject, text_body, html_body, message_id, state, created_at FROM mails WHERE id = $1`
	m = Outgoing{Tenant: scope.Tenant().Schema, From: s.cfg.From}
	err = scope.QueryRow(ctx, sql, id).Scan(&m.ID, &m.To.Name, &m.To.Address, &m.Subject, &m.Text, &m.HTML, &m.MessageID, &state, &m.At)
	m.At = m.At.UTC()
	return m, state, err
}

// answerOf gives what the tenant's table keeps of an error: the server's own words where there are any.
func answerOf(err error) string {
	text := err.Error()
	if e, ok := errors.AsType[*RefusedError](err); ok {
		text = e.Answer
	}
	if e, ok := errors.AsType[*DeferredError](err); ok {
		text = e.Answer
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if runes := []rune(text); len(runes) > 1000 {
		text = string(runes[:1000])
	}
	return text
}
