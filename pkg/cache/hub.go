package cache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/zap"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

const (
	channel = "rowhouse_cache"
	// leaseFor is how long a process believes that it hears of changes after the server has last answered on the connection that listens.
	leaseFor = time.Second
	// askEvery is the pause between two such questions.
	askEvery = leaseFor / 4
	// reconnectEvery is the pause between attempts to listen again.
	reconnectEvery = 250 * time.Millisecond
)

// Config is what a [Hub] needs.
type Config struct {
	// Listen gives settings for a connection of its own, not through a pooler: transaction poolers lose LISTEN. Required.
	Listen *pgx.ConnConfig
	// Log gets a line when the connection is lost and found. Required.
	Log *zap.Logger
	// OnLookup, if set, is told what became of looking for a value in a cache: [Hit], [Miss] or [Bypassed].
	OnLookup func(cache, outcome string)
}

// forgetter is a [Cache] of whatever values.
type forgetter interface {
	forget(tenant partKey)
	forgetAll()
}

// Hub hears of changes for all caches of a process, on one connection.
type Hub struct {
	cfg   Config
	start time.Time
	until atomic.Int64 // since start: how long the lease lasts
	mu    sync.Mutex
	all   []forgetter
	stop  context.CancelFunc
	done  chan struct{}
}

// Open listens. Close it.
func Open(ctx context.Context, cfg Config) (*Hub, error) {
	if cfg.Listen == nil || cfg.Log == nil {
		return nil, errors.New("cache: Config.Listen and Log are required")
	}
	if cfg.OnLookup == nil {
		cfg.OnLookup = func(string, string) {}
	}
	h := &Hub{cfg: cfg, start: time.Now(), done: make(chan struct{})}
	h.cfg.Listen = cfg.Listen.Copy()
	h.cfg.Listen.OnNotification = func(_ *pgconn.PgConn, n *pgconn.Notification) { h.hear(n.Payload) }
	conn, err := h.listen(ctx)
	if err != nil {
		return nil, err
	}
	runCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	h.stop = stop
	go h.follow(runCtx, conn)
	return h, nil
}

// Close stops listening and waits until it has. Nothing is kept from then on.
func (h *Hub) Close() {
	h.stop()
	<-h.done
}

// Changed tells all processes, when tx is committed, to forget what they keep of its tenant, whether this one keeps anything or not. It is the
// statement NOTIFY, which every role may run, in a hardened database as well. [Cache.Forget] is for after the commit.
func Changed(ctx context.Context, tx *tenantschema.Tx) error {
	// The only text that varies is a Name, which needs no escapes.
	if _, err := tx.Exec(ctx, "notify "+channel+", '"+tx.Tenant().Schema.String()+"'"); err != nil {
		return fmt.Errorf("cache: tell of a change: %w", err)
	}
	return nil
}

func (h *Hub) add(f forgetter) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, f)
}

// hear takes a notice. Anybody may send one, and anything in it.
func (h *Hub) hear(payload string) {
	schema, err := tenantschema.ParseName(payload)
	if err != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.all {
		f.forget(partKey{schema})
	}
}

// live reports whether this process hears of changes.
func (h *Hub) live() bool { return int64(time.Since(h.start)) < h.until.Load() }

// lose stops all caching.
func (h *Hub) lose() {
	h.until.Store(0)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.all {
		f.forgetAll()
	}
}

func (h *Hub) listen(ctx context.Context) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, h.cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("connect to hear of changes: %w", err)
	}
	if _, err = conn.Exec(ctx, "listen "+channel); err != nil {
		_ = conn.Close(context.WithoutCancel(ctx)) // It did nothing yet.
		return nil, fmt.Errorf("listen for changes: %w", err)
	}
	return conn, nil
}

// follow hears until ctx ends.
func (h *Hub) follow(ctx context.Context, conn *pgx.Conn) {
	defer close(h.done)
	defer h.lose()
	for {
		err := h.followOn(ctx, conn)
		h.lose() // What changes from here on is not heard.
		_ = conn.Close(context.WithoutCancel(ctx))
		if ctx.Err() != nil {
			return
		}
		h.cfg.Log.Warn("lost the connection that hears of changes; nothing is cached until it is back", zap.Error(err))
		for {
			if conn, err = h.listen(ctx); err == nil {
				h.cfg.Log.Info("hearing of changes again")
				break
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(reconnectEvery):
			}
		}
	}
}

// followOn renews the lease as long as the server answers. Notices come before the answer to a question that was asked after them, so a lease that
// is renewed from when the question was asked has missed none.
func (h *Hub) followOn(ctx context.Context, conn *pgx.Conn) error {
	for {
		asked := time.Now()
		askCtx, cancel := context.WithDeadline(ctx, asked.Add(leaseFor))
		err := conn.Ping(askCtx)
		cancel()
		if err != nil {
			return fmt.Errorf("ask whether the connection is there: %w", err)
		}
		h.until.Store(int64(asked.Add(leaseFor).Sub(h.start)))
		for wait := asked.Add(askEvery); time.Now().Before(wait); {
			waitCtx, cancel := context.WithDeadline(ctx, wait)
			err = conn.PgConn().WaitForNotification(waitCtx)
			cancel()
			if err != nil && (ctx.Err() != nil || conn.IsClosed() || !errors.Is(err, context.DeadlineExceeded)) {
				return fmt.Errorf("wait for changes: %w", err)
			}
		}
	}
}
