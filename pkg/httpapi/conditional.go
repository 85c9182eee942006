package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/labstack/echo/v4"
)

const staleDetail = "It has been changed by somebody else since you read it. Read it again, and decide anew. Nothing was changed."

// precondition holds If-Match and If-None-Match of a request that changes something against what a GET of the same address would give now
// (RFC 9110, 13.2.2). Things that tell when they were changed are compared once more in the transaction that changes them: see unchangedSince.
func (h *handler) precondition(c echo.Context, op *huma.Operation) error {
	header := c.Request().Header
	wanted, unwanted := header.Values("If-Match"), header.Values("If-None-Match")
	if len(wanted) == 0 && len(unwanted) == 0 {
		return nil
	}
	if op.Method == http.MethodPost || !h.readable(op.Path) {
		if len(wanted) == 0 { // There is nothing here that could match.
			return nil
		}
		return newProblem(http.StatusPreconditionFailed, "There is no one thing at this address that If-Match could be about. Leave the header out.")
	}
	now, err := h.current(c)
	switch {
	case err != nil:
		return err
	case !now.ok():
		if now.status == http.StatusNotFound { // The operation itself says what there is not.
			return nil
		}
		return newProblem(http.StatusServiceUnavailable, busyDetail)
	case len(wanted) > 0 && !matches(wanted, now.tag(), true), len(unwanted) > 0 && matches(unwanted, now.tag(), false):
		return newProblem(http.StatusPreconditionFailed, staleDetail)
	}
	if len(wanted) == 0 {
		return nil
	}
	var version struct {
		UpdatedAt *time.Time `json:"updated_at"`
	}
	if err = json.Unmarshal(now.body.Bytes(), &version); err != nil {
		return err
	}
	requestFrom(c.Request().Context()).unchangedSince = version.UpdatedAt
	return nil
}

// readable reports whether one thing can be read at the path.
func (h *handler) readable(path string) bool {
	item := h.api.OpenAPI().Paths[path]
	return item != nil && item.Get != nil && !shapeOf(item.Get).list && !shapeOf(item.Get).streams
}

// current gives what a GET of the address of c would answer the caller.
func (h *handler) current(c echo.Context) (*recorded, error) {
	outer := c.Request()
	r := *requestFrom(outer.Context())
	r.inner, r.method = true, http.MethodGet
	req := outer.Clone(context.WithValue(outer.Context(), requestKey{}, &r))
	req.Method, req.Body, req.ContentLength = http.MethodGet, http.NoBody, 0
	rec := &recorded{status: http.StatusOK, header: http.Header{}}
	inner := c.Echo().NewContext(req, rec)
	c.Echo().Router().Find(http.MethodGet, echo.GetPath(req), inner)
	err := inner.Handler()(inner)
	return rec, err
}

// unchangedSince gives when the thing that the caller wants to change had last been changed as he knew it, or nil if he did not say.
func unchangedSince(ctx context.Context) *time.Time { return requestFrom(ctx).unchangedSince }

// noneMatch reports whether the caller has what bears the tag.
func noneMatch(header http.Header, tag string) bool {
	return matches(header.Values("If-None-Match"), tag, false)
}

// matches reports whether the values of an If-Match (strong) or If-None-Match hold tag, which is a strong one, or "*".
func matches(values []string, tag string, strong bool) bool {
	rest := strings.TrimSpace(strings.Join(values, ","))
	if rest == "*" {
		return true
	}
	for rest != "" {
		rest = strings.TrimLeft(rest, " \t,")
		bare, weak := strings.CutPrefix(rest, "W/")
		if !strings.HasPrefix(bare, `"`) {
			return false // What is no tag, and all behind it, matches nothing.
		}
		end := strings.IndexByte(bare[1:], '"')
		if end < 0 {
			return false
		}
		if bare[:end+2] == tag && (!weak || !strong) {
			return true
		}
		rest = bare[end+2:]
	}
	return false
}
