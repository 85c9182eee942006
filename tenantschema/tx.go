package tenantschema

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// errTopTx is returned by Commit and Rollback of the transaction that InTx owns.
var errTopTx = errors.New("tenantschema: InTx ends the transaction: return nil to commit, an error to roll back")

// errKept is returned by whatever is asked of a transaction after InTx has ended it: its connection serves others by then.
var errKept = fmt.Errorf("tenantschema: the function given to InTx has returned: %w", pgx.ErrTxClosed)

// errCopyAsPlatform is returned by CopyFrom of AsPlatform.
var errCopyAsPlatform = errors.New("tenantschema: AsPlatform has no CopyFrom: use SendBatch")

// errPrepare is returned by Prepare.
var errPrepare = errors.New("tenantschema: statements are prepared for you: pass the SQL to Query or Exec")

// Tx is a transaction inside a tenant, or a savepoint within one ([Tx.Begin]). It satisfies pgx.Tx and [DBTX]. Like pgx.Tx it is not
// safe for concurrent use.
type Tx struct {
	l *lease
	// begin opens the transaction; it travels with the first statement.
	begin string
	// depth is 0 for the transaction itself, else that of the savepoint.
	depth int
	// ended says that the savepoint has been committed or rolled back.
	ended bool
	// platform makes every statement run outside the tenant.
	platform bool
}

// AsPlatform gives the same transaction outside the tenant: each statement runs as [Config.PlatformRole], with an empty search_path and
// the transaction-local setting rowhouse.tenant naming the tenant, and steps back into the tenant before its round trip ends.
//
// It is for the platform's own tables that must change together with the tenant's data, such as the job queue. What the role may do there is
// up to its grants and to policies on rowhouse.tenant and the seal; on tenants' schemas it has no right at all.
func (tx *Tx) AsPlatform() pgx.Tx {
	outside := *tx
	outside.platform = true
	return &outside
}

// Tenant gives the tenant of the transaction.
func (tx *Tx) Tenant() Tenant { return tx.l.t }

// closed gives an error if the transaction can take no more statements.
func (tx *Tx) closed() error {
	switch {
	case tx.l.ended.Load():
		return errKept
	case tx.ended:
		return pgx.ErrTxClosed
	}
	return nil
}

// frame is what the next round trip has around its statements.
func (tx *Tx) frame() frame {
	f := frame{enter: !tx.l.entered, platform: tx.platform}
	if !tx.l.begun {
		f.begin = tx.begin
	}
	return f
}

// open makes sure that the transaction has begun, inside the tenant.
func (tx *Tx) open(ctx context.Context) error {
	if tx.l.entered {
		return nil
	}
	x := &exchange{}
	if err := tx.l.start(ctx, tx.frame(), x, false); err != nil {
		return err
	}
	return x.finish(nil)
}

// Begin sets a savepoint and gives it as a transaction of its own, to be committed (released) or rolled back.
func (tx *Tx) Begin(ctx context.Context) (pgx.Tx, error) {
	if err := tx.closed(); err != nil {
		return nil, err
	}
	if err := tx.open(ctx); err != nil { // Before the savepoint: rolling back to it must not take role and path away.
		return nil, err
	}
	nested := &Tx{l: tx.l, depth: tx.depth + 1, platform: tx.platform}
	if err := tx.l.simple(ctx, "savepoint "+nested.savepoint()); err != nil {
		return nil, err
	}
	return nested, nil
}

func (tx *Tx) savepoint() string { return "rh_" + strconv.Itoa(tx.depth) }

// Commit releases a savepoint. The outermost transaction is committed by InTx and refuses.
func (tx *Tx) Commit(ctx context.Context) error { return tx.end(ctx, "release savepoint ") }

// Rollback goes back to a savepoint. The outermost transaction is rolled back by InTx and refuses.
func (tx *Tx) Rollback(ctx context.Context) error { return tx.end(ctx, "rollback to savepoint ") }

func (tx *Tx) end(ctx context.Context, how string) error {
	if tx.depth == 0 {
		return errTopTx
	}
	if err := tx.closed(); err != nil {
		return err
	}
	tx.ended = true
	return tx.l.simple(ctx, how+tx.savepoint())
}

// Exec runs one statement.
func (tx *Tx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if err := tx.closed(); err != nil {
		return pgconn.CommandTag{}, err
	}
	return tx.l.exec(ctx, tx.frame(), sql, args)
}

// Query runs one statement and gives its rows, which must be closed before the next statement.
func (tx *Tx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if err := tx.closed(); err != nil {
		return failedRows{err}, err
	}
	return tx.l.query(ctx, tx.frame(), sql, args, false)
}

// QueryRow runs one statement that gives at most one row.
func (tx *Tx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	rows, _ := tx.Query(ctx, sql, args...)
	return firstRow{rows}
}

// SendBatch runs the statements of b in one round trip.
func (tx *Tx) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	if err := tx.closed(); err != nil {
		return failedBatch{err}
	}
	return tx.l.batch(ctx, tx.frame(), b, false)
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
