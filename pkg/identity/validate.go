package identity

import (
	"fmt"
	netmail "net/mail"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

// Lengths in characters (code points), as PostgreSQL's char_length counts them in the schema's checks.
const (
	maxName      = 100
	maxEmail     = 254
	maxUserAgent = 400
)

// checker collects what is wrong with an input, so that the caller is told everything at once.
type checker struct {
	fields []apperr.Field
}

func (c *checker) add(path, format string, args ...any) {
	c.fields = append(c.fields, apperr.Field{Path: path, Message: fmt.Sprintf(format, args...)})
}

// err is nil if nothing was wrong.
func (c *checker) err(message string) error {
	if len(c.fields) == 0 {
		return nil
	}
	return &apperr.Error{Code: apperr.Invalid, Message: message, Fields: c.fields}
}

// line gives text trimmed. It must have 1 to limit characters, on one line.
func (c *checker) line(path, text string, limit int) string {
	text = strings.TrimSpace(text)
	if text == "" || utf8.RuneCountInString(text) > limit || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		c.add(path, "Give 1 to %d characters on one line, without control characters.", limit)
	}
	return text
}

// email gives an address as it is stored and mailed to: an international domain in its xn-- form.
func (c *checker) email(path, text string) string {
	address, ok := canonicalEmail(text)
	if !ok {
		c.add(path, "Give one address such as ada@example.com.")
	}
	return address
}

// canonicalEmail reports whether text is an address that mails can be sent to, and how it is stored.
func canonicalEmail(text string) (string, bool) {
	text = strings.TrimSpace(text)
	at := strings.LastIndexByte(text, '@')
	if at < 1 || len(text) > 4*maxEmail {
		return text, false
	}
	domain, err := idna.Lookup.ToASCII(text[at+1:])
	if err != nil || !strings.Contains(domain, ".") && domain != "localhost" {
		return text, false
	}
	address := text[:at+1] + domain
	ascii := !strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r > '~' })
	if !ascii || len(address) > maxEmail || strings.ContainsAny(address, `"()<>[]\,;`) {
		return text, false
	}
	parsed, err := netmail.ParseAddress("<" + address + ">")
	return address, err == nil && parsed.Address == address
}

// role checks that a role is one of those allowed.
func (c *checker) role(path string, r Role, allowed ...Role) {
	if !slices.Contains(allowed, r) {
		c.add(path, "Give one of: %s.", joinRoles(allowed))
	}
}

func joinRoles(roles []Role) string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = string(r)
	}
	return strings.Join(names, ", ")
}

// cut gives at most limit characters of a text from outside that is only shown to people, without what cannot be stored.
func cut(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit])
	}
	return text
}
