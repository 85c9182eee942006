package jobqueue

// QueryOf is what [Operator.List] asks.
func QueryOf(f Filter) (sql string, args []any) { return f.query() }

// QueueStatsSQL is what [Operator.Stats] asks.
const QueueStatsSQL = queueStatsSQL
