package config

import (
	"errors"
	"net"
	netmail "net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// SMTP is a mail server and how to log in to it. The zero SMTP is not set.
type SMTP struct {
	Host     string
	Port     int
	User     string
	Password Secret
	// TLS is starttls, opportunistic, implicit or none.
	TLS string
	url URL
}

// IsSet reports whether there is a server.
func (s SMTP) IsSet() bool { return s.url.IsSet() }

// Sender is who mails are from: mail.from, or no-reply at server.base_domain.
func (c Config) Sender() netmail.Address {
	if c.Mail.From == (netmail.Address{}) {
		return netmail.Address{Name: "Rowhouse", Address: "no-reply@" + c.Server.BaseDomain}
	}
	return c.Mail.From
}

func smtpURL(p *SMTP) setting {
	s := value(p, "URL", parseSMTP, func(s SMTP) string { return s.url.String() })
	s.redact = redactURL
	return s
}

// parseSMTP reads smtp://user:password@host:587?tls=… and smtps://user:password@host:465. Its errors do not hold raw.
func parseSMTP(raw string) (SMTP, error) {
	if raw == "" {
		return SMTP{}, nil
	}
	const form = "smtp://user:password@smtp.example.com:587" //nolint:gosec // Says what one looks like; nobody's password.
	if !strings.HasPrefix(raw, "smtp://") && !strings.HasPrefix(raw, "smtps://") {
		return SMTP{}, errors.New("must begin with smtp:// or smtps://, as in " + form)
	}
	u, err := url.Parse(raw)
	if err != nil {
		return SMTP{}, errors.New("must be a URL with reserved characters of user and password percent-encoded (@ is %40, / is %2F), as in " + form)
	}
	s := SMTP{Host: u.Hostname(), url: NewURL(raw)}
	port := "587"
	if s.TLS = "starttls"; u.Scheme == "smtps" {
		port, s.TLS = "465", "implicit"
	}
	if _, err := netip.ParseAddr(s.Host); err != nil && !isHostName(strings.ToLower(s.Host)) {
		return SMTP{}, errors.New("must name a host, as in " + form)
	}
	if strings.Trim(u.Path, "/") != "" || u.Fragment != "" {
		return SMTP{}, errors.New("must end after the port, but for ?tls=…: reserved characters of the password are percent-encoded (/ is %2F, # is %23)")
	}
	if u.Port() != "" {
		port = u.Port()
	}
	if s.Port, err = strconv.Atoi(port); err != nil || s.Port < 1 || s.Port > 65535 {
		return SMTP{}, errors.New("must have a port from 1 to 65535, as in " + form)
	}
	password, hasPassword := u.User.Password()
	if hasPassword != (u.User.Username() != "") || hasPassword && password == "" {
		return SMTP{}, errors.New("must have both user and password, as in " + form + ", or neither")
	}
	s.User, s.Password = u.User.Username(), NewSecret(password)
	if s.TLS, err = tlsOf(u.RawQuery, s.TLS); err != nil {
		return SMTP{}, err
	}
	if s.TLS == "none" && s.User != "" && !isLoopback(s.Host) {
		return SMTP{}, errors.New("must not send a password without TLS: leave out tls=none, or user and password")
	}
	return s, nil
}

// tlsOf gives what the query says of TLS, which is all that it may say, or else byScheme.
func tlsOf(query, byScheme string) (string, error) {
	params, err := url.ParseQuery(query)
	switch values, given := params["tls"]; {
	case err != nil || len(params) > 1 || len(params) == 1 && !given || len(values) > 1:
		return "", errors.New("must have no parameter but one tls: ?tls=starttls, opportunistic or none")
	case !given:
		return byScheme, nil
	case byScheme == "implicit":
		return "", errors.New("must have no tls parameter with smtps://, which is encrypted from the first byte")
	case !slices.Contains([]string{"starttls", "opportunistic", "none"}, values[0]):
		return "", errors.New("must have ?tls=starttls, opportunistic or none")
	default:
		return values[0], nil
	}
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func sender(p *netmail.Address) setting {
	parse := func(raw string) (netmail.Address, error) {
		if raw == "" {
			return netmail.Address{}, nil
		}
		a, err := netmail.ParseAddress(raw)
		if err != nil || strings.ContainsFunc(raw, unicode.IsControl) {
			return netmail.Address{}, errors.New("must be an address such as no-reply@example.com or Acme <no-reply@example.com>")
		}
		return *a, nil
	}
	show := func(a netmail.Address) string {
		if a == (netmail.Address{}) {
			return ""
		}
		return a.String()
	}
	return value(p, "address", parse, show)
}
