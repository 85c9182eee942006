package mail

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	gomail "github.com/wneessen/go-mail"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Transport takes mails out of the house: [SMTP] or [Files].
type Transport interface {
	// Deliver returns nil when the other side has taken the mail. A [*RefusedError] says that it never will; after any other error it may be
	// asked again. The error holds no address and none of the mail's words, except for RefusedError.Answer and DeferredError.Answer.
	Deliver(ctx context.Context, m Outgoing) error
}

// Outgoing is a mail on its way to a [Transport].
type Outgoing struct {
	ID     uuid.UUID
	Tenant tenantschema.Name
	// MessageID is the same in all attempts, without angle brackets.
	MessageID string
	From, To  Address
	Subject   string
	Text      string
	// HTML may be empty.
	HTML string
	// At is when the mail was sent off by the feature.
	At time.Time
}

// RefusedError says that a server will never take a mail: it answered with a code of 5xx.
type RefusedError struct {
	Code int
	// Answer is what the server said, possibly with addresses in it: for the tenant's own table, not for logs.
	Answer string
}

// Error gives the code alone.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("the mail server refused it for good, with code %d", e.Code)
}

// DeferredError says that a server did not take a mail this time.
type DeferredError struct {
	// Code is the server's, or 0 if it gave none, for example because the connection broke.
	Code int
	// Answer is what the server said, or what happened, possibly with addresses in it: for the tenant's own table, not for logs.
	Answer string
}

// Error gives the code alone.
func (e *DeferredError) Error() string {
	if e.Code == 0 {
		return "the mail server did not answer to the end"
	}
	return fmt.Sprintf("the mail server did not take it now, with code %d", e.Code)
}

// compose gives the message as it is transmitted.
func (m Outgoing) compose() *gomail.Msg {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(&m.From)
	msg.ToMailAddress(&m.To)
	msg.Subject(m.Subject)
	msg.SetMessageIDWithValue(m.MessageID)
	msg.SetDateWithValue(m.At)
	// So that no machine answers, see RFC 3834.
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	}
	return msg
}
