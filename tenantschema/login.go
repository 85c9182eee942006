package tenantschema

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// AsLogin gives the same transaction outside the tenant: each statement runs as the login role, with an empty search_path and the
// transaction-local setting rowhouse.tenant naming the tenant, and steps back into the tenant before its round trip ends.
//
// It is for the platform's own tables that must change together with the tenant's data, such as the job queue. What the login role
// may do there is up to its grants and to policies on rowhouse.tenant; on tenants' schemas it has no right at all.
func (tx *Tx) AsLogin() pgx.Tx { return &loginTx{inner: tx.inner, l: tx.l} }

// loginTx runs each statement as [leave][statement][return].
type loginTx struct {
	inner pgx.Tx
	l     *lease
	nest  bool // a savepoint, which may be committed and rolled back
}

func (tx *loginTx) Begin(ctx context.Context) (pgx.Tx, error) {
	if tx.l.ended.Load() {
		return nil, errKept
	}
	inner, err := tx.inner.Begin(ctx)
	if err != nil {
		return nil, err
	}
	return &loginTx{inner: inner, l: tx.l, nest: true}, nil
}

func (tx *loginTx) Commit(ctx context.Context) error {
	if !tx.nest {
		return errTopTx
	}
	if tx.l.ended.Load() {
		return errKept
	}
	return tx.inner.Commit(ctx)
}

func (tx *loginTx) Rollback(ctx context.Context) error {
	if !tx.nest {
		return errTopTx
	}
	if tx.l.ended.Load() {
		return errKept
	}
	return tx.inner.Rollback(ctx)
}

func (tx *loginTx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	results := tx.SendBatch(ctx, &pgx.Batch{QueuedQueries: []*pgx.QueuedQuery{{SQL: sql, Arguments: args}}})
	tag, err := results.Exec()
	if closeErr := results.Close(); err == nil {
		err = closeErr
	}
	return tag, err
}

func (tx *loginTx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	results := tx.SendBatch(ctx, &pgx.Batch{QueuedQueries: []*pgx.QueuedQuery{{SQL: sql, Arguments: args}}})
	rows, err := results.Query()
	outside := &batchRows{Rows: rows, results: results, end: func(error) {}}
	if err != nil {
		outside.Close()
	}
	return outside, err
}

func (tx *loginTx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	rows, _ := tx.Query(ctx, sql, args...)
	return firstRow{rows}
}

// SendBatch sends [leave][statements of b][return]; closing the results reads the last one. A failed statement leaves the transaction
// aborted, and a rollback to a savepoint takes the change of role back with it.
func (tx *loginTx) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	if tx.l.ended.Load() {
		return failedBatch{errKept}
	}
	batch := &pgx.Batch{}
	batch.Queue(stmtLeave, tx.l.t.ID)
	if err := appendPrepared(ctx, batch, b, tx.l.conn, tx.ensure); err != nil {
		return failedBatch{err}
	}
	batch.Queue(stmtReturn, tx.l.t.Schema.String())
	results := tx.inner.SendBatch(ctx, batch)
	if _, err := results.Exec(); err != nil {
		_ = results.Close() // Its error is the same one.
		return failedBatch{err}
	}
	return results
}

func (tx *loginTx) CopyFrom(context.Context, pgx.Identifier, []string, pgx.CopyFromSource) (int64, error) {
	// COPY cannot share a round trip with the change of role, so it would run as the tenant.
	return 0, errCopyAsLogin
}

func (tx *loginTx) Prepare(context.Context, string, string) (*pgconn.StatementDescription, error) {
	return nil, errPrepare
}

func (tx *loginTx) LargeObjects() pgx.LargeObjects { return (*Tx)(nil).LargeObjects() }

func (tx *loginTx) Conn() *pgx.Conn { return nil }

// ensure prepares sql outside the tenant: a tenant's role may not even look up the names in it.
func (tx *loginTx) ensure(ctx context.Context, sql string) (string, error) {
	key := statementKey{login: true, sql: sql}
	if st, ok := tx.l.stmts.lookup(key); ok {
		return tx.l.use(st), nil
	}
	if _, err := tx.inner.Exec(ctx, stmtLeave, tx.l.t.ID); err != nil {
		return "", err
	}
	st, err := tx.l.stmts.prepare(ctx, tx.l.conn, key)
	if err != nil {
		return "", err
	}
	_, err = tx.inner.Exec(ctx, stmtReturn, tx.l.t.Schema.String())
	return tx.l.use(st), err
}
