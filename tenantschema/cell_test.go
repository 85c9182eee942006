package tenantschema_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

const whoAmI = "select pg_backend_pid(), session_user::text"

func who(t *testing.T, s tenantschema.Scope) (pid int, login string) {
	t.Helper()
	require.NoError(t, s.QueryRow(t.Context(), whoAmI).Scan(&pid, &login))
	return pid, login
}

func scopes(d *pgtest.DB, db *tenantschema.DB, n int) []tenantschema.Scope {
	all := make([]tenantschema.Scope, n)
	for i := range all {
		all[i] = db.Tenant(d.Tenant(fmt.Sprintf("tenant-%d", i)).Engine())
	}
	return all
}

// Cells fill up one after another, each with a login of its own, and all of them share one budget.
func TestHouse_OneBudgetOverAllCells(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.NewWith(t, pgtest.Options{CellSize: 2})
	db, _ := engineWith(t, d, tenantschema.Config{MaxConns: 2, AcquireTimeout: time.Minute})
	all := scopes(d, db, 6)
	logins := map[string]int{}
	for i, s := range all {
		require.Equal(t, i/2+1, s.Tenant().Cell)
		_, login := who(t, s)
		require.Equal(t, d.Logins.Cell(i/2+1), login)
		logins[login]++
	}
	require.Len(t, logins, 3)
	var wg sync.WaitGroup
	for _, s := range all {
		wg.Go(func() {
			for range 20 {
				if _, err := s.Exec(ctx, countProjects); err != nil {
					t.Errorf("%s: %v", s.Tenant().Schema, err)
				}
				if stats := db.Stats(); stats.Total > 2 {
					t.Errorf("%d connections", stats.Total)
				}
			}
		})
	}
	wg.Wait()
	// A role of one cell is nothing to the login of another.
	_, err := db.Tenant(tenantschema.Tenant{Schema: all[0].Tenant().Schema, Cell: 2}).Exec(ctx, countProjects)
	requireState(t, err, "42501")
}

// A tenant that nobody hurries is always served by the same backend, and tenants are spread over all.
func TestHouse_TenantsHaveHomes(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	db, _ := engineWith(t, d, tenantschema.Config{MaxConns: 4})
	all := scopes(d, db, 12)
	var wg sync.WaitGroup // All connections are open when all are wanted at once.
	barrier := make(chan struct{})
	for _, s := range all[:4] {
		wg.Go(func() {
			_ = s.InTx(ctx, func(tx *tenantschema.Tx) error {
				_, err := tx.Exec(ctx, "select 1")
				<-barrier
				return err
			})
		})
	}
	require.Eventually(t, func() bool { return db.Stats().Cells[1].Acquired == 4 }, 20*time.Second, time.Millisecond)
	close(barrier)
	wg.Wait()
	require.Eventually(t, func() bool { return db.Stats().Cells[1].Idle == 4 }, 20*time.Second, time.Millisecond)

	homes := map[int]int{}
	for _, s := range all {
		first, _ := who(t, s)
		homes[first]++
		for range 3 {
			again, _ := who(t, s)
			require.Equal(t, first, again)
		}
	}
	require.Greater(t, len(homes), 1, "twelve tenants on four connections")
}

// One tenant alone comes to use the connections of its share, although it has one home.
func TestHouse_BusyTenantSpreads(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	db, _ := engineWith(t, d, tenantschema.Config{MaxConns: 4, AcquireTimeout: time.Minute})
	scope := db.Tenant(d.Tenant("acme").Engine())
	var mu sync.Mutex
	pids := map[int]bool{}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 5 {
				var pid int
				err := scope.QueryRow(ctx, "select pg_backend_pid() from pg_sleep(0.005)").Scan(&pid)
				if err != nil {
					t.Errorf("query: %v", err)
				}
				mu.Lock()
				pids[pid] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	require.Len(t, pids, 3, "three quarters of four")
}

// Callers who wait are served in the order in which they came.
func TestHouse_FairOrder(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	db, _ := engineWith(t, d, tenantschema.Config{MaxConns: 1, AcquireTimeout: time.Minute})
	all := scopes(d, db, 5)
	var mu sync.Mutex
	var order []int
	var wg sync.WaitGroup
	require.NoError(t, all[0].InTx(ctx, func(*tenantschema.Tx) error {
		for i := 1; i < len(all); i++ {
			wg.Go(func() {
				err := all[i].InTx(ctx, func(*tenantschema.Tx) error {
					mu.Lock()
					defer mu.Unlock()
					order = append(order, i)
					return nil
				})
				if err != nil {
					t.Errorf("tenant %d: %v", i, err)
				}
			})
			require.Eventually(t, func() bool { return db.Stats().Waiting == i }, 20*time.Second, time.Millisecond)
		}
		return nil
	}))
	wg.Wait()
	require.Equal(t, []int{1, 2, 3, 4}, order)
	require.EqualValues(t, 4, db.Stats().Waits-1, "the first waited for the connection to be opened")
}

// What nobody uses is given up.
func TestHouse_IdleConnectionsEnd(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	db, _ := engineWith(t, d, tenantschema.Config{IdleTimeout: 20 * time.Millisecond})
	scope := db.Tenant(d.Tenant("acme").Engine())
	_, login := who(t, scope)
	require.Eventually(t, func() bool { return db.Stats().Total == 0 }, 20*time.Second, 5*time.Millisecond)
	require.Eventually(t, func() bool {
		var open int
		err := d.Owner.QueryRow(t.Context(), "select count(*) from pg_stat_activity where usename = $1 and datname = current_database()", login).Scan(&open)
		return err == nil && open == 0
	}, 20*time.Second, 5*time.Millisecond)
	who(t, scope)
}

// Cells that are used alike keep their connections, although each of them is free now and then while the other cell's callers wait:
// a connection that is opened anew has everything to learn.
func TestHouse_ConnectionsStay(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.NewWith(t, pgtest.Options{CellSize: 4})
	db, _ := engineWith(t, d, tenantschema.Config{MaxConns: 6, AcquireTimeout: time.Minute})
	all := scopes(d, db, 8)
	for range 5 {
		var wg sync.WaitGroup
		for i := range 24 {
			wg.Go(func() {
				for n := range 20 {
					if _, err := all[(i+n)%len(all)].Exec(ctx, "select pg_sleep(0.002)"); err != nil {
						t.Errorf("query: %v", err)
					}
				}
			})
		}
		wg.Wait() // All connections are free for a moment, and then all cells want some.
	}
	s := db.Stats()
	require.LessOrEqual(t, s.Opened, int64(6+4), "six, and some that changed cells at the beginning: %+v", s)
	require.Len(t, s.Cells, 2)
}

// A backend that has seen enough of the tenants' tables is replaced, whoever it serves.
func TestHouse_ConnectionsAreReplaced(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	db, _ := engineWith(t, d, tenantschema.Config{MaxConns: 1, MaxRelations: 4})
	all := scopes(d, db, 3)
	first, _ := who(t, all[0])
	touch := func(s tenantschema.Scope) {
		t.Helper()
		_, err := s.Exec(ctx, "select 1 from tasks join projects on true limit 1") // two relations
		require.NoError(t, err)
	}
	for range 5 { // The same relations again and again are no load.
		touch(all[0])
		touch(all[1])
	}
	again, _ := who(t, all[2])
	require.Equal(t, first, again)
	require.Zero(t, db.Stats().Replaced)
	touch(all[2])
	replaced, _ := who(t, all[2])
	require.NotEqual(t, first, replaced)
	require.EqualValues(t, 1, db.Stats().Replaced)
}

// A server that cannot be reached is said to be so to everybody who waits, and is found again.
func TestHouse_DialFails(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	var mu sync.Mutex
	down := true
	mine := errors.New("nobody is there")
	db, err := tenantschema.Open(d.EngineConfig(tenantschema.Config{
		Connect: func(l tenantschema.Login) (*pgx.ConnConfig, error) {
			mu.Lock()
			defer mu.Unlock()
			if down {
				return nil, mine
			}
			return d.Logins.Engine(l)
		},
	}))
	require.NoError(t, err)
	t.Cleanup(db.Close)
	scope := db.Tenant(d.Tenant("acme").Engine())
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			_, err := scope.Exec(ctx, "select 1")
			if !errors.Is(err, tenantschema.ErrUnavailable) || !errors.Is(err, mine) {
				t.Errorf("got %v", err)
			}
		})
	}
	wg.Wait()
	mu.Lock()
	down = false
	mu.Unlock()
	_, err = scope.Exec(ctx, "select 1")
	require.NoError(t, err)
}

// A closed DB serves nobody, and those who wait are told.
func TestHouse_Close(t *testing.T) {
	t.Parallel()
	ctx := context.WithoutCancel(t.Context())
	d := pgtest.New(t)
	db, err := tenantschema.Open(d.EngineConfig(tenantschema.Config{MaxConns: 1, AcquireTimeout: time.Minute}))
	require.NoError(t, err)
	scope := db.Tenant(d.Tenant("acme").Engine())
	waited, closed := make(chan error, 1), make(chan struct{})
	require.NoError(t, scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		go func() {
			_, err := scope.Exec(ctx, "select 1")
			waited <- err
		}()
		require.Eventually(t, func() bool { return db.Stats().Waiting == 1 }, 20*time.Second, time.Millisecond)
		go func() {
			db.Close()
			close(closed)
		}()
		require.Error(t, <-waited)
		_, err := tx.Exec(ctx, "select 1") // What is under way goes on.
		return err
	}))
	<-closed
	_, err = scope.Exec(ctx, "select 1")
	require.ErrorIs(t, err, tenantschema.ErrUnavailable)
	db.Close()
}

// A dedicated tenant is entered by its own login, which can become nobody else; its cell's login can no longer become it.
func TestTier_Dedicated(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	acme, _, err := d.Manager.Create(ctx, tenancy.NewTenant{Slug: "acme", Tier: "dedicated"})
	require.NoError(t, err)
	globex := d.Scope("globex")
	scope := d.Engine.Tenant(acme.Engine())
	_, login := who(t, scope)
	require.Equal(t, d.Logins.Dedicated(acme.Schema), login)
	require.NotZero(t, d.Engine.Stats().Dedicated)

	become := func(s tenantschema.Scope, role string) error {
		_, err := s.Exec(ctx, "select set_config('role', '"+role+"', true)")
		return err
	}
	requireState(t, become(scope, globex.Tenant().Schema.String()), "42501")
	requireState(t, become(globex, acme.Schema.String()), "42501")

	// Back again: the login and its password are gone.
	acme, err = d.Manager.SetTier(ctx, "acme", tenantschema.TierPooled, 0)
	require.NoError(t, err)
	require.Nil(t, acme.Login)
	_, login = who(t, d.Engine.Tenant(acme.Engine()))
	require.Equal(t, d.Logins.Cell(1), login)
	var exists bool
	const there = "select exists (select from pg_roles where rolname = $1)"
	require.NoError(t, d.Owner.QueryRow(ctx, there, d.Logins.Dedicated(acme.Schema)).Scan(&exists))
	require.False(t, exists)
}
