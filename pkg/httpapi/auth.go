package httpapi

import (
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humaecho"

	"github.com/rowhousehq/rowhouse/pkg/identity"
)

// authenticate lets only holders of one of the tenant's keys pass. It runs before parameters and body are looked at, so that
// strangers learn nothing from validation.
func (h *handler) authenticate(ctx huma.Context, next func(huma.Context)) {
	c := humaecho.Unwrap(ctx)
	r := requestFrom(ctx.Context())
	principal, err := h.cfg.Keys.Authenticate(ctx.Context(), r.scope, bearerToken(c.Request().Header))
	if err != nil {
		renderError(err, c)
		return
	}
	r.caller = principal
	if !principal.Can(scopeFor(ctx.Method())) {
		renderError(newProblem(http.StatusForbidden, readOnlyDetail), c)
		return
	}
	next(ctx)
}

func scopeFor(method string) string {
	if isRead(method) {
		return identity.ScopeRead
	}
	return identity.ScopeWrite
}

// bearerToken gives the token of the one Authorization header, or "". Two headers are nobody's honest request.
func bearerToken(header http.Header) string {
	values := header.Values("Authorization")
	if len(values) != 1 {
		return ""
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
