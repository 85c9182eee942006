// Package signup lets people make a tenant of their own, from a form on the base domain.
//
//	Begin ─▶ [row in rowhouse.signups, job]: one transaction of the control role
//	job   ─▶ making ─▶ tenant (claimed, or made) ─▶ made ─▶ [owner, welcome token, mail]: one transaction of the tenant ─▶ done
//	                                    └▶ failed: the name went to somebody else, or nothing helped
//
// [Service] is for processes that serve: it holds no owner's credentials, adds a row and looks how it stands. [Maker] is for those that hold them:
// it works the job. Two secrets of the browser bind the two: what it holds in a cookie lets it alone see its sign-up, and derives the token that
// signs it in at the new tenant. The database has hashes of both, so nobody who reads it can follow.
//
// Guarantees:
//
//   - A name, and all that look like it ([tenancy.Skeleton]), belongs to one sign-up or one tenant: who comes second is told by [Service.Begin],
//     or at the latest by the job, and is never given the tenant of the first.
//   - The job may die at any point and be worked again, also twice at the same time: there is one tenant, one owner, one mail.
//   - A password is hashed before anything is stored, and the hash leaves the catalog when the sign-up ends, either way.
//   - How many sign-ups an address, and all together, may make in an hour is counted in the database, so that all processes agree.
//   - [Service.Check] says whether a name is free, and if not of which kind the reason is: not whose it is, nor whether it ever was a tenant's.
package signup
