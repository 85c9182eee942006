package tenancy

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"regexp"

	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Logins knows the roles by which processes log in, and makes connection settings for them.
//
// The passwords of the control and cell roles are derived from one secret, so that adding a cell needs no new configuration:
// base64url(HMAC-SHA256(secret, role)). Migrating sets them as SCRAM verifiers; the server never sees a password in clear.
type Logins struct {
	url    string
	secret string
	prefix string
	// pooler is the URL of a pooler in transaction mode, by which the engine connects; "" connects directly.
	pooler string
}

// minSecret is the least length of the login secret in bytes.
const minSecret = 32

// NewLogins checks what it is given. database is a URL that names host, port, database and TLS; its user and password are the owner's and may
// be absent
// in a process that needs no owner. secret may be empty in a process that only needs the owner's connection and sets no passwords.
func NewLogins(database, secret, prefix string) (*Logins, error) {
	if _, err := pgx.ParseConfig(database); err != nil {
		return nil, apperr.New(apperr.Invalid, "database.url cannot be read: want postgres://user@host:port/database") // The cause may hold a password.
	}
	if secret != "" && len(secret) < minSecret {
		return nil, apperr.New(apperr.Invalid, "database.login_secret is too short: want %d characters or more, for example from `openssl rand -base64 32`", minSecret)
	}
	if prefix == "" {
		return nil, apperr.New(apperr.Invalid, "database.role_prefix must not be empty")
	}
	return &Logins{url: database, secret: secret, prefix: prefix}, nil
}

// Control names the role that reads the catalog and works River's queues.
func (l *Logins) Control() string { return l.prefix + "_control" }

// Cell names the login role of a cell.
func (l *Logins) Cell(n int) string { return fmt.Sprintf("%s_cell_%02d", l.prefix, n) }

// Enqueuer names the role that enqueues jobs: every login of the engine may become it.
func (l *Logins) Enqueuer() string { return l.prefix + "_enqueue" }

// Dedicated names the login role of a dedicated tenant.
func (l *Logins) Dedicated(schema tenantschema.Name) string { return l.prefix + "_" + schema.String() }

// pattern is a regular expression for the names of the engine's logins: of cells, and of dedicated tenants.
func (l *Logins) pattern() string {
	return "^" + regexp.QuoteMeta(l.prefix) + "_(cell_[0-9]{2,}|t_[a-z0-9]{16})$"
}

// ours reports whether a role has the name of a login of the engine.
func (l *Logins) ours(role string) bool {
	matched, err := regexp.MatchString(l.pattern(), role)
	return err == nil && matched
}

// ThroughPooler gives logins whose engine connects to host and port of pooler, a pooler in transaction mode. Everything else goes on
// connecting directly: listening, migrating and the job queue need sessions of their own.
func (l *Logins) ThroughPooler(pooler string) (*Logins, error) {
	if _, err := pgx.ParseConfig(pooler); err != nil {
		return nil, apperr.New(apperr.Invalid, "database.pooler_url cannot be read: want postgres://host:port/database")
	}
	through := *l
	through.pooler = pooler
	return &through, nil
}

// Pooled says whether the engine connects through a pooler.
func (l *Logins) Pooled() bool { return l.pooler != "" }

// Engine gives the settings by which the engine connects; see tenantschema.Config.
func (l *Logins) Engine(login tenantschema.Login) (*pgx.ConnConfig, error) {
	role := l.Cell(login.Cell)
	if login.Cell == 0 {
		role = l.Dedicated(login.Tenant)
	}
	cfg, err := l.As(role)
	if err != nil {
		return nil, err
	}
	if login.Cell == 0 {
		if cfg.Password, err = l.decrypt(role, []byte(login.Secret)); err != nil {
			return nil, err
		}
	}
	if l.pooler != "" {
		pooler, err := pgx.ParseConfig(l.pooler)
		if err != nil {
			return nil, apperr.New(apperr.Invalid, "database.pooler_url cannot be read") // The cause may hold a password.
		}
		pooler.User, pooler.Password = cfg.User, cfg.Password
		return pooler, nil
	}
	return cfg, nil
}

// WithoutOwner gives logins that know nothing of the owner: what a process holds that serves requests.
func (l *Logins) WithoutOwner() (*Logins, error) {
	u, err := url.Parse(l.url)
	if err != nil || u.Host == "" && u.Path == "" {
		return nil, apperr.New(apperr.Invalid, "database.url must be a URL: postgres://host:port/database") // The cause may hold a password.
	}
	query := u.Query()
	query.Del("user")
	query.Del("password")
	u.User, u.RawQuery = nil, query.Encode()
	without := *l
	without.url = u.String()
	return &without, nil
}

// Owner gives the settings to connect as the owner, with the user and password of the URL.
func (l *Logins) Owner() (*pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig(l.url)
	if err != nil {
		return nil, fmt.Errorf("database url: %w", err)
	}
	return cfg, nil
}

// HardenRoles names the roles for tenantschema.HardenSQL.
func (l *Logins) HardenRoles() (tenantschema.HardenRoles, error) {
	owner, err := l.Owner()
	if err != nil {
		return tenantschema.HardenRoles{}, err
	}
	return tenantschema.HardenRoles{Owner: owner.User, Control: l.Control(), Platform: l.Enqueuer()}, nil
}

// As gives the settings to connect as one of the roles that have a derived password.
func (l *Logins) As(role string) (*pgx.ConnConfig, error) {
	if l.secret == "" {
		return nil, errNoSecret()
	}
	cfg, err := l.Owner()
	if err != nil {
		return nil, err
	}
	cfg.User, cfg.Password = role, l.password(role)
	return cfg, nil
}

func (l *Logins) password(role string) string {
	return base64.RawURLEncoding.EncodeToString(l.derive(role))
}

// derive makes a secret for a purpose out of the login secret. Purposes with a space in them are no roles.
func (l *Logins) derive(purpose string) []byte {
	mac := hmac.New(sha256.New, []byte(l.secret))
	mac.Write([]byte(purpose))
	return mac.Sum(nil)
}

// AddressKey gives the key under which addresses of the network are hashed, the same in all processes.
func (l *Logins) AddressKey() []byte { return l.derive("addresses of clients") }

// sealSecret gives the secret of the seal key that has that hint.
func (l *Logins) sealSecret(hint []byte) ([]byte, error) {
	if l.secret == "" {
		return nil, errNoSecret()
	}
	return l.derive("seal key " + string(hint)), nil
}

func errNoSecret() error {
	return apperr.New(apperr.Invalid, "database.login_secret is not set: give the one that `rowhouse migrate up` ran with")
}

// cipher encrypts the passwords of dedicated logins (AES-256-GCM).
func (l *Logins) cipher() (cipher.AEAD, error) {
	if l.secret == "" {
		return nil, errNoSecret()
	}
	block, err := aes.NewCipher(l.derive("dedicated logins"))
	if err != nil {
		return nil, fmt.Errorf("cipher of passwords: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// newPassword makes a random password for a role, and its encrypted form, which only this role's name decrypts.
func (l *Logins) newPassword(role string) (password string, encrypted []byte, err error) {
	aead, err := l.cipher()
	if err != nil {
		return "", nil, err
	}
	password = rand.Text() + rand.Text()
	//nolint:gosec // NewGCMWithRandomNonce makes the nonce itself, and wants none.
	return password, aead.Seal(nil, nil, []byte(password), []byte(role)), nil
}

func (l *Logins) decrypt(role string, encrypted []byte) (string, error) {
	aead, err := l.cipher()
	if err != nil {
		return "", err
	}
	password, err := aead.Open(nil, nil, encrypted, []byte(role))
	if err != nil {
		return "", apperr.New(apperr.Unavailable, "the password of %s cannot be decrypted: it was made with another database.login_secret; "+
			"`rowhouse tenant set-tier` to another tier and back makes a new one", role)
	}
	return string(password), nil
}

// Verifier gives the SCRAM-SHA-256 verifier (RFC 5803) of a password, as PostgreSQL stores it: base64, digits, $ and :, so that it
// needs no quoting. With it a password is set without the server, or its log, seeing it.
func Verifier(password string) (string, error) {
	const iterations = 4096 // PostgreSQL's own default; the password has 256 random bits.
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // crypto/rand never fails: it ends the program instead.
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("derive verifier: %w", err)
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
