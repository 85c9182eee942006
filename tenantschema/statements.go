package tenantschema

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Statements that every connection has from its first moment. They name everything with its schema and are parsed under the empty path
// that every transaction begins with, so that their plans last.
const (
	// $1 role and schema of the tenant, a Name, which needs no quotes in a search_path; $2 the seal.
	sqlEnter = "select pg_catalog.set_config('role', $1, true), pg_catalog.set_config('search_path', $1, true), " +
		"pg_catalog.set_config('" + sealSetting + "', $2, true)"

	// The same, and $3 the statement_timeout in milliseconds. It holds from the next statement of the trip on.
	sqlEnterTimed = sqlEnter + ", pg_catalog.set_config('statement_timeout', $3, true)"

	// Into the login's own role, before each of the next two: in a hardened database that role, and not the tenant's, may call set_config.
	sqlNone = "set local role none"

	// $1 role of the platform, $2 tenant id
	sqlLeave = "select pg_catalog.set_config('role', $1, true), pg_catalog.set_config('search_path', '', true), " +
		"pg_catalog.set_config('rowhouse.tenant', $2, true)"

	// $1 role and schema of the tenant
	sqlReturn = "select pg_catalog.set_config('role', $1, true), pg_catalog.set_config('search_path', $1, true), " +
		"pg_catalog.set_config('rowhouse.tenant', '', true)"

	// The relations that this transaction has locked so far: those of the statement that it has just parsed.
	sqlLocks = "select c.relname::text from pg_catalog.pg_locks l join pg_catalog.pg_class c on c.oid = l.relation " +
		"where l.pid = pg_catalog.pg_backend_pid() and l.locktype = 'relation' and c.relnamespace <> 11"
)

// description is what the server says of a statement's text, and what its text says. It is the same for all tenants on one schema version,
// so that only the first use of a statement in a process asks for it. Immutable.
type description struct {
	sd *pgconn.StatementDescription
	// formats are the result formats of the columns.
	formats []int16
	// lasting says that it may leave something in the session. See inspect.
	lasting bool
	// relations are the numbers of the relations that it touches. See relationNumbers.
	relations []int
}

// descriptionKey tells apart texts whose description may differ.
type descriptionKey struct {
	version  int64
	platform bool // parsed outside any tenant
	sql      string
}

// maxDescriptions bounds the texts that a process remembers. A product has hundreds; more come only from SQL that is put together.
const maxDescriptions = 4096

// descriptions is shared by all connections of a DB.
type descriptions struct {
	mu        sync.RWMutex
	byKey     map[descriptionKey]*description
	relations map[string]int
}

func newDescriptions() *descriptions {
	return &descriptions{byKey: map[descriptionKey]*description{}, relations: map[string]int{}}
}

func (d *descriptions) lookup(key descriptionKey) *description {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.byKey[key]
}

func (d *descriptions) remember(key descriptionKey, desc *description) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.byKey) >= maxDescriptions {
		clear(d.byKey) // Whatever is in use is asked for once more.
	}
	d.byKey[key] = desc
}

func (d *descriptions) forget(key descriptionKey) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.byKey, key)
}

// relationNumbers gives each relation's name a small number, for sets of bits.
func (d *descriptions) relationNumbers(names []string) []int {
	d.mu.Lock()
	defer d.mu.Unlock()
	numbers := make([]int, len(names))
	for i, name := range names {
		number, known := d.relations[name]
		if !known {
			number = len(d.relations)
			d.relations[name] = number
		}
		numbers[i] = number
	}
	return numbers
}

// statementKey tells apart statements that may not share a plan. Each tenant has its own: a plan is made anew whenever the path under which
// it was made is not the present one, which costs more than anything else that a scope does. Outside a tenant, tenant is zero.
type statementKey struct {
	tenant  Name
	version int64
	sql     string
}

func (k statementKey) description() descriptionKey {
	return descriptionKey{version: k.version, platform: k.tenant.IsZero(), sql: k.sql}
}

// statement is one that is prepared on a connection.
type statement struct {
	key  statementKey
	desc *description
	// sd is desc.sd under the name that the statement has here.
	sd *pgconn.StatementDescription
	// prepared says that the server has it; until then it is parsed in the round trip that first uses it.
	prepared bool
}

// statements knows what is prepared on one connection: a cache of bounded size that forgets the least recently used. It is used by
// whoever holds the connection, so it needs no lock.
type statements struct {
	byKey map[statementKey]*list.Element
	lru   *list.List // of *statement, most recent first
	most  int
	next  int
}

func newStatements(most int) *statements {
	return &statements{byKey: map[statementKey]*list.Element{}, lru: list.New(), most: most}
}

func (s *statements) lookup(key statementKey) *statement {
	e, ok := s.byKey[key]
	if !ok {
		return nil
	}
	s.lru.MoveToFront(e)
	return e.Value.(*statement) //nolint:errcheck,forcetypeassert // The list holds nothing else.
}

// add names a statement, to be parsed in the next round trip. Names are never used again.
func (s *statements) add(key statementKey, desc *description) *statement {
	s.next++
	named := *desc.sd
	named.Name = "rh_" + strconv.Itoa(s.next)
	st := &statement{key: key, desc: desc, sd: &named}
	s.byKey[key] = s.lru.PushFront(st)
	return st
}

// remove forgets a statement here; the server still has it if it was prepared.
func (s *statements) remove(st *statement) {
	if e, ok := s.byKey[st.key]; ok && e.Value == any(st) {
		s.lru.Remove(e)
		delete(s.byKey, st.key)
	}
}

// evict gives the names of those that are too many, least recently used first, and forgets them.
func (s *statements) evict() (names []string) {
	for s.lru.Len() > s.most {
		st := s.lru.Back().Value.(*statement) //nolint:errcheck,forcetypeassert // The list holds nothing else.
		s.remove(st)
		if st.prepared {
			names = append(names, st.sd.Name)
		}
	}
	return names
}

// stale reports whether err means that a plan's result has changed with the schema (0A000, raised by RevalidateCachedQuery).
func stale(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == "0A000" && pgErr.Routine == "RevalidateCachedQuery"
}

// lost reports whether err means that the connection is not what we believe it to be: a prepared statement is gone, or its clock or its
// backend is another.
func lost(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == "26000" || unsealed(err)
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
