package httpapi

import (
	"context"
	"net/url"

	"github.com/rowhousehq/rowhouse/pkg/workspace"
)

// Paging are the parameters that every list has. Exported, like ByID, only because huma passes over unexported embedded structs.
type Paging struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"The most items on a page."`
	Cursor string `query:"cursor" maxLength:"200" doc:"Where the page begins: the field next of the page before. Keep the filters."`
}

func (q Paging) request() workspace.PageRequest {
	return workspace.PageRequest{Limit: q.Limit, Cursor: q.Cursor}
}

// page is the answer of every list.
type page[T any] struct {
	Link string `header:"Link" doc:"The address of the next page, if there is one (RFC 8288, rel=next)."`
	Body listOf[T]
}

type listOf[T any] struct {
	Items []T    `json:"items" nullable:"false" doc:"Newest first."`
	Next  string `json:"next,omitempty" doc:"The cursor of the next page. Absent on the last one."`
}

// pageOf shows a page of the feature, each item by view.
func pageOf[T, V any](ctx context.Context, in workspace.Page[T], view func(T) V) *page[V] {
	out := &page[V]{}
	out.Body.Items = make([]V, len(in.Items))
	for i, item := range in.Items {
		out.Body.Items[i] = view(item)
	}
	if in.Next != "" {
		out.Body.Next = in.Next
		out.Link = nextLink(requestFrom(ctx).url, in.Next)
	}
	return out
}

// nextLink is relative to the host, so that it holds behind any proxy. The path is that of a list, which has no parameters.
func nextLink(current *url.URL, cursor string) string {
	query := current.Query()
	query.Set("cursor", cursor)
	next := url.URL{Path: current.Path, RawQuery: query.Encode()}
	return "<" + next.String() + `>; rel="next"`
}
