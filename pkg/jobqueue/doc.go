// Package jobqueue runs work in the background, each job inside the schema of the tenant that it belongs to.
//
// A job is a Go struct. It is enqueued in the tenant's own transaction, so that it exists if and only if the data does that caused it,
// and it is worked by a function that is given the tenant's scope:
//
//	jobqueue.Handle(workers, func(ctx context.Context, s tenantschema.Scope, args Welcome) error { … })
//	…
//	scope.InTx(ctx, func(tx *tenantschema.Tx) error { …; _, err := client.Enqueue(ctx, tx, Welcome{…}, job.Opts{}); return err })
//
// The states of a job, which lie in PostgreSQL (River, schema river):
//
//	Enqueue ──▶ scheduled ──▶ available ──▶ running ──▶ completed
//	                ▲           ▲    ▲         │
//	                │           │    │         ├──▶ cancelled   its tenant is gone, or it has no valid stamp
//	                │           │    │         ├──▶ discarded   failed for the last time; an operator may retry it
//	                │           │    │         │
//	                │           │    └─────────┤    interrupted by a shutdown; no attempt is used up
//	                │           └── retryable ◀┤    failed, panicked, or its process died
//	                └──────────────────────────┘    its tenant cannot be served now; no attempt is used up
//
// Guarantees:
//
//   - A job carries the tenant of the transaction that enqueued it, stamped into its metadata by the platform. Arguments cannot choose
//     it, and a policy in the database refuses any other. The worker reads the stamp and looks the tenant up again, so that what has
//     become of it since is obeyed: suspended tenants' jobs wait, deleted tenants' jobs end.
//   - A job is worked at least once, whatever dies when. A worker must therefore have its effect once however often it runs, for example
//     by [job.Once]. The jobs of a process that was killed are worked again after [Config.RescueAfter].
//   - Tenants take turns: in each queue a tenant waits for one job of each other tenant at most, however many those have. Jobs of a tenant
//     that cannot be served now are passed by.
//   - A tenant's role has no right on any table of the queue. Workers poll and listen to no notification, which any role could send.
//   - The log has one line per job and never its arguments.
package jobqueue
