package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/rowhousehq/rowhouse/pkg/pgtest/internal/testserver"
)

func TestMain(m *testing.M) { Main(m, func() error { return goleak.Find() }) }

// countURL tells a test of another process where to count the templates that it builds, and countKey for which key.
const (
	countURL = "PGTEST_TEST_COUNT_URL"
	countKey = "PGTEST_TEST_COUNT_KEY"
)

func execute(t *testing.T, url, sql string) {
	t.Helper()
	require.NoError(t, withConn(t.Context(), url, func(conn *pgx.Conn) error {
		_, err := conn.Exec(t.Context(), sql)
		return err
	}))
}

func query[T any](t *testing.T, url, sql string) T {
	t.Helper()
	var value T
	require.NoError(t, withConn(t.Context(), url, func(conn *pgx.Conn) error { return conn.QueryRow(t.Context(), sql).Scan(&value) }))
	return value
}

func server(t *testing.T) string {
	t.Helper()
	url, err := shared.url()
	require.NoError(t, err)
	return url
}

// newKey gives a key whose template is dropped when the test ends: on a server of TEST_DATABASE_URL it would stay.
func newKey(t *testing.T) string {
	t.Helper()
	key := rand.Text()
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		require.NoError(t, withConn(ctx, server(t), func(conn *pgx.Conn) error {
			name := templateName(key)
			var exists bool
			err := conn.QueryRow(ctx, "select exists (select from pg_database where datname = $1)", name).Scan(&exists)
			if err == nil && exists {
				_, err = conn.Exec(ctx, "alter database "+name+" with is_template false")
			}
			if err == nil {
				_, err = conn.Exec(ctx, "drop database if exists "+name)
			}
			return err
		}))
	})
	return key
}

func buildTable(ctx context.Context, url string) error {
	return withConn(ctx, url, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "create table street as select 1 as house")
		return err
	})
}

func TestEmpty(t *testing.T) {
	t.Parallel()
	var url string
	t.Run("use", func(t *testing.T) {
		t.Parallel()
		url = Empty(t)
		require.Zero(t, query[int](t, url, "select count(*) from pg_class where relnamespace = 'public'::regnamespace"))
		require.NotEqual(t, url, Empty(t))
	})
	t.Cleanup(func() {
		_, err := pgx.Connect(context.WithoutCancel(t.Context()), url)
		require.ErrorContains(t, err, "3D000", "it is dropped")
	})
}

func TestDatabaseIsDroppedWhileInUse(t *testing.T) {
	t.Parallel()
	var conn *pgx.Conn
	t.Run("use", func(t *testing.T) {
		t.Parallel()
		var err error
		conn, err = pgx.Connect(t.Context(), Empty(t))
		require.NoError(t, err)
	})
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		require.Error(t, conn.Ping(ctx), "the database is gone, and the connection with it")
		_ = conn.Close(ctx)
	})
}

func TestClonesAreApart(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	a, b := Clone(t, key, buildTable), Clone(t, key, buildTable)
	require.NotEqual(t, a, b)
	execute(t, a, "insert into street values (2), (3)")
	execute(t, b, "delete from street")
	require.Equal(t, 3, query[int](t, a, "select count(*) from street"))
	require.Zero(t, query[int](t, b, "select count(*) from street"))
	require.Equal(t, 1, query[int](t, Clone(t, key, buildTable), "select count(*) from street"), "the template is as it was")
}

func TestTemplateIsBuiltOnceByManyTests(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	built := make(chan struct{}, 16)
	for range cap(built) {
		t.Run("test", func(t *testing.T) {
			t.Parallel()
			url := Clone(t, key, func(ctx context.Context, url string) error {
				built <- struct{}{}
				return buildTable(ctx, url)
			})
			require.Equal(t, 1, query[int](t, url, "select count(*) from street"))
		})
	}
	t.Cleanup(func() { require.Len(t, built, 1) })
}

// countBuilds is a build that leaves a trace where its environment says.
func countBuilds(url string) func(context.Context, string) error {
	return func(ctx context.Context, template string) error {
		if err := withConn(ctx, url, func(conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, "insert into builds default values")
			return err
		}); err != nil {
			return err
		}
		return buildTable(ctx, template)
	}
}

func TestTemplateIsBuiltOnceByManyProcesses(t *testing.T) {
	t.Parallel()
	key, url := newKey(t), Empty(t)
	execute(t, url, "create table builds ()")
	var wait sync.WaitGroup
	outcomes := make(chan string, 4)
	for range cap(outcomes) {
		wait.Go(func() {
			cmd := exec.Command(os.Args[0], "-test.run=^TestOfAnotherProcess$", "-test.v")
			cmd.Env = append(os.Environ(), testserver.EnvURL+"="+server(t), countURL+"="+url, countKey+"="+key)
			out, err := cmd.CombinedOutput()
			if err != nil {
				out = append(out, err.Error()...)
			}
			outcomes <- string(out)
		})
	}
	wait.Wait()
	for range cap(outcomes) {
		require.Contains(t, <-outcomes, "--- PASS: TestOfAnotherProcess")
	}
	require.Equal(t, 1, query[int](t, url, "select count(*) from builds"))
}

// TestOfAnotherProcess is what the test above runs in other processes; in this one it builds for itself.
func TestOfAnotherProcess(t *testing.T) {
	t.Parallel()
	url, key := os.Getenv(countURL), os.Getenv(countKey)
	if url == "" {
		url, key = Empty(t), newKey(t)
		execute(t, url, "create table builds ()")
	}
	require.Equal(t, 1, query[int](t, Clone(t, key, countBuilds(url)), "select count(*) from street"))
}

func TestHalfMadeTemplateIsRebuilt(t *testing.T) {
	t.Parallel()
	key, crash := newKey(t), errors.New("the process crashed")
	_, err := buildTemplateOnce(t.Context(), server(t), key, func(ctx context.Context, url string) error {
		require.NoError(t, buildTable(ctx, url))
		return crash
	})
	require.ErrorIs(t, err, crash)
	name, err := buildTemplateOnce(t.Context(), server(t), key, buildTable) // It would fail if the table were there.
	require.NoError(t, err)
	require.Equal(t, templateName(key), name)
	url := create(t, server(t), name)
	require.Equal(t, 1, query[int](t, url, "select count(*) from street"))
}

func TestRolesOfTenantsAreDropped(t *testing.T) {
	t.Parallel()
	newRole := func() string { return "t_" + strings.ToLower(rand.Text()[:16]) }
	kept, dropped, elsewhere := newRole(), newRole(), Empty(t)
	t.Run("use", func(t *testing.T) {
		t.Parallel()
		url := Empty(t)
		for _, role := range []string{kept, dropped} {
			execute(t, url, "create role "+role)
			execute(t, url, "create schema "+role)
			execute(t, url, "grant usage on schema "+role+" to "+role)
		}
		// A role of this name in another database as well: it cannot go before that one does.
		execute(t, elsewhere, "create schema "+kept+" authorization "+kept)
	})
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		require.NoError(t, withConn(ctx, server(t), func(conn *pgx.Conn) error {
			rows, err := conn.Query(ctx, "select rolname from pg_roles where rolname in ($1, $2)", kept, dropped)
			require.NoError(t, err)
			left, err := pgx.CollectRows(rows, pgx.RowTo[string])
			require.Equal(t, []string{kept}, left)
			return err
		}))
	})
}

// failed is a test that failed.
type failed struct {
	testing.TB

	cleanups []func()
	logged   []any
}

func (f *failed) Failed() bool             { return true }
func (f *failed) Cleanup(c func())         { f.cleanups = append(f.cleanups, c) }
func (f *failed) Logf(_ string, v ...any)  { f.logged = append(f.logged, v...) }
func (f *failed) Context() context.Context { return f.TB.Context() }

func TestDatabaseOfFailedTestIsKept(t *testing.T) {
	f := &failed{TB: t}
	url := Empty(f)
	require.Len(t, f.cleanups, 1)
	t.Setenv("TEST_KEEP_DATABASE", "1")
	f.cleanups[0]()
	require.Equal(t, []any{url}, f.logged)
	require.Equal(t, 1, query[int](t, url, "select 1"))
	t.Setenv("TEST_KEEP_DATABASE", "")
	f.cleanups[0]()
	_, err := pgx.Connect(t.Context(), url)
	require.ErrorContains(t, err, "3D000")
}

func TestServerIsNeededByURL(t *testing.T) {
	t.Parallel()
	_, err := withDatabase("host=localhost dbname=postgres", "x")
	require.ErrorContains(t, err, testserver.EnvURL+" is no URL")
	_, err = new(testBinary).url()
	require.ErrorContains(t, err, "pgtest.Main(m)")
}

// BenchmarkClone measures what a database costs each test.
func BenchmarkClone(b *testing.B) {
	key := rand.Text()
	Clone(b, key, buildTable)
	for b.Loop() {
		f := &failed{TB: b}
		Clone(f, key, buildTable)
		f.cleanups[0]()
	}
}
