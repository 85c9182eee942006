package tenantschema_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// pooled gives an engine through a PgBouncer in front of d.
func pooled(t *testing.T, d *pgtest.DB, o pgtest.PoolerOptions, cfg tenantschema.Config) *tenantschema.DB {
	t.Helper()
	through, err := d.Logins.ThroughPooler(d.Pooler(o))
	require.NoError(t, err)
	cfg.Connect = through.Engine
	db, err := tenantschema.Open(d.EngineConfig(cfg))
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return db
}

// A pooling mode in which a scope is not safe is found out, and so is a pooler that nobody has declared.
func TestPooler_Check(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	startup := []string{"search_path", "lock_timeout"}
	for name, test := range map[string]struct {
		pooler   pgtest.PoolerOptions
		declared bool
		want     error
	}{
		"transaction, declared":              {pooler: pgtest.PoolerOptions{Mode: "transaction"}, declared: true},
		"transaction, not declared":          {pooler: pgtest.PoolerOptions{Mode: "transaction"}, want: tenantschema.ErrPooler},
		"transaction, not declared, lenient": {pooler: pgtest.PoolerOptions{Mode: "transaction", Ignore: startup}, want: tenantschema.ErrPooler},
		"session, declared":                  {pooler: pgtest.PoolerOptions{Mode: "session"}, declared: true},
		"session, not declared":              {pooler: pgtest.PoolerOptions{Mode: "session"}, want: tenantschema.ErrPooler},
		"session, not declared, lenient":     {pooler: pgtest.PoolerOptions{Mode: "session", Ignore: startup}, want: tenantschema.ErrPooler},
		"statement, declared":                {pooler: pgtest.PoolerOptions{Mode: "statement"}, declared: true, want: tenantschema.ErrPoolMode},
		"statement, not declared":            {pooler: pgtest.PoolerOptions{Mode: "statement"}, want: tenantschema.ErrPooler},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pooled(t, d, test.pooler, tenantschema.Config{Pooler: test.declared})
			err := db.Check(t.Context(), tenantschema.Login{Cell: 1})
			_, execErr := db.Tenant(d.Tenant("acme").Engine()).Exec(t.Context(), "select 1")
			if test.want == nil {
				require.NoError(t, err)
				require.NoError(t, execErr)
				return
			}
			require.ErrorIs(t, err, test.want)
			require.ErrorIs(t, execErr, test.want)
		})
	}
}

// All that a scope can do works through a pooler, in both modes in which that is safe, and for tenants of every tier.
func TestPooler_Scope(t *testing.T) {
	t.Parallel()
	for mode, size := range map[string]int{"transaction": 2, "session": 6} { // In session mode each of our connections holds one.
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			d := pgtest.New(t)
			var tenants []tenantschema.Tenant
			for _, tier := range []string{"pooled", "sealed", "dedicated"} {
				for i := range 2 {
					tenant, _, err := d.Manager.Create(ctx, tenancy.NewTenant{Slug: fmt.Sprintf("%s-%d", tier, i), Tier: tier})
					require.NoError(t, err)
					tenants = append(tenants, tenant.Engine())
				}
			}
			db := pooled(t, d, pgtest.PoolerOptions{Mode: mode, Size: size, Tenants: tenants[4:]}, tenantschema.Config{Pooler: true, MaxConns: 6})
			var wg sync.WaitGroup
			for _, tenant := range tenants {
				wg.Go(func() {
					for range 3 {
						if err := useEverything(ctx, db.Tenant(tenant)); err != nil {
							t.Errorf("%s: %v", tenant.Tier, err)
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

// useEverything runs each kind of call once, and finds only what it wrote.
func useEverything(ctx context.Context, scope tenantschema.Scope) error {
	name := scope.Tenant().Schema.String()
	var before int
	if err := scope.QueryRow(ctx, countProjects).Scan(&before); err != nil {
		return err
	}
	if _, err := scope.Exec(ctx, insertProject, uuid.New(), name); err != nil {
		return err
	}
	if _, err := scope.Exec(ctx, "select 1/0"); sqlState(err) != "22012" {
		return fmt.Errorf("a division by zero gives %w", err)
	}
	batch := &pgx.Batch{}
	batch.Queue(insertProject, uuid.New(), name)
	batch.Queue(insertProject, uuid.New(), name)
	if err := scope.SendBatch(ctx, batch).Close(); err != nil {
		return err
	}
	undo := errors.New("undo")
	err := scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		_, err := tx.Exec(ctx, insertProject, uuid.New(), "undone")
		return errors.Join(err, undo)
	})
	if err = errorsExcept(err, undo); err != nil {
		return err
	}
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	_, err = scope.Exec(short, "select pg_sleep(60)")
	cancel()
	if !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("a cancelled statement gives %w", err)
	}
	err = scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		for _, sql := range []string{"set work_mem to '77MB'", "select set_config('work_mem', '77MB', false)"} {
			// What is refused before anything is sent leaves the transaction as it should be.
			if _, err := tx.Exec(ctx, sql); err == nil || sqlState(err) != "" {
				return fmt.Errorf("%s gives %w", sql, err)
			}
		}
		if _, err := tx.Exec(ctx, insertProject, uuid.New(), name); err != nil {
			return err
		}
		var role, limit string
		if err := tx.AsPlatform().QueryRow(ctx, "select current_user::text, current_setting('lock_timeout')").Scan(&role, &limit); err != nil {
			return err
		}
		if role == name || limit != "2s" {
			return fmt.Errorf("outside: %s, %s", role, limit)
		}
		savepoint, err := tx.Begin(ctx)
		if err != nil {
			return err
		}
		_, failed := savepoint.Exec(ctx, "select 1/0")
		if sqlState(failed) != "22012" {
			return failed
		}
		if err = savepoint.Rollback(ctx); err != nil {
			return err
		}
		_, err = tx.CopyFrom(ctx, pgx.Identifier{"projects"}, []string{"id", "name"}, pgx.CopyFromRows([][]any{{uuid.New(), name}, {uuid.New(), name}}))
		return err
	})
	if err != nil {
		return err
	}
	rows, err := scope.Query(ctx, "select name from projects")
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, got := range names {
		if got != name {
			return fmt.Errorf("%s reads %s", name, got)
		}
	}
	if len(names) != before+6 {
		return fmt.Errorf("%d rows, %d before", len(names), before)
	}
	return err
}

func errorsExcept(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return fmt.Errorf("want %w, got %w", expected, err)
}

// Nothing is left in the pooler's sessions either, and no transaction is left open on one: there is one for all.
func TestPooler_Residue(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	db := pooled(t, d, pgtest.PoolerOptions{Size: 1}, tenantschema.Config{Pooler: true, MaxConns: 1})
	for class, statements := range hostile() {
		requireNoResidue(t, d, db, class, statements, 1)
	}
	var open int
	require.NoError(t, d.Owner.QueryRow(t.Context(), "select count(*) from pg_stat_activity where usename = $1 and xact_start is not null and datname = current_database()",
		d.Logins.Cell(1)).Scan(&open))
	require.Zero(t, open)
}

// What fails is rolled back and costs no connection; only what was cut off in the middle does.
func TestPooler_FailuresKeepTheConnection(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	through, err := d.Logins.ThroughPooler(d.Pooler(pgtest.PoolerOptions{Size: 1}))
	require.NoError(t, err)
	var opened atomic.Int64
	connect := func(l tenantschema.Login) (*pgx.ConnConfig, error) {
		opened.Add(1)
		return through.Engine(l)
	}
	db, err := tenantschema.Open(d.EngineConfig(tenantschema.Config{Pooler: true, MaxConns: 1, Connect: connect}))
	require.NoError(t, err)
	t.Cleanup(db.Close)
	scope := db.Tenant(d.Tenant("acme").Engine())
	for _, sql := range []string{"select 1/0", "selekt", "reset all", "select set_config('work_mem', '77MB', false)", "select $1::int", "select 1"} {
		for _, way := range ways() {
			_ = way.send(ctx, scope, sql) // What counts is what it costs.
		}
	}
	require.EqualValues(t, 1, opened.Load())
}
