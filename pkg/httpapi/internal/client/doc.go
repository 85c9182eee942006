// Package client is a client of the API as oapi-codegen makes it from the description that is served. `make generate` makes it anew. The tests of
// httpapi drive it; it is for nothing else.
package client
