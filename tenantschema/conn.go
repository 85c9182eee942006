package tenantschema

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// conn is one connection of a login. Whoever holds it uses it alone; the fields of the second block belong to the house's lock.
type conn struct {
	pg    *pgx.Conn
	stmts *statements
	// pid is the backend's, as the server says: a pooler in session mode shows another one.
	pid uint32
	// clock is the server's time at the moment met.
	clock, met time.Time
	// seen is what the backend has of each tenant; load is how many relations that are altogether. PostgreSQL keeps them as long as the
	// backend lives.
	seen map[Name]*resident
	load int
	// enter, timed, none, leave, back and locks are the statements that every connection has.
	enter, timed, none, leave, back, locks *pgconn.StatementDescription

	login *login
	busy  bool
	// strange says that it did not know the tenant of the call that has it.
	strange bool
	// waiters is how many wait for just this connection.
	waiters int
	// born is when it was opened, since when it was last taken or given back.
	born, since time.Time
}

// resident is a tenant on a connection.
type resident struct {
	// relations are those that the backend has loaded, as bits.
	relations []uint64
	// entry are the arguments of its entry: schema, seal, and statement_timeout if there is one. The seal is made anew when renew has come.
	entry   [3][]byte
	renew   time.Time
	timeout time.Duration
}

// Limits of a connection that [Config] does not set.
const (
	connectTimeout = 10 * time.Second
	closeTimeout   = time.Second
	// pingAfter is how long a connection may have been idle before it is asked whether it is still there.
	pingAfter = time.Second
)

const (
	sqlHello = "select pg_catalog.pg_backend_pid(), pg_catalog.clock_timestamp()"
	sqlPin   = "select pg_catalog.pg_backend_pid()"
	sqlLimit = "select pg_catalog.set_config('lock_timeout', $1, true)"
)

// connect opens a connection of a login.
func (db *DB) connect(ctx context.Context, login Login) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	cfg, err := db.cfg.Connect(login)
	if err != nil {
		return nil, fmt.Errorf("settings of the login: %w", err)
	}
	cfg = cfg.Copy()
	cfg.Tracer = db.cfg.Tracer
	if db.cfg.Pooler {
		delete(cfg.RuntimeParams, "search_path")
	} else {
		// An empty path makes a forgotten scope fail, whatever the role's or the database's own default is.
		cfg.RuntimeParams["search_path"] = ""
		cfg.RuntimeParams["lock_timeout"] = db.lockTimeout
	}
	// The statements are ours: pgx has nothing to cache, and the description modes would only add round trips.
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	cfg.StatementCacheCapacity, cfg.DescriptionCacheCapacity = 0, 0
	pg, err := pgx.ConnectConfig(ctx, cfg)
	// 08P01, protocol_violation, is PgBouncer's answer to a startup parameter that it does not keep. PostgreSQL knows these.
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code == "08P01" && !db.cfg.Pooler {
		return nil, fmt.Errorf("%w: %w", ErrPooler, err)
	}
	if err != nil {
		return nil, err
	}
	c := &conn{pg: pg, stmts: newStatements(db.cfg.MaxStatements), seen: map[Name]*resident{}}
	if err = c.greet(ctx, db); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// greet learns about the session and prepares what every scope needs.
func (c *conn) greet(ctx context.Context, db *DB) error {
	c.met = time.Now()
	if db.cfg.Pooler {
		return c.greetPooler(ctx)
	}
	statements := []struct {
		name, sql string
		sd        **pgconn.StatementDescription
	}{
		{"rh_enter", sqlEnter, &c.enter}, {"rh_timed", sqlEnterTimed, &c.timed}, {"rh_locks", sqlLocks, &c.locks},
		{"rh_none", sqlNone, &c.none}, {"rh_leave", sqlLeave, &c.leave}, {"rh_return", sqlReturn, &c.back},
	}
	pipeline := c.pg.PgConn().StartPipeline(ctx) // One round trip: a connection is opened while somebody waits for it.
	pipeline.SendQueryParams(sqlHello, nil, nil, nil, nil)
	for _, st := range statements {
		pipeline.SendPrepare(st.name, st.sql, nil)
	}
	_ = pipeline.Sync() // The pipeline remembers a failure.
	err := func() error {
		reader, err := result[*pgconn.ResultReader](pipeline)
		if err != nil {
			return err
		}
		_, err = pgx.CollectExactlyOneRow(pgx.RowsFromResultReader(c.pg.TypeMap(), reader), func(row pgx.CollectableRow) (none struct{}, err error) {
			return none, row.Scan(&c.pid, &c.clock)
		})
		if err != nil {
			return err
		}
		if c.pid != c.pg.PgConn().PID() { // Before the others, which may be there from an earlier try on the same session.
			return ErrPooler
		}
		for _, st := range statements {
			if *st.sd, err = result[*pgconn.StatementDescription](pipeline); err != nil {
				return err
			}
			(*st.sd).Name = st.name
		}
		return nil
	}()
	if closeErr := pipeline.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("first round trip: %w", err)
	}
	return nil
}

// greetPooler finds out whether a transaction stays on one session. Without that no scope is safe.
func (c *conn) greetPooler(ctx context.Context) error {
	var first, second int64
	err := pgx.BeginFunc(ctx, c.pg, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, sqlHello).Scan(&first, &c.clock); err != nil {
			return err
		}
		return tx.QueryRow(ctx, sqlPin).Scan(&second)
	})
	// 08P01, protocol_violation, is how PgBouncer refuses a transaction in statement mode.
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code == "08P01" {
		return fmt.Errorf("%w: %w", ErrPoolMode, err)
	}
	if err != nil {
		return fmt.Errorf("first transaction: %w", err)
	}
	if first != second {
		return fmt.Errorf("%w: two statements of a transaction ran on two", ErrPoolMode)
	}
	return nil
}

// touch notes which relations of a tenant the backend has loaded by now.
func (c *conn) touch(name Name, relations []int) {
	if name.IsZero() || len(relations) == 0 {
		return
	}
	r := c.resident(name)
	for _, number := range relations {
		for number/64 >= len(r.relations) {
			r.relations = append(r.relations, 0)
		}
		if bit := uint64(1) << (number % 64); r.relations[number/64]&bit == 0 {
			r.relations[number/64] |= bit
			c.load++
		}
	}
}

func (c *conn) resident(name Name) *resident {
	r := c.seen[name]
	if r == nil {
		r = &resident{entry: [3][]byte{[]byte(name.s)}}
		c.seen[name] = r
	}
	return r
}

// now is the server's time.
func (c *conn) now() time.Time { return c.clock.Add(time.Since(c.met)) }

// alive reports whether the connection can be used, asking the server if it has been idle for long.
func (c *conn) alive(ctx context.Context, idle time.Duration) bool {
	if c.pg.IsClosed() {
		return false
	}
	return idle < pingAfter || c.pg.PgConn().Ping(ctx) == nil
}

// clean reports whether the connection is in no transaction and in the middle of nothing.
func (c *conn) clean() bool {
	return !c.pg.IsClosed() && !c.pg.PgConn().IsBusy() && c.pg.PgConn().TxStatus() == 'I'
}

func (c *conn) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = c.pg.Close(ctx) // It is being thrown away: there is nobody to tell.
}

// lease is a connection in the hands of one call.
type lease struct {
	db *DB
	c  *conn
	t  Tenant
	// pid is that of the backend that holds the transaction.
	pid uint32
	// begun says that an explicit transaction is open, entered that it is inside the tenant.
	begun, entered bool
	// lasting says that a statement may have left something in the session.
	lasting bool
	// ended says that the connection is given back: a Tx that somebody kept must not touch it.
	ended atomic.Bool
}

// entry gives the arguments by which a transaction that begins now enters the tenant: the schema, the seal where there is a key, and the
// statement_timeout if the tenant has one.
func (l *lease) entry() [][]byte {
	r := l.c.resident(l.t.Schema)
	args := r.entry[:2]
	if d := l.t.StatementTimeout; d > 0 {
		if r.timeout != d {
			r.timeout, r.entry[2] = d, []byte(timeoutText(d))
		}
		args = r.entry[:]
	}
	if l.db.cfg.SealKey == nil {
		return args
	}
	key := l.db.cfg.SealKey()
	if now := l.c.now(); l.db.cfg.Pooler || !now.Before(r.renew) || !key.made(r.entry[1]) {
		r.entry[1] = key.seal(l.t.Schema, l.pid, now.Add(sealFor))
		r.renew = now.Add(sealFor / 2)
	}
	return args
}

// pin opens the transaction of f on the pooler, which chooses a session for it, and asks which.
func (l *lease) pin(ctx context.Context, f *frame) error {
	begin := f.begin
	if begin == "" {
		begin, f.commit = "begin", true
	}
	f.begin = ""
	if err := l.simple(ctx, begin); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	l.begun = true
	if err := l.c.pg.QueryRow(ctx, sqlPin).Scan(&l.pid); err != nil {
		return fmt.Errorf("ask for the session: %w", err)
	}
	return nil
}

// simple sends a statement of ours that takes no arguments, such as a savepoint.
func (l *lease) simple(ctx context.Context, sql string) error {
	if tracer := l.db.cfg.Tracer; tracer != nil {
		ctx = tracer.TraceQueryStart(ctx, l.c.pg, pgx.TraceQueryStartData{SQL: sql})
	}
	results, err := l.c.pg.PgConn().Exec(ctx, sql).ReadAll()
	var tag pgconn.CommandTag
	if len(results) > 0 {
		tag = results[0].CommandTag
	}
	if err == nil && sql == "commit" && tag.String() == "ROLLBACK" {
		err = pgx.ErrTxCommitRollback
	}
	if tracer := l.db.cfg.Tracer; tracer != nil {
		tracer.TraceQueryEnd(ctx, l.c.pg, pgx.TraceQueryEndData{CommandTag: tag, Err: err})
	}
	return err
}

// release gives the connection back, or closes it if it is not known to be clean.
func (l *lease) release(err error) {
	if l.ended.Swap(true) {
		return
	}
	if l.db.cfg.Pooler && !l.c.pg.IsClosed() && !l.c.pg.PgConn().IsBusy() && l.c.pg.PgConn().TxStatus() != 'I' { // What pin began.
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		_ = l.simple(ctx, "rollback") // clean sees it.
		cancel()
	}
	l.db.house.giveBack(l, !l.lasting && !lost(err) && l.c.clean())
}

// releaseUnless closes the connection and gives it back unless *finished: it is deferred around whatever may panic.
func (l *lease) releaseUnless(finished *bool) {
	if !*finished {
		l.kill()
		l.release(nil)
	}
}

// kill closes the connection, so that release cannot give it to anybody else.
func (l *lease) kill() { l.c.close() }

// timeoutText gives PostgreSQL's form of a duration in milliseconds, at least one.
func timeoutText(d time.Duration) string { return strconv.FormatInt(max(1, d.Milliseconds()), 10) }
