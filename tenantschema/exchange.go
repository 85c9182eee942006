package tenantschema

import (
	"context"
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
	tag      pgconn.CommandTag
	// releases says that the end of the trip is the end of the lease.
	releases bool
	// traced is the context of the tracer, nil without one.
	traced context.Context //nolint:containedctx // The tracer hands it from start to end.

	// What a trip of one statement needs, in one allocation.
	one  [1]query
	rows exchangeRows
}

var _ pgx.BatchResults = (*exchange)(nil)

// start sends the statements of x within f and reads what comes before the first one's result. On error nothing is under way any more, and the
// lease has not been released.
func (l *lease) start(ctx context.Context, f frame, x *exchange, releases bool) error {
	queries := x.queries
	if len(queries) > l.c.stmts.most {
		// The cache would forget a statement that this batch still needs.
		return fmt.Errorf("tenantschema: a batch may hold at most %d statements: send it in parts", l.c.stmts.most)
	}
	if l.db.cfg.Pooler && !l.begun {
		if err := l.pin(ctx, &f); err != nil {
			return err
		}
	}
	for i := range queries {
		if err := l.resolve(ctx, &f, &queries[i]); err != nil {
			return err
		}
	}
	x.l = l
	ctx = x.trace(ctx)
	evicted := x.send(ctx, f)
	if err := x.open(f, evicted); err != nil {
		return x.finish(err)
	}
	x.releases = releases
	return nil
}

// trace tells the tracer what is sent.
func (x *exchange) trace(ctx context.Context) context.Context {
	db := x.l.db
	switch {
	case len(x.queries) == 1 && db.cfg.Tracer != nil:
		x.traced = db.cfg.Tracer.TraceQueryStart(ctx, x.l.c.pg, pgx.TraceQueryStartData{SQL: x.queries[0].sql, Args: x.queries[0].args})
	case len(x.queries) > 1 && db.batchTracer != nil:
		batch := &pgx.Batch{}
		for _, q := range x.queries {
			batch.Queue(q.sql, q.args...)
		}
		x.traced = db.batchTracer.TraceBatchStart(ctx, x.l.c.pg, pgx.TraceBatchStartData{Batch: batch})
	default:
		return ctx
	}
	return x.traced
}

func (x *exchange) traceEnd() {
	switch {
	case x.traced == nil:
	case len(x.queries) == 1:
		x.l.db.cfg.Tracer.TraceQueryEnd(x.traced, x.l.c.pg, pgx.TraceQueryEndData{CommandTag: x.tag, Err: x.err})
	default:
		x.l.db.batchTracer.TraceBatchEnd(x.traced, x.l.c.pg, pgx.TraceBatchEndData{Err: x.err})
	}
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
	if lasting && l.db.cfg.Pooler { // The session is the pooler's: closing our connection would not end it.
		return nil, errLasting
	}
	x := &exchange{l: l, pipeline: l.c.pg.PgConn().StartPipeline(ctx)}
	around := frame{enter: f.enter, platform: f.platform}
	x.prefix(around)
	x.pipeline.SendPrepare("", key.sql, nil)
	x.control(l.c.locks, sqlLocks)
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
func (x *exchange) control(sd *pgconn.StatementDescription, sql string, args ...[]byte) {
	if x.l.db.cfg.Pooler { // The session may be another one, which knows no names.
		x.pipeline.SendQueryParams(sql, args, nil, nil, nil)
		return
	}
	x.pipeline.SendQueryStatement(sd, args, nil, nil)
}

func (x *exchange) prefix(f frame) {
	if f.begin != "" {
		x.pipeline.SendQueryParams(f.begin, nil, nil, nil, nil)
	}
	if f.enter {
		if x.l.db.cfg.Pooler { // A pooler knows no startup parameters.
			x.control(nil, sqlLimit, []byte(x.l.db.lockTimeout))
		}
		if args := x.l.entry(); x.l.t.StatementTimeout > 0 {
			x.control(x.l.c.timed, sqlEnterTimed, args...)
		} else {
			x.control(x.l.c.enter, sqlEnter, args...)
		}
	}
	if f.platform {
		x.control(x.l.c.none, sqlNone)
		x.control(x.l.c.leave, sqlLeave, []byte(x.l.db.cfg.platformRole()), []byte(x.l.t.ID))
	}
}

func (x *exchange) suffix(f frame) {
	if f.platform {
		x.control(x.l.c.none, sqlNone)
		x.control(x.l.c.back, sqlReturn, []byte(x.l.t.Schema.s))
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
	for _, due := range []bool{f.enter && x.l.db.cfg.Pooler, f.enter, f.platform, f.platform} {
		if !due {
			continue
		}
		if err := x.drain(); err != nil {
			return fmt.Errorf("enter tenant %s: %w", x.l.t.Schema, err)
		}
	}
	x.l.entered = x.l.entered || f.enter && x.l.begun
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

// single makes the exchange of one statement.
func single(sql string, args []any) *exchange {
	x := &exchange{}
	x.one[0] = query{sql: sql, args: args}
	x.queries = x.one[:]
	return x
}

// several makes the exchange of a batch.
func several(b *pgx.Batch) *exchange {
	x := &exchange{queries: make([]query, len(b.QueuedQueries))}
	for i, q := range b.QueuedQueries {
		x.queries[i] = query{sql: q.SQL, args: slices.Clip(q.Arguments), fn: q.Fn}
	}
	return x
}

// exec sends one statement and gives what it did.
func (l *lease) exec(ctx context.Context, f frame, sql string, args []any) (pgconn.CommandTag, error) {
	x := single(sql, args)
	if err := l.start(ctx, f, x, false); err != nil {
		return pgconn.CommandTag{}, err
	}
	tag, _ := x.Exec() // finish gives its error.
	// The implicit transaction ends at the trip's end, so a deferred constraint shows only there.
	return tag, x.finish(x.err)
}

// query sends one statement and gives its rows. releases says that the lease ends with them, or at once on error.
func (l *lease) query(ctx context.Context, f frame, sql string, args []any, releases bool) (pgx.Rows, error) {
	x := single(sql, args)
	err := l.start(ctx, f, x, releases)
	if err != nil {
		if releases {
			l.release(err)
		}
		return failedRows{err}, err
	}
	rows, err := x.Query()
	if err != nil {
		err = x.finish(err)
		return failedRows{err}, err
	}
	x.rows.only = true
	return rows, nil
}

// batch sends the statements of b.
func (l *lease) batch(ctx context.Context, f frame, b *pgx.Batch, releases bool) pgx.BatchResults {
	x := several(b)
	if err := l.start(ctx, f, x, releases); err != nil {
		if releases {
			l.release(err)
		}
		return failedBatch{err}
	}
	return x
}
