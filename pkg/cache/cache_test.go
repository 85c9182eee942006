package cache_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"pgregory.net/rapid"

	"github.com/rowhousehq/rowhouse/pkg/cache"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func TestMain(m *testing.M) { pgtest.Main(m, func() error { return goleak.Find() }) }

// hub listens to d as a process of its own does.
func hub(tb testing.TB, d *pgtest.DB) *cache.Hub {
	tb.Helper()
	listen, err := d.Logins.As(d.Logins.Control())
	require.NoError(tb, err)
	h, err := cache.Open(tb.Context(), cache.Config{Listen: listen, Log: zap.NewNop()})
	require.NoError(tb, err)
	tb.Cleanup(h.Close)
	return h
}

func open[V any](tb testing.TB, h *cache.Hub, o cache.Options) *cache.Cache[V] {
	tb.Helper()
	o.Name = "test"
	c, err := cache.New[V](h, o)
	require.NoError(tb, err)
	return c
}

func name(tb testing.TB, s string) tenantschema.Name {
	tb.Helper()
	n, err := tenantschema.ParseName(s)
	require.NoError(tb, err)
	return n
}

// is gives a load that finds v, and counts.
func is[V any](v V, loads *int) func(context.Context) (V, error) {
	return func(context.Context) (V, error) {
		*loads++
		return v, nil
	}
}

// eventually waits until the hub has its lease: the first answer of the server may be a moment away.
func eventually(tb testing.TB, condition func() bool) {
	tb.Helper()
	require.Eventually(tb, condition, 30*time.Second, 5*time.Millisecond)
}

// warm waits until c keeps things.
func warm[V any](tb testing.TB, c *cache.Cache[V], tenant tenantschema.Name, v V) {
	tb.Helper()
	eventually(tb, func() bool {
		loads := 0
		for range 2 {
			if _, err := c.For(tenant).Get(tb.Context(), "warm", is(v, &loads)); err != nil {
				return false
			}
		}
		return loads < 2
	})
}

// The same key is another thing in another tenant, whatever is forgotten and dropped.
func TestTenantsNeverMix(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	h := hub(t, pgtest.New(t))
	c := open[string](t, h, cache.Options{})
	a, b := name(t, "t_a"), name(t, "t_b")
	warm(t, c, a, "w")
	loads := 0
	for range 3 {
		for tenant, want := range map[tenantschema.Name]string{a: "of a", b: "of b"} {
			got, err := c.For(tenant).Get(ctx, "key", is(want, &loads))
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
	}
	require.Equal(t, 2, loads)
	c.Forget(a)
	got, err := c.For(b).Get(ctx, "key", is("never read", &loads))
	require.NoError(t, err)
	require.Equal(t, "of b", got)
	got, err = c.For(a).Get(ctx, "key", is("anew", &loads))
	require.NoError(t, err)
	require.Equal(t, "anew", got)
	c.For(a).Drop("key")
	_, err = c.For(a).Get(ctx, "key", is("x", &loads))
	require.NoError(t, err)
	require.Equal(t, 4, loads)
	_, err = c.For(tenantschema.Name{}).Get(ctx, "key", is("x", &loads))
	require.ErrorIs(t, err, tenantschema.ErrNoTenant)
	bad := errors.New("bad")
	for range 2 {
		_, err = c.For(a).Get(ctx, "failing", func(context.Context) (string, error) { return "", bad })
		require.ErrorIs(t, err, bad, "what fails is not kept")
	}
}

// What changes is forgotten by all processes, in a hardened database as well, and neither before the commit nor after a rollback.
func TestChanged(t *testing.T) {
	t.Parallel()
	for _, hardened := range []bool{false, true} {
		t.Run(fmt.Sprint("hardened ", hardened), func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			d := pgtest.New(t)
			if hardened {
				d.Harden()
			}
			acme, globex := d.Scope("acme"), d.Scope("globex")
			here, there := open[int](t, hub(t, d), cache.Options{}), open[int](t, hub(t, d), cache.Options{})
			kept := func(c *cache.Cache[int], s tenantschema.Scope) bool {
				loads := 0
				_, err := c.For(s.Tenant().Schema).Get(ctx, "key", is(1, &loads))
				require.NoError(t, err)
				return loads == 0
			}
			fill := func() {
				eventually(t, func() bool {
					return kept(here, acme) && kept(here, globex) && kept(there, acme) && kept(there, globex)
				})
			}
			fill()
			rolledBack := errors.New("rolled back")
			require.ErrorIs(t, acme.InTx(ctx, func(tx *tenantschema.Tx) error {
				require.NoError(t, cache.Changed(ctx, tx))
				return rolledBack
			}), rolledBack)
			require.NoError(t, globex.InTx(ctx, func(tx *tenantschema.Tx) error { return cache.Changed(ctx, tx) }))
			for _, c := range []*cache.Cache[int]{here, there} {
				eventually(t, func() bool { return !kept(c, globex) })
				require.True(t, kept(c, acme), "what was rolled back is no change, and what is globex's is not acme's")
			}
		})
	}
}

// A value that is read while it changes is handed on and not kept.
func TestForget_WhileItIsRead(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := open[string](t, hub(t, pgtest.New(t)), cache.Options{})
	a := name(t, "t_a")
	warm(t, c, a, "w")
	got, err := c.For(a).Get(ctx, "key", func(context.Context) (string, error) {
		c.Forget(a)
		return "old", nil
	})
	require.NoError(t, err)
	require.Equal(t, "old", got)
	require.Zero(t, c.Len())
	loads := 0
	got, err = c.For(a).Get(ctx, "key", is("new", &loads))
	require.NoError(t, err)
	require.Equal(t, "new", got)
}

// A process that does not hear of changes keeps nothing, and finds its way back.
func TestLostConnection(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	acme := d.Scope("acme").Tenant().Schema
	c := open[int](t, hub(t, d), cache.Options{})
	warm(t, c, acme, 1)
	require.Equal(t, 1, c.Len())
	// Nobody may log in, so that it stays lost for as long as this test looks.
	conn, err := pgx.Connect(ctx, d.AdminURL)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(ctx)) })
	database, control := conn.Config().Database, d.Logins.Control() // Both are made by this repository, of letters, digits and underscores.
	_, err = conn.Exec(ctx, "revoke connect on database "+database+" from "+control)
	require.NoError(t, err)
	_, err = conn.Exec(ctx, `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and usename = $1`,
		d.Logins.Control())
	require.NoError(t, err)
	eventually(t, func() bool { return c.Len() == 0 })
	loads := 0
	for range 3 {
		_, err = c.For(acme).Get(ctx, "key", is(1, &loads))
		require.NoError(t, err)
	}
	require.Equal(t, 3, loads)
	require.Zero(t, c.Len())
	_, err = conn.Exec(ctx, "grant connect on database "+database+" to "+control)
	require.NoError(t, err)
	warm(t, c, acme, 2)
}

func TestNoHub_KeepsNothing(t *testing.T) {
	t.Parallel()
	c := open[int](t, nil, cache.Options{})
	loads := 0
	for range 2 {
		_, err := c.For(name(t, "t_a")).Get(t.Context(), "key", is(1, &loads))
		require.NoError(t, err)
	}
	require.Equal(t, 2, loads)
}

// Of many who ask at once, one reads; one who gives up takes nobody along.
func TestOneReadsForAll(t *testing.T) {
	t.Parallel()
	c := open[int](t, hub(t, pgtest.New(t)), cache.Options{})
	a := name(t, "t_a")
	warm(t, c, a, 0)
	var loads atomic.Int64
	var wg sync.WaitGroup
	reading, go1 := make(chan struct{}, 64), make(chan struct{})
	for range 16 {
		wg.Go(func() {
			v, err := c.For(a).Get(t.Context(), "key", func(context.Context) (int, error) {
				loads.Add(1)
				reading <- struct{}{}
				<-go1
				return 7, nil
			})
			if err != nil || v != 7 {
				t.Error(v, err)
			}
		})
	}
	<-reading
	close(go1)
	wg.Wait()
	require.LessOrEqual(t, loads.Load(), int64(1), "the others found it or waited")
	_, err := c.For(a).Get(t.Context(), "fails", func(context.Context) (int, error) { return 0, context.Canceled })
	require.ErrorIs(t, err, context.Canceled)
}

// However much globex keeps, what acme has is not pushed out for it as long as acme has less than an equal share; and a flood of notices of globex's,
// and of junk, has nobody else forget anything.
func TestAFloodTakesOnlyItsShare(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	globex := d.Scope("globex")
	c := open[int](t, hub(t, d), cache.Options{Entries: 100, PerTenant: 80})
	a, b := name(t, "t_a"), globex.Tenant().Schema
	warm(t, c, a, 0)
	loads := 0
	for i := range 20 {
		_, err := c.For(a).Get(ctx, strconv.Itoa(i), is(i, &loads))
		require.NoError(t, err)
	}
	for round := range 3 {
		for i := range 1000 {
			_, err := c.For(b).Get(ctx, strconv.Itoa(1000*round+i), is(i, &loads))
			require.NoError(t, err)
			require.LessOrEqual(t, c.Len(), 100)
		}
		for range 50 {
			require.NoError(t, globex.InTx(ctx, func(tx *tenantschema.Tx) error {
				if _, err := tx.Exec(ctx, "notify rowhouse_cache, 'what is this'"); err != nil {
					return err
				}
				return cache.Changed(ctx, tx)
			}))
		}
		eventually(t, func() bool { return c.Len() <= 21 })
	}
	loads = 0
	for i := range 20 {
		_, err := c.For(a).Get(ctx, strconv.Itoa(i), is(i, &loads))
		require.NoError(t, err)
	}
	require.Zero(t, loads)
}

// Whatever is asked, changed and forgotten in two tenants: what the cache gives is never older than the last change that was
// told, and never another's.
func TestCache_AgainstAModel(t *testing.T) {
	t.Parallel()
	h := hub(t, pgtest.New(t))
	probe := open[int](t, h, cache.Options{})
	tenants := []tenantschema.Name{name(t, "t_a"), name(t, "t_b")}
	warm(t, probe, tenants[0], 0)
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1000, 0)
		c, err := cache.New[string](h, cache.Options{
			Name: "model", Entries: rapid.IntRange(1, 8).Draw(t, "entries"), PerTenant: rapid.IntRange(1, 6).Draw(t, "share"),
			TTL: time.Minute, Clock: func() time.Time { return now },
		})
		if err != nil {
			t.Fatal(err)
		}
		type place struct {
			tenant tenantschema.Name
			key    string
		}
		truth := map[place]int{}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			p := place{rapid.SampledFrom(tenants).Draw(t, "tenant"), rapid.SampledFrom([]string{"x", "y", "z", ""}).Draw(t, "key")}
			value := func() string { return fmt.Sprint(p.tenant, p.key, truth[p]) }
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				truth[p]++
				c.Forget(p.tenant)
			case 1:
				now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "pause")) * time.Second)
			case 2:
				truth[p]++
				c.For(p.tenant).Drop(p.key)
			default:
				got, err := c.For(p.tenant).Get(t.Context(), p.key, func(context.Context) (string, error) { return value(), nil })
				if err != nil || got != value() {
					t.Fatalf("%q, %v: want %q", got, err, value())
				}
			}
		}
	})
}
