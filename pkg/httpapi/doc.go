// Package httpapi is the HTTP edge of Rowhouse: it turns a host name into a tenant and a request into a call of a feature.
//
//	proxy headers ▸ request id ▸ log line and metrics ▸ recover ▸ host ▸ state ▸ limits ▸ route ▸ key ▸ body ▸ handler ▸ feature
//
// Guarantees:
//
//   - The tenant comes from the host name and from nothing else. X-Forwarded-Host counts only from a configured proxy, and only its
//     last element, which that proxy wrote; no other header chooses anything.
//   - A host that is no tenant's (unknown, reserved, archived, deleted, malformed) gets one fixed 404, the same to the byte for every
//     such host, path and method. A tenant that cannot be served now gets a 503 that asks to come back.
//   - A key is looked up in the schema of the tenant whose host was called, so a key of one tenant is nothing at another.
//   - Every error is an RFC 9457 problem with a fixed sentence or a message made for the caller ([apperr.Error]); causes go to the
//     log. The two exceptions are the plain page of a suspended workspace and what net/http answers before a request exists
//     (431 for oversized headers, 400 for a malformed one).
//   - 400 says that the body cannot be read as JSON, 422 that it was read and is wrong.
//   - Each request writes exactly one log line, without its path, query, body, address, user agent or key.
//
// routes.go shows all routes on one screen; errors.go holds all of the mapping from errors to HTTP.
// To add a resource, copy projects.go and add its lines to routes.go.
package httpapi
