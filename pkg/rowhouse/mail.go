package rowhouse

import (
	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/mail"
)

// transport is the way out for mails that is configured.
func transport(cfg config.Mail) (mail.Transport, error) {
	switch s := cfg.SMTPURL; {
	case s.IsSet():
		return mail.NewSMTP(mail.SMTPConfig{Host: s.Host, Port: s.Port, User: s.User, Password: s.Password.Reveal(), TLS: mail.TLS(s.TLS)})
	case cfg.Dir != "":
		return mail.NewFiles(cfg.Dir)
	}
	return nil, apperr.New(apperr.Invalid, "who works jobs sends mails: set mail.smtp_url (ROWHOUSE_MAIL_SMTP_URL) and mail.from, "+
		"or mail.dir (ROWHOUSE_MAIL_DIR) to write mails into files")
}
