package tenantschema

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Config says how a [DB] reaches its tenants. Only Connect is required.
type Config struct {
	// Connect gives the connection settings of a login role: a cell's, or a dedicated tenant's. The role must be a member of the roles of
	// its tenants, and must have neither inherited rights nor rights of its own on their schemas.
	Connect func(Login) (*pgx.ConnConfig, error)
	// SealKey gives the key that is in force, without I/O: it is called for each transaction. Nil seals nothing, which leaves tenants of
	// [TierSealed] and [TierDedicated] closed.
	SealKey func() SealKey
	// PlatformRole is the role that [Tx.AsPlatform] enters. Default: the login role itself.
	PlatformRole string
	// MaxConns is the most connections held at once, over all logins. Default 16.
	MaxConns int
	// AcquireTimeout is how long a call waits for a connection before it fails with [ErrUnavailable]. Default 5 s.
	AcquireTimeout time.Duration
	// IdleTimeout is how long a connection that nobody uses is kept. One that another login wants is given up at once. Default 1 min.
	IdleTimeout time.Duration
	// LockTimeout is how long a statement waits for a lock, such as that of a tenant's migration, before it fails with SQLSTATE 55P03 and
	// gives its connection to others. Default 2 s.
	LockTimeout time.Duration
	// MaxRelations bounds the memory of a backend, which keeps what it has loaded of each table and of each tenant for as long as it
	// lives: a connection is replaced when it has touched that many tables, counted for each tenant. Default 600, some 40 MB.
	MaxRelations int
	// MaxStatements is the most statements that are kept prepared on one connection. Default 768; each plan takes some 30 kB.
	MaxStatements int
	// Pooler says that the connections lead through PgBouncer or its like in transaction mode. Nothing is kept in sessions then: statements
	// are parsed each time, and a scope takes a round trip more, because the seal names the backend.
	Pooler bool
	// Tracer, if set, sees every round trip. See pgx.QueryTracer and the tracers beside it.
	Tracer pgx.QueryTracer
}

// DB runs SQL for tenants. Make one per process by [Open]; all methods are safe for concurrent use.
type DB struct {
	cfg          Config
	lockTimeout  string
	batchTracer  pgx.BatchTracer
	descriptions *descriptions
	house        *house
}

// Open validates cfg. It connects on first use, login by login.
func Open(cfg Config) (*DB, error) {
	if cfg.Connect == nil {
		return nil, errors.New("tenantschema: Config.Connect is required")
	}
	if cfg.MaxConns < 0 || cfg.AcquireTimeout < 0 || cfg.LockTimeout < 0 || cfg.IdleTimeout < 0 || cfg.MaxRelations < 0 || cfg.MaxStatements < 0 {
		return nil, errors.New("tenantschema: Config's numbers and durations must not be negative")
	}
	if cfg.SealKey != nil {
		if err := cfg.SealKey().validate(); err != nil {
			return nil, err
		}
	}
	setDefault(&cfg.MaxConns, 16)
	setDefault(&cfg.AcquireTimeout, 5*time.Second)
	setDefault(&cfg.IdleTimeout, time.Minute)
	setDefault(&cfg.LockTimeout, 2*time.Second)
	setDefault(&cfg.MaxRelations, 600)
	setDefault(&cfg.MaxStatements, 768)
	db := &DB{cfg: cfg, lockTimeout: timeoutText(cfg.LockTimeout), descriptions: newDescriptions()}
	db.batchTracer, _ = cfg.Tracer.(pgx.BatchTracer)
	db.house = newHouse(db)
	return db, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// platformRole is what AsPlatform becomes; "none" is the login role.
func (cfg *Config) platformRole() string {
	if cfg.PlatformRole == "" {
		return "none"
	}
	return cfg.PlatformRole
}

// Tenant gives the scope of t. It does no I/O and cannot fail: a wrong tenant makes the scope's first call fail.
func (db *DB) Tenant(t Tenant) Scope { return Scope{db: db, t: t} }

// Check connects to the given login and closes the connection again. The error says why the engine could not work: wrong credentials, a
// pooler that nobody has declared ([ErrPooler]), a pooler that does not keep transactions on one session.
func (db *DB) Check(ctx context.Context, login Login) error {
	c, err := db.connect(ctx, login)
	if err != nil {
		return fmt.Errorf("tenantschema: check: %w", err)
	}
	c.close()
	return nil
}

// Stats gives the state of the connections.
func (db *DB) Stats() Stats { return db.house.stats() }

// Close closes all connections. It waits for those in use, so every Rows must have been closed.
func (db *DB) Close() { db.house.close() }

// acquire takes a connection for t.
func (db *DB) acquire(ctx context.Context, t Tenant) (*lease, error) {
	if db == nil || t.Schema.IsZero() {
		return nil, ErrNoTenant
	}
	for {
		c, idle, err := db.house.take(ctx, t)
		if err != nil {
			if ctx.Err() != nil { // The caller gave up: that is its own error, not ours.
				return nil, fmt.Errorf("acquire connection: %w", ctx.Err())
			}
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		l := &lease{db: db, c: c, t: t, pid: c.pid}
		if c.alive(ctx, idle) {
			return l, nil
		}
		l.kill()
		l.release(nil)
	}
}
