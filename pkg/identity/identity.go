// Package identity says who calls a tenant. For now that is programs, by API keys.
//
// A key lives in its tenant's schema, so that of one tenant is nothing at another. The token that a program shows is
//
//	rh_<id of the key, 22 characters>_<secret, 43 characters>
//
// and holds nothing about the tenant. It is shown once, by [Service.CreateKey]; stored is the SHA-256 of its secret, which needs no
// slow hash, because the secret is 256 random bits and not a password.
//
// Guarantees of [Service.Authenticate]:
//
//   - A token that is malformed, unknown, revoked, expired or has the wrong secret gives one and the same error. Which of them it was
//     cannot be told from the message, and the secrets are compared in constant time.
//   - It reads in one round trip. The time of last use is written at most once per [Config.TouchInterval] and key, without waiting
//     for another request that is writing it.
package identity

import (
	"errors"
	"time"
)

// Config is what a [Service] needs. Its zero value is good.
type Config struct {
	// Clock tells the time. Default time.Now.
	Clock func() time.Time
	// TouchInterval is how stale a key's time of last use may become. Default one minute.
	TouchInterval time.Duration
}

// Service authenticates callers and manages their keys. It holds no connection and no tenant: each call is given its scope.
// All methods are safe for concurrent use.
type Service struct {
	clock         func() time.Time
	touchInterval time.Duration
}

// New validates cfg and makes a Service.
func New(cfg Config) (*Service, error) {
	if cfg.TouchInterval < 0 {
		return nil, errors.New("identity: Config.TouchInterval must not be negative")
	}
	if cfg.TouchInterval == 0 {
		cfg.TouchInterval = time.Minute
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	return &Service{clock: cfg.Clock, touchInterval: cfg.TouchInterval}, nil
}

// now gives the time in the precision that PostgreSQL keeps, so that what is returned is what is stored.
func (s *Service) now() time.Time { return s.clock().UTC().Truncate(time.Microsecond) }
