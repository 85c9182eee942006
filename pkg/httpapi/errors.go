package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// statusClientGone is the status of log lines and metrics for requests whose client hung up. Nobody receives it.
const statusClientGone = 499

// retryAfterSeconds is what a 503 asks the client to wait.
const retryAfterSeconds = "2"

const (
	mimeProblem     = "application/problem+json"
	problemTypeRoot = "urn:rowhouse:problem:"
)

// Details that the OpenAPI document shows as examples too.
const (
	internalDetail  = "Something went wrong on our side. Quote the request id when you ask about it."
	malformedDetail = "The body is not JSON that this address can read."
	invalidDetail   = "Some of the input is wrong. Each entry of errors names a field and what would be right."
	foreignDetail   = "This was sent by a page of another site, in the name of who is signed in here. Nothing was done."
	notJSONDetail   = "Send the body as Content-Type: " + mimeJSON + "."
	notCSVDetail    = "Send the file as Content-Type: " + mimeCSV + ", in UTF-8."
	notPlainDetail  = "Send the file as it is, without Content-Encoding."
	rangeDetail     = "The file has no such part. The header Content-Range says how long it is."
	tooManyDetail   = "This key or session may ask 100 times a second. Wait as long as the header Retry-After says."
	busyDetail      = "Too busy right now. Try again in a moment."
)

// Problem is an error as the API shows it (RFC 9457).
type Problem struct { //nolint:errname // It is the field's term (RFC 9457), and clients see it in the OpenAPI document.
	Type      string         `json:"type" doc:"Which kind of problem it is; stable, meant for programs." example:"urn:rowhouse:problem:not_found"`
	Title     string         `json:"title" doc:"The kind in words." example:"Not found"`
	Status    int            `json:"status" doc:"The HTTP status." example:"404"`
	Detail    string         `json:"detail" doc:"What is wrong, and what to do." example:"There is no such project."`
	RequestID string         `json:"request_id,omitempty" doc:"Quote it when you ask about the problem." example:"0192f3a1-7f4e-7b9e-8d9a-2f6c5b1e4a77"`
	Errors    []FieldProblem `json:"errors,omitempty" nullable:"false" doc:"What is wrong with single fields."`

	headers http.Header
	cause   error
}

// FieldProblem is what is wrong with one field of a request.
type FieldProblem struct {
	Location string `json:"location" doc:"Where the field is." example:"body.name"`
	Message  string `json:"message" doc:"What would be right."`
}

// Error gives what the caller is told.
func (p *Problem) Error() string { return p.Title + ": " + p.Detail }

// Unwrap gives the cause, which the caller is not told.
func (p *Problem) Unwrap() error { return p.cause }

// GetStatus satisfies huma.StatusError.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders satisfies huma.HeadersError.
func (p *Problem) GetHeaders() http.Header { return p.headers }

// ContentType satisfies huma.ContentTypeFilter.
func (p *Problem) ContentType(string) string { return mimeProblem }

// newProblem makes a problem of a status. The kind and title follow from the status alone.
func newProblem(status int, detail string) *Problem {
	kind, title := kindOf(status)
	p := &Problem{Type: problemTypeRoot + kind, Title: title, Status: status, Detail: detail, headers: http.Header{}}
	switch status {
	case http.StatusUnauthorized:
		p.headers.Set("WWW-Authenticate", `Bearer realm="rowhouse"`)
	case http.StatusServiceUnavailable:
		p.headers.Set("Retry-After", retryAfterSeconds)
	}
	return p
}

// kindOf names the problems of each status.
func kindOf(status int) (kind, title string) {
	switch status {
	case http.StatusBadRequest:
		return "malformed", "The request cannot be read"
	case http.StatusUnauthorized:
		return "unauthenticated", "No valid API key"
	case http.StatusForbidden:
		return "forbidden", "Not allowed"
	case http.StatusNotFound:
		return "not_found", "Not found"
	case http.StatusMethodNotAllowed:
		return "method_not_allowed", "Method not allowed"
	case http.StatusRequestTimeout:
		return "request_timeout", "The request came too slowly"
	case http.StatusConflict:
		return "conflict", "Conflict"
	case http.StatusPreconditionFailed:
		return "changed", "It has been changed"
	case http.StatusRequestEntityTooLarge:
		return "too_large", "The request is too large"
	case http.StatusUnsupportedMediaType:
		return "unsupported_media_type", "Unsupported content type"
	case http.StatusRequestedRangeNotSatisfiable:
		return "range_not_satisfiable", "There is no such part"
	case http.StatusUnprocessableEntity:
		return "invalid", "The request is invalid"
	case http.StatusTooManyRequests:
		return "rate_limited", "Too many requests"
	case http.StatusServiceUnavailable:
		return "unavailable", "Not available right now"
	case statusClientGone:
		return "client_gone", "The client went away"
	}
	if status >= http.StatusInternalServerError {
		return "internal", "Internal error"
	}
	return "http_error", http.StatusText(status)
}

// statusOf maps the vocabulary of failures to HTTP.
func statusOf(code apperr.Code) int {
	switch code {
	case apperr.Invalid:
		return http.StatusUnprocessableEntity
	case apperr.Unauthenticated:
		return http.StatusUnauthorized
	case apperr.Forbidden:
		return http.StatusForbidden
	case apperr.NotFound:
		return http.StatusNotFound
	case apperr.Conflict, apperr.Refused:
		return http.StatusConflict
	case apperr.RateLimited:
		return http.StatusTooManyRequests
	case apperr.Unavailable:
		return http.StatusServiceUnavailable
	case apperr.Partial, apperr.Internal:
	}
	return http.StatusInternalServerError
}

// problemOf says how err, met while serving a request with ctx, is shown. It never gives nil.
func problemOf(ctx context.Context, err error) *Problem {
	p := classify(ctx, err)
	if p.Status >= http.StatusInternalServerError && errors.Is(ctx.Err(), context.Canceled) {
		// Whatever failed, failed because nobody waits for it any more.
		p = newProblem(statusClientGone, "")
	}
	if p.cause == nil {
		p.cause = err
	}
	r := requestFrom(ctx)
	p.RequestID = r.id
	if p.Status >= statusClientGone {
		r.cause = p.cause
	}
	return p
}

func classify(ctx context.Context, err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		clone := *p
		return &clone
	}
	if errors.Is(err, workspace.ErrChanged) {
		return newProblem(http.StatusPreconditionFailed, staleDetail)
	}
	if e, ok := errors.AsType[*apperr.Error](err); ok && e.Code != apperr.Internal {
		p := newProblem(statusOf(e.Code), e.Message)
		if e.RetryAfter > 0 {
			p.headers.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
		}
		for _, f := range e.Fields {
			p.Errors = append(p.Errors, FieldProblem{Location: locate(requestFrom(ctx), f.Path), Message: f.Message})
		}
		return p
	}
	if e, ok := errors.AsType[*echo.HTTPError](err); ok && e.Code < http.StatusInternalServerError {
		return newProblem(e.Code, echoDetail(e.Code))
	}
	if errors.Is(err, tenantschema.ErrUnavailable) { // Before the deadline: it is one, too, but not the request's.
		return newProblem(http.StatusServiceUnavailable, busyDetail)
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return newProblem(http.StatusServiceUnavailable, "The request took too long and was given up. Try again, or ask for less at once.")
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return classifySQL(e.Code)
	}
	if lostDatabase(err) {
		return newProblem(http.StatusServiceUnavailable, "Not available right now. Try again in a moment.")
	}
	return newProblem(http.StatusInternalServerError, internalDetail)
}

// lostDatabase reports whether err is a connection that broke or could not be made. Handlers have no other network than the database.
func lostDatabase(err error) bool {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	_, ok := errors.AsType[net.Error](err)
	return ok || errors.Is(err, io.ErrUnexpectedEOF)
}

// classifySQL maps the SQLSTATEs that are not our fault.
func classifySQL(state string) *Problem {
	switch {
	case state == "22021", state == "22P05": // character_not_in_repertoire, untranslatable_character: PostgreSQL stores no NUL in text.
		return newProblem(http.StatusUnprocessableEntity, "The text holds a character that cannot be stored, such as NUL. Remove it.")
	case state == "57014": // query_canceled, by statement_timeout
		return newProblem(http.StatusServiceUnavailable, "The request took too long and was given up. Try again, or ask for less at once.")
	case state == "40001", state == "40P01": // serialization_failure, deadlock_detected
		return newProblem(http.StatusServiceUnavailable, "The data was changed by somebody else at the same moment. Try again.")
	case state == "55P03": // lock_not_available, while a migration holds the tables
		return newProblem(http.StatusServiceUnavailable, "The workspace is being worked on. Try again in a moment.")
	case strings.HasPrefix(state, "08"), strings.HasPrefix(state, "57P"), strings.HasPrefix(state, "53"): // connection, shutdown, resources
		return newProblem(http.StatusServiceUnavailable, "Not available right now. Try again in a moment.")
	}
	return newProblem(http.StatusInternalServerError, internalDetail)
}

// locate says where the field of a feature's input stands in the request: what is read has its fields in the query, what is
// changed in the body, unless that is a file.
func locate(r *request, path string) string {
	if isRead(r.method) || r.streams {
		return "query." + path
	}
	return "body." + path
}

// echoDetail words the errors that the router itself raises.
func echoDetail(status int) string {
	switch status {
	case http.StatusNotFound:
		return "There is nothing at this address. The API is described at /api/docs."
	case http.StatusMethodNotAllowed:
		return "This address does not know that method. The header Allow lists those it knows."
	}
	return http.StatusText(status)
}

// fromHuma rewrites the errors that huma raises itself (parameters and bodies that do not fit their schema) as problems. It is a
// huma.Transformer, because the alternative, huma.NewError, is a variable of the whole process.
func fromHuma(ctx huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	detail := m.Detail
	switch {
	case m.Status >= http.StatusInternalServerError:
		detail = internalDetail
	case m.Status == http.StatusBadRequest && len(m.Errors) > 0:
		detail = malformedDetail
	case m.Status == http.StatusUnprocessableEntity:
		detail = invalidDetail
	}
	p := newProblem(m.Status, detail)
	for _, e := range m.Errors { // e.Value stays out: it would echo input into logs and caches.
		p.Errors = append(p.Errors, FieldProblem{Location: e.Location, Message: e.Message})
	}
	return problemOf(ctx.Context(), p), nil
}

// wantsPage reports whether a person looks at the answer: what is below /api is for programs, whoever asks.
func wantsPage(req *http.Request) bool {
	return !strings.HasPrefix(req.URL.Path, "/api/") && strings.Contains(req.Header.Get(echo.HeaderAccept), "text/html")
}

// renderError is Echo's HTTPErrorHandler: the one place where an error becomes an answer outside of huma.
func renderError(err error, c echo.Context) {
	p := problemOf(c.Request().Context(), err)
	if c.Response().Committed {
		return
	}
	h := c.Response().Header()
	if r := requestFrom(c.Request().Context()); r.errorPage != nil && r.tenant.ID != "" && wantsPage(c.Request()) {
		if after := p.headers.Get("Retry-After"); after != "" {
			h.Set("Retry-After", after)
		}
		if r.errorPage(c, p) == nil || c.Response().Committed {
			return
		}
	}
	maps.Copy(h, p.headers)
	h.Set(echo.HeaderContentType, mimeProblem)
	c.Response().WriteHeader(p.Status)
	if c.Request().Method == http.MethodHead {
		return
	}
	enc := json.NewEncoder(c.Response())
	enc.SetEscapeHTML(false) // Like huma's own encoder: one shape from both paths.
	_ = enc.Encode(p)        // Fails only when the client hung up: there is nobody to tell.
}
