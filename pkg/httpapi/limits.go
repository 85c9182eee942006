package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humaecho"
	"github.com/labstack/echo/v4"
)

const (
	mimeJSON       = "application/json"
	mimeMergePatch = "application/merge-patch+json" // RFC 7396
)

// limit bounds the time of the request and the size of its body.
func (h *handler) limit(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		outer := c.Request()
		if outer.ContentLength > h.cfg.MaxBodyBytes {
			return h.tooLarge()
		}
		ctx, cancel := context.WithTimeout(outer.Context(), h.cfg.RequestTimeout)
		defer cancel()
		// Outside of here a context that we have cancelled would look like a client that is gone.
		defer c.SetRequest(outer)
		req := outer.WithContext(ctx)
		// The writer of net/http itself, not Echo's: MaxBytesReader tells it to close the connection of who sends too much.
		req.Body = http.MaxBytesReader(c.Response().Writer, req.Body, h.cfg.MaxBodyBytes)
		c.SetRequest(req)
		if err := next(c); err != nil {
			renderError(err, c)
		}
		return nil
	}
}

func (h *handler) tooLarge() *Problem {
	return newProblem(http.StatusRequestEntityTooLarge, tooLargeDetail(h.cfg.MaxBodyBytes))
}

func tooLargeDetail(most int64) string {
	return fmt.Sprintf("The body may have at most %d bytes.", most)
}

// readBody reads the body of operations that have one, so that every way in which reading can fail becomes the right problem: huma
// would answer 500 to a client that hangs up in the middle, and would replace invalid UTF-8 without a word.
func (h *handler) readBody(ctx huma.Context, next func(huma.Context)) {
	c := humaecho.Unwrap(ctx)
	if ctx.Operation().RequestBody == nil {
		next(ctx)
		return
	}
	if err := h.buffer(c.Request()); err != nil {
		renderError(err, c)
		return
	}
	next(ctx)
}

// buffer replaces the body of req by what was read of it, and its content type by the one that huma knows.
func (h *handler) buffer(req *http.Request) error {
	if !acceptable(req) {
		return newProblem(http.StatusUnsupportedMediaType, notJSONDetail)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return h.tooLarge()
		}
		if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
			return newProblem(http.StatusRequestTimeout, "The body did not come in time. Send it again.")
		}
		return newProblem(http.StatusBadRequest, "The body could not be read to its end.")
	}
	if !utf8.Valid(body) {
		return newProblem(http.StatusBadRequest, "The body is not UTF-8.")
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	req.Header.Set(echo.HeaderContentType, mimeJSON)
	return nil
}

// acceptable reports whether the body is declared as JSON in UTF-8. A body of undeclared type is taken for JSON.
func acceptable(req *http.Request) bool {
	if req.Header.Get(echo.HeaderContentEncoding) != "" {
		return false
	}
	declared := req.Header.Get(echo.HeaderContentType)
	if declared == "" {
		return true
	}
	kind, params, err := mime.ParseMediaType(declared)
	if err != nil || (kind != mimeJSON && (kind != mimeMergePatch || req.Method != http.MethodPatch)) {
		return false
	}
	charset, ok := params["charset"]
	return !ok || strings.EqualFold(charset, "utf-8")
}
