// Package live tells the pages of a tenant that something changed, in whichever process that happened.
//
//	a request or job is done ─▶ Changed ─▶ every 50 ms one pg_notify for all tenants that changed ─▶ LISTEN in every process
//	                                                                                                      │ a hint: the schema's name, no more
//	subscribers ◀─ what changed: ids ◀─ Read, in the tenant's own scope, at most five times a second ◀────┘
//
// Guarantees:
//
//   - A subscriber hears of its own tenant alone. What comes by NOTIFY, which any role of the database may send, is never passed on: it only has
//     the tenant's own table read, by the tenant's own scope, a bounded number of times a second and only if somebody is subscribed.
//   - Events hold ids and nothing else. Who wants to know more asks for it with their own rights.
//   - A hint that is lost delays: what changed is read every few seconds anyway, while somebody is subscribed. A subscriber that cannot be told
//     all is told that anything may have changed.
//   - Nothing is notified inside a tenant's transaction, because the commits of transactions that notify wait for each other all over the server.
//   - Subscribers are bounded, by tenant and by process.
package live

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/zap"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

const (
	channel = "rowhouse_live"
	// window is how far back each reading looks: a change is written before it can be seen, by as much as its transaction takes.
	window = 30 * time.Second
	// readMost is the number of changes in one reading above which subscribers are told that anything may have changed.
	readMost = 200
	// idsMost is the same for what waits for one subscriber.
	idsMost = 50
	// readersMost is how many tenants are read at the same time.
	readersMost = 4
)

// Change is a task or project that may look different, or be gone. Without ids it is anything.
type Change struct {
	// ID is a UUIDv7 of when it changed.
	ID uuid.UUID
	// ProjectID and TaskID are what changed, or the zero UUID.
	ProjectID, TaskID uuid.UUID
}

// Read gives the changes whose ids are greater than after, at most limit of them, the latest first.
type Read func(ctx context.Context, scope tenantschema.Scope, after uuid.UUID, limit int) ([]Change, error)

// Notifier runs one statement. A pool of the control role's is one.
type Notifier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// Config is what a [Hub] needs. Everything without a default is required.
type Config struct {
	// Read reads what changed in a tenant.
	Read Read
	// Notify takes the hints for other processes.
	Notify Notifier
	// Listen gives settings for a connection of its own, not through a pooler. Without it only this process's changes are heard of at once.
	Listen *pgx.ConnConfig
	Log    *zap.Logger
	// PerTenant and PerProcess bound the subscribers. Defaults 200 and 5,000.
	PerTenant, PerProcess int
	// Gather is how long hints are collected before they are sent on. Default 50 ms.
	Gather time.Duration
	// Pause is the least time between two readings of a tenant. Default 200 ms.
	Pause time.Duration
	// Poll is the most. Default 4 s; it must be well below half a minute.
	Poll time.Duration
}

// Hub connects what changes with who wants to know. Close it.
type Hub struct {
	cfg     Config
	stop    context.CancelFunc
	running sync.WaitGroup
	ctx     context.Context //nolint:containedctx // It is the hub's life: readers begin and end within it.
	readers chan struct{}

	mu      sync.Mutex
	tenants map[string]*tenant // by schema, those with subscribers
	count   int
	pending map[string]struct{} // schemas to be notified
	wake    chan struct{}
}

// New validates cfg and starts a Hub. A connection that cannot be made yet is tried again.
func New(ctx context.Context, cfg Config) (*Hub, error) {
	if cfg.Read == nil || cfg.Notify == nil || cfg.Log == nil {
		return nil, errors.New("live: Config.Read, Notify and Log are required")
	}
	if cfg.PerTenant < 0 || cfg.PerProcess < 0 || cfg.Gather < 0 || cfg.Pause < 0 || cfg.Poll < 0 || cfg.Poll > window/2 {
		return nil, errors.New("live: Config.PerTenant, PerProcess, Gather and Pause must not be negative, and Poll be at most 15 s")
	}
	setDefault(&cfg.PerTenant, 200)
	setDefault(&cfg.PerProcess, 5000)
	setDefault(&cfg.Gather, 50*time.Millisecond)
	setDefault(&cfg.Pause, 200*time.Millisecond)
	setDefault(&cfg.Poll, 4*time.Second)
	h := &Hub{
		cfg: cfg, readers: make(chan struct{}, readersMost), tenants: map[string]*tenant{}, pending: map[string]struct{}{},
		wake: make(chan struct{}, 1),
	}
	h.ctx, h.stop = context.WithCancel(context.WithoutCancel(ctx))
	h.running.Go(h.send)
	if cfg.Listen != nil {
		h.running.Go(h.listen)
	}
	return h, nil
}

func setDefault[T int | time.Duration](value *T, byDefault T) {
	if *value == 0 {
		*value = byDefault
	}
}

// Close ends everything and waits until it has. Subscribers hear nothing more.
func (h *Hub) Close() {
	h.stop()
	h.running.Wait()
}

// Changed says that something in that tenant may have changed. It never waits. It is to be called after the change was committed.
func (h *Hub) Changed(t tenantschema.Tenant) {
	schema := t.Schema.String()
	h.hint(schema)
	h.mu.Lock()
	h.pending[schema] = struct{}{}
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// hint has the tenant read, if somebody wants to know.
func (h *Hub) hint(schema string) {
	h.mu.Lock()
	t := h.tenants[schema]
	h.mu.Unlock()
	if t != nil {
		t.hint()
	}
}

func (h *Hub) hintAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.tenants {
		t.hint()
	}
}

// Subscribers is how many there are in this process.
func (h *Hub) Subscribers() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count
}

// Subscribe begins to tell of what changes in scope's tenant. since is the ID of the last event that the subscriber has seen, or what [Since]
// gives for the time when it read everything; with the zero UUID that is now. If something has changed after that, it is told that anything
// may have. The error is apperr.Unavailable if there are too many subscribers already. Close the subscription.
func (h *Hub) Subscribe(scope tenantschema.Scope, since uuid.UUID) (*Subscription, error) {
	schema := scope.Tenant().Schema.String()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ctx.Err() != nil {
		return nil, apperr.New(apperr.Unavailable, "The server is stopping. Try again in a moment.")
	}
	t := h.tenants[schema]
	if h.count >= h.cfg.PerProcess || t != nil && len(t.subscribers) >= h.cfg.PerTenant {
		return nil, apperr.New(apperr.Unavailable, "Too many pages are open. Live updates are off for this one.")
	}
	if t == nil {
		ctx, cancel := context.WithCancel(h.ctx)
		t = &tenant{hub: h, scope: scope, cancel: cancel, hints: make(chan struct{}, 1), subscribers: map[*Subscription]struct{}{}}
		h.tenants[schema] = t
		h.running.Go(func() { t.follow(ctx) })
	}
	s := &Subscription{tenant: t, wake: make(chan struct{}, 1), since: since}
	t.subscribers[s] = struct{}{}
	h.count++
	t.catchUp(s)
	return s, nil
}

func (h *Hub) leave(s *Subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := s.tenant
	if _, here := t.subscribers[s]; !here {
		return
	}
	delete(t.subscribers, s)
	h.count--
	if len(t.subscribers) == 0 {
		delete(h.tenants, t.scope.Tenant().Schema.String())
		t.cancel()
	}
}
