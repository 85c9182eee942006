package tenantschema_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// A query without a scope never finds data, however it names the table.
func TestLogin_WithoutScope(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	schema := d.Scope("acme").Tenant().Schema
	cfg, err := d.Logins.As(d.Logins.Cell(1))
	require.NoError(t, err)
	conn, err := pgx.ConnectConfig(ctx, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(ctx)) }) // Only used by this test.

	for _, sql := range []string{
		"select 1 from projects", "select 1 from " + schema.Quote() + ".projects", "insert into projects default values",
		"delete from " + schema.Quote() + ".tasks", "select 1 from rowhouse.tenants", "select 1 from " + schema.Quote() + ".goose_db_version",
		"create table t (x int)", "create schema s", "create temp table t (x int)", "create table public.t (x int)", "create role r",
	} {
		_, err = conn.Exec(ctx, sql)
		requireState(t, err, "42501", "42P01", "3F000")
	}
	_, err = conn.Exec(ctx, "set search_path to "+schema.Quote())
	require.NoError(t, err)
	_, err = conn.Exec(ctx, "select 1 from projects")
	requireState(t, err, "42501", "42P01")
}

// PostgreSQL itself denies the role of one tenant each table of another, by every verb.
func TestRole_DeniedEveryTableOfAnother(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	acme, globex := d.Scope("acme"), d.Scope("globex")
	rows, err := d.Owner.Query(ctx, "select tablename from pg_tables where schemaname = $1 order by 1", globex.Tenant().Schema.String())
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(tables), 11)
	for _, table := range tables {
		theirs := pgx.Identifier{globex.Tenant().Schema.String(), table}.Sanitize()
		for _, verb := range []string{
			"select 1 from %s", "insert into %s default values", "update %s set id = id", "delete from %s", "truncate %s",
			"lock table %s in share mode", "drop table %s", "alter table %s add column x int", "create index on %s (id)",
			"copy (select 1 from %s) to stdout",
		} {
			sql := fmt.Sprintf(verb, theirs)
			requireState(t, acme.InTx(ctx, func(tx *tenantschema.Tx) error { _, err := tx.Exec(ctx, sql); return err }), "42501")
		}
		// On its own tables a tenant has DML and nothing more; on goose's none.
		for _, verb := range []string{"truncate %s", "drop table %s", "alter table %s add column x int"} {
			_, err := acme.Exec(ctx, fmt.Sprintf(verb, pgx.Identifier{table}.Sanitize()))
			requireState(t, err, "42501")
		}
	}
	_, err = acme.Exec(ctx, "select 1 from goose_db_version")
	requireState(t, err, "42501")
	for _, sql := range []string{
		"create table t (x int)", "create temp table t (x int)", "create function f() returns int language sql as 'select 1'",
		"create schema s", "select 1 from rowhouse.tenants", "select 1 from river.river_job", "select set_config('session_authorization', 'rowhousetest_owner', false)",
		"select 1 from pg_authid", "alter role current_user login", "copy (select 1) to program 'true'", "select pg_read_file('/etc/passwd')",
	} {
		_, err := acme.Exec(ctx, sql)
		requireState(t, err, "42501")
	}
}

// AsPlatform is outside every tenant, for one statement.
func TestAsPlatform(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	db, _ := engine(t, d, 1)
	scope := db.Tenant(d.Tenant("acme").Engine())
	const who = "select current_user::text || ' ' || coalesce(current_setting('rowhouse.tenant', true), '') || ' ' || current_setting('search_path')"
	inside := scope.Tenant().Schema.String() + "  " + scope.Tenant().Schema.String()
	outside := d.Logins.Enqueuer() + " " + scope.Tenant().ID + " "
	for range 2 {
		require.NoError(t, scope.InTx(ctx, func(tx *tenantschema.Tx) error {
			check := func(row pgx.Row, want string) {
				t.Helper()
				var got string
				require.NoError(t, row.Scan(&got))
				require.Equal(t, want, got)
			}
			check(tx.QueryRow(ctx, who), inside)
			check(tx.AsPlatform().QueryRow(ctx, who), outside)
			check(tx.QueryRow(ctx, who), inside)

			// A failure outside, undone to a savepoint, leaves the transaction inside.
			savepoint, err := tx.Begin(ctx)
			require.NoError(t, err)
			nested, ok := savepoint.(*tenantschema.Tx)
			require.True(t, ok)
			_, err = nested.AsPlatform().Exec(ctx, "select 1 from "+scope.Tenant().Schema.Quote()+".projects")
			requireState(t, err, "42501")
			require.NoError(t, savepoint.Rollback(ctx))
			check(tx.QueryRow(ctx, who), inside)
			check(tx.AsPlatform().QueryRow(ctx, who), outside)

			_, err = tx.AsPlatform().CopyFrom(ctx, nil, nil, nil)
			require.Error(t, err)
			require.Error(t, tx.AsPlatform().Commit(ctx))
			return nil
		}))
	}
}

// Many goroutines, several tenants and few connections, mixing all that can happen: no row is ever in or from the wrong schema.
func TestScope_NoRowCrosses(t *testing.T) {
	t.Parallel()
	const goroutines, tenants, rounds = 64, 8, 25
	ctx := t.Context()
	d := pgtest.New(t)
	db, _ := engineWith(t, d, tenantschema.Config{MaxConns: 4, AcquireTimeout: time.Minute}) // A third of the steps costs a connection.
	scopes := make([]tenantschema.Scope, tenants)
	for i := range scopes {
		scopes[i] = db.Tenant(d.Tenant(fmt.Sprintf("tenant-%d", i)).Engine())
	}

	// Each row says whose it is. written holds, per tenant, the names that were acknowledged; open those whose statement was cancelled,
	// which the server may have committed, even after the caller has gone on.
	var mu sync.Mutex
	written, open := make([]map[string]bool, tenants), make([]map[string]bool, tenants)
	for i := range written {
		written[i], open[i] = map[string]bool{}, map[string]bool{}
	}
	errMine := errors.New("rolled back on purpose")
	step := func(rng *rand.Rand, who int) error {
		scope, mark := scopes[who], scopes[who].Tenant().Schema.String()
		name := mark + " " + uuid.NewString()
		commit := func() {
			mu.Lock()
			written[who][name] = true
			mu.Unlock()
		}
		perhaps := func() {
			mu.Lock()
			open[who][name] = true
			mu.Unlock()
		}
		insert := func(tx *tenantschema.Tx) error {
			_, err := tx.Exec(ctx, insertProject, uuid.New(), name)
			return err
		}
		switch rng.IntN(9) {
		case 0: // read
			var foreign int
			err := scope.QueryRow(ctx, "select count(*) from projects where name not like $1", mark+" %").Scan(&foreign)
			if foreign != 0 {
				return fmt.Errorf("%s sees %d rows of others", mark, foreign)
			}
			return err
		case 1: // write
			_, err := scope.Exec(ctx, insertProject, uuid.New(), name)
			if err == nil {
				commit()
			}
			return err
		case 2: // an error of the database
			_, err := scope.Exec(ctx, "select 1/0")
			if sqlState(err) != "22012" {
				return fmt.Errorf("want a division by zero, got %w", err)
			}
		case 3: // a cancel while a statement runs
			short, cancel := context.WithTimeout(ctx, time.Duration(rng.IntN(3000))*time.Microsecond)
			defer cancel()
			_, _ = scope.Exec(short, "insert into projects (id, name) select $1, $2 from pg_sleep(0.002)", uuid.New(), name)
			perhaps()
		case 4: // a transaction with a savepoint that is undone
			err := scope.InTx(ctx, func(tx *tenantschema.Tx) error {
				savepoint, err := tx.Begin(ctx)
				if err != nil {
					return err
				}
				if _, err = savepoint.Exec(ctx, insertProject, uuid.New(), "undone"); err != nil {
					return err
				}
				_, _ = savepoint.Exec(ctx, "select 1/0")
				if err = savepoint.Rollback(ctx); err != nil {
					return err
				}
				return insert(tx)
			})
			if err == nil {
				commit()
			}
			return err
		case 5: // a transaction that is rolled back
			err := scope.InTx(ctx, func(tx *tenantschema.Tx) error { return errors.Join(insert(tx), errMine) })
			if !errors.Is(err, errMine) {
				return fmt.Errorf("want the function's own error, got %w", err)
			}
		case 6: // a panic in a transaction
			func() {
				defer func() { _ = recover() }()
				_ = scope.InTx(ctx, func(tx *tenantschema.Tx) error { _ = insert(tx); panic("on purpose") })
			}()
		case 7: // a cancelled transaction
			short, cancel := context.WithCancel(ctx)
			_ = scope.InTx(short, func(tx *tenantschema.Tx) error {
				err := insert(tx)
				cancel()
				return err
			})
			cancel()
			perhaps()
		case 8: // rows closed half-read
			rows, err := scope.Query(ctx, "select name from projects, generate_series(1, 50)")
			if err != nil {
				return err
			}
			if rows.Next() {
				var got string
				if err = rows.Scan(&got); err != nil || got[:len(mark)] != mark {
					rows.Close()
					return fmt.Errorf("%s read %q: %w", mark, got, err)
				}
			}
			rows.Close()
		}
		return nil
	}

	errs := make(chan error, goroutines)
	for g := range goroutines {
		go func() {
			rng := rand.New(rand.NewPCG(uint64(g), 1))
			for range rounds {
				if err := step(rng, rng.IntN(tenants)); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range goroutines {
		require.NoError(t, <-errs)
	}
	for i, scope := range scopes {
		rows, err := d.Owner.Query(ctx, "select name from "+scope.Tenant().Schema.Quote()+".projects")
		require.NoError(t, err)
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		for _, name := range names {
			require.True(t, written[i][name] || open[i][name], "a row that nobody wrote here: %s", name)
			delete(written[i], name)
		}
		require.Empty(t, written[i], "acknowledged and lost")
	}
}
