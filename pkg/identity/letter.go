package identity

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Jobs enqueues a job inside the transaction that is the reason for it.
type Jobs interface {
	Enqueue(ctx context.Context, tx *tenantschema.Tx, args job.Args, opts job.Opts) (job.Receipt, error)
}

// Mailer puts a letter into the outbox, as part of tx.
type Mailer interface {
	Send(ctx context.Context, tx *tenantschema.Tx, l Letter) error
}

// Site is where the tenant's people find it.
type Site struct {
	// Origin is scheme, host and port, such as "https://acme.example.com"; Host is the host alone, which passkeys are bound to.
	Origin, Host string
	// Name is the tenant's, for people.
	Name string
}

// LetterKind says what a letter is for.
type LetterKind string

// The kinds of letters.
const (
	// LetterInvitation asks somebody to join; By is who invites.
	LetterInvitation LetterKind = "invitation"
	// LetterReset lets somebody choose a new password.
	LetterReset LetterKind = "password_reset"
	// LetterVerify asks somebody to confirm that an address is theirs.
	LetterVerify LetterKind = "verify"
	// LetterNotice tells somebody what changed in how they enter: What.
	LetterNotice LetterKind = "security_notice"
)

// Letter is a mail to one person.
type Letter struct {
	Kind            LetterKind
	ToName, Address string
	// Workspace is the tenant's name.
	Workspace string
	By, What  string
	// URL is where the letter leads, for as long as ValidFor.
	URL      string
	ValidFor time.Duration
}

// MailDue is the job that makes a secret and mails it: the job itself holds none. It is worked by [Service.SendMail].
type MailDue struct {
	// What is one of the kinds of letters with a link.
	What LetterKind `json:"what"`
	// ID is that of the invitation, the user or the row of user_tokens.
	ID uuid.UUID `json:"id"`
	// Once names the job, so that it mails once although it may run twice.
	Once uuid.UUID `json:"once"`
}

// Kind names the job.
func (MailDue) Kind() string { return "identity.mail" }

// JobOpts is asked for by the queue.
func (MailDue) JobOpts() job.Opts { return job.Opts{Queue: job.QueueCritical, MaxAttempts: 10} }

// enqueueMail has a letter written, once tx has been committed.
func (s *Service) enqueueMail(ctx context.Context, tx *tenantschema.Tx, what LetterKind, id uuid.UUID) error {
	if s.cfg.Jobs == nil {
		return errors.New("Config.Jobs is needed to send mails")
	}
	once, err := uuid.NewV7()
	if err != nil {
		return err
	}
	_, err = s.cfg.Jobs.Enqueue(ctx, tx, MailDue{What: what, ID: id, Once: once}, job.Opts{})
	return err
}

// SendMail is the worker of [MailDue]. What is no longer wanted is not sent.
func (s *Service) SendMail(ctx context.Context, scope tenantschema.Scope, args MailDue) error {
	if s.cfg.Mailer == nil || s.cfg.SiteOf == nil {
		return errors.New("identity: send mail: Config.Mailer and SiteOf are needed")
	}
	site, err := s.cfg.SiteOf(ctx, scope.Tenant())
	if err != nil {
		return failed("send mail", err)
	}
	err = scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		first, err := job.Once(ctx, tx, "identity.mail:"+args.Once.String())
		if err != nil || !first {
			return err
		}
		l, err := s.write(ctx, tx, args, site)
		if isNoRows(err) {
			return nil
		}
		if err != nil {
			return err
		}
		l.Kind, l.Workspace = args.What, site.Name
		return s.cfg.Mailer.Send(ctx, tx, l)
	})
	if err != nil {
		return failed("send mail", err)
	}
	return nil
}

// write makes the secret and the letter that holds it. pgx.ErrNoRows says that there is nothing to be sent.
func (s *Service) write(ctx context.Context, tx *tenantschema.Tx, args MailDue, site Site) (Letter, error) {
	switch args.What {
	case LetterInvitation:
		return s.writeInvitation(ctx, tx, args.ID, site)
	case LetterReset:
		return s.writeReset(ctx, tx, args.ID, site)
	case LetterVerify:
		return s.writeVerification(ctx, tx, args.ID, site)
	case LetterNotice:
	}
	return Letter{}, job.Cancel(errors.New("there is no letter of that kind with a link"))
}

// notify tells somebody what changed in how they enter, at that address, as part of tx. Without a mailer nobody is told.
func (s *Service) notify(ctx context.Context, tx *tenantschema.Tx, u User, address, what string) error {
	if s.cfg.Mailer == nil || s.cfg.SiteOf == nil {
		return nil
	}
	site, err := s.cfg.SiteOf(ctx, tx.Tenant())
	if err != nil {
		return err
	}
	return s.cfg.Mailer.Send(ctx, tx, Letter{
		Kind: LetterNotice, ToName: u.DisplayName, Address: address, Workspace: site.Name, What: what, URL: site.Origin + "/",
	})
}
