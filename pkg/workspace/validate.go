package workspace

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

// Lengths are in characters (code points), as PostgreSQL's char_length counts them in the schema's checks.
const (
	maxName        = 100
	maxTitle       = 200
	maxDescription = 10000
	maxSearch      = 100
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

// text gives text trimmed. It has at most maxDescription characters, may be empty, and may have tabs and line breaks.
func (c *checker) text(path, text string) string {
	text = strings.TrimSpace(text)
	control := func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' }
	if utf8.RuneCountInString(text) > maxDescription || !utf8.ValidString(text) || strings.ContainsFunc(text, control) {
		c.add(path, "Give at most %d characters, without control characters other than tabs and line breaks.", maxDescription)
	}
	return text
}

// search gives the text to look for, trimmed. Empty means no search.
func (c *checker) search(path, text string) string {
	if strings.TrimSpace(text) == "" {
		return ""
	}
	return c.line(path, text, maxSearch)
}

// pattern makes an ILIKE pattern that finds text anywhere, or nil for no search. The characters that mean something to LIKE are escaped.
func pattern(text string) *string {
	if text == "" {
		return nil
	}
	p := "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text) + "%"
	return &p
}

// date checks a date that may be nil.
func (c *checker) date(path string, d *Date) {
	if d != nil && !d.valid() {
		c.add(path, "Give a date like 2026-11-24, of the years 0001 to 9999.")
	}
}

// moment checks a time that may be nil. Beyond these years PostgreSQL and Go do not understand one another.
func (c *checker) moment(path string, t *time.Time) {
	if t != nil && (t.Year() < 1 || t.Year() > 9999) {
		c.add(path, "Give a time like 2026-11-24T09:00:00Z, of the years 0001 to 9999.")
	}
}
