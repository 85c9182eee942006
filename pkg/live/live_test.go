package live_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/live"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func TestMain(m *testing.M) { pgtest.Main(m, func() error { return goleak.Find() }) }

// tables stand for what changed in each tenant, and count how often they are read.
type tables struct {
	mu    sync.Mutex
	rows  map[string][]live.Change
	reads map[string]int
	fail  error
}

func newTables() *tables { return &tables{rows: map[string][]live.Change{}, reads: map[string]int{}} }

func (b *tables) read(_ context.Context, scope tenantschema.Scope, after uuid.UUID, limit int) ([]live.Change, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	schema := scope.Tenant().Schema.String()
	b.reads[schema]++
	var out []live.Change
	for i := len(b.rows[schema]) - 1; i >= 0 && len(out) < limit; i-- {
		if c := b.rows[schema][i]; c.ID.String() > after.String() {
			out = append(out, c)
		}
	}
	return out, b.fail
}

func (b *tables) change(t *testing.T, scope tenantschema.Scope, task uuid.UUID) uuid.UUID {
	t.Helper()
	id, err := uuid.NewV7()
	require.NoError(t, err)
	b.mu.Lock()
	defer b.mu.Unlock()
	schema := scope.Tenant().Schema.String()
	b.rows[schema] = append(b.rows[schema], live.Change{ID: id, TaskID: task})
	return id
}

func (b *tables) readsOf(scope tenantschema.Scope) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reads[scope.Tenant().Schema.String()]
}

// bench is a database and what changed in two tenants of it.
type bench struct {
	db           *pgtest.DB
	pool         *pgxpool.Pool
	tables       *tables
	acme, globex tenantschema.Scope
}

func setup(t *testing.T) *bench {
	t.Helper()
	b := &bench{db: pgtest.New(t), tables: newTables()}
	engine, err := tenantschema.Open(b.db.EngineConfig(tenantschema.Config{MaxConns: 2}))
	require.NoError(t, err)
	t.Cleanup(engine.Close)
	b.acme, b.globex = engine.Tenant(b.db.Tenant("acme").Engine()), engine.Tenant(b.db.Tenant("globex").Engine())
	b.pool, err = pgxpool.New(t.Context(), b.db.OwnerURL)
	require.NoError(t, err)
	t.Cleanup(b.pool.Close)
	return b
}

func (b *bench) hub(t *testing.T, change func(*live.Config)) *live.Hub {
	t.Helper()
	listen, err := pgx.ParseConfig(b.db.OwnerURL)
	require.NoError(t, err)
	cfg := live.Config{
		Read: b.tables.read, Notify: b.pool, Listen: listen, Log: zaptest.NewLogger(t),
		Gather: time.Millisecond, Pause: 10 * time.Millisecond, Poll: 10 * time.Second,
	}
	if change != nil {
		change(&cfg)
	}
	hub, err := live.New(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(hub.Close)
	return hub
}

// subscribed gives a subscription whose tenant has been read once.
func (b *bench) subscribed(t *testing.T, hub *live.Hub, scope tenantschema.Scope) *live.Subscription {
	t.Helper()
	before := b.tables.readsOf(scope)
	s, err := hub.Subscribe(scope, uuid.Nil)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	require.Eventually(t, func() bool { return b.tables.readsOf(scope) > before }, 10*time.Second, time.Millisecond)
	return s
}

func next(t *testing.T, s *live.Subscription) live.Event {
	t.Helper()
	for {
		select {
		case <-s.Ready():
			if e := s.Take(); !e.Empty() {
				return e
			}
		case <-time.After(10 * time.Second):
			require.FailNow(t, "nothing was told")
		}
	}
}

// Two processes, two tenants: what one process changes the subscribers of the other hear of, those of that tenant.
func TestHub_AcrossProcesses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	here, there := b.hub(t, nil), b.hub(t, nil)
	acme, globex := b.subscribed(t, there, b.acme), b.subscribed(t, there, b.globex)
	require.Eventually(t, func() bool { // The other one listens by now.
		b.tables.change(t, b.acme, uuid.New())
		here.Changed(b.acme.Tenant())
		select {
		case <-acme.Ready():
			return len(acme.Take().Tasks) > 0
		case <-time.After(100 * time.Millisecond):
			return false
		}
	}, 10*time.Second, time.Millisecond)
	require.True(t, globex.Take().Empty(), "what is acme's is nothing to globex")
}

// Whatever is notified, by whomever: nothing of it reaches anybody, and the tables are read no more often than they may be.
func TestHub_ForgedHints(t *testing.T) {
	t.Parallel()
	b := setup(t)
	hub := b.hub(t, func(c *live.Config) { c.Pause = 300 * time.Millisecond })
	acme, globex := b.subscribed(t, hub, b.acme), b.subscribed(t, hub, b.globex)
	task := uuid.New()
	b.tables.change(t, b.globex, task)

	reads, begun := b.tables.readsOf(b.acme), time.Now()
	schema := b.acme.Tenant().Schema.String()
	for range 20 {
		_, err := b.pool.Exec(t.Context(), `select pg_notify('rowhouse_live', p) from
(select unnest(array[$1, $1 || ' ', 't_nobody', '{"all":true}', '', $2]) as p, generate_series(1, 200)) as f`, schema, b.globex.Tenant().Schema.String())
		require.NoError(t, err)
	}
	require.Equal(t, []uuid.UUID{task}, next(t, globex).Tasks)
	require.LessOrEqual(t, b.tables.readsOf(b.acme)-reads, int(time.Since(begun)/(300*time.Millisecond))+2)
	require.True(t, acme.Take().Empty(), "nothing of acme's has changed, whatever is said")
}

// A hint that never came delays only.
func TestHub_LostHint(t *testing.T) {
	t.Parallel()
	b := setup(t)
	hub := b.hub(t, func(c *live.Config) { c.Poll, c.Listen = 20*time.Millisecond, nil })
	s := b.subscribed(t, hub, b.acme)
	task := uuid.New()
	id := b.tables.change(t, b.acme, task)
	e := next(t, s)
	require.Equal(t, live.Event{ID: id, Tasks: []uuid.UUID{task}}, e)

	// Once is enough, and who comes back with what it saw last is told nothing.
	again, err := hub.Subscribe(b.acme, id)
	require.NoError(t, err)
	t.Cleanup(again.Close)
	require.True(t, again.Take().Empty())
	// Who comes back after it missed something, or may have, is told that.
	for _, seen := range []time.Time{time.Now().Add(-5 * time.Second), time.Now().Add(-time.Hour)} {
		late, err := hub.Subscribe(b.acme, live.Since(seen))
		require.NoError(t, err)
		t.Cleanup(late.Close)
		require.True(t, late.Take().All)
	}
	// So is who is the first of its tenant.
	b.tables.change(t, b.globex, task)
	first, err := hub.Subscribe(b.globex, live.Since(time.Now().Add(-5*time.Second)))
	require.NoError(t, err)
	t.Cleanup(first.Close)
	require.True(t, next(t, first).All)
	require.True(t, s.Take().Empty())
}

// Who does not listen costs no more than who does: what is too much for a list becomes "anything".
func TestHub_SlowSubscriber(t *testing.T) {
	t.Parallel()
	b := setup(t)
	hub := b.hub(t, nil)
	s := b.subscribed(t, hub, b.acme)
	for range 120 {
		b.tables.change(t, b.acme, uuid.New())
	}
	hub.Changed(b.acme.Tenant())
	e := next(t, s)
	require.True(t, e.All)
	require.Empty(t, e.Tasks)
}

func TestHub_Bounds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	hub := b.hub(t, func(c *live.Config) { c.PerTenant, c.PerProcess = 1, 2 })
	first := b.subscribed(t, hub, b.acme)
	_, err := hub.Subscribe(b.acme, uuid.Nil)
	require.Equal(t, apperr.Unavailable, apperr.CodeOf(err))
	b.subscribed(t, hub, b.globex)
	require.Equal(t, 2, hub.Subscribers())
	first.Close()
	first.Close()
	require.Equal(t, 1, hub.Subscribers())
	b.subscribed(t, hub, b.acme)
	_, err = hub.Subscribe(b.acme, uuid.Nil)
	require.Equal(t, apperr.Unavailable, apperr.CodeOf(err))
}
