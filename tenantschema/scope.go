package tenantschema

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Scope runs SQL inside one tenant's schema, as that tenant's role. It is a value without I/O or state; its methods are safe for
// concurrent use.
//
// Query, QueryRow, Exec and SendBatch each take one round trip and are one transaction (the first use of a statement in the process takes
// one more, to learn its types). They accept pgx's arguments, pgx.NamedArgs included, and refuse pgx.QueryExecMode.
type Scope struct {
	db *DB
	t  Tenant
}

// Tenant gives the tenant of the scope.
func (s Scope) Tenant() Tenant { return s.t }

// entering is the frame of a scope's round trip.
func entering() frame { return frame{enter: true} }

// Exec runs one statement and reports what it did.
func (s Scope) Exec(ctx context.Context, sql string, args ...any) (tag pgconn.CommandTag, err error) {
	l, err := s.db.acquire(ctx, s.t)
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	finished := false
	defer l.releaseUnless(&finished) // An argument's own code, which pgx calls, may panic.
	tag, err = l.exec(ctx, entering(), sql, args)
	finished = true
	l.release(err)
	return tag, err
}

// Query runs one statement and gives its rows, which must be closed: the connection is held until then.
func (s Scope) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	l, err := s.db.acquire(ctx, s.t)
	if err != nil {
		return failedRows{err}, err
	}
	finished := false
	defer l.releaseUnless(&finished)
	rows, err := l.query(ctx, entering(), sql, args, true)
	finished = true
	return rows, err
}

// QueryRow runs one statement that gives at most one row. Its error waits until Scan, which must be called.
func (s Scope) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	rows, _ := s.Query(ctx, sql, args...)
	return firstRow{rows}
}

// SendBatch runs all statements of b in one round trip and one transaction: all or none. The results must be closed.
func (s Scope) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	l, err := s.db.acquire(ctx, s.t)
	if err != nil {
		return failedBatch{err}
	}
	finished := false
	defer l.releaseUnless(&finished)
	results := l.batch(ctx, entering(), b, true)
	finished = true
	return results
}

// InTx runs fn inside one transaction of the tenant and commits it when fn returns nil. It opens in the round trip of the first statement.
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

// begin is the statement that opens such a transaction.
func (o TxOptions) begin() string {
	sql := "begin"
	if o.Isolation != "" {
		sql += " isolation level " + string(o.Isolation)
	}
	if o.ReadOnly {
		sql += " read only"
	}
	return sql
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
	tx := &Tx{l: l, begin: opts.begin()}
	if err := fn(tx); err != nil {
		_ = l.undo(ctx) // It closes the connection if it cannot.
		return err
	}
	if !l.begun {
		return nil // Nothing was asked of it.
	}
	if err := l.simple(ctx, "commit"); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}
