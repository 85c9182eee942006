package workspace

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

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
	// Next is the cursor of the following page. It fits only the same list with the same filters; the limit may change.
	Next string `json:"next,omitempty"`
}

// Lists are ordered by id, the newest first, and a cursor is the id of the last item given plus a tag of the list and its filters.
// It is not signed: who makes one up sees a part of the same list that he may see anyway.
const tagLen = 8

type cursorTag [tagLen]byte

// tagOf names a list and its filters. The filters must be in their canonical form.
func tagOf(list string, filters any) (cursorTag, error) {
	text, err := json.Marshal(filters)
	if err != nil {
		return cursorTag{}, fmt.Errorf("encode filters: %w", err)
	}
	sum := sha256.Sum256(append([]byte(list+"\n"), text...))
	return cursorTag(sum[:tagLen]), nil
}

// encodeCursor puts what the list is ordered by, if that is not the id alone, behind the id.
func encodeCursor(tag cursorTag, last uuid.UUID, value string) string {
	return base64.RawURLEncoding.EncodeToString(append(append(tag[:], last[:]...), value...))
}

func decodeCursor(tag cursorTag, cursor string) (uuid.UUID, string, error) {
	const size = tagLen + len(uuid.UUID{})
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(raw) < size || strings.ContainsAny(cursor, "\r\n") {
		return uuid.UUID{}, "", errNoCursor()
	}
	if cursorTag(raw[:tagLen]) != tag {
		return uuid.UUID{}, "", errCursor("This cursor belongs to another list or other filters. " +
			"Keep the filters from page to page, or start without a cursor.")
	}
	return uuid.UUID(raw[tagLen:size]), string(raw[size:]), nil
}

func errNoCursor() error {
	return errCursor("This is not a cursor of ours. Use the next of the page before, or none for the first page.")
}

func errCursor(message string) error {
	return apperr.New(apperr.Invalid, "The cursor cannot be used.").WithField("cursor", message)
}

// window is the part of a list that a page request means: the items with an id below before, and limit of them.
type window struct {
	tag    cursorTag
	before uuid.UUID
	// beyond is what else the last item given was ordered by.
	beyond string
	limit  int
}

func (p PageRequest) window(list string, filters any) (window, error) {
	w, err := p.windowBy(list, filters)
	if err == nil && w.beyond != "" {
		err = errNoCursor()
	}
	return w, err
}

// windowBy is window for a list that is ordered by something else before the id. What the cursor says of it must be checked.
func (p PageRequest) windowBy(list string, filters any) (window, error) {
	if p.Limit < 0 || p.Limit > MaxLimit {
		return window{}, apperr.New(apperr.Invalid, "The page cannot be that long.").
			WithField("limit", fmt.Sprintf("Give a number from 1 to %d.", MaxLimit))
	}
	tag, err := tagOf(list, filters)
	if err != nil {
		return window{}, err
	}
	// No id is greater, so that the first page runs the same statement as all others.
	w := window{tag: tag, before: uuid.Max, limit: p.Limit}
	if w.limit == 0 {
		w.limit = DefaultLimit
	}
	if p.Cursor != "" {
		w.before, w.beyond, err = decodeCursor(tag, p.Cursor)
	}
	return w, err
}

// fetch is how many rows to ask for: one more than the page, to know whether there is another.
func (w window) fetch() int { return w.limit + 1 }

// pageOf cuts the rows that were fetched to the page. key gives what the list is ordered by.
func pageOf[T any](w window, rows []T, key func(T) uuid.UUID) Page[T] {
	return pageBy(w, rows, func(row T) (uuid.UUID, string) { return key(row), "" })
}

// pageBy is pageOf for a list that is ordered by something else before the id.
func pageBy[T any](w window, rows []T, key func(T) (uuid.UUID, string)) Page[T] {
	if len(rows) <= w.limit {
		return Page[T]{Items: rows}
	}
	rows = rows[:w.limit]
	last, value := key(rows[w.limit-1])
	return Page[T]{Items: rows, Next: encodeCursor(w.tag, last, value)}
}
