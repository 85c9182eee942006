package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// TLS is how a connection to a mail server is encrypted.
type TLS string

// The ways. Certificates are verified in all that encrypt.
const (
	// TLSStartTLS: the server must offer STARTTLS, or nothing is sent.
	TLSStartTLS TLS = "starttls"
	// TLSOpportunistic: STARTTLS if it is offered.
	TLSOpportunistic TLS = "opportunistic"
	// TLSImplicit: encrypted from the first byte.
	TLSImplicit TLS = "implicit"
	// TLSNone: never, for a server on this machine.
	TLSNone TLS = "none"
)

// SMTPConfig is what [NewSMTP] needs.
type SMTPConfig struct {
	// Host and Port are the server's. Required.
	Host string
	Port int
	// User and Password log in; without a user nobody does. They are not sent without TLS, except to this machine.
	User, Password string
	// TLS is one of the constants above. Required.
	TLS TLS
	// RootCAs verify the server's certificate. Default the system's.
	RootCAs *x509.CertPool
	// Timeout bounds each of: connecting, logging in, and transmitting. The context of a delivery bounds all together. Default 15 s.
	Timeout time.Duration
}

// SMTP hands mails to a mail server, each over a connection of its own. It is safe for concurrent use.
type SMTP struct {
	cfg     SMTPConfig
	options []gomail.Option
}

// NewSMTP validates cfg. It does no I/O.
func NewSMTP(cfg SMTPConfig) (*SMTP, error) {
	if cfg.Timeout < 0 {
		return nil, errors.New("mail: SMTPConfig.Timeout must not be negative")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 15 * time.Second
	}
	policy, known := map[TLS]gomail.TLSPolicy{
		TLSStartTLS: gomail.TLSMandatory, TLSOpportunistic: gomail.TLSOpportunistic, TLSImplicit: gomail.NoTLS, TLSNone: gomail.NoTLS,
	}[cfg.TLS]
	if !known {
		return nil, fmt.Errorf("mail: SMTPConfig.TLS is %q: want starttls, opportunistic, implicit or none", cfg.TLS)
	}
	t := &SMTP{cfg: cfg}
	t.options = []gomail.Option{
		gomail.WithPort(cfg.Port), gomail.WithTimeout(cfg.Timeout), gomail.WithTLSPolicy(policy), gomail.WithTLSConfig(t.tlsConfig()),
		// A fresh connection needs no check, and one that will be closed no reset. All addresses are ASCII: not every server on the way
		// knows SMTPUTF8.
		gomail.WithoutNoop(), gomail.WithoutRset(), gomail.WithoutSMTPUTF8(),
	}
	if cfg.User != "" {
		t.options = append(t.options, gomail.WithUsername(cfg.User), gomail.WithPassword(cfg.Password), gomail.WithOpportunisticSMTPAuth(
			gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin, gomail.SMTPAuthCramMD5))
	}
	if _, err := gomail.NewClient(cfg.Host, t.options...); err != nil {
		return nil, fmt.Errorf("mail: SMTPConfig: %w", err)
	}
	t.options = slices.Clip(t.options) // Deliveries append to it, each for itself.
	return t, nil
}

func (t *SMTP) tlsConfig() *tls.Config {
	return &tls.Config{ServerName: t.cfg.Host, RootCAs: t.cfg.RootCAs, MinVersion: tls.VersionTLS12}
}

// Deliver transmits m. What goes wrong before the server has heard of the mail is the platform's trouble, not the mail's: it is no
// [*RefusedError], whatever the server's code.
func (t *SMTP) Deliver(ctx context.Context, m Outgoing) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // Closes the connection, which go-mail leaves open when it cannot log in.
	client, err := gomail.NewClient(t.cfg.Host, append(t.options, gomail.WithDialContextFunc(t.dialUntil(ctx)))...)
	if err != nil {
		return fmt.Errorf("mail: smtp: %w", err)
	}
	conversation, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return fmt.Errorf("mail: smtp: connect: %w", err)
	}
	msg := m.compose()
	err = client.SendWithSMTPClient(conversation, msg)
	if msg.IsDelivered() { // What goes wrong after that changes nothing.
		_ = client.CloseWithSMTPClient(conversation)
		return nil
	}
	return outcomeOf(err)
}

// dialUntil gives a function that connects, where the end of ctx ends the connection: go-mail itself knows timeouts alone.
func (t *SMTP) dialUntil(ctx context.Context) gomail.DialContextFunc {
	return func(dialCtx context.Context, network, addr string) (net.Conn, error) {
		dial := new(net.Dialer).DialContext
		if t.cfg.TLS == TLSImplicit {
			dial = (&tls.Dialer{Config: t.tlsConfig()}).DialContext
		}
		conn, err := dial(dialCtx, network, addr)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { _ = conn.Close() }) // Nobody is left to be told.
		return conn, nil
	}
}

// outcomeOf translates go-mail's error, whose text holds addresses. Its own idea of what is temporary takes a broken connection for permanent.
func outcomeOf(err error) error {
	sendErr, ok := errors.AsType[*gomail.SendError](err)
	if !ok {
		return &DeferredError{Answer: fmt.Sprint(err)}
	}
	code := sendErr.ErrorCode()
	if code >= 500 && code <= 599 {
		return &RefusedError{Code: code, Answer: sendErr.Error()}
	}
	return &DeferredError{Code: code, Answer: sendErr.Error()}
}
