// Package throttle bounds how much one of many takes of what all share: [Buckets] how often it comes, [Gate] how much of it is done at a time.
//
// Both are kept in this process alone and do no I/O, so that saying no costs next to nothing. Memory is bounded by what is limited now, never by
// how many names somebody makes up.
package throttle
