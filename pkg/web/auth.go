package web

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/httpapi"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// authRoutes are the pages by which people come in, and out again. Whoever has no session may call them, so none of them says whether there is
// an account.
func (h *Pages) authRoutes(r routes) {
	r.get(signInPath, h.signInPage)
	r.post(signInPath, h.signIn)
	r.get(secondFactorPath, h.secondFactorPage)
	r.post(secondFactorPath, h.secondFactor)
	r.post("/sign-in/passkey/begin", h.beginPasskeySignIn)
	r.post("/sign-in/passkey", h.passkeySignIn)
	r.get("/sign-in/oidc/:id", h.beginOIDC)
	r.get(oidcCallbackPath, h.finishOIDC)
	r.post("/sign-out", h.signOut)

	r.get(forgotPath, h.forgotPage)
	r.post(forgotPath, h.forgot)
	r.get("/reset/:token", h.resetPage)
	r.post("/reset/:token", h.reset)
	r.get("/invitations/:token", h.invitationPage)
	r.post("/invitations/:token", h.acceptInvitation)
	r.get("/verify/:token", h.verifyPage)
	r.post("/verify/:token", h.verify)
	r.get("/welcome", h.welcome)

	r.get(confirmPath, h.confirmPage, h.requireUser)
	r.post(confirmPath, h.confirm, h.requireUser)
}

// scopeOf gives the scope of the tenant whose host was called.
func scopeOf(c echo.Context) tenantschema.Scope { return httpapi.ScopeOf(c.Request().Context()) }

// entered gives the browser its session and sends it on; or to the second factor, if there is one to be asked for.
func entered(c echo.Context, in identity.SignedIn, next, greeting string) error {
	if in.SecondFactor != "" {
		keepStep(c, stepSecondFactor, in.SecondFactor, next)
		return c.Redirect(http.StatusSeeOther, secondFactorPath)
	}
	signIn(c, in.Token, in.Expires)
	return see(c, afterSignIn(next), "%s", greeting)
}

// refusal gives err if it is for the person to read beside what they sent, and the status to answer with. That is more than what [wrong] takes:
// at a door, wrong credentials and too many attempts belong into the form, too.
func refusal(c echo.Context, err error) (*apperr.Error, int, bool) {
	problem, ok := errors.AsType[*apperr.Error](err)
	if !ok {
		return nil, 0, false
	}
	switch problem.Code {
	case apperr.Unauthenticated:
		return problem, http.StatusUnprocessableEntity, true
	case apperr.Forbidden:
		return problem, http.StatusForbidden, true
	case apperr.RateLimited:
		retryAfter(c, problem.RetryAfter)
		return problem, http.StatusTooManyRequests, true
	case apperr.Invalid, apperr.Conflict, apperr.Refused:
		return wrong(err)
	case apperr.NotFound, apperr.Partial, apperr.Unavailable, apperr.Internal:
	}
	return nil, 0, false
}

// retryAfter says when it is worth to try again, in whole seconds.
func retryAfter(c echo.Context, wait time.Duration) {
	if wait > 0 {
		c.Response().Header().Set(echo.HeaderRetryAfter, strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	}
}

// again shows a form once more, with why it was refused and what was sent. Errors that are not for the person are given back.
func (h *Pages) again(c echo.Context, err error, name string, p page) error {
	problem, status, ok := refusal(c, err)
	if !ok {
		return err
	}
	p.Problem = problem
	if form, formErr := c.FormParams(); formErr == nil {
		p.Form = form
	}
	return h.render(c, status, name, p)
}

// renamed gives err with its fields named as the form names them, where one page has several forms.
func renamed(err error, names map[string]string) error {
	problem, ok := errors.AsType[*apperr.Error](err)
	if !ok || len(problem.Fields) == 0 {
		return err
	}
	again := *problem
	again.Fields = make([]apperr.Field, len(problem.Fields))
	for i, f := range problem.Fields {
		again.Fields[i] = f
		if name, ok := names[f.Path]; ok {
			again.Fields[i].Path = name
		}
	}
	return &again
}

// isCode reports whether err has that code.
func isCode(err error, code apperr.Code) bool { return err != nil && apperr.CodeOf(err) == code }
