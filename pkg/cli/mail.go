package cli

import (
	"context"
	"path/filepath"
	"time"

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

// demoMail sends the mail that the mailbox begins with, once for each demo tenant.
func (p *platform) demoMail(ctx context.Context, t tenancy.Tenant) error {
	message, err := p.house.Mail.Render(mail.Address{Name: "Ada", Address: "ada@" + t.Slug + ".example"}, mail.Welcome{
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
		return p.house.Mail.Send(ctx, tx, message)
	})
}
