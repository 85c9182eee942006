// Package identity says who calls a tenant, and what they may do: people, by sessions, and programs, by API keys. All of it lies in the
// tenant's schema, so what opens a door at one tenant is nothing at another.
//
// What opens a door is a random secret of 256 bits behind a prefix that says what it is. It is shown once; stored is its SHA-256, which needs
// no slow hash:
//
//	rh_<id of the key, 22 characters>_<secret, 43 characters>   an API key
//	rs_<secret>                                                 a session, in a cookie
//
// Passwords are stored as argon2id. The policy (who may do what) is one table in policy.go.
//
// Guarantees:
//
//   - [Service.Authenticate] and [Service.AuthenticateSession] read in one round trip, and answer whatever is wrong with one and the same error.
//     The time of last use is written at most once per [Config.TouchInterval], without waiting for another request that is writing it.
//   - [Service.SignIn] takes one argon2id and the same statements whether the account is known or not, has a password or not, is disabled
//     or not, and answers the same. Attempts are counted before they are made, by account and by address, so that many at once gain nothing.
//   - A tenant that has an owner keeps one, whoever changes and removes people at the same time.
package identity

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"time"

	"github.com/rowhousehq/rowhouse/pkg/cache"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Config is what a [Service] needs. Its zero value is good.
type Config struct {
	// Clock tells the time. Default time.Now.
	Clock func() time.Time
	// TouchInterval is how stale the time of last use of a key or session may become. Default one minute.
	TouchInterval time.Duration
	// SessionIdle ends a session that was not used for so long, SessionLifetime any session. Defaults 24 hours and 30 days.
	SessionIdle, SessionLifetime time.Duration
	// Breached, if set, says whether a password that somebody chooses is known to thieves. Its error refuses the password.
	Breached func(ctx context.Context, password string) (bool, error)
	// Argon2Memory is what one hash of a password takes, in KiB. Default 19456, as OWASP advises for two passes.
	Argon2Memory uint32
	// MaxHashes is how many hashes are computed at the same time, so that a flood of sign-ins takes no more memory than
	// MaxHashes × Argon2Memory. Default the number of processors.
	MaxHashes int
	// Secrets encrypts the secrets of second factors and of providers' clients. Both fail without it.
	Secrets Secrets
	// HTTP reaches providers of sign-in, whose addresses customers choose: it must refuse what leads inside. Needed for providers.
	HTTP *http.Client
	// AllowHTTPIssuers accepts providers without TLS: for tests and development.
	AllowHTTPIssuers bool
	// Jobs and Mailer are needed for mails: invitations, links, notices. Without them, what mails a link fails, and nobody is told of changes.
	Jobs   Jobs
	Mailer Mailer
	// SiteOf gives where a tenant's people find it, for the links in mails. Needed with Mailer.
	SiteOf func(ctx context.Context, t tenantschema.Tenant) (Site, error)
	// Cache, if set, keeps API keys in memory. A key that is revoked is worthless at once in this process, and within a second in others.
	Cache *cache.Hub
	// Quota, if set, bounds how many people a tenant has.
	Quota Quota
}

// Service authenticates callers and manages people and keys. It holds no connection and no tenant: each call is given its scope.
// All methods are safe for concurrent use.
type Service struct {
	cfg    Config
	hasher *hasher
	keys   *cache.Cache[keyRecord]
}

// New validates cfg and makes a Service.
func New(cfg Config) (*Service, error) {
	if cfg.TouchInterval < 0 || cfg.SessionIdle < 0 || cfg.SessionLifetime < 0 || cfg.MaxHashes < 0 {
		return nil, errors.New("identity: the numbers in Config must not be negative")
	}
	or(&cfg.TouchInterval, time.Minute)
	or(&cfg.SessionIdle, 24*time.Hour)
	or(&cfg.SessionLifetime, 30*24*time.Hour)
	or(&cfg.Argon2Memory, 19*1024)
	or(&cfg.MaxHashes, runtime.GOMAXPROCS(0))
	if cfg.SessionIdle < cfg.TouchInterval {
		return nil, errors.New("identity: Config.SessionIdle must not be shorter than TouchInterval")
	}
	if cfg.HTTP != nil && cfg.HTTP.Transport == nil {
		return nil, errors.New("identity: Config.HTTP needs a Transport of its own")
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	keys, err := cache.New[keyRecord](cfg.Cache, cache.Options{Name: "keys", Clock: cfg.Clock})
	if err != nil {
		return nil, err
	}
	return &Service{cfg: cfg, hasher: newHasher(cfg.Argon2Memory, cfg.MaxHashes), keys: keys}, nil
}

// or sets v to its default if it is zero.
func or[T comparable](v *T, byDefault T) {
	var zero T
	if *v == zero {
		*v = byDefault
	}
}

// now gives the time in the precision that PostgreSQL keeps, so that what is returned is what is stored.
func (s *Service) now() time.Time { return s.cfg.Clock().UTC().Truncate(time.Microsecond) }
