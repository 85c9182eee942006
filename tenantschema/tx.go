package tenantschema

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// errTopTx is returned by Commit and Rollback of the transaction that InTx owns.
var errTopTx = errors.New("tenantschema: InTx ends the transaction: return nil to commit, an error to roll back")

// errKept is returned by whatever is asked of a transaction after InTx has ended it: its connection serves others by then.
var errKept = fmt.Errorf("tenantschema: the function given to InTx has returned: %w", pgx.ErrTxClosed)

// errCopyAsLogin is returned by CopyFrom of AsLogin.
var errCopyAsLogin = errors.New("tenantschema: AsLogin has no CopyFrom: use SendBatch")

// errPrepare is returned by Prepare.
var errPrepare = errors.New("tenantschema: statements are prepared for you: pass the SQL to Query or Exec")

// Tx is a transaction inside a tenant, or a savepoint within one ([Tx.Begin]). It satisfies pgx.Tx and [DBTX]. Like pgx.Tx it is not
// safe for concurrent use.
type Tx struct {
	inner pgx.Tx
	l     *lease
	top   bool
}

// Tenant gives the tenant of the transaction.
func (tx *Tx) Tenant() Tenant { return tx.l.t }

// Begin sets a savepoint and gives it as a transaction of its own, to be committed (released) or rolled back.
func (tx *Tx) Begin(ctx context.Context) (pgx.Tx, error) {
	if tx.l.ended.Load() {
		return nil, errKept
	}
	inner, err := tx.inner.Begin(ctx)
	if err != nil {
		return nil, err
	}
	return &Tx{inner: inner, l: tx.l}, nil
}

// Commit releases a savepoint. The outermost transaction is committed by InTx and refuses.
func (tx *Tx) Commit(ctx context.Context) error {
	if tx.top {
		return errTopTx
	}
	if tx.l.ended.Load() {
		return errKept
	}
	return tx.inner.Commit(ctx)
}

// Rollback goes back to a savepoint. The outermost transaction is rolled back by InTx and refuses.
func (tx *Tx) Rollback(ctx context.Context) error {
	if tx.top {
		return errTopTx
	}
	if tx.l.ended.Load() {
		return errKept
	}
	return tx.inner.Rollback(ctx)
}

// Exec runs one statement.
func (tx *Tx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	name, args, err := tx.prepared(ctx, sql, args)
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	return tx.inner.Exec(ctx, name, args...)
}

// Query runs one statement and gives its rows, which must be closed before the next statement.
func (tx *Tx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	name, args, err := tx.prepared(ctx, sql, args)
	if err != nil {
		return failedRows{err}, err
	}
	return tx.inner.Query(ctx, name, args...)
}

// QueryRow runs one statement that gives at most one row.
func (tx *Tx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	rows, _ := tx.Query(ctx, sql, args...)
	return firstRow{rows}
}

// SendBatch runs the statements of b in one round trip.
func (tx *Tx) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	if tx.l.ended.Load() {
		return failedBatch{errKept}
	}
	batch := &pgx.Batch{}
	if err := appendPrepared(ctx, batch, b, tx.l.conn, tx.ensure); err != nil {
		return failedBatch{err}
	}
	return tx.inner.SendBatch(ctx, batch)
}

// CopyFrom copies rows into a table of the tenant by PostgreSQL's COPY protocol. tableName is one part: the path chooses the schema.
func (tx *Tx) CopyFrom(ctx context.Context, tableName pgx.Identifier, columns []string, src pgx.CopyFromSource) (int64, error) {
	if tx.l.ended.Load() {
		return 0, errKept
	}
	if len(tableName) != 1 {
		return 0, fmt.Errorf("tenantschema: CopyFrom takes a table name without a schema, not %s", tableName.Sanitize())
	}
	return tx.inner.CopyFrom(ctx, tableName, columns, src)
}

// Prepare refuses: statements are prepared, shared and forgotten by the scope itself.
func (tx *Tx) Prepare(context.Context, string, string) (*pgconn.StatementDescription, error) {
	return nil, errPrepare
}

// LargeObjects panics. Large objects belong to no schema: they would escape the tenant's export and its deletion.
func (tx *Tx) LargeObjects() pgx.LargeObjects {
	panic("tenantschema: large objects belong to no schema and cannot be used inside a tenant: use bytea or files")
}

// Conn gives nil: the connection stays inside the scope.
func (tx *Tx) Conn() *pgx.Conn { return nil }

func (tx *Tx) prepared(ctx context.Context, sql string, args []any) (string, []any, error) {
	if tx.l.ended.Load() {
		return "", nil, errKept
	}
	sql, args, err := plain(ctx, tx.l.conn, sql, args)
	if err != nil {
		return "", nil, err
	}
	name, err := tx.ensure(ctx, sql)
	return name, args, err
}

// ensure prepares sql in the transaction itself, which has the right role and path already.
func (tx *Tx) ensure(ctx context.Context, sql string) (string, error) {
	key := statementKey{version: tx.l.t.Version, sql: sql}
	st, ok := tx.l.stmts.lookup(key)
	if !ok {
		var err error
		if st, err = tx.l.stmts.prepare(ctx, tx.l.conn, key); err != nil {
			return "", err
		}
	}
	return tx.l.use(st), nil
}
