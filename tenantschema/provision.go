package tenantschema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// ErrNoSchema is returned when a tenant's schema is not there.
var ErrNoSchema = errors.New("tenantschema: the tenant's schema does not exist")

// VersionTable is goose's table of applied versions. It stands in each tenant's schema, and tenants have no right on it.
const VersionTable = "goose_db_version"

// ProvisionerConfig says with what and where schemas are made.
type ProvisionerConfig struct {
	// ConnConfig logs in as the owner: the role that owns the tenants' schemas, may create schemas in the database and may create
	// roles. Required. It must be a direct connection: session locks do not survive a pooler in transaction mode.
	ConnConfig *pgx.ConnConfig
	// Migrations holds goose SQL files for a tenant's schema in its root. Required. The SQL names no schema.
	Migrations fs.FS
	// GoMigrations are migrations in Go, which take their place among the files by their versions. Those that run in a transaction are part
	// of the schema's; the others get a database whose search_path is the schema's, and must not change it.
	GoMigrations []*goose.Migration
	// LockTimeout is how long a migration waits for a lock on a table before it fails and leaves the tenant as it was. Default 5 s.
	LockTimeout time.Duration
	// StatementTimeout is how long one statement of a migration may take. 0 is the server's own setting.
	StatementTimeout time.Duration
}

// Provisioner creates, migrates and drops tenants' schemas. It is safe for concurrent use; the work is done by a [Session].
type Provisioner struct {
	cfg        ProvisionerConfig
	migrations []Migration
	references references
}

// NewProvisioner validates cfg and reads the migrations' headers.
func NewProvisioner(cfg ProvisionerConfig) (*Provisioner, error) {
	if cfg.ConnConfig == nil || cfg.Migrations == nil {
		return nil, errors.New("tenantschema: ProvisionerConfig.ConnConfig and Migrations are required")
	}
	if cfg.LockTimeout < 0 || cfg.StatementTimeout < 0 {
		return nil, errors.New("tenantschema: ProvisionerConfig.LockTimeout and StatementTimeout must not be negative")
	}
	if cfg.LockTimeout == 0 {
		cfg.LockTimeout = 5 * time.Second
	}
	found, err := readMigrations(cfg)
	if err != nil {
		return nil, err
	}
	return &Provisioner{cfg: cfg, migrations: found, references: newReferences()}, nil
}

// Target is the version of the newest migration.
func (p *Provisioner) Target() int64 { return p.migrations[len(p.migrations)-1].Version }

// Session is one connection of the owner, for one goroutine. A session that makes thousands of schemas should be replaced now and
// then: its backend grows with every relation that it has seen.
type Session struct {
	p      *Provisioner
	driver *stdlib.Conn
	conn   *pgx.Conn
	db     *sql.DB // the same connection, for goose
	// provider is goose's, made on first use; script and versions are what it works through.
	provider *goose.Provider
	script   *script
	versions *versions
}

// Connect opens a session.
func (p *Provisioner) Connect(ctx context.Context) (*Session, error) {
	cfg := p.cfg.ConnConfig.Copy()
	// Statements are not kept: each schema is seen once, and every kept plan would be looked at on each change of the catalog.
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	cfg.StatementCacheCapacity = 0
	cfg.DescriptionCacheCapacity = 0
	cfg.RuntimeParams["search_path"] = ""
	cfg.RuntimeParams["lock_timeout"] = timeoutText(p.cfg.LockTimeout)
	if p.cfg.StatementTimeout > 0 {
		cfg.RuntimeParams["statement_timeout"] = timeoutText(p.cfg.StatementTimeout)
	}
	driverConn, err := stdlib.GetConnector(*cfg).Connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect as owner: %w", err)
	}
	c := driverConn.(*stdlib.Conn) //nolint:errcheck,forcetypeassert // pgx's connector gives nothing else.
	s := &Session{p: p, driver: c, conn: c.Conn(), script: &script{}}
	s.db = openShared(c, s.script)
	if s.versions, err = newVersions(s.script); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close closes the connection, which rolls back what is open.
func (s *Session) Close() error {
	return errors.Join(s.db.Close(), s.driver.Close())
}

// Spec says how a tenant's schema is to stand.
type Spec struct {
	// Name is the schema and the role.
	Name Name
	// Member is the login role that may enter the role; "" for none. [Session.Create] and [Session.AddRoles] grant it.
	Member string
	// Sealed puts the seal's policies on every table. It needs [SetUpSeal].
	Sealed bool
	// Version is that of the last migration to be applied. 0 is the newest.
	Version int64
}

// target is the version that the schema is to have.
func (p *Provisioner) target(spec Spec) int64 {
	if spec.Version == 0 {
		return p.Target()
	}
	return spec.Version
}

// Record writes what has become true of a tenant's schema into the caller's own tables. It runs inside the transaction that makes it
// true. done says that the schema is complete; otherwise files that run outside transactions are still to come.
type Record func(ctx context.Context, tx pgx.Tx, version int64, done bool) error

// Create makes the role and the schema, applies all migrations, seals the tables if they are to be, and grants the role its rights. Everything
// happens in one transaction, together with begin (which may be nil) before and record after it, unless a
// migration is marked NO TRANSACTION: then each stretch of files is a transaction of its own.
//
// Create may be repeated after a failure or crash at any point and takes up the work where it stands. Two at once take turns.
func (s *Session) Create(ctx context.Context, spec Spec, begin func(context.Context, pgx.Tx) error, record Record) error {
	prepare := func(ctx context.Context, tx pgx.Tx) error {
		if begin != nil {
			if err := begin(ctx, tx); err != nil {
				return err
			}
		}
		return s.prepare(ctx, tx, spec)
	}
	return s.locked(ctx, spec.Name, func() error { return s.advance(ctx, spec, prepare, record) })
}

// mustExist gives [ErrNoSchema] if there is no schema of name.
func mustExist(ctx context.Context, tx pgx.Tx, name Name) error {
	var exists bool
	err := tx.QueryRow(ctx, "select exists (select from pg_catalog.pg_namespace where nspname = $1)", name.String()).Scan(&exists)
	if err != nil {
		return fmt.Errorf("look for schema: %w", err)
	}
	if !exists {
		return fmt.Errorf("%w: %s", ErrNoSchema, name)
	}
	return nil
}

const (
	// sealLock is how long sealing waits for a table, while it holds others: well below PostgreSQL's deadlock_timeout of a second, so that a
	// statement which holds one that is waited for, and wants one that is held, goes on as soon as sealing has let go.
	sealLock = 200 * time.Millisecond
	// sealPause is how long it lets statements pass before it tries again, for as long in all as a migration may wait for a lock.
	sealPause = 50 * time.Millisecond
)

// SetSealed puts the seal on every table of name, or takes it away, in one transaction with record, which is run again if the transaction is. Scopes
// bear a seal in every tier, so no statement fails by it; each waits for the tables' locks for an instant. It may be repeated.
func (s *Session) SetSealed(ctx context.Context, name Name, sealed bool, record func(context.Context, pgx.Tx) error) error {
	return s.locked(ctx, name, func() error {
		for until := time.Now().Add(s.p.cfg.LockTimeout); ; {
			err := s.setSealed(ctx, name, sealed, record)
			if held, ok := errors.AsType[*pgconn.PgError](err); !ok || held.Code != "55P03" || time.Now().After(until) {
				return err
			}
			pause := time.NewTimer(sealPause)
			select {
			case <-ctx.Done():
				pause.Stop()
				return ctx.Err()
			case <-pause.C:
			}
		}
	})
}

func (s *Session) setSealed(ctx context.Context, name Name, sealed bool, record func(context.Context, pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, s.conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, sqlLimit, timeoutText(min(sealLock, s.p.cfg.LockTimeout))); err != nil {
			return fmt.Errorf("set lock_timeout: %w", err)
		}
		if err := mustExist(ctx, tx, name); err != nil {
			return err
		}
		if err := enterSchema(ctx, tx, name); err != nil {
			return err
		}
		change := unsealTables
		if sealed {
			change = sealTables
		}
		if err := change(ctx, tx, name); err != nil {
			return err
		}
		return record(ctx, tx)
	})
}

// sqlPath sets the path of the transaction.
const sqlPath = "select pg_catalog.set_config('search_path', $1, true)"

// Secure makes the role if it is gone, lets its member enter it, and brings grants and seal up to date, on whatever version the schema stands:
// what [Session.Migrate] does besides migrating. [ErrNoSchema] if there is none. It changes nothing that is right.
func (s *Session) Secure(ctx context.Context, spec Spec) error {
	return s.locked(ctx, spec.Name, func() error {
		return pgx.BeginFunc(ctx, s.conn, func(tx pgx.Tx) error {
			if err := mustExist(ctx, tx, spec.Name); err != nil {
				return err
			}
			if err := s.addRole(ctx, tx, spec); err != nil {
				return err
			}
			if err := enterSchema(ctx, tx, spec.Name); err != nil {
				return err
			}
			return secure(ctx, tx, spec)
		})
	})
}

func enterSchema(ctx context.Context, tx pgx.Tx, name Name) error {
	if _, err := tx.Exec(ctx, sqlPath, name.Quote()); err != nil {
		return fmt.Errorf("set search_path: %w", err)
	}
	return nil
}

// schemaLockPrefix goes before the name of a schema in the name of its lock.
const schemaLockPrefix = "rowhouse.tenant:"

// schemaLock names the lock of a schema.
func schemaLock(name Name) string { return schemaLockPrefix + name.String() }

// locked runs fn while this session holds the lock of name. Each schema has its own, so tenants do not wait in one line.
func (s *Session) locked(ctx context.Context, name Name, fn func() error) error {
	if name.IsZero() {
		return ErrNoTenant
	}
	key := schemaLock(name)
	if err := Lock(ctx, s.conn, key); err != nil {
		return err
	}
	defer Unlock(ctx, s.conn, key)
	return fn()
}

// prepare makes the role, its membership and the schema, as far as they are not there.
func (s *Session) prepare(ctx context.Context, tx pgx.Tx, spec Spec) error {
	if err := s.addRole(ctx, tx, spec); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "create schema if not exists "+spec.Name.Quote()); err != nil {
		return fmt.Errorf("create schema: %w", err)
	}
	return nil
}

// advance runs what is pending: prepare in the first transaction, record in each.
func (s *Session) advance(ctx context.Context, spec Spec, prepare func(context.Context, pgx.Tx) error, record Record) error {
	target := s.p.target(spec)
	for {
		var version int64
		finished := false
		err := pgx.BeginFunc(ctx, s.conn, func(tx pgx.Tx) error {
			if prepare != nil {
				if err := prepare(ctx, tx); err != nil {
					return err
				}
			}
			if err := enterSchema(ctx, tx, spec.Name); err != nil {
				return err
			}
			var err error
			if version, err = s.currentVersion(ctx, tx, spec.Name); err != nil {
				return err
			}
			if next, ok := s.p.next(version, target); ok && next.tx {
				if err = s.apply(ctx, next.end, false); err != nil {
					return err
				}
				version = next.end
				s.versions.expect(false, nil)
			}
			if err = secure(ctx, tx, spec); err != nil {
				return err
			}
			_, more := s.p.next(version, target)
			finished = !more
			return record(ctx, tx, version, finished)
		})
		if err != nil || finished {
			return err
		}
		prepare = nil
		if next, ok := s.p.next(version, target); ok && !next.tx {
			if err := s.stepByStep(ctx, spec.Name, next.end, false); err != nil {
				return err
			}
		}
	}
}

// currentVersion is the newest version that goose has written down for name, 0 before the first. goose is told what there is.
func (s *Session) currentVersion(ctx context.Context, tx pgx.Tx, name Name) (version int64, err error) {
	table := name.Quote() + "." + VersionTable
	var fresh bool
	if err = tx.QueryRow(ctx, "select pg_catalog.to_regclass($1) is null", table).Scan(&fresh); err != nil {
		return 0, fmt.Errorf("look for schema version: %w", err)
	}
	s.versions.expect(fresh, nil)
	if fresh {
		return 0, nil
	}
	if err = tx.QueryRow(ctx, "select coalesce(max(version_id), 0) from "+table).Scan(&version); err != nil {
		return 0, fmt.Errorf("read schema version: %w", err)
	}
	return version, nil
}
