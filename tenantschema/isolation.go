package tenantschema

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Attempt is one try to reach another tenant's data.
type Attempt struct {
	// Statement is the SQL that was tried.
	Statement string
	// Refused says that PostgreSQL denied it for lack of rights (SQLSTATE 42501).
	Refused bool
	// Result is what PostgreSQL answered.
	Result string
}

// errUndo rolls an attempt back, whatever came of it.
var errUndo = errors.New("undo")

// Probe tries, inside the attacker's scope, to read, write, lock, alter and drop each table of another tenant's schema by its full name, and to
// create and look around in it. Every attempt is rolled back. catalog lists the victim's tables and must be able to see them: the owner's
// connection.
//
// An error means that the probe itself failed; whether the walls hold stands in the attempts.
func Probe(ctx context.Context, catalog interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}, attacker Scope, victim Name,
) ([]Attempt, error) {
	if victim.IsZero() || victim == attacker.t.Schema {
		return nil, errors.New("tenantschema: a probe needs a victim other than the attacker")
	}
	rows, err := catalog.Query(ctx, "select tablename::text from pg_catalog.pg_tables where schemaname = $1 order by 1", victim.String())
	if err != nil {
		return nil, fmt.Errorf("list tables of %s: %w", victim, err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list tables of %s: %w", victim, err)
	}
	if len(tables) == 0 {
		return nil, fmt.Errorf("%w: %s has no tables to probe", ErrNoSchema, victim)
	}
	statements := []string{"create table " + victim.Quote() + ".probe (x int)"}
	for _, table := range tables {
		name := pgx.Identifier{victim.String(), table}.Sanitize()
		statements = append(statements,
			"select 1 from "+name+" limit 1", "insert into "+name+" default values", "delete from "+name, "truncate "+name,
			"lock table "+name+" in access share mode", "alter table "+name+" add column probe int", "drop table "+name)
	}
	attempts := make([]Attempt, 0, len(statements))
	for _, statement := range statements {
		attempt := Attempt{Statement: statement, Result: "it was carried out"}
		err := attacker.InTx(ctx, func(tx *Tx) error {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
			return errUndo
		})
		if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
			attempt.Refused, attempt.Result = pgErr.Code == "42501", pgErr.Code+": "+pgErr.Message
		} else if !errors.Is(err, errUndo) {
			return nil, fmt.Errorf("probe %s from %s: %w", victim, attacker.t.Schema, err)
		}
		attempts = append(attempts, attempt)
	}
	return attempts, nil
}
