package tenantschema_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Nothing that the package starts outlives what started it.
func TestMain(m *testing.M) { pgtest.Main(m, func() error { return goleak.Find() }) }

// sqlState gives the SQLSTATE of err, or "" if it has none.
func sqlState(err error) string {
	if pgErr, ok := asPgError(err); ok {
		return pgErr.Code
	}
	return ""
}

func asPgError(err error) (*pgconn.PgError, bool) {
	for err != nil {
		if pgErr, ok := err.(*pgconn.PgError); ok { //nolint:errorlint // This is the unwrapping.
			return pgErr, true
		}
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			return nil, false
		}
		err = u.Unwrap()
	}
	return nil, false
}

func requireState(t *testing.T, err error, states ...string) {
	t.Helper()
	require.Error(t, err)
	require.Contains(t, states, sqlState(err), "%v", err)
}

// trips counts round trips: how often a connection turns from reading to writing.
type trips struct{ n atomic.Int64 }

// engine gives a DB like d.Engine with maxConns connections, whose round trips are counted.
func engine(t *testing.T, d *pgtest.DB, maxConns int) (*tenantschema.DB, *trips) {
	t.Helper()
	return engineWith(t, d, tenantschema.Config{MaxConns: maxConns})
}

// engineWith is engine with other settings.
func engineWith(tb testing.TB, d *pgtest.DB, cfg tenantschema.Config) (*tenantschema.DB, *trips) {
	tb.Helper()
	count := &trips{}
	cfg.Connect = func(login tenantschema.Login) (*pgx.ConnConfig, error) {
		conn, err := d.Logins.Engine(login)
		if err != nil {
			return nil, err
		}
		dial := conn.DialFunc
		conn.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			return &countedConn{Conn: conn, trips: count}, err
		}
		return conn, nil
	}
	db, err := tenantschema.Open(d.EngineConfig(cfg))
	require.NoError(tb, err)
	tb.Cleanup(db.Close)
	return db, count
}

type countedConn struct {
	net.Conn

	trips   *trips
	mu      sync.Mutex
	writing bool
}

func (c *countedConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	if !c.writing {
		c.writing = true
		c.trips.n.Add(1)
	}
	c.mu.Unlock()
	return c.Conn.Write(b)
}

func (c *countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	c.writing = false
	c.mu.Unlock()
	return n, err
}

// during gives the round trips that fn takes.
func (c *trips) during(fn func()) int64 {
	before := c.n.Load()
	fn()
	return c.n.Load() - before
}
