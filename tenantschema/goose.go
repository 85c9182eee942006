package tenantschema

import (
	"bufio"
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

// group is a stretch of migrations that can share one transaction, or a single file that must run outside any.
type group struct {
	last int64 // the version of its last file
	tx   bool
}

// readGroups reads which versions there are and which run outside a transaction.
func readGroups(cfg ProvisionerConfig) (all []int64, groups []group, err error) {
	db := sql.OpenDB(sharedConnector{}) // goose wants one, and listing the files never connects.
	defer db.Close()                    //nolint:errcheck // Nothing was opened.
	store, err := newVersions(nil)
	if err != nil {
		return nil, nil, err
	}
	provider, err := newGoose(db, cfg, store)
	if err != nil {
		return nil, nil, err
	}
	outside := map[int64]bool{}
	for _, m := range cfg.GoMigrations {
		outside[m.Version] = m.UpFnNoTxContext != nil
	}
	for _, source := range provider.ListSources() { // ascending by version
		all = append(all, source.Version)
		tx := !outside[source.Version]
		if source.Type == goose.TypeSQL {
			if tx, err = inTransaction(cfg.Migrations, source.Path); err != nil {
				return nil, nil, err
			}
		}
		if n := len(groups); tx && n > 0 && groups[n-1].tx {
			groups[n-1].last = source.Version
			continue
		}
		groups = append(groups, group{last: source.Version, tx: tx})
	}
	return all, groups, nil
}

// inTransaction reports whether the file lacks goose's NO TRANSACTION annotation. goose's own parser is not exported.
func inTransaction(fsys fs.FS, path string) (bool, error) {
	file, err := fsys.Open(path)
	if err != nil {
		return false, fmt.Errorf("open migration: %w", err)
	}
	defer file.Close() //nolint:errcheck // Opened for reading.
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		words := strings.Fields(strings.ToLower(lines.Text()))
		if strings.Join(words, " ") == "-- +goose no transaction" || strings.Join(words, " ") == "--+goose no transaction" {
			return false, nil
		}
	}
	if err := lines.Err(); err != nil {
		return false, fmt.Errorf("read migration %s: %w", path, err)
	}
	return true, nil
}

func newGoose(db *sql.DB, cfg ProvisionerConfig, store database.Store) (*goose.Provider, error) {
	// The dialect is the store's.
	provider, err := goose.NewProvider("", db, cfg.Migrations, goose.WithStore(store), goose.WithGoMigrations(cfg.GoMigrations...),
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return provider, nil
}

// next gives the group that follows version, or its part up to the version to.
func (p *Provisioner) next(version, to int64) (group, bool) {
	for _, g := range p.groups {
		if g.last > version {
			g.last = min(g.last, to)
			return g, g.last > version
		}
	}
	return group{}, false
}

// goose applies the files up to version on the session's connection, whose search_path must be the tenant's, and gives the version
// reached. fresh says that the schema has no table of versions yet.
//
// Inside an open transaction goose's own transactions vanish in it, and its statements are sent in one round trip.
func (s *Session) goose(ctx context.Context, version int64, fresh bool) (int64, error) {
	if s.provider == nil {
		provider, err := newGoose(s.db, s.p.cfg, s.versions)
		if err != nil {
			return 0, err
		}
		s.provider = provider
	}
	s.versions.fresh, s.versions.listed = fresh, nil
	if s.conn.PgConn().TxStatus() != 'I' {
		s.script.begin()
	}
	_, err := s.provider.UpTo(ctx, version)
	if sendErr := s.script.end(ctx, s.conn); err == nil {
		err = sendErr
	}
	if err != nil {
		return 0, fmt.Errorf("migrate: %w", err)
	}
	return version, nil
}

// stepByStep applies files that must run outside a transaction. The path is set for the session and taken back.
func (s *Session) stepByStep(ctx context.Context, name Name, version int64, fresh bool) error {
	const set = "select pg_catalog.set_config('search_path', $1, false)"
	if _, err := s.conn.Exec(ctx, set, name.Quote()); err != nil {
		return fmt.Errorf("set search_path: %w", err)
	}
	_, err := s.goose(ctx, version, fresh)
	resetCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if _, resetErr := s.conn.Exec(resetCtx, set, ""); resetErr != nil {
		_ = s.conn.Close(resetCtx) // A session with a tenant's path must not go on.
	}
	return err
}

// openShared gives a sql.DB whose connections are all c.
func openShared(c *stdlib.Conn, script *script) *sql.DB {
	db := sql.OpenDB(sharedConnector{c, script})
	// goose holds one while a Go migration without a transaction takes another. They take turns on c.
	db.SetMaxOpenConns(2)
	return db
}

// sharedConnector always connects to the same connection, which the session owns.
type sharedConnector struct {
	c      *stdlib.Conn
	script *script
}

func (s sharedConnector) Connect(context.Context) (driver.Conn, error) {
	return sharedConn{s.c, s.script}, nil
}
func (s sharedConnector) Driver() driver.Driver { return stdlib.GetDefaultDriver() }

// sharedConn lets goose work on the session's connection and inside its transaction: goose begins and commits a transaction per file
// through database/sql, and here these do nothing if a transaction is open already. What can wait goes into the script.
type sharedConn struct {
	*stdlib.Conn

	script *script
}

func (c sharedConn) Close() error                       { return nil }
func (c sharedConn) ResetSession(context.Context) error { return nil }

func (c sharedConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if c.Conn.Conn().PgConn().TxStatus() != 'I' {
		return openTx{}, nil
	}
	return c.Conn.BeginTx(ctx, opts)
}

// ExecContext runs a statement, or keeps it for later: one without arguments, whose result goose does not look at.
func (c sharedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if len(args) == 0 && c.script.add(query) {
		return driver.ResultNoRows, nil
	}
	if err := c.script.flush(ctx, c.Conn.Conn()); err != nil {
		return nil, err
	}
	return c.Conn.ExecContext(ctx, query, args)
}

// QueryContext runs a query of a Go migration, which must see what came before it.
func (c sharedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.script.flush(ctx, c.Conn.Conn()); err != nil {
		return nil, err
	}
	return c.Conn.QueryContext(ctx, query, args)
}

// PrepareContext prepares a statement of a Go migration.
func (c sharedConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if err := c.script.flush(ctx, c.Conn.Conn()); err != nil {
		return nil, err
	}
	return c.Conn.PrepareContext(ctx, query)
}

// openTx is a part of the transaction that the session has open: only the session ends that.
type openTx struct{}

func (openTx) Commit() error   { return nil }
func (openTx) Rollback() error { return nil }

// versions is goose's table of versions in whatever schema the path names, as a [database.Store] that one provider can use for many
// schemas. It asks the server for no more than it must: goose's own store looks for its table among those of all tenants.
type versions struct {
	database.Store

	script *script
	// fresh says that the schema has no table yet.
	fresh bool
	// listed are the versions that the table had at first: goose asks twice.
	listed []*database.ListMigrationsResult
	// newest is the version that was written last.
	newest int64
}

func newVersions(script *script) (*versions, error) {
	store, err := database.NewStore(database.DialectPostgres, VersionTable)
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return &versions{Store: store, script: script}, nil
}

// TableExists keeps goose from making the table by itself: it does that once for each provider. See [database.StoreExtender].
func (v *versions) TableExists(context.Context, database.DBTxConn) (bool, error) { return true, nil }

// ListMigrations makes the table if the schema is fresh.
func (v *versions) ListMigrations(ctx context.Context, db database.DBTxConn) (list []*database.ListMigrationsResult, err error) {
	switch {
	case v.listed != nil:
	case v.fresh:
		if err = v.CreateVersionTable(ctx, db); err != nil {
			return nil, err
		}
		if err = v.Insert(ctx, db, database.InsertRequest{Version: 0}); err != nil {
			return nil, err
		}
		v.listed = []*database.ListMigrationsResult{{Version: 0, IsApplied: true}}
	default:
		if v.listed, err = v.Store.ListMigrations(ctx, db); err != nil {
			return nil, err
		}
	}
	return v.listed, nil
}

// Insert writes a version without arguments, so that it need not be sent by itself.
func (v *versions) Insert(ctx context.Context, db database.DBTxConn, req database.InsertRequest) error {
	if _, err := db.ExecContext(ctx, fmt.Sprintf("insert into %s (version_id, is_applied) values (%d, true)", VersionTable, req.Version)); err != nil {
		return fmt.Errorf("write version %d: %w", req.Version, err)
	}
	v.newest = req.Version
	v.script.ended(req.Version)
	return nil
}

// GetLatestVersion answers goose when it reports what it has done.
func (v *versions) GetLatestVersion(context.Context, database.DBTxConn) (int64, error) {
	return v.newest, nil
}
