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
)

// group is a stretch of migrations that can share one transaction, or a single file that must run outside any.
type group struct {
	last int64 // the version of its last file
	tx   bool
}

// readGroups reads which versions there are and which are marked NO TRANSACTION.
func readGroups(fsys fs.FS) ([]group, error) {
	db := sql.OpenDB(sharedConnector{}) // goose wants one, and listing the files never connects.
	defer db.Close()                    //nolint:errcheck // Nothing was opened.
	provider, err := newGoose(db, fsys)
	if err != nil {
		return nil, err
	}
	var groups []group
	for _, source := range provider.ListSources() { // ascending by version
		tx, err := inTransaction(fsys, source.Path)
		if err != nil {
			return nil, err
		}
		if n := len(groups); tx && n > 0 && groups[n-1].tx {
			groups[n-1].last = source.Version
			continue
		}
		groups = append(groups, group{last: source.Version, tx: tx})
	}
	return groups, nil
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

func newGoose(db *sql.DB, fsys fs.FS) (*goose.Provider, error) {
	provider, err := goose.NewProvider(goose.DialectPostgres, db, fsys,
		goose.WithTableName(VersionTable), goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return provider, nil
}

// next gives the group that follows version.
func (p *Provisioner) next(version int64) (group, bool) {
	for _, g := range p.groups {
		if g.last > version {
			return g, true
		}
	}
	return group{}, false
}

// goose applies the files up to version on the session's connection, whose search_path must be the tenant's, and gives the version
// reached. Inside an open transaction goose's own transactions vanish in it.
func (s *Session) goose(ctx context.Context, version int64) (int64, error) {
	provider, err := newGoose(s.db, s.p.cfg.Migrations)
	if err != nil {
		return 0, err
	}
	if _, err = provider.UpTo(ctx, version); err != nil {
		return 0, fmt.Errorf("migrate: %w", err)
	}
	return version, nil
}

// stepByStep applies files that must run outside a transaction. The path is set for the session and taken back.
func (s *Session) stepByStep(ctx context.Context, name Name, version int64) error {
	const set = "select pg_catalog.set_config('search_path', $1, false)"
	if _, err := s.conn.Exec(ctx, set, name.Quote()); err != nil {
		return fmt.Errorf("set search_path: %w", err)
	}
	_, err := s.goose(ctx, version)
	resetCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if _, resetErr := s.conn.Exec(resetCtx, set, ""); resetErr != nil {
		_ = s.conn.Close(resetCtx) // A session with a tenant's path must not go on.
	}
	return err
}

// openShared gives a sql.DB whose only connection is c.
func openShared(c *stdlib.Conn) *sql.DB {
	db := sql.OpenDB(sharedConnector{c})
	db.SetMaxOpenConns(1)
	return db
}

// sharedConnector always connects to the same connection, which the session owns.
type sharedConnector struct{ c *stdlib.Conn }

func (s sharedConnector) Connect(context.Context) (driver.Conn, error) { return sharedConn{s.c}, nil }
func (s sharedConnector) Driver() driver.Driver                        { return stdlib.GetDefaultDriver() }

// sharedConn lets goose work on the session's connection and inside its transaction: goose begins and commits a transaction per file
// through database/sql, and here these do nothing if a transaction is open already.
type sharedConn struct{ *stdlib.Conn }

func (c sharedConn) Close() error                       { return nil }
func (c sharedConn) ResetSession(context.Context) error { return nil }

func (c sharedConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if c.Conn.Conn().PgConn().TxStatus() != 'I' {
		return openTx{}, nil
	}
	return c.Conn.BeginTx(ctx, opts)
}

// openTx is a part of the transaction that the session has open: only the session ends that.
type openTx struct{}

func (openTx) Commit() error   { return nil }
func (openTx) Rollback() error { return nil }
