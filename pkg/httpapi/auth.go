package httpapi

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humaecho"
	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
)

// metaAction is what of an operation's metadata says which action of the policy it is.
const metaAction = "rowhouse.action"

// For makes op one that the policy lets only those do who may do action.
func For(action identity.Action, op huma.Operation) huma.Operation {
	if op.Metadata == nil {
		op.Metadata = map[string]any{}
	}
	op.Metadata[metaAction] = action
	return op
}

// actionOf gives the action of the policy that an operation is. One that does not say takes part in the work: it reads, or writes.
func actionOf(op *huma.Operation) identity.Action {
	if action, ok := op.Metadata[metaAction].(identity.Action); ok {
		return action
	}
	if isRead(op.Method) {
		return identity.ActionRead
	}
	return identity.ActionWrite
}

// authenticate lets only those pass whose credentials are good at this tenant and whom the policy lets do the operation. It runs before
// parameters and body are looked at, so that strangers learn nothing from validation.
func (h *handler) authenticate(ctx huma.Context, next func(huma.Context)) {
	c := humaecho.Unwrap(ctx)
	r := requestFrom(ctx.Context())
	if r.inner { // The caller has been let in to change what the edge now reads.
		next(ctx)
		return
	}
	caller, err := h.caller(c)
	if err == nil {
		r.caller = caller
		err = permit(caller, actionOf(ctx.Operation()))
	}
	if err != nil {
		renderError(err, c)
		return
	}
	next(ctx)
}

// caller finds out who calls: by the key, if there is one, and otherwise by the session's cookie. A browser sends the cookie along whoever
// made it send the request, so with one it must not be another site that wants something changed.
func (h *handler) caller(c echo.Context) (identity.Principal, error) {
	req := c.Request()
	scope := requestFrom(req.Context()).scope
	token := sessionToken(c)
	if req.Header.Values("Authorization") != nil || token == "" {
		return h.cfg.Keys.Authenticate(req.Context(), scope, bearerToken(req.Header))
	}
	if err := h.origin.Check(req); err != nil {
		return identity.Principal{}, newProblem(http.StatusForbidden, foreignDetail)
	}
	return h.cfg.Keys.AuthenticateSession(req.Context(), scope, token)
}

// permit says which action is not allowed, and what would help.
func permit(p identity.Principal, action identity.Action) error {
	switch {
	case p.May(action):
		return nil
	case p.IsUser():
		return newProblem(http.StatusForbidden, "Your role does not allow this ("+string(action)+"). Ask an owner or admin of this workspace.")
	}
	denied := newProblem(http.StatusForbidden, forbiddenDetail(action))
	denied.headers.Set("WWW-Authenticate", `Bearer realm="rowhouse", error="insufficient_scope"`)
	return denied
}

func forbiddenDetail(action identity.Action) string {
	return "The scopes of this key do not allow this (" + string(action) + "). Use a key with a wider scope: read, write or admin."
}

// work gives the product as the caller.
func (h *handler) work(ctx context.Context) *workspace.Service {
	p := requestFrom(ctx).caller
	return h.cfg.Workspace.As(workspace.Actor{
		UserID: p.UserID, KeyID: p.KeyID, Name: p.Name, Moderates: p.May(identity.ActionManageMembers),
	})
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

// sessionToken gives what the session's cookie holds, or "". Over https only the name counts that no other host can set for this one.
func sessionToken(c echo.Context) string {
	name := "session"
	if c.Scheme() == "https" {
		name = "__Host-session"
	}
	cookie, err := c.Request().Cookie(name)
	if err != nil {
		return ""
	}
	return cookie.Value
}
