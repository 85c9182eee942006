// Package tenantschema runs SQL inside the PostgreSQL schema of one tenant, and makes and migrates those schemas.
//
// Each tenant has a schema and a role without login, both of the same [Name]. A [DB] logs in as a role that has no rights of its own
// and an empty search_path, and enters a tenant for the length of one transaction:
//
//	                 one round trip, one implicit transaction
//	Scope.Query ──▶ [ set role and search_path, transaction-local ][ your statement ] Sync
//
//	Scope.InTx  ──▶ [ begin; set local role; set local search_path ] ─ your statements ─ [ commit ]
//
// Guarantees:
//
//   - A statement runs with the rights and the path of exactly the tenant whose [Scope] it was given to, or not at all.
//   - No session-level SET is ever sent. A statement that would change the session or end the transaction is refused, and a connection on
//     which one may have done so (set_config, advisory locks, DO, and whatever the server itself calls by another name than a query) is
//     closed. docs/isolation.md says what SQL that means harm can and cannot do.
//   - A query that reaches the server without a scope fails with SQLSTATE 42501 or 42P01. It never finds data.
//   - A connection whose state is not known to be clean (cancelled, panicked, left inside a transaction, broken) is closed, not reused.
//   - Every statement goes through the extended protocol, so a semicolon cannot stack a second one.
//
// One tenant holds at most three quarters of a cell's connections, and a statement waits for a lock for [Config.LockTimeout] at most, so
// that a tenant that is slow or being migrated does not keep the others waiting.
//
// A [Scope] is a small value without I/O: make one per request or job and throw it away. It satisfies what sqlc calls DBTX.
//
// [Provisioner] holds the other end: it creates, migrates and drops tenants' schemas with goose, as the owner of the database.
// A process that serves requests holds a [DB] and never a Provisioner.
//
// The package imports pgx and goose and nothing else of Rowhouse, so that any Go program can use it alone.
package tenantschema
