package tenancy

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

// Logins knows the roles by which processes log in, and makes connection settings for them.
//
// The passwords of the control and cell roles are derived from one secret, so that adding a cell needs no new configuration:
// base64url(HMAC-SHA256(secret, role)). Migrating sets them as SCRAM verifiers; the server never sees a password in clear.
type Logins struct {
	url    string
	secret string
	prefix string
}

// minSecret is the least length of the login secret in bytes.
const minSecret = 32

// NewLogins checks what it is given. url names host, port, database and TLS; its user and password are the owner's and may be absent
// in a process that needs no owner. secret may be empty in a process that only needs the owner's connection and sets no passwords.
func NewLogins(url, secret, prefix string) (*Logins, error) {
	if _, err := pgx.ParseConfig(url); err != nil {
		return nil, apperr.New(apperr.Invalid, "database.url cannot be read: want postgres://user@host:port/database") // The cause may hold a password.
	}
	if secret != "" && len(secret) < minSecret {
		return nil, apperr.New(apperr.Invalid, "database.login_secret is too short: want %d characters or more, for example from `openssl rand -base64 32`", minSecret)
	}
	if prefix == "" {
		return nil, apperr.New(apperr.Invalid, "database.role_prefix must not be empty")
	}
	return &Logins{url: url, secret: secret, prefix: prefix}, nil
}

// Control names the role that reads the catalog and works River's queues.
func (l *Logins) Control() string { return l.prefix + "_control" }

// Cell names the login role of a cell.
func (l *Logins) Cell(n int) string { return fmt.Sprintf("%s_cell_%02d", l.prefix, n) }

// Owner gives the settings to connect as the owner, with the user and password of the URL.
func (l *Logins) Owner() (*pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig(l.url)
	if err != nil {
		return nil, fmt.Errorf("database url: %w", err)
	}
	return cfg, nil
}

// As gives the settings to connect as one of the roles that have a derived password.
func (l *Logins) As(role string) (*pgx.ConnConfig, error) {
	if l.secret == "" {
		return nil, apperr.New(apperr.Invalid, "database.login_secret is not set: give the one that `rowhouse migrate up` ran with")
	}
	cfg, err := l.Owner()
	if err != nil {
		return nil, err
	}
	cfg.User, cfg.Password = role, l.password(role)
	return cfg, nil
}

func (l *Logins) password(role string) string {
	mac := hmac.New(sha256.New, []byte(l.secret))
	mac.Write([]byte(role))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Verifier gives the SCRAM-SHA-256 verifier (RFC 5803) of the role's password, as PostgreSQL stores it: base64, digits, $ and :, so that it
// needs no quoting. With it a password is set without the server, or its log, seeing it.
func (l *Logins) Verifier(role string) (string, error) {
	const iterations = 4096 // PostgreSQL's own default; the password has 256 random bits.
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // crypto/rand never fails: it ends the program instead.
	salted, err := pbkdf2.Key(sha256.New, l.password(role), salt, iterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("derive password of %s: %w", role, err)
	}
	sign := func(text string) []byte {
		mac := hmac.New(sha256.New, salted)
		mac.Write([]byte(text))
		return mac.Sum(nil)
	}
	stored := sha256.Sum256(sign("Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, b64(salt), b64(stored[:]), b64(sign("Server Key"))), nil
}
