// Package cache keeps what was read from tenants' schemas in memory for a while.
//
//	writer:  InTx ─▶ change, Changed (NOTIFY) ─▶ commit ─▶ Cache.Forget
//	readers: in this process at once, in all others when the notice comes
//
// Guarantees:
//
//   - There is no key without a tenant: values are reached by [Cache.For] of a [tenantschema.Name], and each tenant's lie in a part of their own.
//   - What a value was read from may have changed for a second at most, over all processes, if whoever changes it says so in the same transaction
//     ([Changed]) and, after it, to its own process ([Cache.Forget]). A process whose listening connection does not answer caches nothing.
//   - A value that was being read while it changed is handed to who asked for it, and not kept.
//   - Memory is bounded. When there is no room, whoever has more than an equal share loses something, so that a tenant can take no room from those
//     that have less than it.
//   - A notice can only make a process forget, and only what is one tenant's. Any role may notify, so SQL that is smuggled into one tenant may keep
//     another's part empty: that costs what having no cache costs.
package cache
