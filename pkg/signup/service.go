package signup

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/job"
)

// Config is what [New] needs. Everything without a default is required.
type Config struct {
	// Control logs in as the control role.
	Control *pgxpool.Pool
	// Jobs takes the job that makes the tenant. jobqueue.Client is one.
	Jobs Jobs
	// People hashes passwords.
	People *identity.Service
	// AddressKey keys the hashes of addresses. The same in all processes, 32 bytes or more.
	AddressKey []byte
	// SlugQuarantine is how long the subdomain of a deleted tenant stays unused.
	SlugQuarantine time.Duration
	// PerAddress and PerHour are the most sign-ups in an hour from one address, and together. Defaults 5 and 200.
	PerAddress, PerHour int
}

// Jobs is the queue.
type Jobs interface {
	EnqueuePlatform(ctx context.Context, tx pgx.Tx, args job.PlatformArgs, opts job.Opts) (job.Receipt, error)
}

// Service takes sign-ups. All methods are safe for concurrent use.
type Service struct {
	cfg Config
}

// New validates cfg.
func New(cfg Config) (*Service, error) {
	if cfg.Control == nil || cfg.Jobs == nil || cfg.People == nil {
		return nil, errors.New("signup: Config.Control, Jobs and People are required")
	}
	if len(cfg.AddressKey) < 32 {
		return nil, errors.New("signup: Config.AddressKey must have 32 bytes or more")
	}
	if cfg.PerAddress < 0 || cfg.PerHour < 0 || cfg.SlugQuarantine < 0 {
		return nil, errors.New("signup: the numbers in Config must not be negative")
	}
	if cfg.PerAddress == 0 {
		cfg.PerAddress = 5
	}
	if cfg.PerHour == 0 {
		cfg.PerHour = 200
	}
	return &Service{cfg: cfg}, nil
}
