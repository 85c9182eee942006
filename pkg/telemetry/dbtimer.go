package telemetry

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// DBStats adds up what a request or a job asks of the database. Its methods are safe for concurrent use; what runs at the same time is
// added up, so Duration can exceed the time that has passed.
type DBStats struct {
	nanoseconds atomic.Int64
	queries     atomic.Int64
	statements  atomic.Int64
}

// Duration is the time from sending each query to closing its rows. It includes what the caller does between reading rows, and does not
// include waiting for a connection.
func (s *DBStats) Duration() time.Duration { return time.Duration(s.nanoseconds.Load()) }

// Queries is how often something was sent and waited for, which is nearly the number of round trips: a query, a batch, a copy, the
// preparing of a statement. Begin, commit and savepoints are queries too.
func (s *DBStats) Queries() int64 { return s.queries.Load() }

// Statements is how many statements these held: a batch holds many, preparing none.
func (s *DBStats) Statements() int64 { return s.statements.Load() }

type statsKey struct{}

// WithDBStats gives a context whose database work is added up in the stats, on connections that have a [DBTimer].
func WithDBStats(ctx context.Context) (context.Context, *DBStats) {
	stats := &DBStats{}
	return context.WithValue(ctx, statsKey{}, stats), stats
}

// DBTimer is a tracer for pgx.ConnConfig.Tracer that fills the [DBStats] of the contexts it is called with. It is without state: one may
// serve all connections. On a context without stats it does nothing, and allocates nothing.
type DBTimer struct{}

var (
	_ pgx.QueryTracer    = DBTimer{}
	_ pgx.BatchTracer    = DBTimer{}
	_ pgx.CopyFromTracer = DBTimer{}
	_ pgx.PrepareTracer  = DBTimer{}
)

// TraceQueryStart implements [pgx.QueryTracer]. Query, QueryRow and Exec call it.
func (DBTimer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return start(ctx, 1)
}

// TraceQueryEnd implements [pgx.QueryTracer]. For a query it is called when the rows are closed.
func (DBTimer) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryEndData) {
	end(ctx, true)
}

// TraceBatchStart implements [pgx.BatchTracer].
func (DBTimer) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	return start(ctx, data.Batch.Len())
}

// TraceBatchQuery implements [pgx.BatchTracer]. The statements have been counted at the start, when all of them were sent.
func (DBTimer) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd implements [pgx.BatchTracer]. It is called when the results are closed.
func (DBTimer) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchEndData) {
	end(ctx, true)
}

// TraceCopyFromStart implements [pgx.CopyFromTracer].
func (DBTimer) TraceCopyFromStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceCopyFromStartData) context.Context {
	return start(ctx, 1)
}

// TraceCopyFromEnd implements [pgx.CopyFromTracer].
func (DBTimer) TraceCopyFromEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceCopyFromEndData) {
	end(ctx, true)
}

// TracePrepareStart implements [pgx.PrepareTracer]. pgx prepares by itself, too: inside the query that needs it.
func (DBTimer) TracePrepareStart(ctx context.Context, _ *pgx.Conn, _ pgx.TracePrepareStartData) context.Context {
	return start(ctx, 0)
}

// TracePrepareEnd implements [pgx.PrepareTracer].
func (DBTimer) TracePrepareEnd(ctx context.Context, _ *pgx.Conn, data pgx.TracePrepareEndData) {
	end(ctx, !data.AlreadyPrepared)
}

type spanKey struct{}

// span is one query under way. It is a context itself, which saves an allocation for each query.
type span struct {
	context.Context //nolint:containedctx // The span is the context that pgx hands from start to end.

	stats *DBStats
	began time.Time
	// inner says that another span, whose time includes this one's, is around it.
	inner bool
	ended bool
}

// Value gives the span itself for its key.
func (s *span) Value(key any) any {
	if key == (spanKey{}) {
		return s
	}
	return s.Context.Value(key)
}

func start(ctx context.Context, statements int) context.Context {
	stats, ok := ctx.Value(statsKey{}).(*DBStats)
	if !ok {
		return ctx
	}
	_, inner := ctx.Value(spanKey{}).(*span)
	stats.statements.Add(int64(statements))
	return &span{Context: ctx, stats: stats, began: time.Now(), inner: inner}
}

// end adds the span of ctx to its stats, once. sent says whether anything was sent to the server.
func end(ctx context.Context, sent bool) {
	s, ok := ctx.Value(spanKey{}).(*span)
	if !ok || s.ended {
		return
	}
	s.ended = true // A connection, and with it its span, belongs to one goroutine at a time.
	if sent {
		s.stats.queries.Add(1)
	}
	if !s.inner {
		s.stats.nanoseconds.Add(int64(time.Since(s.began)))
	}
}
