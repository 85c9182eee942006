package mail

import (
	netmail "net/mail"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/job"
)

// Address is a mailbox, with or without the name of whose it is.
type Address = netmail.Address

// Bounds of a mail: names and subjects in characters, bodies in bytes, as the schema's checks count them.
const (
	maxName    = 100
	maxAddress = 254
	maxSubject = 200
	maxText    = 256 << 10
	maxHTML    = 1 << 20
	maxKind    = 64
)

// Message is a mail to one person.
type Message struct {
	To Address
	// Kind says what the mail is for, in lower-case letters and underscores, such as "password_reset".
	Kind string
	// Subject is one line of at most 200 characters.
	Subject string
	// Text is what everybody can read, at most 256 KiB. Required.
	Text string
	// HTML, if set, is the same in HTML, at most 1 MiB.
	HTML string
	// Queue is the queue of the delivery. Default [job.QueueCritical]: a person is waiting for it.
	Queue string
}

// validate gives apperr.Invalid with all that is wrong. It repeats nothing of the message, which may be secret.
func (m Message) validate() error {
	var fields []apperr.Field
	check := func(ok bool, path, message string) {
		if !ok {
			fields = append(fields, apperr.Field{Path: path, Message: message})
		}
	}
	problem := addressProblem(m.To)
	check(problem == "", "to", problem)
	check(len(m.Kind) <= maxKind && regexp.MustCompile(`^[a-z][a-z_]*$`).MatchString(m.Kind), "kind",
		"Give at most 64 lower-case letters and underscores.")
	check(isLine(m.Subject, maxSubject) && strings.TrimSpace(m.Subject) != "", "subject",
		"Give 1 to 200 characters on one line, without control characters.")
	check(isBody(m.Text, maxText) && m.Text != "", "text", "Give 1 byte to 256 KiB of text, without control characters.")
	check(isBody(m.HTML, maxHTML), "html", "Give at most 1 MiB of HTML, without control characters.")
	if len(fields) == 0 {
		return nil
	}
	return &apperr.Error{Code: apperr.Invalid, Message: "The mail cannot be sent like this.", Fields: fields}
}

// queue is the message's queue, or its default.
func (m Message) queue() string {
	if m.Queue == "" {
		return job.QueueCritical
	}
	return m.Queue
}

// addressProblem says what would be right, or nothing.
func addressProblem(a Address) string {
	const form = "Give one address such as ada@example.com, in ASCII (an international domain in its xn-- form), with at most 254 characters."
	isASCII := func(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) }
	if len(a.Address) > maxAddress || !isASCII(a.Address) || strings.ContainsAny(a.Address, `"()<>[]\,;`) {
		return form
	}
	// What is parsed otherwise than it is written is written otherwise than it is meant.
	if parsed, err := netmail.ParseAddress("<" + a.Address + ">"); err != nil || parsed.Address != a.Address {
		return form
	}
	if !isLine(a.Name, maxName) {
		return "Give a name of at most 100 characters on one line, without control characters."
	}
	return ""
}

// isLine says whether s may stand in a header. The separators of lines and paragraphs are no control characters to Unicode.
func isLine(s string, limit int) bool {
	breaks := func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= limit && !strings.ContainsFunc(s, breaks)
}

// isBody says whether s may be a part of a mail.
func isBody(s string, limit int) bool {
	control := func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' }
	return utf8.ValidString(s) && len(s) <= limit && !strings.ContainsFunc(s, control)
}
