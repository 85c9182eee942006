// Package apperr is the one vocabulary of failures that Rowhouse shows to people and programs.
//
// An [Error] carries a [Code], which the edges translate (HTTP status in httpapi, exit code in pkg/cli), and a message that is
// safe to show to whoever asked: it says what is wrong and what to do, and never holds SQL, secrets or another tenant's data.
// The cause, if there is one, is kept by wrapping: for the log, and for the operator at the command line. No client of the API sees it.
package apperr

import (
	"errors"
	"fmt"
	"time"
)

// Code is a class of failure. The zero Code is not used; [CodeOf] gives [Internal] for errors of unknown origin.
type Code string

// The codes, from the caller's fault to ours.
const (
	// Invalid: the input is wrong; the message says what would be right.
	Invalid Code = "invalid"
	// Unauthenticated: no valid credentials for this tenant.
	Unauthenticated Code = "unauthenticated"
	// Forbidden: known, but not allowed.
	Forbidden Code = "forbidden"
	// NotFound: there is no such thing, or none that the caller may know of.
	NotFound Code = "not_found"
	// Conflict: the state of things forbids it (a name that is taken).
	Conflict Code = "conflict"
	// Refused: asked for something dangerous without the confirmation that it wants, or something that safety forbids.
	Refused Code = "refused"
	// Partial: some of many were done, and the report says which.
	Partial Code = "partial"
	// RateLimited: asked too often; [Error.RetryAfter] says when to come again.
	RateLimited Code = "rate_limited"
	// Unavailable: not now; the same call may succeed later.
	Unavailable Code = "unavailable"
	// Internal: our fault.
	Internal Code = "internal"
)

// Field is what is wrong with one field of the input.
type Field struct {
	// Path of the field as the caller wrote it, for example "body.name" or "--addr".
	Path string
	// Message says what would be right.
	Message string
}

// Error is a failure with a code and a message for whoever asked.
type Error struct {
	Code    Code
	Message string
	Fields  []Field
	// RetryAfter is how long to wait before the same is asked again; 0 says nothing.
	RetryAfter time.Duration
	// Err is the cause, for the log. May be nil.
	Err error
}

// New makes an error with a message formatted like fmt.Sprintf.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Wrap gives err a code and a message of its own. The cause stays reachable by errors.Is and errors.As, and out of the message.
func Wrap(err error, code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Err: err}
}

// WithField adds what is wrong with one field and returns e.
func (e *Error) WithField(path, message string) *Error {
	e.Fields = append(e.Fields, Field{Path: path, Message: message})
	return e
}

// Error gives the message and, for the log, the cause.
func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is an *Error of the same code and without a message, so that errors.Is(err, &apperr.Error{Code: c}) asks for a code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Message == "" && t.Code == e.Code
}

// CodeOf gives the code of the first *Error in err's chain, [Internal] for any other error, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}
