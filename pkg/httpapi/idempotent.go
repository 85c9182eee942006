package httpapi

import (
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/idempotency"
)

const (
	headerKey      = "Idempotency-Key"
	headerReplayed = "Idempotency-Replayed"
	maxKey         = 255
	// notingTimeout is how long noting an answer may take when the request's own time is up.
	notingTimeout = 3 * time.Second
)

const otherBodyDetail = "This Idempotency-Key was used for another request. Give each request a key of its own."

// keptHeaders are what of an answer is given again besides its body.
func keptHeaders() []string { return []string{"Content-Type", "Location", "Link"} }

// once answers a POST that bears a key: the first time as it is, after that with the answer of the first time. An answer that says no, or that
// something failed, has changed nothing; it is not kept, so that the request can be sent again.
func (h *handler) once(c echo.Context, answer func() *recorded) (*recorded, error) {
	key, err := repeatKey(c.Request().Header)
	if err != nil {
		return nil, err
	}
	if key == "" {
		return answer(), nil
	}
	ctx, r := c.Request().Context(), requestFrom(c.Request().Context())
	sum := hashRequest(c)
	claim, replay, err := h.repeats.Begin(ctx, r.scope, callerName(r), key, sum.now())
	if errors.Is(err, &apperr.Error{Code: apperr.Conflict}) {
		p := problemOf(ctx, err)
		p.headers.Set("Retry-After", retryAfterSeconds)
		return nil, p
	}
	if err != nil {
		return nil, err
	}
	if replay != nil {
		return replayed(c, replay, sum)
	}
	finished := false
	defer func() {
		if !finished { // It panicked.
			h.note(ctx, func(ctx context.Context) error { return h.repeats.Abandon(ctx, r.scope, claim) })
		}
	}()
	rec := answer()
	finished = true
	h.note(ctx, func(ctx context.Context) error {
		if !rec.ok() {
			return h.repeats.Abandon(ctx, r.scope, claim)
		}
		kept := idempotency.Answer{Status: rec.status, Header: map[string]string{}, Body: rec.body.Bytes()}
		for _, name := range keptHeaders() {
			if value := rec.header.Get(name); value != "" {
				kept.Header[name] = value
			}
		}
		return h.repeats.Finish(ctx, r.scope, claim, sum.now(), kept)
	})
	return rec, nil
}

// note writes down how a request ended, whether or not somebody still waits for its answer. If that fails the work is done all the same, so
// that the log is told and not the caller.
func (h *handler) note(ctx context.Context, write func(context.Context) error) {
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), notingTimeout)
	defer cancel()
	if err := write(own); err != nil {
		requestFrom(ctx).cause = err
	}
}

// replayed gives the answer of then to the same request, and refuses another one.
func replayed(c echo.Context, replay *idempotency.Replay, sum *requestHash) (*recorded, error) {
	if err := sum.drain(c.Request().Body); err != nil {
		return nil, err
	}
	if sum.now() != replay.Hash {
		p := newProblem(http.StatusUnprocessableEntity, otherBodyDetail)
		p.Errors = []FieldProblem{{Location: "header." + headerKey, Message: "Choose a new key for a new request."}}
		return nil, p
	}
	if replay.Answer.TooLong {
		return nil, newProblem(http.StatusConflict, "This request was done before. Its answer was too long to be kept: read what it made.")
	}
	rec := &recorded{status: replay.Answer.Status, header: c.Response().Header().Clone()}
	for name, value := range replay.Answer.Header {
		rec.header.Set(name, value)
	}
	rec.header.Set(headerReplayed, "true")
	rec.body.Write(replay.Answer.Body)
	return rec, nil
}

// repeatKey gives the key of a request, or "".
func repeatKey(header http.Header) (string, error) {
	values := header.Values(headerKey)
	if len(values) == 0 {
		return "", nil
	}
	good := len(values) == 1 && values[0] != "" && len(values[0]) <= maxKey
	for i := 0; good && i < len(values[0]); i++ {
		good = values[0][i] > ' ' && values[0][i] < 0x7f
	}
	if !good {
		p := newProblem(http.StatusUnprocessableEntity, invalidDetail)
		p.Errors = []FieldProblem{{Location: "header." + headerKey, Message: "Give one key of 1 to 255 visible ASCII characters, such as a UUID."}}
		return "", p
	}
	return values[0], nil
}

// callerName names who calls, so that keys of different callers are different keys.
func callerName(r *request) string {
	if r.caller.IsUser() {
		return "user " + r.caller.UserID.String()
	}
	return "key " + r.caller.KeyID.String()
}

// requestHash is over all that makes a request this one. The body of an upload comes to it while it is read.
type requestHash struct {
	hash    hash.Hash
	streams bool
}

func hashRequest(c echo.Context) *requestHash {
	req := c.Request()
	r := requestFrom(req.Context())
	sum := &requestHash{hash: sha256.New(), streams: r.streams}
	_, _ = io.WriteString(sum.hash, req.Method+"\n"+r.url.RequestURI()+"\n") // A hash takes everything.
	if sum.streams {
		req.Body = struct {
			io.Reader
			io.Closer
		}{io.TeeReader(req.Body, sum.hash), req.Body}
		return sum
	}
	if body, ok := req.Body.(*whole); ok {
		_, _ = sum.hash.Write(body.text)
	}
	return sum
}

// now is the hash of what was read so far.
func (s *requestHash) now() idempotency.Hash { return idempotency.Hash(s.hash.Sum(nil)) }

// drain reads what is left of the body of an upload. Reading it is hashing it.
func (s *requestHash) drain(body io.Reader) error {
	if !s.streams {
		return nil
	}
	_, err := io.Copy(io.Discard, body)
	return err
}
