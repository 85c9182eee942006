package tenantschema

import (
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// reader gives the next statement's result.
func (x *exchange) reader() (*pgconn.ResultReader, error) {
	switch {
	case x.err != nil:
		return nil, x.err
	case x.closed:
		return nil, errors.New("tenantschema: the batch is closed")
	case x.next >= len(x.queries):
		return nil, errors.New("tenantschema: the batch has no more results")
	}
	q := &x.queries[x.next]
	x.next++
	if q.parse {
		sd, err := result[*pgconn.StatementDescription](x.pipeline)
		if err != nil {
			x.err = err
			return nil, err
		}
		q.parse = false
		// What counts for reading is this tenant's own table, should it differ from the one that was described.
		q.st.sd.Fields = sd.Fields
	}
	reader, err := result[*pgconn.ResultReader](x.pipeline)
	if err != nil {
		x.err = err
	}
	return reader, err
}

// Exec reads the next result and reports what the statement did.
func (x *exchange) Exec() (pgconn.CommandTag, error) {
	reader, err := x.reader()
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	x.tag, x.err = reader.Close()
	x.note()
	return x.tag, x.err
}

// note looks at what the server says that the statement has done.
func (x *exchange) note() {
	if lastingTag(x.tag.String(), x.queries[x.next-1].sql) {
		x.l.lasting = true
	}
}

// Query gives the rows of the next result.
func (x *exchange) Query() (pgx.Rows, error) {
	reader, err := x.reader()
	if err != nil {
		return failedRows{err}, err
	}
	rows := &x.rows
	if len(x.queries) > 1 {
		rows = &exchangeRows{}
	}
	*rows = exchangeRows{Rows: pgx.RowsFromResultReader(x.l.c.pg.TypeMap(), reader), x: x}
	return rows, nil
}

// QueryRow gives the first row of the next result.
func (x *exchange) QueryRow() pgx.Row {
	rows, _ := x.Query()
	return firstRow{rows}
}

// Tx gives nil: what a scope's round trip is part of, the scope ends.
func (x *exchange) Tx() pgx.Tx { return nil }

// Close reads what is left, calling the callbacks that wait for it.
func (x *exchange) Close() error {
	if x.closed {
		return x.err
	}
	finished := false
	defer func() { // A callback may panic.
		if !finished {
			x.closed = true
			x.l.kill()
			if x.releases {
				x.l.release(nil)
			}
		}
	}()
	for x.err == nil && x.next < len(x.queries) {
		if fn := x.queries[x.next].fn; fn != nil {
			if err := fn(x); x.err == nil {
				x.err = err
			}
		} else {
			_, _ = x.Exec() // It keeps its error.
		}
	}
	finished = true
	return x.finish(x.err)
}

// finish ends the round trip. err is what went wrong so far; it gives the outcome, the failure of a deferred constraint included.
func (x *exchange) finish(err error) error {
	if x.closed {
		return x.err
	}
	x.closed = true
	closeErr := x.pipeline.Close()
	if x.err = err; x.err == nil {
		x.err = closeErr
	}
	if x.err != nil {
		x.forget()
		if _, ok := errors.AsType[*pgconn.PgError](x.err); !ok && x.next < len(x.queries) {
			x.l.lasting = true // The server has run what nobody has looked at.
		}
	}
	x.traceEnd()
	if x.releases {
		x.l.release(x.err)
	}
	return x.err
}

// forget takes back what is not known to be prepared, or is not what it was described as.
func (x *exchange) forget() {
	badShape := false
	if pgErr, ok := errors.AsType[*pgconn.PgError](x.err); ok {
		// 08P01: "bind message has 3 result formats but query has 4 columns": the tenant's table has drifted from the one described.
		badShape = stale(pgErr) || pgErr.Code == "08P01"
	}
	for i := range x.queries {
		q := &x.queries[i]
		if q.st == nil {
			continue
		}
		if q.parse || badShape {
			x.l.c.stmts.remove(q.st)
		}
		if badShape {
			x.l.db.descriptions.forget(q.st.key.description())
		}
	}
}

// exchangeRows are the rows of one statement. only says that closing them ends the round trip.
type exchangeRows struct {
	pgx.Rows

	x      *exchange
	only   bool
	closed bool
}

func (r *exchangeRows) Next() bool {
	if r.Rows.Next() {
		return true
	}
	r.Close()
	return false
}

// Scan and Values close the rows when they fail, as pgxpool's do: callers return then.
func (r *exchangeRows) Scan(dest ...any) error {
	err := r.Rows.Scan(dest...)
	if err != nil {
		r.Close()
	}
	return err
}

func (r *exchangeRows) Values() ([]any, error) {
	values, err := r.Rows.Values()
	if err != nil {
		r.Close()
	}
	return values, err
}

func (r *exchangeRows) Close() {
	if r.closed {
		return
	}
	r.closed = true
	r.Rows.Close()
	err := r.Rows.Err()
	r.x.tag = r.Rows.CommandTag()
	r.x.note()
	if r.only {
		_ = r.x.finish(err) // Err gives it.
	} else if r.x.err == nil {
		r.x.err = err
	}
}

func (r *exchangeRows) Err() error {
	if r.closed && r.only {
		return r.x.err
	}
	return r.Rows.Err()
}

// Conn gives nil: the connection stays inside the scope.
func (r *exchangeRows) Conn() *pgx.Conn { return nil }
