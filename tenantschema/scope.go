package tenantschema

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Scope runs SQL inside one tenant's schema, as that tenant's role. It is a value without I/O or state; its methods are safe for
// concurrent use.
//
// Query, QueryRow, Exec and SendBatch each take one round trip and are one transaction (the first use of a statement on a connection
// takes a few more to prepare it). They accept pgx's arguments, pgx.NamedArgs included, and refuse pgx.QueryExecMode.
type Scope struct {
	db *DB
	t  Tenant
}

// Tenant gives the tenant of the scope.
func (s Scope) Tenant() Tenant { return s.t }

// Exec runs one statement and reports what it did.
func (s Scope) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	results, l, err := s.send(ctx, &pgx.Batch{QueuedQueries: []*pgx.QueuedQuery{{SQL: sql, Arguments: args}}})
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	finished := false
	defer l.releaseUnless(&finished)
	tag, err := results.Exec()
	// The implicit transaction ends at the batch's end, so a deferred constraint shows only there.
	if closeErr := results.Close(); err == nil {
		err = closeErr
	}
	finished = true
	l.release(err)
	return tag, err
}

// Query runs one statement and gives its rows, which must be closed: the connection is held until then.
func (s Scope) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	results, l, err := s.send(ctx, &pgx.Batch{QueuedQueries: []*pgx.QueuedQuery{{SQL: sql, Arguments: args}}})
	if err != nil {
		return failedRows{err}, err
	}
	rows, err := results.Query()
	scoped := &batchRows{Rows: rows, results: results, end: l.release}
	if err != nil {
		scoped.Close()
	}
	return scoped, err
}

// QueryRow runs one statement that gives at most one row. Its error waits until Scan, which must be called.
func (s Scope) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	rows, _ := s.Query(ctx, sql, args...)
	return firstRow{rows}
}

// SendBatch runs all statements of b in one round trip and one transaction: all or none. The results must be closed.
func (s Scope) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	results, l, err := s.send(ctx, b)
	if err != nil {
		return failedBatch{err}
	}
	return &leasedBatch{BatchResults: results, l: l}
}

// send sends [enter][statements of b] and reads the first result. On error the connection has been released.
func (s Scope) send(ctx context.Context, b *pgx.Batch) (pgx.BatchResults, *lease, error) {
	l, err := s.db.acquire(ctx, s.t)
	if err != nil {
		return nil, nil, err
	}
	finished := false
	defer l.releaseUnless(&finished) // An argument's own code, which pgx calls, may panic.
	batch := &pgx.Batch{}
	batch.Queue(stmtEnter, s.t.Schema.String())
	if err = appendPrepared(ctx, batch, b, l.conn, l.ensure); err != nil {
		finished = true
		l.release(err)
		return nil, nil, err
	}
	results := l.conn.SendBatch(ctx, batch)
	_, err = results.Exec()
	finished = true
	if err != nil {
		_ = results.Close() // Its error is the same one.
		l.release(err)
		return nil, nil, fmt.Errorf("enter tenant %s: %w", s.t.Schema, err)
	}
	return results, l, nil
}

// appendPrepared queues the statements of src on dst by the names under which they are prepared, keeping their callbacks.
func appendPrepared(
	ctx context.Context, dst, src *pgx.Batch, conn *pgx.Conn, ensure func(context.Context, string) (string, error),
) error {
	names := map[string]struct{}{}
	for _, q := range src.QueuedQueries {
		sql, args, err := plain(ctx, conn, q.SQL, q.Arguments)
		if err != nil {
			return err
		}
		name, err := ensure(ctx, sql)
		if err != nil {
			return err
		}
		if names[name] = struct{}{}; len(names) > maxStatements {
			// The cache would forget a statement that this batch still needs.
			return fmt.Errorf("tenantschema: a batch may hold at most %d different statements: send it in parts", maxStatements)
		}
		dst.Queue(name, args...).Fn = q.Fn
	}
	return nil
}

// InTx runs fn inside one transaction of the tenant and commits it when fn returns nil. The transaction opens in one round trip.
//
// When fn returns an error, everything is rolled back and the error is returned as it is. When fn panics, the connection is closed,
// which rolls back, and the panic goes on. fn must not keep tx.
func (s Scope) InTx(ctx context.Context, fn func(tx *Tx) error) error {
	return s.InTxWith(ctx, TxOptions{}, fn)
}

// TxOptions choose the kind of a transaction. The zero value is read committed, read and write.
type TxOptions struct {
	Isolation pgx.TxIsoLevel
	ReadOnly  bool
}

// InTxWith is [Scope.InTx] with options.
func (s Scope) InTxWith(ctx context.Context, opts TxOptions, fn func(tx *Tx) error) error {
	switch opts.Isolation {
	case "", pgx.ReadUncommitted, pgx.ReadCommitted, pgx.RepeatableRead, pgx.Serializable:
	default:
		return fmt.Errorf("tenantschema: unknown isolation level %q", opts.Isolation)
	}
	l, err := s.db.acquire(ctx, s.t)
	if err != nil {
		return err
	}
	finished := false
	defer l.releaseUnless(&finished) // fn panicked or called runtime.Goexit: who knows what is half-sent.
	err = l.inTx(ctx, opts, fn)
	finished = true
	l.release(err)
	return err
}

// inTx runs fn in a transaction on l.
func (l *lease) inTx(ctx context.Context, opts TxOptions, fn func(tx *Tx) error) error {
	inner, err := l.begin(ctx, opts)
	if err != nil {
		return fmt.Errorf("enter tenant %s: %w", l.t.Schema, err)
	}
	if err = fn(&Tx{inner: inner, l: l, top: true}); err != nil {
		if rollbackErr := inner.Rollback(ctx); rollbackErr != nil && !errors.Is(rollbackErr, pgx.ErrTxClosed) {
			l.kill()
		}
		return err
	}
	if err = inner.Commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}
