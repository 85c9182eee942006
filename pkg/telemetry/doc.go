// Package telemetry is how Rowhouse tells what it does: log lines by zap, metrics by Prometheus, and the database time of a request.
//
// Guarantees:
//
//   - No globals: a logger, a registry and their instruments belong to who made them.
//   - No metric has a label for the tenant, or any other that customers can make more of. What concerns one tenant is in its log lines.
//   - A [DBTimer] costs nothing on a context that nobody measures, and measures a query until its rows are closed.
package telemetry
