package web

import (
	"net/http"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

const oidcCallbackPath = "/sign-in/oidc/callback"

// redirectURL is where a provider sends people back to.
func redirectURL(c echo.Context) string { return site(c) + oidcCallbackPath }

// beginOIDC sends the browser to a provider. It is a link and no form, because a form that another host answers is what the page's policy forbids;
// what it begins is bound to this browser by a cookie and changes nothing. Other sites cannot begin it: they are shown the door.
func (h *Pages) beginOIDC(c echo.Context) error {
	next := afterSignIn(c.QueryParam("next"))
	id, err := uuid.Parse(c.Param("id"))
	if err != nil {
		return echo.ErrNotFound
	}
	if from := c.Request().Header.Get("Sec-Fetch-Site"); from == "cross-site" || c.Request().Method != http.MethodGet {
		return c.Redirect(http.StatusSeeOther, signInPath)
	}
	address, token, err := h.cfg.Identity.BeginOIDC(c.Request().Context(), scopeOf(c), id, redirectURL(c))
	if err != nil {
		return h.signInAgain(c, err, next)
	}
	keepStep(c, stepOIDC, token, next)
	return c.Redirect(http.StatusSeeOther, address)
}

// finishOIDC takes what the provider says.
func (h *Pages) finishOIDC(c echo.Context) error {
	if c.Request().Method != http.MethodGet { // HEAD must not use up what serves once.
		return c.NoContent(http.StatusOK)
	}
	token, next := step(c, stepOIDC)
	endStep(c, stepOIDC)
	if token == "" {
		return h.signInAgain(c, errNoStep(), next)
	}
	if c.QueryParam("error") != "" { // What it says is the provider's to word, and anybody could write it into an address.
		return h.signInAgain(c, apperr.New(apperr.Invalid, "The provider did not sign you in. Try again, or choose another way."), next)
	}
	in, err := h.cfg.Identity.FinishOIDC(c.Request().Context(), scopeOf(c), token, c.QueryParam("state"), c.QueryParam("code"),
		redirectURL(c), clientOf(c))
	if err != nil {
		return h.signInAgain(c, err, next)
	}
	return entered(c, in, next, "")
}
