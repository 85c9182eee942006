package mail_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/mail"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	rhmail "github.com/rowhousehq/rowhouse/pkg/mail"
)

// smtpServer is a real SMTP server on loopback, which does what a test says.
type smtpServer struct {
	addr string
	// onRcpt and onData, if set, answer for the n-th conversation, from 1. Nil takes the mail.
	onRcpt func(n int) error
	onData func(n int, c *smtp.Conn) error

	mu            sync.Mutex
	conversations int
	received      []received
}

// received is a mail that came, or began to come.
type received struct {
	from, to, user string
	encrypted      bool
	data           string
}

// serverOptions say how it is spoken to.
type serverOptions struct {
	cert     *tls.Certificate // offers STARTTLS
	implicit bool             // with cert: encrypted from the first byte
	password string           // wants user "house" with it
}

func serveSMTP(t *testing.T, s *smtpServer, o serverOptions) *smtpServer {
	t.Helper()
	server := smtp.NewServer(&backend{s, o})
	server.Domain, server.AllowInsecureAuth = "localhost", true
	server.ReadTimeout, server.WriteTimeout = patience, patience
	server.ErrorLog = quiet{}
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.addr = ln.Addr().String()
	if o.cert != nil {
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*o.cert}, MinVersion: tls.VersionTLS12}
	}
	if o.implicit {
		ln = tls.NewListener(ln, server.TLSConfig)
		server.TLSConfig = nil
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(ln) // Ends by Close.
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return s
}

// config leads to it.
func (s *smtpServer) config(t *testing.T, how rhmail.TLS) rhmail.SMTPConfig {
	t.Helper()
	host, port, err := net.SplitHostPort(s.addr)
	require.NoError(t, err)
	n, err := strconv.Atoi(port)
	require.NoError(t, err)
	return rhmail.SMTPConfig{Host: host, Port: n, TLS: how}
}

// transport speaks to it in clear.
func (s *smtpServer) transport(t *testing.T) *rhmail.SMTP {
	t.Helper()
	transport, err := rhmail.NewSMTP(s.config(t, rhmail.TLSNone))
	require.NoError(t, err)
	return transport
}

func (s *smtpServer) all() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]received(nil), s.received...)
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

type backend struct {
	s *smtpServer
	o serverOptions
}

func (b *backend) NewSession(c *smtp.Conn) (smtp.Session, error) {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	b.s.conversations++
	return &session{backend: b, c: c, n: b.s.conversations}, nil
}

type session struct {
	*backend

	c   *smtp.Conn
	n   int
	got received
}

func (s *session) AuthMechanisms() []string {
	if s.o.password == "" {
		return nil
	}
	return []string{sasl.Plain}
}

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "house" || password != s.o.password {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "who are you"}
		}
		s.got.user = user
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if s.o.password != "" && s.got.user == "" {
		return smtp.ErrAuthRequired
	}
	s.got.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.got.to = to
	if s.s.onRcpt != nil {
		return s.s.onRcpt(s.n)
	}
	return nil
}

func (s *session) Data(r io.Reader) error {
	_, s.got.encrypted = s.c.TLSConnectionState()
	if s.o.implicit {
		s.got.encrypted = true
	}
	if s.s.onData != nil {
		if err := s.s.onData(s.n, s.c); err != nil {
			return err
		}
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.got.data = string(data)
	s.s.mu.Lock()
	defer s.s.mu.Unlock()
	s.s.received = append(s.s.received, s.got)
	return nil
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

// headers parses what came.
func (r received) headers(t *testing.T) mail.Header {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(r.data))
	require.NoError(t, err)
	return m.Header
}

// selfSigned makes a certificate for 127.0.0.1 that nobody knows, and the pool of who does.
func selfSigned(t *testing.T) (*tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}
