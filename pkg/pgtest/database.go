package pgtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest/internal/testserver"
)

// Names of databases are made here, of letters, digits and underscores, so that SQL needs no quotes around them.
const (
	testPrefix     = "test_"
	templatePrefix = "testtemplate_"
)

// Empty gives the URL, with the administrator's credentials, of an empty database that is dropped when the test ends.
func Empty(tb testing.TB) string {
	tb.Helper()
	server, err := shared.url()
	require.NoError(tb, err)
	return create(tb, server, "template0")
}

// create makes a database from a template and drops it when the test ends.
func create(tb testing.TB, server, template string) string {
	tb.Helper()
	name := testPrefix + strings.ToLower(rand.Text()[:16])
	db, err := withDatabase(server, name)
	require.NoError(tb, err)
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	require.NoError(tb, withConn(ctx, server, func(conn *pgx.Conn) error {
		// Half the time of WAL_LOG or less, with a schema of sixty tables and fsync off, on PostgreSQL 15.
		_, err := conn.Exec(ctx, "create database "+name+" template "+template+" strategy file_copy")
		return err
	}), "creating a database")
	tb.Cleanup(func() {
		if tb.Failed() && os.Getenv("TEST_KEEP_DATABASE") != "" {
			tb.Logf("pgtest: the test's database is kept: %s", db)
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), patience)
		defer cancel()
		require.NoError(tb, drop(ctx, server, db, name))
	})
	return db
}

// drop removes a database and the roles of the tenants that it holds. Roles belong to the server, and the time that PostgreSQL takes for
// each grows with the square of their number, so that those of dead databases must not pile up.
func drop(ctx context.Context, server, db, name string) error {
	roles := tenantRoles(ctx, db)
	return withConn(ctx, server, func(conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, "drop database if exists "+name+" with (force)"); err != nil {
			return fmt.Errorf("dropping a test's database: %w", err)
		}
		if len(roles) == 0 {
			return nil
		}
		if _, err := conn.Exec(ctx, "drop role if exists "+strings.Join(roles, ", ")); err == nil {
			return nil
		}
		// One of them is in use by another database, or is being dropped by somebody else, which is not this test's fault.
		for _, role := range roles {
			if _, err := conn.Exec(ctx, "drop role if exists "+role); err != nil && ctx.Err() != nil {
				return fmt.Errorf("dropping a test's roles: %w", err)
			}
		}
		return nil
	})
}

// tenantRoles gives the roles of a database's tenants, which are named as their schemas, and those of their own logins. A test may have
// dropped its database, or closed
// it to us: then they stay.
func tenantRoles(ctx context.Context, db string) []string {
	var roles []string
	err := withConn(ctx, db, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `select r.rolname from pg_catalog.pg_namespace n
			join pg_catalog.pg_roles r on right(r.rolname, 18) = n.nspname where n.nspname ~ '^t_[a-z0-9]{16}$'`)
		if err != nil {
			return err
		}
		roles, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil {
		return nil
	}
	return roles
}

// withConn runs f with a connection of its own.
func withConn(ctx context.Context, db string, f func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, db)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // What was to be done is done, or f has failed.
	return f(conn)
}

// withDatabase gives the URL of another database of the server.
func withDatabase(server, name string) (string, error) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return "", fmt.Errorf("%s is no URL like postgres://user:password@host:port/postgres", testserver.EnvURL)
	}
	u.Path = "/" + name
	return u.String(), nil
}
