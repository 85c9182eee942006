// Package isolation proves, as far as that can be done from outside, that tenants cannot reach each other, and signs what it found.
//
// A proof has two halves, which check each other. The inspection compares the catalogs of the whole database with what should be there,
// in a number of queries that does not grow with the number of tenants: see tenantschema.Inspect. The probes attack: from inside one
// tenant's scope, with its role and on its connection, another tenant's tables are read, written, locked, altered and dropped, directly
// and after each change of role that SQL can make: see tenantschema.DB.Probe. Every attempt is undone.
//
// What a tier does not promise is no breach, and is said: among the pooled tenants of one cell, SQL that changes its role reaches others.
//
// A [Report] is signed with an ed25519 key ([Key]), and checked without a database and without any secret ([Verify]).
package isolation
