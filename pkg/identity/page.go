package identity

import (
	"encoding/base64"
	"fmt"

	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

// How many items a page has.
const (
	DefaultLimit = 50
	MaxLimit     = 100
)

// PageRequest asks for one page of a list.
type PageRequest struct {
	// Limit is the most items wanted: 1 to [MaxLimit], or 0 for [DefaultLimit].
	Limit int
	// Cursor is the Next of the page before; empty for the first page.
	Cursor string
}

// Page is a part of a list, the newest first. While Next is not empty there is more.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

// window gives the id that all items of the page are older than, and how many rows to ask for: one more than the page.
func (p PageRequest) window() (before uuid.UUID, fetch int, err error) {
	if p.Limit < 0 || p.Limit > MaxLimit {
		return uuid.Nil, 0, apperr.New(apperr.Invalid, "The page cannot be that long.").
			WithField("limit", fmt.Sprintf("Give a number from 1 to %d.", MaxLimit))
	}
	or(&p.Limit, DefaultLimit)
	before = uuid.Max
	if p.Cursor != "" && !decode(before[:], p.Cursor) {
		return uuid.Nil, 0, apperr.New(apperr.Invalid, "The cursor cannot be used.").
			WithField("cursor", "This is not a cursor of ours. Use the next of the page before, or none for the first page.")
	}
	return before, p.Limit + 1, nil
}

// pageOf cuts the rows that were fetched to the page.
func pageOf[T any](rows []T, fetch int, key func(T) uuid.UUID) Page[T] {
	if len(rows) < fetch {
		return Page[T]{Items: rows}
	}
	rows = rows[:fetch-1]
	last := key(rows[len(rows)-1])
	return Page[T]{Items: rows, Next: base64.RawURLEncoding.EncodeToString(last[:])}
}
