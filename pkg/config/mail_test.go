package config_test

import (
	netmail "net/mail"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/config"
)

func TestMail(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]config.SMTP{
		"smtp://smtp.example":                           {Host: "smtp.example", Port: 587, TLS: "starttls"},
		"smtp://u:p@smtp.example:25?tls=starttls":       {Host: "smtp.example", Port: 25, TLS: "starttls", User: "u"},
		"smtp://u%40e:p%2F@smtp.example":                {Host: "smtp.example", Port: 587, TLS: "starttls", User: "u@e"},
		"smtp://u:p@smtp.example?tls=opportunistic":     {Host: "smtp.example", Port: 587, TLS: "opportunistic", User: "u"},
		"smtp://127.0.0.1:1025?tls=none":                {Host: "127.0.0.1", Port: 1025, TLS: "none"},
		"smtp://u:p@localhost:1025/?tls=none":           {Host: "localhost", Port: 1025, TLS: "none", User: "u"},
		"smtps://u:p@smtp.example":                      {Host: "smtp.example", Port: 465, TLS: "implicit", User: "u"},
		"smtp://u:p@[::1]:25?tls=none":                  {Host: "::1", Port: 25, TLS: "none", User: "u"},
		"smtp://some.relay.in-the.example:25?tls=none":  {Host: "some.relay.in-the.example", Port: 25, TLS: "none"},
		"smtps://u:p@smtp.example:2465":                 {Host: "smtp.example", Port: 2465, TLS: "implicit", User: "u"},
		"smtp://u:p@smtp.example:587?tls=opportunistic": {Host: "smtp.example", Port: 587, TLS: "opportunistic", User: "u"},
	} {
		cfg, _, err := load(t, layers{env: []string{"ROWHOUSE_MAIL_SMTP_URL=" + url, "ROWHOUSE_MAIL_FROM=Acme <a@b.example>"}})
		require.NoError(t, err, url)
		got := cfg.Mail.SMTPURL
		require.True(t, got.IsSet())
		require.Equal(t, want, config.SMTP{Host: got.Host, Port: got.Port, TLS: got.TLS, User: got.User}, url)
		require.Equal(t, want.User != "", got.Password.IsSet(), url)
		require.Equal(t, netmail.Address{Name: "Acme", Address: "a@b.example"}, cfg.Sender())
	}
	cfg, _, err := load(t, layers{env: []string{"ROWHOUSE_MAIL_DIR=/tmp/mails", "ROWHOUSE_SERVER_BASE_DOMAIN=example.com"}})
	require.NoError(t, err)
	require.Equal(t, "/tmp/mails", cfg.Mail.Dir)
	require.Equal(t, "no-reply@example.com", cfg.Sender().Address)
}

func TestMail_Refused(t *testing.T) {
	t.Parallel()
	for url, message := range map[string]string{
		"smtp.example:587":                                   "must begin with smtp:// or smtps://",
		"http://smtp.example":                                "must begin with smtp:// or smtps://",
		"smtp://":                                            "must name a host",
		"smtp://u:hunter2@":                                  "must name a host",
		"smtp://u:hunter2@a_b.example":                       "must name a host",
		"smtp://u:hunter2@smtp.example:0":                    "must have a port",
		"smtp://u:hunter2@smtp.example:70000":                "must have a port",
		"smtp://u:hunter2@smtp.example:x":                    "must be a URL",
		"smtp://u:hunter2/x@smtp.example":                    "must be a URL",
		"smtp://u:hunter2@smtp.example/x":                    "must end after the port",
		"smtp://u@smtp.example":                              "must have both user and password",
		"smtp://:hunter2@smtp.example":                       "must have both user and password",
		"smtp://u:hunter2@smtp.example?tls=maybe":            "must have ?tls=starttls, opportunistic or none",
		"smtp://u:hunter2@smtp.example?tls=none":             "must not send a password without TLS",
		"smtp://u:hunter2@smtp.example?tls=none&tls=none":    "must have no parameter but one tls",
		"smtp://u:hunter2@smtp.example?timeout=1s":           "must have no parameter but one tls",
		"smtps://u:hunter2@smtp.example?tls=none":            "must have no tls parameter with smtps://",
		"smtp://u:hunter2@smtp.example?tls=%z":               "must have no parameter but one tls",
		"smtp://u:hunter2@smtp.example:587#opportunistic":    "must end after the port",
		"smtp://u:hun#hunter2@smtp.example":                  "must be a URL",
		"smtp://smtp.example?tls=opportunistic&password=abc": "must have no parameter but one tls",
	} {
		_, _, err := load(t, layers{env: []string{"ROWHOUSE_MAIL_SMTP_URL=" + url, "ROWHOUSE_MAIL_FROM=a@b.example"}})
		require.ErrorContains(t, err, message, url)
		require.NotContains(t, err.Error(), "hunter2")
	}
	for _, c := range []struct{ env, want string }{
		{"ROWHOUSE_MAIL_FROM=nobody", "must be an address such as"},
		{"ROWHOUSE_MAIL_FROM=a@b.example, c@d.example", "must be an address such as"},
		{"ROWHOUSE_MAIL_SMTP_URL=smtp://smtp.example", "must be set with mail.smtp_url"},
	} {
		_, _, err := load(t, layers{env: []string{c.env}})
		require.ErrorContains(t, err, c.want)
	}
	_, _, err := load(t, layers{env: []string{
		"ROWHOUSE_MAIL_SMTP_URL=smtp://smtp.example", "ROWHOUSE_MAIL_FROM=a@b.example", "ROWHOUSE_MAIL_DIR=mails",
	}})
	require.ErrorContains(t, err, "must not be set together with mail.dir")
}
