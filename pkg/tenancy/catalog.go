package tenancy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/zap"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

const (
	channel = "rowhouse_tenants"
	// fullEvery bounds how long a lost notification can go unnoticed.
	fullEvery = 30 * time.Second
	// gather is how long further notifications are collected after the first, so that a burst costs one query.
	gather = 10 * time.Millisecond
	// gatherMost is the number of notifications since everything was read, above which everything is read again.
	gatherMost = 500
	// overflowEvery is the least time between two readings of everything because too many changed.
	overflowEvery = 500 * time.Millisecond
	// reconnectEvery is the pause between attempts to listen again.
	reconnectEvery = 250 * time.Millisecond
)

// CatalogConfig says where a [Catalog] reads.
type CatalogConfig struct {
	// Pool may read rowhouse.tenants, rowhouse.plans and the names of the seal's keys. Required.
	Pool *pgxpool.Pool
	// Logins derives the seal's keys. Required.
	Logins *Logins
	// Listen gives settings for a connection of its own, not through a pooler: transaction poolers lose LISTEN. Required.
	Listen *pgx.ConnConfig
	// Log gets a line when the connection is lost and found. Required.
	Log *zap.Logger
	// OnRefresh, if set, is told after each refresh how many tenants there are.
	OnRefresh func(tenants int)
	// OnFailure, if set, is told of each failure to read or follow the table.
	OnFailure func()
}

// livingSQL is the condition of tenants that are somebody's: neither deleted nor made ahead.
const livingSQL = "state not in ('deleted', 'warm') and slug is not null"

// Catalog is this process's copy of the catalog: all tenants that are somebody's. Looking one up does no I/O, so a name that does not
// exist costs and takes as much as one that does.
//
// A change committed by any process is seen within a second: the table notifies, the catalog reads the named rows again. While the
// listening connection is down the copy may be old; it is tried again every 250 ms and everything is read on success, and every 30 s
// in any case. A forged notification only makes the catalog read a row.
type Catalog struct {
	cfg    CatalogConfig
	reads  sync.Mutex // held from reading the table to showing what was read, so that no older read overwrites a newer one
	mu     sync.RWMutex
	byID   map[string]Tenant
	bySlug map[string]string // slug to id
	seal   atomic.Pointer[tenantschema.SealKey]
	plans  atomic.Pointer[map[string]Limits]
	synced atomic.Int64 // Unix nanoseconds of the last successful refresh
	stop   context.CancelFunc
	done   chan struct{}
}

// OpenCatalog reads the catalog and starts to follow it. Close it.
func OpenCatalog(ctx context.Context, cfg CatalogConfig) (*Catalog, error) {
	if cfg.Pool == nil || cfg.Logins == nil || cfg.Listen == nil || cfg.Log == nil {
		return nil, errors.New("tenancy: CatalogConfig.Pool, Logins, Listen and Log are required")
	}
	if cfg.OnRefresh == nil {
		cfg.OnRefresh = func(int) {}
	}
	if cfg.OnFailure == nil {
		cfg.OnFailure = func() {}
	}
	c := &Catalog{cfg: cfg, done: make(chan struct{})}
	conn, err := c.listen(ctx)
	if err != nil {
		return nil, err
	}
	runCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	c.stop = stop
	go c.follow(runCtx, conn)
	return c, nil
}

// Close stops following and waits until it has.
func (c *Catalog) Close() {
	c.stop()
	<-c.done
}

// BySlug finds the tenant of a subdomain.
func (c *Catalog) BySlug(slug string) (Tenant, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	t, ok := c.byID[c.bySlug[slug]]
	return t, ok
}

// ByID finds a tenant by its id.
func (c *Catalog) ByID(id string) (Tenant, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	t, ok := c.byID[id]
	return t, ok
}

// SealKey gives the seal's key in force, as of the last full reading: half a minute ago at most. The one before it is valid until the next
// rotation.
func (c *Catalog) SealKey() tenantschema.SealKey { return *c.seal.Load() }

// Len is the number of tenants.
func (c *Catalog) Len() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.byID)
}

// Synced is when the copy was last known to be equal to the table.
func (c *Catalog) Synced() time.Time { return time.Unix(0, c.synced.Load()) }

// Refresh reads everything now. It is never needed for changes to be seen, only for them to be seen before it returns.
func (c *Catalog) Refresh(ctx context.Context) error { return c.readAll(ctx) }

// FetchMany reads tenants from the database, deleted ones too, in no order. Those that never were are not in the answer.
func (c *Catalog) FetchMany(ctx context.Context, ids []string) ([]Tenant, error) {
	return readTenants(ctx, c.cfg.Pool, "where id = any($1)", ids)
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func readTenants(ctx context.Context, q querier, where string, args ...any) ([]Tenant, error) {
	rows, err := q.Query(ctx, "select "+tenantColumns+" from rowhouse.tenants "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read catalog: %w", err)
	}
	tenants, err := pgx.CollectRows(rows, scanTenant)
	if err != nil {
		return nil, fmt.Errorf("read catalog: %w", err)
	}
	return tenants, nil
}

// listen connects, listens and then reads everything, in this order: what changes in between is notified.
func (c *Catalog) listen(ctx context.Context) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, c.cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("connect to follow the catalog: %w", err)
	}
	if _, err = conn.Exec(ctx, "listen "+channel); err == nil {
		err = c.readAll(ctx)
	}
	if err != nil {
		_ = conn.Close(context.WithoutCancel(ctx)) // It did nothing yet.
		return nil, err
	}
	return conn, nil
}

// follow keeps the copy fresh until ctx ends.
func (c *Catalog) follow(ctx context.Context, conn *pgx.Conn) {
	defer close(c.done)
	for ctx.Err() == nil {
		err := c.followOn(ctx, conn)
		_ = conn.Close(context.WithoutCancel(ctx)) // It is broken or no longer needed.
		if ctx.Err() != nil {
			return
		}
		c.cfg.OnFailure()
		c.cfg.Log.Warn("lost the connection that follows the catalog; connecting again", zap.Error(err))
		for {
			if conn, err = c.listen(ctx); err == nil {
				c.cfg.Log.Info("following the catalog again")
				break
			}
			c.cfg.OnFailure()
			select {
			case <-ctx.Done():
				return
			case <-time.After(reconnectEvery):
			}
		}
	}
}

// followOn refreshes as conn tells, until that fails.
func (c *Catalog) followOn(ctx context.Context, conn *pgx.Conn) error {
	f := follower{conn: conn, lastAll: time.Now()} // listen has just read everything.
	for {
		ids, all, err := f.wait(ctx)
		switch {
		case err != nil:
			return err
		case all:
			err = c.readAll(ctx)
			f.lastAll, f.received = time.Now(), 0
		default:
			err = c.readSome(ctx, ids)
		}
		if err != nil {
			return err
		}
	}
}

// follower decides when to read what. Anybody may notify, ids and junk: nothing that comes in moves a deadline back, what is kept is
// bounded, and when more comes than can be followed row by row, everything is read every overflowEvery.
type follower struct {
	conn     *pgx.Conn
	lastAll  time.Time // when everything was last read
	received int       // notifications since then
}

// wait gives the ids of changed tenants, or all when everything is to be read.
func (f *follower) wait(ctx context.Context) (ids []string, all bool, err error) {
	fullAt := f.lastAll.Add(fullEvery)
	deadline, changed := fullAt, map[string]struct{}{}
	for time.Now().Before(deadline) {
		waitCtx, cancel := context.WithDeadline(ctx, deadline)
		notification, err := f.conn.WaitForNotification(waitCtx)
		cancel()
		if err != nil {
			if ctx.Err() != nil || f.conn.IsClosed() || !errors.Is(err, context.DeadlineExceeded) {
				return nil, false, fmt.Errorf("wait for changes of the catalog: %w", err)
			}
			break // Quiet for as long as we cared to wait.
		}
		if f.received++; f.received > gatherMost {
			// Too many: they are taken off the connection and forgotten until everything may be read again.
			all, deadline = true, f.lastAll.Add(overflowEvery)
			continue
		}
		if !ValidID(notification.Payload) && notification.Payload != plansChanged { // Whatever else somebody notifies is none of ours.
			continue
		}
		if soon := time.Now().Add(gather); len(changed) == 0 && soon.Before(deadline) {
			deadline = soon
		}
		changed[notification.Payload] = struct{}{}
	}
	return slices.Collect(maps.Keys(changed)), all || !time.Now().Before(fullAt), nil
}

func (c *Catalog) readAll(ctx context.Context) error {
	c.reads.Lock()
	defer c.reads.Unlock()
	tenants, err := readTenants(ctx, c.cfg.Pool, "where "+livingSQL)
	if err != nil {
		return err
	}
	key, err := readSealKey(ctx, c.cfg.Pool, c.cfg.Logins)
	if err != nil {
		return err
	}
	if err = c.readPlans(ctx); err != nil {
		return err
	}
	c.seal.Store(&key)
	byID, bySlug := make(map[string]Tenant, len(tenants)), make(map[string]string, len(tenants))
	for _, t := range tenants {
		byID[t.ID], bySlug[t.Slug] = t, t.ID
	}
	c.mu.Lock()
	c.byID, c.bySlug = byID, bySlug
	c.mu.Unlock()
	c.refreshed(len(byID))
	return nil
}

func (c *Catalog) readSome(ctx context.Context, ids []string) error {
	c.reads.Lock()
	defer c.reads.Unlock()
	if slices.Contains(ids, plansChanged) {
		if err := c.readPlans(ctx); err != nil {
			return err
		}
	}
	tenants, err := readTenants(ctx, c.cfg.Pool, "where "+livingSQL+" and id = any($1)", ids)
	if err != nil {
		return err
	}
	c.mu.Lock()
	for _, id := range ids {
		if old, ok := c.byID[id]; ok && c.bySlug[old.Slug] == id {
			delete(c.bySlug, old.Slug)
		}
		delete(c.byID, id)
	}
	for _, t := range tenants {
		c.byID[t.ID], c.bySlug[t.Slug] = t, t.ID
	}
	n := len(c.byID)
	c.mu.Unlock()
	c.refreshed(n)
	return nil
}

func (c *Catalog) refreshed(tenants int) {
	c.synced.Store(time.Now().UnixNano())
	c.cfg.OnRefresh(tenants)
}
