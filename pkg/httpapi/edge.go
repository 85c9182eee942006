package httpapi

import (
	"context"

	"github.com/danielgtaylor/huma/v2"
	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Edge is where others add addresses to the tenants' hosts: the pages, and a product's own. Whatever is added stands behind the gates of host,
// state and limits, so that a handler only runs for a tenant that may be served.
type Edge struct {
	// Echo takes pages. They ask [CallerOf] who calls, and answer strangers themselves.
	Echo *echo.Echo
	// API takes operations, by [Operate]. Only callers with good credentials reach them.
	API huma.API
	// ErrorPage, if it is set, shows a problem to a browser: to who accepts text/html, everywhere but below /api. If it gives an error, the
	// problem is shown as it is to programs.
	ErrorPage func(echo.Context, *Problem) error
}

// SetCaller says who calls, after a page has found out by means of its own. What is logged of the request names them.
func SetCaller(ctx context.Context, p identity.Principal) { requestFrom(ctx).caller = p }

// RequestID gives the id of the request, which whoever asks for help quotes.
func RequestID(ctx context.Context) string { return requestFrom(ctx).id }

// OverTLS reports whether the client speaks https, to us or to a proxy that is trusted.
func OverTLS(ctx context.Context) bool { return requestFrom(ctx).tls }

// ClientAddress gives the client's address as far as it is known: that of the peer, or what trusted proxies say.
func ClientAddress(ctx context.Context) string { return requestFrom(ctx).address }

// StillServed reports whether the tenant of the request may be served now, for an answer that takes long.
func StillServed(ctx context.Context) bool {
	r := requestFrom(ctx)
	if r.served == nil {
		return true
	}
	return r.served()
}

// Unbounded gives the context of the request without the time limit that all others have: it ends when the client goes. What is answered under
// it must end by itself when [Draining] says so.
func Unbounded(ctx context.Context) context.Context {
	if r := requestFrom(ctx); r.unbounded != nil {
		return r.unbounded
	}
	return ctx
}

// TenantOf gives the tenant whose host was called.
func TenantOf(ctx context.Context) tenancy.Tenant { return requestFrom(ctx).tenant }

// ScopeOf gives the scope of that tenant: the only way to data.
func ScopeOf(ctx context.Context) tenantschema.Scope { return requestFrom(ctx).scope }

// CallerOf gives who calls: the zero Principal, which may do nothing, unless the credentials were good.
func CallerOf(ctx context.Context) identity.Principal { return requestFrom(ctx).caller }

// Operate adds an operation of the API, whose errors become problems. The feature's function is given the scope of the tenant that was called.
//
// op needs a Method, a Path, an OperationID, a Summary and a tag; what else it leaves open is what all operations have: the key that it takes,
// the problems that may come of it, and for POST the status 201.
func Operate[I, O any](e *Edge, op huma.Operation, f func(context.Context, tenantschema.Scope, *I) (*O, error)) {
	huma.Register(e.API, complete(e.API, op), inTenant(f))
}

// complete gives op with what it leaves open.
func complete(api huma.API, op huma.Operation) huma.Operation {
	common := resource{api: api}.op(op.Method, op.Path, "", op.Summary, actionOf(&op))
	if op.Security == nil {
		op.Security = common.Security
	}
	if op.DefaultStatus == 0 {
		op.DefaultStatus = common.DefaultStatus
	}
	if op.Responses == nil {
		op.Responses = map[string]*huma.Response{}
	}
	for status, response := range common.Responses {
		if op.Responses[status] == nil {
			op.Responses[status] = response
		}
	}
	op.MaxBodyBytes, op.BodyReadTimeout = common.MaxBodyBytes, common.BodyReadTimeout
	op.SkipValidateParams = op.SkipValidateParams || common.SkipValidateParams
	op.RejectUnknownQueryParameters = op.RejectUnknownQueryParameters || common.RejectUnknownQueryParameters
	return op
}

// Note keeps the error behind an answer that does not tell it, for the request's log line.
func Note(ctx context.Context, err error) { requestFrom(ctx).cause = err }
