package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humaecho"
	"github.com/labstack/echo/v4"
)

// What an operation says of itself beyond what the document shows; see shapeOf.
const metaShape = "rowhouse.shape"

// shape is how the answers of an operation look, as far as the edge treats them by it.
type shape struct {
	// list says that the answer is a page of things, and no thing.
	list bool
	// streams says that the answer is a file, which is not held in memory and bears a tag of its own.
	streams bool
}

func shapeOf(op *huma.Operation) shape {
	s, _ := op.Metadata[metaShape].(shape)
	return s
}

// recorded is an answer before it is sent.
type recorded struct {
	status int
	header http.Header
	body   bytes.Buffer
}

// Header satisfies http.ResponseWriter.
func (r *recorded) Header() http.Header { return r.header }

// WriteHeader satisfies http.ResponseWriter.
func (r *recorded) WriteHeader(status int) { r.status = status }

func (r *recorded) Write(p []byte) (int, error) { return r.body.Write(p) }

// record gives what answer writes to c instead of sending it.
func record(c echo.Context, answer func()) *recorded {
	rec := &recorded{status: http.StatusOK, header: c.Response().Header().Clone()}
	outer := c.Response()
	defer c.SetResponse(outer)
	c.SetResponse(echo.NewResponse(rec, c.Echo()))
	answer()
	return rec
}

// send sends what was recorded.
func (r *recorded) send(c echo.Context) {
	header := c.Response().Header()
	clear(header)
	maps.Copy(header, r.header)
	c.Response().WriteHeader(r.status)
	if r.status != http.StatusNoContent && r.status != http.StatusNotModified {
		_, _ = c.Response().Write(r.body.Bytes()) // Fails only when the client hung up.
	}
}

func (r *recorded) ok() bool {
	return r.status >= http.StatusOK && r.status < http.StatusMultipleChoices
}

// tag is the entity tag of what was recorded, a strong one: it is the same as long as the answer is, to the byte.
func (r *recorded) tag() string {
	sum := sha256.Sum256(r.body.Bytes())
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
}

// represent stands around the handlers, and does for all of them what has to do with the answer as a whole: entity tags and conditions
// (conditional.go), keys of repeated requests (idempotent.go), and the choice of fields (fields.go). So it holds answers back until they are whole.
func (h *handler) represent(ctx huma.Context, next func(huma.Context)) {
	c, op := humaecho.Unwrap(ctx), ctx.Operation()
	if requestFrom(ctx.Context()).inner || shapeOf(op).streams {
		next(ctx)
		return
	}
	answer := func() *recorded { return record(c, func() { next(ctx) }) }
	var rec *recorded
	var err error
	switch op.Method {
	case http.MethodGet:
		rec, err = h.read(c, op, answer)
	case http.MethodPost:
		if err = h.precondition(c, op); err == nil {
			rec, err = h.once(c, answer)
		}
	default:
		if err = h.precondition(c, op); err == nil {
			rec = answer()
		}
		if err == nil && rec.ok() && rec.body.Len() > 0 && h.readable(op.Path) {
			rec.header.Set("ETag", rec.tag())
		}
	}
	if err != nil {
		renderError(err, c)
		return
	}
	rec.send(c)
}

// read answers a GET. The tag is that of the whole thing, whichever fields are asked for: it can be given with the next change.
func (h *handler) read(c echo.Context, op *huma.Operation, answer func() *recorded) (*recorded, error) {
	chosen, err := h.chosenFields(c, op)
	if err != nil {
		return nil, err
	}
	rec := answer()
	if !rec.ok() {
		return rec, nil
	}
	if !shapeOf(op).list && rec.header.Get("Content-Type") == mimeJSON {
		rec.header.Set("ETag", rec.tag())
		// A browser may keep it, and must ask whether it is still so. What one caller gets, no other shall.
		rec.header.Set(echo.HeaderCacheControl, "private, no-cache")
		rec.header.Add(echo.HeaderVary, "Authorization, Cookie")
		if noneMatch(c.Request().Header, rec.tag()) {
			rec.status = http.StatusNotModified
			rec.header.Del("Content-Type")
			return rec, nil
		}
	}
	if chosen != nil {
		err = rec.choose(chosen, shapeOf(op).list)
	}
	return rec, err
}
