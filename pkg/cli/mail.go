package cli

import (
	"context"
	"path/filepath"
	"time"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/mail"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// mailDir is where `up` keeps the mails, in the data directory.
const mailDir = "mail"

// withMailbox is cfg for `up`: mails go into files unless something else is configured.
func withMailbox(cfg config.Config) config.Config {
	if !cfg.Mail.SMTPURL.IsSet() && cfg.Mail.Dir == "" {
		cfg.Mail.Dir = filepath.Join(cfg.DataDir, mailDir)
	}
	return cfg
}

// openMailbox gives the mails in files for the admin address to show, or nil if they go to a mail server.
func openMailbox(cfg config.Config) (*mail.Files, error) {
	if cfg.Mail.Dir == "" {
		return nil, nil
	}
	return mail.NewFiles(cfg.Mail.Dir)
}

// openMail makes the service that sends mails. A process that works jobs needs a way out for them.
func (p *platform) openMail() (err error) {
	cfg := mail.Config{From: p.cfg.Sender(), Jobs: p.jobs, Metrics: p.metrics}
	if p.works {
		if cfg.Transport, err = mailTransport(p.cfg.Mail); err != nil {
			return err
		}
	}
	p.mails, err = mail.New(cfg)
	return err
}

func mailTransport(cfg config.Mail) (mail.Transport, error) {
	switch s := cfg.SMTPURL; {
	case s.IsSet():
		return mail.NewSMTP(mail.SMTPConfig{Host: s.Host, Port: s.Port, User: s.User, Password: s.Password.Reveal(), TLS: mail.TLS(s.TLS)})
	case cfg.Dir != "":
		return mail.NewFiles(cfg.Dir)
	}
	return nil, apperr.New(apperr.Invalid, "who works jobs sends mails: set mail.smtp_url (ROWHOUSE_MAIL_SMTP_URL) and mail.from, "+
		"or mail.dir (ROWHOUSE_MAIL_DIR) to write mails into files")
}

// demoMail sends the mail that the mailbox begins with, once for each demo tenant.
func (p *platform) demoMail(ctx context.Context, t tenancy.Tenant) error {
	message, err := p.mails.Render(mail.Address{Name: "Ada", Address: "ada@" + t.Slug + ".example"}, mail.Welcome{
		Name: "Ada", Workspace: t.Name, ValidFor: 48 * time.Hour,
		URL: "http://" + t.Slug + "." + p.cfg.Server.BaseDomain + ":" + port(p.cfg.Server.Addr) + "/",
	})
	if err != nil {
		return err
	}
	return p.engine.Tenant(t.Engine()).InTx(ctx, func(tx *tenantschema.Tx) error {
		first, err := job.Once(ctx, tx, "demo.mail")
		if err != nil || !first {
			return err
		}
		return p.mails.Send(ctx, tx, message)
	})
}
