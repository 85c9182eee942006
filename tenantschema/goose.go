package tenantschema

import (
	"bufio"
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

// Migration is one of goose's.
type Migration struct {
	Version int64
	// File is its path in [ProvisionerConfig.Migrations]; "" for one of [ProvisionerConfig.GoMigrations].
	File string
	// Tx says that it runs in a transaction, and may share it with its neighbours.
	Tx bool
}

// readMigrations reads which versions there are, ascending, and which run outside a transaction.
func readMigrations(cfg ProvisionerConfig) ([]Migration, error) {
	db := sql.OpenDB(sharedConnector{}) // goose wants one, and listing the files never connects.
	defer db.Close()                    //nolint:errcheck // Nothing was opened.
	store, err := newVersions(nil)
	if err != nil {
		return nil, err
	}
	provider, err := newGoose(db, cfg, store)
	if err != nil {
		return nil, err
	}
	outside := map[int64]bool{}
	for _, m := range cfg.GoMigrations {
		outside[m.Version] = m.UpFnNoTxContext != nil
	}
	var found []Migration
	for _, source := range provider.ListSources() { // ascending by version
		m := Migration{Version: source.Version, Tx: !outside[source.Version]}
		if source.Type == goose.TypeSQL {
			m.File = source.Path
			if m.Tx, err = inTransaction(cfg.Migrations, source.Path); err != nil {
				return nil, err
			}
		}
		found = append(found, m)
	}
	return found, nil
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

// stretch is what can be done in one go on the way from one version to another: migrations that share a transaction, or one that runs
// outside any. Its end is the version that it leads to.
type stretch struct {
	end int64
	tx  bool
}

// next gives the first stretch of the way from version up to target; false when there is nothing to do.
func (p *Provisioner) next(version, target int64) (s stretch, found bool) {
	for _, m := range p.migrations {
		switch {
		case m.Version <= version:
		case m.Version > target || found && (!s.tx || !m.Tx):
			return s, found
		default:
			s, found = stretch{m.Version, m.Tx}, true
		}
	}
	return s, found
}

// previous gives the first stretch of the way from version down to target.
func (p *Provisioner) previous(version, target int64) (s stretch, found bool) {
	for i, m := range slices.Backward(p.migrations) {
		switch {
		case m.Version > version:
		case m.Version <= target || found && (!s.tx || !m.Tx):
			return s, found
		default:
			s, found = stretch{0, m.Tx}, true
			if i > 0 {
				s.end = p.migrations[i-1].Version
			}
		}
	}
	return s, found
}

// together reports whether the whole way from version to target fits into one transaction.
func (p *Provisioner) together(version, target int64) bool {
	s, ok := p.next(version, target)
	return !ok || s.tx && s.end == p.upTo(target)
}

// upTo gives the newest version that is not newer than target.
func (p *Provisioner) upTo(target int64) (newest int64) {
	for _, m := range p.migrations {
		if m.Version <= target {
			newest = m.Version
		}
	}
	return newest
}

// Way gives the migrations between two versions, in the order in which they are applied, or taken back where target is the older one.
func (p *Provisioner) Way(version, target int64) (way []Migration) {
	for _, m := range p.migrations {
		if m.Version > min(version, target) && m.Version <= max(version, target) {
			way = append(way, m)
		}
	}
	if target < version {
		slices.Reverse(way)
	}
	return way
}

// goose brings the schema in the session's search_path to a version, up or down. s.versions knows what its table holds.
//
// Inside an open transaction goose's own transactions vanish in it, and its statements wait in the script, which the caller flushes.
func (s *Session) goose(ctx context.Context, to int64, down bool) error {
	if s.provider == nil {
		provider, err := newGoose(s.db, s.p.cfg, s.versions)
		if err != nil {
			return err
		}
		s.provider = provider
	}
	s.script.open = s.conn.PgConn().TxStatus() != 'I'
	defer func() { s.script.open = false }()
	run := s.provider.UpTo
	if down {
		run = s.provider.DownTo
	}
	if _, err := run(ctx, to); err != nil {
		s.script.clear()
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// apply is [Session.goose] with its statements sent.
func (s *Session) apply(ctx context.Context, to int64, down bool) error {
	if err := s.goose(ctx, to, down); err != nil {
		return err
	}
	if err := s.script.flush(ctx, s.conn); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// stepByStep applies files that must run outside a transaction. The path is set for the session and taken back.
func (s *Session) stepByStep(ctx context.Context, name Name, version int64, down bool) error {
	const set = "select pg_catalog.set_config('search_path', $1, false)"
	if _, err := s.conn.Exec(ctx, set, name.Quote()); err != nil {
		return fmt.Errorf("set search_path: %w", err)
	}
	err := s.apply(ctx, version, down)
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
	// fresh says that the schema has no table yet; listed are the versions that its table has, newest first, nil while they are not known.
	fresh  bool
	listed []*database.ListMigrationsResult
	// newest is the version that was written last.
	newest int64
}

// expect says what schema comes next.
func (v *versions) expect(fresh bool, listed []*database.ListMigrationsResult) {
	v.fresh, v.listed = fresh, listed
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
	text := fmt.Sprintf("insert into %s (version_id, is_applied) values (%d, true)", VersionTable, req.Version)
	if _, err := db.ExecContext(ctx, text); err != nil {
		return fmt.Errorf("write version %d: %w", req.Version, err)
	}
	v.newest = req.Version
	v.script.ended(req.Version)
	return nil
}

// Delete takes a version back.
func (v *versions) Delete(ctx context.Context, db database.DBTxConn, version int64) error {
	if _, err := db.ExecContext(ctx, fmt.Sprintf("delete from %s where version_id = %d", VersionTable, version)); err != nil {
		return fmt.Errorf("take back version %d: %w", version, err)
	}
	v.script.ended(version)
	return nil
}

// GetLatestVersion answers goose when it reports what it has done.
func (v *versions) GetLatestVersion(context.Context, database.DBTxConn) (int64, error) {
	return v.newest, nil
}
