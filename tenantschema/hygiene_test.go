package tenantschema_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// bomb is an argument whose own code panics while pgx encodes it.
type bomb struct{}

func (bomb) Value() (driver.Value, error) { panic("bomb") }

// Whatever panics while a connection is in hand, the connection is not lost to others, and Close does not wait for it.
func TestScope_PanicsLoseNoConnection(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	db, _ := engine(t, d, 1) // Its Close at the end would hang.
	scope := db.Tenant(d.Tenant("acme").Engine())
	for name, call := range map[string]func(ctx context.Context){
		"Exec":  func(ctx context.Context) { _, _ = scope.Exec(ctx, "select $1::text", bomb{}) },
		"Query": func(ctx context.Context) { _, _ = scope.Query(ctx, "select $1::text", bomb{}) }, //nolint:gocritic,sqlclosecheck // It panics.
		"batch": func(ctx context.Context) {
			b := &pgx.Batch{}
			b.Queue("select 1").QueryRow(func(pgx.Row) error { panic("bomb") })
			_ = scope.SendBatch(ctx, b).Close()
		},
		"InTx": func(ctx context.Context) {
			_ = scope.InTx(ctx, func(tx *tenantschema.Tx) error { _, err := tx.Exec(ctx, "select $1::text", bomb{}); return err })
		},
	} {
		require.PanicsWithValue(t, "bomb", func() { call(t.Context()) }, name)
		var n int
		require.NoError(t, scope.QueryRow(t.Context(), "select 1").Scan(&n), name)
	}
}

// A caller that returns at the first failed Scan, as pgxpool allows, holds nothing.
func TestScope_FailedScanEndsTheRows(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	db, _ := engine(t, d, 1)
	scope := db.Tenant(d.Tenant("acme").Engine())
	for _, read := range []func(pgx.Rows) error{
		func(rows pgx.Rows) error { var n int; return rows.Scan(&n) },
		func(rows pgx.Rows) error { return rows.Scan() },
	} {
		rows, err := scope.Query(t.Context(), "select 'x'::text from generate_series(1, 3)")
		require.NoError(t, err)
		require.True(t, rows.Next())
		require.Error(t, read(rows))
		_, err = scope.Exec(t.Context(), "select 1")
		require.NoError(t, err)
	}
}

// Transactions are the scope's: SQL cannot end one behind its back.
func TestInTx_RefusesTransactionControl(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	db, _ := engine(t, d, 1)
	scope := db.Tenant(d.Tenant("acme").Engine())
	mine := errors.New("mine")
	for _, sql := range []string{"commit", "rollback", "/* x */ Commit and chain", "end", "begin", "savepoint s", "set local role none"} {
		err := scope.InTx(ctx, func(tx *tenantschema.Tx) error {
			_, err := tx.Exec(ctx, insertProject, uuid.New(), "p")
			require.NoError(t, err)
			_, err = tx.Exec(ctx, sql)
			require.ErrorContains(t, err, "refused", sql)
			return mine
		})
		require.ErrorIs(t, err, mine)
		_, err = scope.Exec(ctx, sql)
		require.ErrorContains(t, err, "refused", sql)
	}
	var n int
	require.NoError(t, scope.QueryRow(ctx, countProjects).Scan(&n))
	require.Zero(t, n)
	require.NoError(t, scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		_, err := tx.Exec(ctx, "set local statement_timeout = '5s'")
		return err
	}))
}

// A Tx that somebody kept is dead: its connection serves others.
func TestTx_KeptIsDead(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	db, _ := engine(t, d, 1)
	acme, globex := db.Tenant(d.Tenant("acme").Engine()), db.Tenant(d.Tenant("globex").Engine())
	var kept *tenantschema.Tx
	var savepoint pgx.Tx
	require.NoError(t, acme.InTx(ctx, func(tx *tenantschema.Tx) (err error) {
		kept = tx
		savepoint, err = tx.Begin(ctx)
		return err
	}))
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 50 {
			_, err := globex.Exec(ctx, insertProject, uuid.New(), "globex's")
			if err != nil {
				t.Errorf("B's request failed through A's transaction: %v", err)
				return
			}
		}
	})
	for range 50 {
		for _, tx := range []pgx.Tx{kept, savepoint, kept.AsPlatform()} {
			_, err := tx.Exec(ctx, "select '"+uuid.NewString()+"'")
			require.ErrorIs(t, err, pgx.ErrTxClosed)
			_, err = tx.Begin(ctx)
			require.ErrorIs(t, err, pgx.ErrTxClosed)
			require.ErrorIs(t, tx.SendBatch(ctx, &pgx.Batch{}).Close(), pgx.ErrTxClosed)
			require.Error(t, tx.Commit(ctx))
			require.Error(t, tx.Rollback(ctx))
		}
		_, err := kept.CopyFrom(ctx, pgx.Identifier{"projects"}, []string{"id"}, pgx.CopyFromRows(nil))
		require.ErrorIs(t, err, pgx.ErrTxClosed)
	}
	wg.Wait()
}

// A tenant whose table is locked, for example by its migration, does not keep others from their connections.
func TestScope_OneTenantCannotTakeAllConnections(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	db, _ := engineWith(t, d, tenantschema.Config{MaxConns: 4, AcquireTimeout: 20 * time.Second, LockTimeout: 10 * time.Second})
	acme, globex := db.Tenant(d.Tenant("acme").Engine()), db.Tenant(d.Tenant("globex").Engine())
	migration, err := d.Owner.Begin(ctx)
	require.NoError(t, err)
	_, err = migration.Exec(ctx, "lock table "+acme.Tenant().Schema.Quote()+".projects in access exclusive mode")
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if _, err := acme.Exec(ctx, countProjects); err != nil {
				t.Errorf("acme waits, and goes on: %v", err)
			}
		})
	}
	require.Eventually(t, func() bool {
		var waiting int
		err := d.Owner.QueryRow(ctx, "select count(*) from pg_locks where not granted and database = (select oid from pg_database where datname = current_database())").
			Scan(&waiting)
		return err == nil && waiting == 3
	}, 20*time.Second, 5*time.Millisecond)
	for range 20 {
		_, err = globex.Exec(ctx, countProjects)
		require.NoError(t, err)
	}
	require.NoError(t, migration.Rollback(ctx))
	wg.Wait()
}

func TestScope_LockTimeout(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	db, _ := engineWith(t, d, tenantschema.Config{LockTimeout: 10 * time.Millisecond})
	scope := db.Tenant(d.Tenant("acme").Engine())
	migration, err := d.Owner.Begin(ctx)
	require.NoError(t, err)
	_, err = migration.Exec(ctx, "lock table "+scope.Tenant().Schema.Quote()+".projects in access exclusive mode")
	require.NoError(t, err)
	_, err = scope.Exec(ctx, countProjects)
	requireState(t, err, "55P03")
	require.NoError(t, migration.Rollback(ctx))
	_, err = scope.Exec(ctx, countProjects)
	require.NoError(t, err)
}
