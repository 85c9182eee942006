package tenantschema

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// dropShare is which part of the server's lock table one transaction of [Session.Drop] may fill.
const dropShare = 10

// Drop removes the schema of name with all that is in it, and the role. record runs in the transaction that does so. What is already gone is
// no error.
//
// PostgreSQL locks all that a transaction drops, in a table of a fixed size for the whole server. A schema that would fill more than a tenth
// of it is emptied first, in transactions of no more locks than PostgreSQL reserves for each (max_locks_per_transaction). Cut off between
// them, Drop leaves a part of the tables, and is finished by repeating it: nobody should use the tenant any more when it begins.
func (s *Session) Drop(ctx context.Context, name Name, record func(context.Context, pgx.Tx) error) error {
	return s.locked(ctx, name, func() error { return s.drop(ctx, name, record) })
}

// drop is [Session.Drop] for who holds the lock of name.
func (s *Session) drop(ctx context.Context, name Name, record func(context.Context, pgx.Tx) error) error {
	if err := s.emptyLarge(ctx, name); err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, s.conn, func(tx pgx.Tx) error {
		// Dropping the schema takes the role's grants with it; the membership goes with the role.
		if _, err := tx.Exec(ctx, "drop schema if exists "+name.Quote()+" cascade"); err != nil {
			return fmt.Errorf("drop schema: %w", err)
		}
		if err := DropRole(ctx, tx, name.String()); err != nil {
			return err
		}
		return record(ctx, tx)
	})
}

// droppable is a table or view, how to drop it, and how many locks that may take.
type droppable struct {
	Kind, Name string
	Locks      int
}

// sqlDroppable lists the tables and views of the schema $1, those first that others are made of. What hangs on a relation (types, indexes,
// constraints, defaults, policies) is locked as well, and most of it has something that hangs on it in turn: three for each are plenty.
const sqlDroppable = `select ` + relationKind + `, c.relname::text, 4 + 3 * (select count(distinct (o.classid, o.objid))::int
		from pg_catalog.pg_depend o where o.refclassid = 'pg_catalog.pg_class'::regclass and o.refobjid = c.oid)
	from pg_catalog.pg_namespace n
	join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_namespace'::regclass and d.refobjid = n.oid
		and d.classid = 'pg_catalog.pg_class'::regclass
	join pg_catalog.pg_class c on c.oid = d.objid
	where n.nspname = $1 and c.relkind in ('r', 'p', 'v', 'm', 'f')
	order by c.relkind not in ('v', 'm'), not c.relispartition, c.relname`

// emptyLarge drops the tables and views of a schema that has too many of them for one transaction.
func (s *Session) emptyLarge(ctx context.Context, name Name) error {
	var each, total int // of locks: what is reserved for a transaction, and what there is room for
	err := s.conn.QueryRow(ctx, `select each, each * (pg_catalog.current_setting('max_connections')::int +
			pg_catalog.current_setting('max_prepared_transactions')::int)
		from (select pg_catalog.current_setting('max_locks_per_transaction')::int as each) s`).Scan(&each, &total)
	if err != nil {
		return fmt.Errorf("read the size of the lock table: %w", err)
	}
	rows, err := s.conn.Query(ctx, sqlDroppable, name.String())
	if err != nil {
		return fmt.Errorf("list relations: %w", err)
	}
	relations, err := pgx.CollectRows(rows, pgx.RowToStructByPos[droppable])
	if err != nil {
		return fmt.Errorf("list relations: %w", err)
	}
	if locksOf(relations) <= total/dropShare {
		return nil
	}
	for len(relations) > 0 {
		n := 1
		for locks := relations[0].Locks; n < len(relations) && locks+relations[n].Locks <= each; n++ {
			locks += relations[n].Locks
		}
		if err = s.dropSome(ctx, name, relations[:n]); err != nil {
			return err
		}
		relations = relations[n:]
	}
	return nil
}

func locksOf(relations []droppable) (locks int) {
	for _, r := range relations {
		locks += r.Locks
	}
	return locks
}

// dropSome drops relations in one transaction. One may have gone with another that it was made of.
func (s *Session) dropSome(ctx context.Context, name Name, relations []droppable) error {
	return pgx.BeginFunc(ctx, s.conn, func(tx pgx.Tx) error {
		statements := make([]string, len(relations))
		for i, r := range relations {
			statements[i] = "drop " + r.Kind + " if exists " + pgx.Identifier{name.String(), r.Name}.Sanitize() + " cascade"
		}
		return sendDDL(ctx, tx, statements, "drop tables")
	})
}
