package mail_test

import (
	"context"
	"io"
	"mime"
	"mime/multipart"
	"net"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/mail"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func outgoing(t *testing.T) mail.Outgoing {
	t.Helper()
	tenant, err := tenantschema.ParseName("t_acme")
	require.NoError(t, err)
	m := secretMail()
	id := uuid.MustParse("01980000-0000-7000-8000-000000000001")
	return mail.Outgoing{
		ID: id, Tenant: tenant, MessageID: id.String() + "@rowhouse.test", From: mail.Address{Name: "Rowhouse", Address: "house@rowhouse.test"},
		To: m.To, Subject: m.Subject, Text: m.Text, HTML: m.HTML, At: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC),
	}
}

func TestSMTP_AllParts(t *testing.T) {
	t.Parallel()
	server := serveSMTP(t, &smtpServer{}, serverOptions{})
	m := outgoing(t)
	require.NoError(t, server.transport(t).Deliver(t.Context(), m))

	all := server.all()
	require.Len(t, all, 1)
	require.Equal(t, "house@rowhouse.test", all[0].from)
	require.Equal(t, "ada.secret@example.com", all[0].to)
	msg, err := netmail.ReadMessage(strings.NewReader(all[0].data))
	require.NoError(t, err)
	to, err := msg.Header.AddressList("To")
	require.NoError(t, err)
	require.Equal(t, []*mail.Address{&m.To}, to)
	subject, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
	require.NoError(t, err)
	require.Equal(t, m.Subject, subject)
	require.Equal(t, "<"+m.MessageID+">", msg.Header.Get("Message-ID"))
	require.Equal(t, "auto-generated", msg.Header.Get("Auto-Submitted"))
	date, err := msg.Header.Date()
	require.NoError(t, err)
	require.True(t, date.Equal(m.At))

	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	require.NoError(t, err)
	require.Equal(t, "multipart/alternative", kind)
	parts := multipart.NewReader(msg.Body, params["boundary"])
	for _, want := range []struct{ kind, body string }{{"text/plain", m.Text}, {"text/html", m.HTML}} {
		part, err := parts.NextPart()
		require.NoError(t, err)
		require.Contains(t, part.Header.Get("Content-Type"), want.kind)
		body, err := io.ReadAll(part)
		require.NoError(t, err)
		require.Equal(t, want.body, strings.TrimSpace(strings.ReplaceAll(string(body), "\r\n", "\n")))
	}
}

func TestSMTP_TLS(t *testing.T) {
	t.Parallel()
	cert, pool := selfSigned(t)
	for name, c := range map[string]struct {
		how       mail.TLS
		server    serverOptions
		trusted   bool
		fails     string
		encrypted bool
	}{
		"starttls":                         {mail.TLSStartTLS, serverOptions{cert: cert}, true, "", true},
		"starttls, not offered":            {mail.TLSStartTLS, serverOptions{}, true, "STARTTLS", false},
		"starttls, unknown certificate":    {mail.TLSStartTLS, serverOptions{cert: cert}, false, "certificate", false},
		"opportunistic":                    {mail.TLSOpportunistic, serverOptions{cert: cert}, true, "", true},
		"opportunistic, not offered":       {mail.TLSOpportunistic, serverOptions{}, true, "", false},
		"opportunistic, unknown":           {mail.TLSOpportunistic, serverOptions{cert: cert}, false, "certificate", false},
		"implicit":                         {mail.TLSImplicit, serverOptions{cert: cert, implicit: true}, true, "", true},
		"implicit, unknown certificate":    {mail.TLSImplicit, serverOptions{cert: cert, implicit: true}, false, "certificate", false},
		"none, although offered":           {mail.TLSNone, serverOptions{cert: cert}, true, "", false},
		"implicit with a password":         {mail.TLSImplicit, serverOptions{cert: cert, implicit: true, password: "right"}, true, "", true},
		"starttls with a password":         {mail.TLSStartTLS, serverOptions{cert: cert, password: "right"}, true, "", true},
		"starttls with the wrong password": {mail.TLSStartTLS, serverOptions{cert: cert, password: "wrong"}, true, "535", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serveSMTP(t, &smtpServer{}, c.server)
			cfg := server.config(t, c.how)
			if c.trusted {
				cfg.RootCAs = pool
			}
			if c.server.password != "" {
				cfg.User, cfg.Password = "house", "right"
			}
			transport, err := mail.NewSMTP(cfg)
			require.NoError(t, err)
			err = transport.Deliver(t.Context(), outgoing(t))
			if c.fails != "" {
				require.ErrorContains(t, err, c.fails)
				require.NotErrorAs(t, err, new(*mail.RefusedError), "that is not the mail's fault")
				require.Empty(t, server.all())
				return
			}
			require.NoError(t, err)
			require.Len(t, server.all(), 1)
			require.Equal(t, c.encrypted, server.all()[0].encrypted)
		})
	}
}

func TestSMTP_Answers(t *testing.T) {
	t.Parallel()
	answer := func(code int) error { return &smtp.SMTPError{Code: code, Message: "about <ada.secret@example.com>"} }
	for name, c := range map[string]struct {
		server *smtpServer
		code   int
	}{
		"550 to the recipient": {&smtpServer{onRcpt: func(int) error { return answer(550) }}, 550},
		"552 to the mail":      {&smtpServer{onData: func(int, *smtp.Conn) error { return answer(552) }}, 552},
		"450 to the recipient": {&smtpServer{onRcpt: func(int) error { return answer(450) }}, 450},
		"452 to the mail":      {&smtpServer{onData: func(int, *smtp.Conn) error { return answer(452) }}, 452},
		"connection broken":    {&smtpServer{onData: func(_ int, c *smtp.Conn) error { return c.Conn().Close() }}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serveSMTP(t, c.server, serverOptions{})
			err := server.transport(t).Deliver(t.Context(), outgoing(t))
			if c.code >= 500 {
				var refused *mail.RefusedError
				require.ErrorAs(t, err, &refused)
				require.Equal(t, c.code, refused.Code)
				require.Contains(t, refused.Answer, "about <ada.secret@example.com>")
			} else {
				var deferred *mail.DeferredError
				require.ErrorAs(t, err, &deferred)
				require.Equal(t, c.code, deferred.Code)
				require.NotEmpty(t, deferred.Answer)
			}
			require.NotContains(t, err.Error(), "ada")
		})
	}
}

// A server that says nothing keeps nobody: neither beyond the timeout, nor beyond the context.
func TestSMTP_SilentServer(t *testing.T) {
	t.Parallel()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	server := &smtpServer{addr: ln.Addr().String()}
	cfg := server.config(t, mail.TLSNone)
	cfg.Timeout = time.Millisecond
	transport, err := mail.NewSMTP(cfg)
	require.NoError(t, err)
	require.Error(t, transport.Deliver(t.Context(), outgoing(t)))

	cfg.Timeout = time.Hour
	transport, err = mail.NewSMTP(cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	accepted, ended := make(chan error), make(chan struct{})
	go func() {
		defer close(ended)
		conn, err := ln.Accept() // The one of above.
		if err == nil {
			_ = conn.Close()
			conn, err = ln.Accept()
		}
		cancel()
		accepted <- err
		if err == nil {
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
		}
	}()
	require.Error(t, transport.Deliver(ctx, outgoing(t)))
	require.NoError(t, <-accepted)
	<-ended
}

func TestNewSMTP_RefusesABadConfig(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]mail.SMTPConfig{
		"no host":          {Port: 25, TLS: mail.TLSNone},
		"no port":          {Host: "localhost", Port: 70000, TLS: mail.TLSNone},
		"no TLS":           {Host: "localhost", Port: 25},
		"negative timeout": {Host: "localhost", Port: 25, TLS: mail.TLSNone, Timeout: -1},
	} {
		_, err := mail.NewSMTP(cfg)
		require.Error(t, err, name)
	}
}

// The same mail is the same but for its boundary: what receivers compare does not change from one attempt to the next.
func TestSMTP_SameMessageID(t *testing.T) {
	t.Parallel()
	server := serveSMTP(t, &smtpServer{}, serverOptions{})
	transport := server.transport(t)
	for range 2 {
		require.NoError(t, transport.Deliver(t.Context(), outgoing(t)))
	}
	all := server.all()
	require.Len(t, all, 2)
	first, second := all[0].headers(t), all[1].headers(t)
	for _, name := range []string{"Message-ID", "Date", "Subject", "From", "To"} {
		require.Equal(t, first.Get(name), second.Get(name), name)
	}
	require.NotContains(t, all[0].data, "go-mail", "nobody need know what it was made with")
}
