package webhook

import (
	"encoding/base64"
	"fmt"

	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

// How many items a page has.
const (
	DefaultLimit = 20
	MaxLimit     = 100
)

// PageRequest asks for one page of a list.
type PageRequest struct {
	// Limit is the most items wanted: 1 to [MaxLimit], or 0 for [DefaultLimit].
	Limit int
	// Cursor is the Next of the page before; empty for the first page.
	Cursor string
}

// Page is a part of a list. While Next is not empty there is more.
type Page[T any] struct {
	Items []T `json:"items"`
	// Next is the cursor of the following page of the same list.
	Next string `json:"next,omitempty"`
}

// window gives what the request means: limit items with an id below before. The cursor is the id of the last item before, and holds
// whose list it belongs to.
func (p PageRequest) window(owner uuid.UUID) (before uuid.UUID, limit int, err error) {
	if p.Limit < 0 || p.Limit > MaxLimit {
		return before, 0, apperr.New(apperr.Invalid, "The page cannot be that long.").
			WithField("limit", fmt.Sprintf("Give a number from 1 to %d.", MaxLimit))
	}
	limit = p.Limit
	if limit == 0 {
		limit = DefaultLimit
	}
	if p.Cursor == "" {
		return uuid.Max, limit, nil // No id is greater: the first page runs the same statement as all others.
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(p.Cursor)
	if err != nil || len(raw) != len(owner)+len(before) || uuid.UUID(raw[:len(owner)]) != owner {
		return before, 0, apperr.New(apperr.Invalid, "The cursor cannot be used.").
			WithField("cursor", "This is not a cursor of this list. Use the next of the page before, or none for the first page.")
	}
	return uuid.UUID(raw[len(owner):]), limit, nil
}

// pageOf cuts what was fetched, one more than limit, to the page.
func pageOf(owner uuid.UUID, limit int, found []Delivery) Page[Delivery] {
	if len(found) <= limit {
		return Page[Delivery]{Items: found}
	}
	last := found[limit-1].EventID
	return Page[Delivery]{Items: found[:limit], Next: base64.RawURLEncoding.EncodeToString(append(owner[:], last[:]...))}
}
