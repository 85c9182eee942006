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
	mimeCSV        = "text/csv"                     // RFC 4180
	mimeFile       = "application/octet-stream"
)

// limit bounds the time of the request. How large its body may be is up to the operation: see readBody.
func (h *handler) limit(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		outer := c.Request()
		requestFrom(outer.Context()).unbounded = outer.Context()
		ctx, cancel := context.WithTimeout(outer.Context(), h.cfg.RequestTimeout)
		defer cancel()
		// Outside of here a context that we have cancelled would look like a client that is gone.
		defer c.SetRequest(outer)
		c.SetRequest(outer.WithContext(ctx))
		if err := next(c); err != nil {
			renderError(err, c)
		}
		return nil
	}
}

func tooLarge(most int64) *Problem {
	return newProblem(http.StatusRequestEntityTooLarge, tooLargeDetail(most))
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
	var err error
	switch op := ctx.Operation(); {
	case takes(op, mimeFile):
		err = streamFile(c, h.maxUpload())
	case takes(op, mimeCSV):
		err = bufferCSV(c, h.cfg.MaxImportBytes)
	default:
		err = bufferJSON(c, h.cfg.MaxBodyBytes)
	}
	if err != nil {
		renderError(err, c)
		return
	}
	next(ctx)
}

// maxUpload bounds files that are streamed.
func (h *handler) maxUpload() int64 {
	if h.cfg.Workspace == nil {
		return h.cfg.MaxBodyBytes
	}
	return h.cfg.Workspace.MaxUploadBytes()
}

func takes(op *huma.Operation, kind string) bool {
	return op.RequestBody != nil && op.RequestBody.Content[kind] != nil
}

// bufferJSON reads the body as JSON, and replaces its content type by the one that huma knows.
func bufferJSON(c echo.Context, most int64) error {
	req := c.Request()
	if !acceptable(req) {
		return newProblem(http.StatusUnsupportedMediaType, notJSONDetail)
	}
	body, err := buffer(c, most)
	if err != nil {
		return err
	}
	if !utf8.Valid(body) {
		return newProblem(http.StatusBadRequest, "The body is not UTF-8.")
	}
	req.Header.Set(echo.HeaderContentType, mimeJSON)
	return nil
}

// bufferCSV reads the body as CSV. Whether it is any is for the feature to say, which tells what is wrong with a file.
func bufferCSV(c echo.Context, most int64) error {
	if !declared(c.Request(), mimeCSV) {
		return newProblem(http.StatusUnsupportedMediaType, notCSVDetail)
	}
	_, err := buffer(c, most)
	return err
}

// streamFile lets the body be read as it comes, whatever it is declared as.
func streamFile(c echo.Context, most int64) error {
	req := c.Request()
	if req.Header.Get(echo.HeaderContentEncoding) != "" {
		return newProblem(http.StatusUnsupportedMediaType, notPlainDetail)
	}
	if req.ContentLength > most {
		return tooLarge(most)
	}
	if err := Lasting(req.Context()); err != nil { // Its sender is in no hurry, and takes no turn of the others meanwhile.
		return err
	}
	requestFrom(req.Context()).streams = true
	req.Body = upload{http.MaxBytesReader(c.Response().Writer, req.Body, most), most}
	return nil
}

// upload is a body whose errors are problems.
type upload struct {
	io.ReadCloser

	most int64
}

func (u upload) Read(p []byte) (int, error) {
	n, err := u.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = unreadable(err, u.most)
	}
	return n, err
}

// buffer replaces the body of the request by what was read of it, and gives that.
func buffer(c echo.Context, most int64) ([]byte, error) {
	req := c.Request()
	if req.ContentLength > most {
		return nil, tooLarge(most)
	}
	// The writer of net/http itself, not Echo's: MaxBytesReader tells it to close the connection of who sends too much.
	body, err := io.ReadAll(http.MaxBytesReader(c.Response().Writer, req.Body, most))
	if err != nil {
		return nil, unreadable(err, most)
	}
	req.Body = &whole{bytes.NewReader(body), body}
	return body, nil
}

// whole is a body that has been read.
type whole struct {
	*bytes.Reader

	text []byte
}

// Close satisfies io.ReadCloser.
func (*whole) Close() error { return nil }

// unreadable says why a body of which at most some bytes are taken could not be read.
func unreadable(err error, most int64) *Problem {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge(most)
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return newProblem(http.StatusRequestTimeout, "The body did not come in time. Send it again.")
	}
	return newProblem(http.StatusBadRequest, "The body could not be read to its end.")
}

// acceptable reports whether the body is declared as JSON in UTF-8. A body of undeclared type is taken for JSON.
func acceptable(req *http.Request) bool {
	if req.Header.Get(echo.HeaderContentType) == "" {
		return req.Header.Get(echo.HeaderContentEncoding) == ""
	}
	return declared(req, mimeJSON) || req.Method == http.MethodPatch && declared(req, mimeMergePatch)
}

// declared reports whether the body is declared as that kind, in UTF-8 and not compressed.
func declared(req *http.Request, want string) bool {
	kind, params, err := mime.ParseMediaType(req.Header.Get(echo.HeaderContentType))
	if err != nil || kind != want || req.Header.Get(echo.HeaderContentEncoding) != "" {
		return false
	}
	charset, ok := params["charset"]
	return !ok || strings.EqualFold(charset, "utf-8")
}
