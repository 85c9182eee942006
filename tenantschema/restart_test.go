package tenantschema_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// The server is killed and started again under load, twice: no call hangs, the engine goes on by itself, what was acknowledged is there,
// and nothing stands in the wrong schema.
func TestScope_ServerKilled(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	server := pgtest.OwnServer(t)
	d := pgtest.NewWith(t, pgtest.Options{Server: server})
	admin, err := pgxpool.New(ctx, d.AdminURL)
	require.NoError(t, err)
	t.Cleanup(admin.Close)
	// Test servers acknowledge before they write. Here it is to count.
	_, err = admin.Exec(ctx, "alter database "+admin.Config().ConnConfig.Database+" set synchronous_commit to on")
	require.NoError(t, err)
	db, _ := engineWith(t, d, tenantschema.Config{MaxConns: 4, AcquireTimeout: time.Second})

	type ledger struct {
		scope        tenantschema.Scope
		mu           sync.Mutex
		sure, unsure map[string]bool
	}
	ledgers := []*ledger{}
	for _, slug := range []string{"acme", "globex", "initech"} {
		ledgers = append(ledgers, &ledger{scope: db.Tenant(d.Tenant(slug).Engine()), sure: map[string]bool{}, unsure: map[string]bool{}})
	}
	// once writes a row in one way or the other.
	once := func(l *ledger, n int) bool {
		short, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		name := uuid.NewString()
		var err error
		if n%2 == 0 {
			_, err = l.scope.Exec(short, insertProject, uuid.New(), name)
		} else {
			err = l.scope.InTx(short, func(tx *tenantschema.Tx) error {
				_, err := tx.Exec(short, insertProject, uuid.New(), name)
				return err
			})
		}
		if errors.Is(err, context.DeadlineExceeded) && short.Err() != nil {
			t.Errorf("a call hangs: %v", err)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if err == nil {
			l.sure[name] = true
		} else { // It may have been committed, and the answer lost.
			l.unsure[name] = true
		}
		return err == nil
	}
	var done atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for g := range 9 {
		wg.Go(func() {
			l := ledgers[g%len(ledgers)]
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if once(l, n) {
					done.Add(1)
				}
			}
		})
	}
	goesOn := func() {
		t.Helper()
		from := done.Load()
		require.Eventually(t, func() bool { return done.Load() > from+50 }, time.Minute, time.Millisecond)
	}
	goesOn()
	for range 2 {
		server.Kill()
		server.Start()
		goesOn()
	}
	close(stop)
	wg.Wait()
	for _, l := range ledgers {
		rows, err := admin.Query(ctx, "select name from "+l.scope.Tenant().Schema.Quote()+".projects")
		require.NoError(t, err)
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		for _, name := range names {
			require.True(t, l.sure[name] || l.unsure[name], "a row that nobody wrote here")
			delete(l.sure, name)
		}
		require.Empty(t, l.sure, "acknowledged and lost")
	}
}
