package tenantschema

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/semaphore"
)

// Config says how a [DB] reaches its cells.
type Config struct {
	// Connect gives the connection settings of a cell's login role. Required. The role must be a member of the roles of the cell's
	// tenants, and must have neither inherited rights nor rights of its own on their schemas.
	Connect func(cell int) (*pgx.ConnConfig, error)
	// MaxConns is the most connections held at once to one cell. Default 16.
	MaxConns int32
	// AcquireTimeout is how long a call waits for a connection before it fails with [ErrUnavailable]. Default 5 s.
	AcquireTimeout time.Duration
	// LockTimeout is how long a statement waits for a lock, such as that of a tenant's migration, before it fails with SQLSTATE 55P03 and
	// gives its connection to others. Default 2 s.
	LockTimeout time.Duration
	// Tracer, if set, sees every statement. See pgx.QueryTracer and the tracers beside it.
	Tracer pgx.QueryTracer
}

// DB runs SQL for tenants. Make one per process by [Open]; all methods are safe for concurrent use.
type DB struct {
	cfg   Config
	mu    sync.Mutex
	cells map[int]*cell
	done  bool
}

// cell is the connections of one login role.
type cell struct {
	pool *pgxpool.Pool
	// share is the most connections that one tenant may hold: the rest is always there for others.
	share int64

	mu    sync.Mutex
	users map[Name]*user
}

// user is a tenant that holds connections of a cell or waits for one.
type user struct {
	share *semaphore.Weighted
	calls int // that hold or wait
}

// enter waits until the tenant holds less than its share.
func (c *cell) enter(ctx context.Context, name Name) error {
	c.mu.Lock()
	u, ok := c.users[name]
	if !ok {
		u = &user{share: semaphore.NewWeighted(c.share)}
		c.users[name] = u
	}
	u.calls++
	c.mu.Unlock()
	if err := u.share.Acquire(ctx, 1); err != nil {
		c.leave(name, 0)
		return err
	}
	return nil
}

// leave undoes enter; held is 1 if it had been let in, else 0.
func (c *cell) leave(name Name, held int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.users[name]
	u.share.Release(held)
	if u.calls--; u.calls == 0 {
		delete(c.users, name)
	}
}

// Open validates cfg. It connects on first use, cell by cell.
func Open(cfg Config) (*DB, error) {
	if cfg.Connect == nil {
		return nil, errors.New("tenantschema: Config.Connect is required")
	}
	if cfg.MaxConns < 0 || cfg.AcquireTimeout < 0 || cfg.LockTimeout < 0 {
		return nil, errors.New("tenantschema: Config.MaxConns, AcquireTimeout and LockTimeout must not be negative")
	}
	if cfg.MaxConns == 0 {
		cfg.MaxConns = 16
	}
	if cfg.AcquireTimeout == 0 {
		cfg.AcquireTimeout = 5 * time.Second
	}
	if cfg.LockTimeout == 0 {
		cfg.LockTimeout = 2 * time.Second
	}
	return &DB{cfg: cfg, cells: map[int]*cell{}}, nil
}

// Tenant gives the scope of t. It does no I/O and cannot fail: a wrong tenant makes the scope's first call fail.
func (db *DB) Tenant(t Tenant) Scope { return Scope{db: db, t: t} }

// Stats gives the pool statistics of each cell that has been used, by cell number.
func (db *DB) Stats() map[int]*pgxpool.Stat {
	db.mu.Lock()
	defer db.mu.Unlock()
	out := make(map[int]*pgxpool.Stat, len(db.cells))
	for n, c := range db.cells {
		out[n] = c.pool.Stat()
	}
	return out
}

// Close closes all connections. It waits for those in use, so every Rows must have been closed.
func (db *DB) Close() {
	db.mu.Lock()
	cells := db.cells
	db.cells, db.done = nil, true
	db.mu.Unlock()
	for _, c := range cells {
		c.pool.Close()
	}
}

func (db *DB) cell(number int) (*cell, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.done {
		return nil, errors.New("tenantschema: the DB is closed")
	}
	if c, ok := db.cells[number]; ok {
		return c, nil
	}
	connConfig, err := db.cfg.Connect(number)
	if err != nil {
		return nil, fmt.Errorf("settings of cell %d: %w", number, err)
	}
	poolConfig, err := pgxpool.ParseConfig("")
	if err != nil {
		return nil, fmt.Errorf("pool of cell %d: %w", number, err)
	}
	poolConfig.ConnConfig = connConfig.Copy()
	poolConfig.ConnConfig.Tracer = db.cfg.Tracer
	// An empty path makes a forgotten scope fail, whatever the role's or the database's own default is.
	poolConfig.ConnConfig.RuntimeParams["search_path"] = ""
	poolConfig.ConnConfig.RuntimeParams["lock_timeout"] = strconv.FormatInt(max(1, db.cfg.LockTimeout.Milliseconds()), 10)
	// Batches name their statements, so pgx has nothing to cache; the description modes would only add round trips.
	poolConfig.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	poolConfig.ConnConfig.StatementCacheCapacity = 0
	poolConfig.ConnConfig.DescriptionCacheCapacity = 0
	poolConfig.MaxConns = db.cfg.MaxConns
	poolConfig.AfterConnect = prepareConn
	// NewWithConfig starts no I/O of its own when MinConns is 0.
	pool, err := pgxpool.NewWithConfig(context.Background(), poolConfig)
	if err != nil {
		return nil, fmt.Errorf("pool of cell %d: %w", number, err)
	}
	// A quarter is out of any one tenant's reach, where there are enough to divide.
	c := &cell{pool: pool, share: int64(db.cfg.MaxConns - db.cfg.MaxConns/4), users: map[Name]*user{}}
	db.cells[number] = c
	return c, nil
}

// statementsKey is where a connection keeps its statements in pgconn's CustomData.
const statementsKey = "tenantschema.statements"

func prepareConn(ctx context.Context, conn *pgx.Conn) error {
	for name, sql := range map[string]string{stmtEnter: sqlEnter, stmtLeave: sqlLeave, stmtReturn: sqlReturn} {
		if _, err := conn.Prepare(ctx, name, sql); err != nil {
			return fmt.Errorf("prepare %s: %w", name, err)
		}
	}
	conn.PgConn().CustomData()[statementsKey] = newStatements()
	return nil
}

// lease is a connection in the hands of one call.
type lease struct {
	cell   *cell
	pooled *pgxpool.Conn
	conn   *pgx.Conn
	stmts  *statements
	t      Tenant
	// lasting says that a statement may have left something in the session.
	lasting bool
	// ended says that the connection is given back: a Tx that somebody kept must not touch it.
	ended atomic.Bool
}

// acquire takes a connection of t's cell.
func (db *DB) acquire(ctx context.Context, t Tenant) (*lease, error) {
	if db == nil || t.Schema.IsZero() {
		return nil, ErrNoTenant
	}
	c, err := db.cell(t.Cell)
	if err != nil {
		return nil, err
	}
	waitCtx, cancel := context.WithTimeout(ctx, db.cfg.AcquireTimeout)
	defer cancel()
	pooled, err := c.take(waitCtx, t.Schema)
	if err != nil {
		if ctx.Err() != nil { // The caller gave up: that is its own error, not ours.
			return nil, fmt.Errorf("acquire connection of cell %d: %w", t.Cell, err)
		}
		return nil, fmt.Errorf("%w (cell %d): %w", ErrUnavailable, t.Cell, err)
	}
	stmts := pooled.Conn().PgConn().CustomData()[statementsKey].(*statements) //nolint:errcheck,forcetypeassert // prepareConn set it.
	return &lease{cell: c, pooled: pooled, conn: pooled.Conn(), stmts: stmts, t: t}, nil
}

// take waits for the tenant's turn and then for a connection.
func (c *cell) take(ctx context.Context, name Name) (*pgxpool.Conn, error) {
	if err := c.enter(ctx, name); err != nil {
		return nil, err
	}
	pooled, err := c.pool.Acquire(ctx)
	if err != nil {
		c.leave(name, 1)
	}
	return pooled, err
}

// release gives the connection back. The pool closes it instead if it is closed, busy, or inside a transaction.
func (l *lease) release(err error) {
	l.ended.Store(true)
	defer l.cell.leave(l.t.Schema, 1)
	if l.lasting || lost(err) {
		l.kill()
	}
	if stale(err) && !l.conn.IsClosed() && !l.conn.PgConn().IsBusy() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		if clearErr := l.stmts.clear(ctx, l.conn); clearErr != nil {
			l.kill()
		}
		cancel()
	}
	l.pooled.Release()
}

// releaseUnless closes the connection and gives it back unless *finished: it is deferred around whatever may panic.
func (l *lease) releaseUnless(finished *bool) {
	if !*finished {
		l.kill()
		l.release(nil)
	}
}

// kill closes the connection, so that release cannot give it to anybody else.
func (l *lease) kill() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = l.conn.Close(ctx) // It is being thrown away: there is nobody to tell.
}

// begin opens a transaction inside the tenant in one round trip.
func (l *lease) begin(ctx context.Context, opts TxOptions) (pgx.Tx, error) {
	// The simple protocol carries the three statements at once; the name has been through ParseName and is quoted.
	var b strings.Builder
	b.WriteString("begin")
	if opts.Isolation != "" {
		b.WriteString(" isolation level " + string(opts.Isolation))
	}
	if opts.ReadOnly {
		b.WriteString(" read only")
	}
	name := l.t.Schema.Quote()
	b.WriteString("; set local role " + name + "; set local search_path to " + name)
	return l.conn.BeginTx(ctx, pgx.TxOptions{BeginQuery: b.String()})
}

// ensure gives the name under which sql is prepared for l's tenant, preparing it in the tenant's own scope on first use.
func (l *lease) ensure(ctx context.Context, sql string) (string, error) {
	key := statementKey{version: l.t.Version, sql: sql}
	if st, ok := l.stmts.lookup(key); ok {
		return l.use(st), nil
	}
	tx, err := l.begin(ctx, TxOptions{})
	if err != nil {
		return "", err
	}
	st, err := l.stmts.prepare(ctx, l.conn, key)
	if rollbackErr := tx.Rollback(ctx); err == nil {
		err = rollbackErr
	}
	return l.use(st), err
}

// use gives the statement's name, and remembers what it may leave behind.
func (l *lease) use(st statement) string {
	l.lasting = l.lasting || st.lasting
	return st.name
}
