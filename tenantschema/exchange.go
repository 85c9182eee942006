package tenantschema

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// query is a statement on its way.
type query struct {
	sql  string
	args []any
	fn   func(pgx.BatchResults) error

	st *statement
	// values and formats are args as they are sent.
	values  [][]byte
	formats []int16
	// parse says that the statement is parsed in this trip.
	parse bool
}

// frame is what stands around the statements of one round trip.
type frame struct {
	// begin opens a transaction; "" opens none.
	begin string
	// enter goes into the tenant after that.
	enter bool
	// platform runs the statements outside the tenant and comes back at the end.
	platform bool
	// commit ends the transaction.
	commit bool
}

// exchange is one round trip under way: [begin][enter][leave] statements [return][commit] and one Sync, so that all of it is one
// transaction, an implicit one unless begin opens one. It is the pgx.BatchResults of its statements.
//
// A statement that is new on the connection is parsed in the same trip, after the path has been set: pgx's own batches parse before they
// run anything.
type exchange struct {
	l        *lease
	pipeline *pgconn.Pipeline
	queries  []query
	next     int
	err      error
	closed   bool
	traced   func(pgconn.CommandTag, error)
	tag      pgconn.CommandTag
	// end is told the outcome, once.
	end func(error)
}

var _ pgx.BatchResults = (*exchange)(nil)

// start sends queries within f and reads what comes before the first one's result. On error nothing is under way any more, and end has
// not been called.
func (l *lease) start(ctx context.Context, f frame, queries []query, end func(error)) (*exchange, error) {
	if len(queries) > l.c.stmts.most {
		// The cache would forget a statement that this batch still needs.
		return nil, fmt.Errorf("tenantschema: a batch may hold at most %d statements: send it in parts", l.c.stmts.most)
	}
	if l.db.cfg.Pooler && f.enter {
		if err := l.pin(ctx, &f); err != nil {
			return nil, err
		}
	}
	for i := range queries {
		if err := l.resolve(ctx, &f, &queries[i]); err != nil {
			return nil, err
		}
	}
	x := &exchange{l: l, queries: queries, end: func(error) {}}
	ctx, x.traced = l.trace(ctx, queries)
	evicted := x.send(ctx, f)
	if err := x.open(f, evicted); err != nil {
		return nil, x.finish(err)
	}
	x.end = end
	return x, nil
}

// resolve finds out what the statement is and encodes its arguments, whose own code may panic: nothing has been sent by then.
func (l *lease) resolve(ctx context.Context, f *frame, q *query) (err error) {
	if q.sql, q.args, err = plain(ctx, l.c.pg, q.sql, q.args); err != nil {
		return err
	}
	key := statementKey{tenant: l.t.Schema, version: l.t.Version, sql: q.sql}
	if f.platform {
		key = statementKey{sql: q.sql}
	}
	if q.st = l.c.stmts.lookup(key); q.st == nil {
		desc := l.db.descriptions.lookup(key.description())
		if desc == nil {
			if desc, err = l.describe(ctx, f, key); err != nil {
				return err
			}
			l.db.descriptions.remember(key.description(), desc)
		}
		q.st = l.c.stmts.add(key, desc)
		l.c.touch(key.tenant, desc.relations)
	}
	l.lasting = l.lasting || q.st.desc.lasting
	var encoder pgx.ExtendedQueryBuilder
	if err = encoder.Build(l.c.pg.TypeMap(), q.st.desc.sd, q.args); err != nil {
		return err
	}
	q.values, q.formats = encoder.ParamValues, encoder.ParamFormats
	return nil
}

// describe asks the server what a statement is, inside the tenant, and which relations it touches, in one round trip.
func (l *lease) describe(ctx context.Context, f *frame, key statementKey) (*description, error) {
	lasting, err := inspect(key.sql)
	if err != nil {
		return nil, err
	}
	x := &exchange{l: l, pipeline: l.c.pg.PgConn().StartPipeline(ctx), traced: func(pgconn.CommandTag, error) {}, end: func(error) {}}
	around := frame{enter: f.enter && !f.platform, platform: f.platform}
	x.prefix(around)
	x.pipeline.SendPrepare("", key.sql, nil)
	x.control(stmtLocks, sqlLocks)
	x.suffix(around)
	_ = x.pipeline.Sync() // The pipeline remembers a failure.
	if err = x.open(around, 0); err != nil {
		return nil, x.finish(err)
	}
	if l.begun { // From here on the transaction is inside the tenant.
		f.enter = f.enter && !around.enter
	}
	desc := &description{lasting: lasting}
	if desc.sd, err = result[*pgconn.StatementDescription](x.pipeline); err != nil {
		return nil, x.finish(err)
	}
	desc.sd.SQL = key.sql
	for i := range desc.sd.Fields {
		desc.formats = append(desc.formats, l.c.pg.TypeMap().FormatCodeForOID(desc.sd.Fields[i].DataTypeOID))
	}
	reader, err := result[*pgconn.ResultReader](x.pipeline)
	if err != nil {
		return nil, x.finish(err)
	}
	names, err := pgx.CollectRows(pgx.RowsFromResultReader(l.c.pg.TypeMap(), reader), pgx.RowTo[string])
	if err = x.finish(err); err != nil {
		return nil, err
	}
	desc.relations = l.db.descriptions.relationNumbers(names)
	return desc, nil
}

// result reads the next result, which must be a T.
func result[T any](p *pgconn.Pipeline) (t T, err error) {
	got, err := p.GetResults()
	if err != nil {
		return t, err
	}
	t, ok := got.(T)
	if !ok {
		return t, fmt.Errorf("tenantschema: the server answered with %T, where %T was due", got, t)
	}
	return t, nil
}

// control queues one of the statements that every connection has.
func (x *exchange) control(name, sql string, args ...string) {
	values := make([][]byte, len(args))
	for i, arg := range args {
		values[i] = []byte(arg)
	}
	if x.l.db.cfg.Pooler { // The session may be another one, which knows no names.
		x.pipeline.SendQueryParams(sql, values, nil, nil, nil)
		return
	}
	x.pipeline.SendQueryPrepared(name, values, nil, nil)
}

func (x *exchange) prefix(f frame) {
	if f.begin != "" {
		x.pipeline.SendQueryParams(f.begin, nil, nil, nil, nil)
	}
	if f.enter {
		x.control(stmtEnter, sqlEnter, x.l.t.Schema.s, x.l.seal())
		if x.l.db.cfg.Pooler { // A pooler knows no startup parameters.
			x.control("", sqlLimit, x.l.db.lockTimeout)
		}
	}
	if f.platform {
		x.control(stmtLeave, sqlLeave, x.l.db.cfg.platformRole(), x.l.t.ID)
	}
}

func (x *exchange) suffix(f frame) {
	if f.platform {
		x.control(stmtReturn, sqlReturn, x.l.t.Schema.s)
	}
	if f.commit {
		x.pipeline.SendQueryParams("commit", nil, nil, nil, nil)
	}
}

// send queues everything and flushes it; its errors show when the results are read. evicted is how many statements it makes the server
// forget before anything else.
func (x *exchange) send(ctx context.Context, f frame) (evicted int) {
	x.pipeline = x.l.c.pg.PgConn().StartPipeline(ctx)
	for _, name := range x.l.c.stmts.evict() {
		x.pipeline.SendDeallocate(name)
		evicted++
	}
	x.prefix(f)
	for i := range x.queries {
		q := &x.queries[i]
		if x.l.db.cfg.Pooler { // The unnamed statement lives as long as this trip needs it.
			x.pipeline.SendQueryParams(q.sql, q.values, q.st.sd.ParamOIDs, q.formats, q.st.desc.formats)
			continue
		}
		if q.parse = !q.st.prepared; q.parse {
			x.pipeline.SendPrepare(q.st.sd.Name, q.sql, q.st.sd.ParamOIDs)
			q.st.prepared = true // Taken back when it turns out otherwise: the same statement may come twice.
		}
		x.pipeline.SendQueryStatement(q.st.sd, q.values, q.formats, q.st.desc.formats)
	}
	x.suffix(f)
	_ = x.pipeline.Sync() // The pipeline remembers a failure.
	return evicted
}

// open reads the results of what comes before the statements.
func (x *exchange) open(f frame, evicted int) error {
	for range evicted {
		if _, err := result[*pgconn.CloseComplete](x.pipeline); err != nil {
			return err
		}
	}
	if f.begin != "" {
		if err := x.drain(); err != nil {
			return fmt.Errorf("begin: %w", err)
		}
		x.l.begun = true
	}
	for _, due := range []bool{f.enter, f.enter && x.l.db.cfg.Pooler, f.platform} {
		if !due {
			continue
		}
		if err := x.drain(); err != nil {
			return fmt.Errorf("enter tenant %s: %w", x.l.t.Schema, err)
		}
	}
	return nil
}

// drain reads a result of no interest.
func (x *exchange) drain() error {
	reader, err := result[*pgconn.ResultReader](x.pipeline)
	if err != nil {
		return err
	}
	_, err = reader.Close()
	return err
}

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
	return x.tag, x.err
}

// Query gives the rows of the next result.
func (x *exchange) Query() (pgx.Rows, error) {
	reader, err := x.reader()
	if err != nil {
		return failedRows{err}, err
	}
	return &exchangeRows{Rows: pgx.RowsFromResultReader(x.l.c.pg.TypeMap(), reader), x: x}, nil
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
			x.end(nil)
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
	}
	x.traced(x.tag, x.err)
	x.end(x.err)
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

// queriesOf takes the statements out of a pgx batch.
func queriesOf(b *pgx.Batch) []query {
	queries := make([]query, len(b.QueuedQueries))
	for i, q := range b.QueuedQueries {
		queries[i] = query{sql: q.SQL, args: slices.Clip(q.Arguments), fn: q.Fn}
	}
	return queries
}

// exec sends one statement and gives what it did.
func (l *lease) exec(ctx context.Context, f frame, sql string, args []any) (pgconn.CommandTag, error) {
	x, err := l.start(ctx, f, []query{{sql: sql, args: args}}, func(error) {})
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	tag, _ := x.Exec() // finish gives its error.
	// The implicit transaction ends at the trip's end, so a deferred constraint shows only there.
	return tag, x.finish(x.err)
}

// rows sends one statement and gives its rows; end is told the outcome when they are closed, or at once.
func (l *lease) rows(ctx context.Context, f frame, sql string, args []any, end func(error)) (pgx.Rows, error) {
	x, err := l.start(ctx, f, []query{{sql: sql, args: args}}, end)
	if err != nil {
		end(err)
		return failedRows{err}, err
	}
	rows, err := x.Query()
	if err != nil {
		err = x.finish(err)
		return failedRows{err}, err
	}
	rows.(*exchangeRows).only = true //nolint:errcheck,forcetypeassert // Query gives nothing else on success.
	return rows, nil
}
