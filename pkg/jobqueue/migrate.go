package jobqueue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

// MigrateAs is [Migrate] for the roles of logins, on connections of its own as the owner.
func MigrateAs(ctx context.Context, logins *tenancy.Logins) error {
	owner, err := logins.Owner()
	if err != nil {
		return err
	}
	cfg, err := pgxpool.ParseConfig("")
	if err != nil {
		return fmt.Errorf("migrate job queue: %w", err)
	}
	cfg.ConnConfig = owner
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return fmt.Errorf("migrate job queue: %w", err)
	}
	defer pool.Close()
	return Migrate(ctx, pool, Grants{ControlRole: logins.Control(), EnqueueRole: logins.Enqueuer()})
}

// Migrate makes or updates River's schema and the rights on it. pool logs in as the owner of the database.
//
// It is safe to repeat. Callers take turns by a lock of their own: of two at once without one, one may fail, and leaves nothing half done
// within a migration.
func Migrate(ctx context.Context, pool *pgxpool.Pool, grants Grants) error {
	if err := grants.validate(); err != nil {
		return err
	}
	if _, err := pool.Exec(ctx, "create schema if not exists "+schema); err != nil {
		return fmt.Errorf("migrate job queue: create schema: %w", err)
	}
	migrator, err := newMigrator(pool)
	if err != nil {
		return fmt.Errorf("migrate job queue: %w", err)
	}
	if _, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("migrate job queue: %w", err)
	}
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, backfillTable); err != nil {
			return err
		}
		if err := makeScheduleTable(ctx, tx); err != nil {
			return err
		}
		return grants.apply(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("migrate job queue: %w", err)
	}
	return nil
}

// MigrationsCurrent reports whether River's schema has all migrations that this program knows, and the tables beside it. It is one query,
// and pool may log in as the control role. Newer migrations, of the next version of the program, are no fault.
func MigrationsCurrent(ctx context.Context, pool *pgxpool.Pool) (bool, error) {
	migrator, err := newMigrator(nil)
	if err != nil {
		return false, fmt.Errorf("read job queue's migrations: %w", err)
	}
	all := migrator.AllVersions()
	known := make([]int64, len(all))
	for i, m := range all {
		known[i] = int64(m.Version)
	}
	var applied int
	var tables bool
	err = pool.QueryRow(ctx, `select count(*), to_regclass('river.rowhouse_schedule') is not null
			and to_regclass('river.rowhouse_backfill') is not null and to_regclass('river.rowhouse_turns_bulk') is not null
		from river.river_migration where line = $1 and version = any($2)`, riverdriver.MigrationLineMain, known).Scan(&applied, &tables)
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && (pgErr.Code == "42P01" || pgErr.Code == "3F000" || pgErr.Code == "42501") {
		return false, nil // No table, no schema, or not yet ours to read.
	}
	if err != nil {
		return false, fmt.Errorf("read job queue's migrations: %w", err)
	}
	return applied == len(known) && tables, nil
}

// SchemaKey changes whenever [Migrate] would make something else. Test databases are kept by it.
func SchemaKey() string {
	var key strings.Builder
	migrator, err := newMigrator(nil)
	if err != nil {
		panic(err) // The migrations are embedded, and the line's name is River's own.
	}
	for _, m := range migrator.AllVersions() {
		key.WriteString(m.SQLUp)
	}
	for _, sql := range turnsTables() {
		key.WriteString(sql)
	}
	key.WriteString(backfillTable)
	for _, sql := range scheduleTable() {
		key.WriteString(sql)
	}
	example := Grants{ControlRole: "control", EnqueueRole: "enqueue"}
	for _, sql := range example.statements() {
		key.WriteString(sql)
	}
	for _, p := range example.policies() {
		key.WriteString(p.sql())
	}
	return key.String()
}

func newMigrator(pool *pgxpool.Pool) (*rivermigrate.Migrator[pgx.Tx], error) {
	return rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: schema, Logger: slog.New(slog.DiscardHandler)})
}
