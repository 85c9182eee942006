package tenantschema

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// maxStatements bounds the prepared statements of one connection. A kept plan costs the backend tens of kilobytes.
const maxStatements = 256

// Statements that every connection of a cell has from its first moment. They name everything with its schema: they are parsed again
// whenever the path has changed, and must mean the same under any path.
const (
	stmtEnter = "rh_enter" // $1 the tenant's role and schema; a Name needs no quotes in a search_path
	sqlEnter  = "select pg_catalog.set_config('role', $1, true), pg_catalog.set_config('search_path', $1, true)"

	stmtLeave = "rh_leave" // $1 tenant id
	sqlLeave  = "select pg_catalog.set_config('role', 'none', true), pg_catalog.set_config('search_path', '', true), " +
		"pg_catalog.set_config('rowhouse.tenant', $1, true)"

	stmtReturn = "rh_return" // $1 the tenant's role and schema
	sqlReturn  = "select pg_catalog.set_config('role', $1, true), pg_catalog.set_config('search_path', $1, true), " +
		"pg_catalog.set_config('rowhouse.tenant', '', true)"
)

// statementKey tells apart statements that may not share a plan. The text of the SQL is the same for all tenants of one schema version;
// login marks those that run outside a tenant, where the names in them mean something else.
type statementKey struct {
	version int64
	login   bool
	sql     string
}

type statement struct {
	key  statementKey
	name string
	// lasting says that it may leave something in the session. See inspect.
	lasting bool
}

// statements knows what is prepared on one connection: a cache of bounded size that forgets the least recently used. It is used by
// whoever holds the connection, so it needs no lock.
type statements struct {
	byKey map[statementKey]*list.Element
	lru   *list.List // of statement, most recent first
	next  int
}

func newStatements() *statements {
	return &statements{byKey: map[statementKey]*list.Element{}, lru: list.New()}
}

// lookup gives the statement that is prepared as key.
func (s *statements) lookup(key statementKey) (statement, bool) {
	e, ok := s.byKey[key]
	if !ok {
		return statement{}, false
	}
	s.lru.MoveToFront(e)
	return e.Value.(statement), true //nolint:errcheck,forcetypeassert // The list holds nothing else.
}

// prepare prepares key on conn, whose role and path must be those that the statement is to be parsed under.
func (s *statements) prepare(ctx context.Context, conn *pgx.Conn, key statementKey) (st statement, err error) {
	st.key = key
	if st.lasting, err = inspect(key.sql); err != nil {
		return st, err
	}
	for s.lru.Len() >= maxStatements {
		if err = s.forget(ctx, conn, s.lru.Back()); err != nil {
			return st, err
		}
	}
	s.next++
	st.name = "rh_" + strconv.Itoa(s.next)
	if _, err = conn.Prepare(ctx, st.name, key.sql); err != nil {
		return st, err
	}
	s.byKey[key] = s.lru.PushFront(st)
	return st, nil
}

func (s *statements) forget(ctx context.Context, conn *pgx.Conn, e *list.Element) error {
	st := e.Value.(statement) //nolint:errcheck,forcetypeassert // The list holds nothing else.
	if err := conn.Deallocate(ctx, st.name); err != nil {
		return fmt.Errorf("deallocate statement: %w", err)
	}
	s.lru.Remove(e)
	delete(s.byKey, st.key)
	return nil
}

// clear forgets everything, on the server too.
func (s *statements) clear(ctx context.Context, conn *pgx.Conn) error {
	for s.lru.Len() > 0 {
		if err := s.forget(ctx, conn, s.lru.Front()); err != nil {
			return err
		}
	}
	return nil
}

// stale reports whether err means that a plan's result has changed with the schema (0A000, raised by RevalidateCachedQuery).
func stale(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == "0A000" && pgErr.Routine == "RevalidateCachedQuery"
}

// lost reports whether err means that a prepared statement is gone: the connection is not what we believe it to be.
func lost(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == "26000"
}

// plain applies a pgx.QueryRewriter (such as pgx.NamedArgs) and refuses the arguments by which pgx would choose another protocol.
func plain(ctx context.Context, conn *pgx.Conn, sql string, args []any) (string, []any, error) {
	if len(args) == 0 {
		return sql, args, nil
	}
	switch first := args[0].(type) {
	case pgx.QueryRewriter:
		return first.RewriteQuery(ctx, conn, sql, args[1:])
	case pgx.QueryExecMode, pgx.QueryResultFormats, pgx.QueryResultFormatsByOID:
		return "", nil, fmt.Errorf("tenantschema: %T is not accepted as an argument: a scope always uses prepared statements", first)
	}
	return sql, args, nil
}
