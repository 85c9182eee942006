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
	common := resource{api: api}.op(op.Method, op.Path, "", op.Summary)
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
