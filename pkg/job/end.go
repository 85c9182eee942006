package job

import (
	"fmt"
	"time"
)

// CancelError ends a job without another attempt. See [Cancel].
type CancelError struct{ err error }

// Cancel makes the error by which a worker ends its job: it failed for a reason that no other attempt will change.
func Cancel(err error) error { return &CancelError{err} }

func (e *CancelError) Error() string { return "not to be tried again: " + e.err.Error() }

// Unwrap gives the reason.
func (e *CancelError) Unwrap() error { return e.err }

// SnoozeError puts a job off. See [Snooze].
type SnoozeError struct{ For time.Duration }

// Snooze makes the error by which a worker puts its job off for d, without using up an attempt.
func Snooze(d time.Duration) error { return &SnoozeError{d} }

func (e *SnoozeError) Error() string { return fmt.Sprintf("put off for %s", e.For) }
