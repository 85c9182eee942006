package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/telemetry"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// request is what the edge has found out about a request so far. It belongs to the goroutine that serves it.
type request struct {
	id     string
	method string
	url    *url.URL
	tenant tenancy.Tenant
	// limits are those of its plan.
	limits tenancy.Limits
	scope  tenantschema.Scope
	caller identity.Principal
	// streams says that the body is a file: fields are in the query.
	streams bool
	tls     bool
	address string
	// unbounded is the context before the time limit.
	unbounded context.Context //nolint:containedctx // It is the request's own, for the few that outlive the limit.
	served    func() bool
	errorPage func(echo.Context, *Problem) error
	// inner says that the edge asks itself, on behalf of a caller who was let in.
	inner bool
	// unchangedSince is what the caller knows of the thing that he changes; see precondition.
	unchangedSince *time.Time
	// turn is its place among the tenant's requests.
	turn turn
	// quiet says that its log line is one too many.
	quiet bool
	cause error // of an answer that does not tell it
}

type requestKey struct{}

// requestFrom gives the request that ctx belongs to. Every context behind identify has one.
func requestFrom(ctx context.Context) *request {
	r, _ := ctx.Value(requestKey{}).(*request)
	return r
}

// panicked is a panic as an error.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// identify gives the request its id, and the answer the headers that all answers have.
func (h *handler) identify(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		req := c.Request()
		r := &request{
			id: req.Header.Get(echo.HeaderXRequestID), method: knownMethod(req.Method), url: req.URL,
			tls: c.Scheme() == "https", address: c.RealIP(), errorPage: h.errorPage,
		}
		if !isRequestID(r.id) { // What came from a stranger is gone already: see forwarded.
			r.id = uuid.NewString()
		}
		c.SetRequest(req.WithContext(context.WithValue(req.Context(), requestKey{}, r)))
		header := c.Response().Header()
		header.Set(echo.HeaderXRequestID, r.id)
		header.Set(echo.HeaderXContentTypeOptions, "nosniff")
		header.Set(echo.HeaderXFrameOptions, "DENY")
		header.Set(echo.HeaderReferrerPolicy, "no-referrer")
		header.Set(echo.HeaderContentSecurityPolicy, "default-src 'none'; frame-ancestors 'none'")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set(echo.HeaderCacheControl, "no-store")
		return next(c)
	}
}

// isRequestID bounds what a proxy may put into our log lines.
func isRequestID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// knownMethod keeps methods that a client made up out of logs and metrics.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
		http.MethodConnect, http.MethodTrace:
		return method
	}
	return "OTHER"
}

// observe answers errors and panics, and then writes the request's one log line and metrics.
func (h *handler) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		r := requestFrom(c.Request().Context())
		ctx, db := telemetry.WithDBStats(c.Request().Context())
		c.SetRequest(c.Request().WithContext(ctx))

		err := recovered(next, c)
		p, isPanic := errors.AsType[*panicked](err)
		// Half an answer must not look like a whole one: cutting the connection is the only thing left to say.
		cut := isPanic && c.Response().Committed
		if err != nil {
			renderError(err, c)
		}

		route := c.Path()
		if route == "" {
			route = "none"
		}
		status, elapsed := c.Response().Status, time.Since(start)
		h.cfg.Metrics.ObserveRequest(r.method, route, status, elapsed)
		fields := []zap.Field{
			zap.String("request_id", r.id),
			zap.String("method", r.method),
			zap.String("route", route),
			zap.Int("status", status),
			zap.Float64("duration_ms", milliseconds(elapsed)),
			zap.Float64("db_ms", milliseconds(db.Duration())),
			zap.Int64("db_queries", db.Queries()),
			zap.Int64("bytes", c.Response().Size),
		}
		if r.tenant.ID != "" {
			fields = append(fields, zap.String("tenant", r.tenant.ID))
		}
		if r.caller.KeyID != uuid.Nil {
			fields = append(fields, zap.Stringer("key", r.caller.KeyID))
		}
		if r.cause != nil {
			fields = append(fields, zap.Error(r.cause))
		}
		if isPanic {
			fields = append(fields, zap.ByteString("stack", p.stack))
		}
		level := levelOf(status)
		if r.quiet {
			level = zap.DebugLevel
		}
		if isPanic {
			level = zap.ErrorLevel
		}
		h.log.Log(level, "request", fields...)
		if cut {
			panic(http.ErrAbortHandler)
		}
		return nil
	}
}

// recovered calls next and gives a panic back as an error. It stands inside observe, so that a panic has a log line like any answer.
func recovered(next echo.HandlerFunc, c echo.Context) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &panicked{value: value, stack: debug.Stack()}
		}
	}()
	return next(c)
}

// levelOf: 503 is what overload and maintenance look like, not a fault in itself.
func levelOf(status int) zapcore.Level {
	switch {
	case status == http.StatusServiceUnavailable:
		return zap.WarnLevel
	case status >= http.StatusInternalServerError:
		return zap.ErrorLevel
	}
	return zap.InfoLevel
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
