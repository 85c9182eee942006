package web

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/identity"
)

const (
	secondFactorPath = "/sign-in/second-factor"
	forgotPath       = "/forgot"
)

// door is what the page of sign-in shows.
type door struct {
	Next      string
	Providers []identity.Provider
}

// signInPage shows the ways in. Who is in already is sent on, unless they come to show once more who they are.
func (h *Pages) signInPage(c echo.Context) error {
	next := afterSignIn(c.QueryParam("next"))
	if caller(c).IsUser() && c.QueryParam("again") == "" {
		return c.Redirect(http.StatusSeeOther, next)
	}
	p, err := h.doorPage(c, next)
	if err != nil {
		return err
	}
	return h.render(c, http.StatusOK, "auth/sign-in", p)
}

func (h *Pages) doorPage(c echo.Context, next string) (page, error) {
	all, err := h.cfg.Identity.ListProviders(c.Request().Context(), scopeOf(c))
	if err != nil {
		return page{}, err
	}
	open := make([]identity.Provider, 0, len(all))
	for _, provider := range all {
		if provider.DisabledAt == nil {
			open = append(open, provider)
		}
	}
	return page{Title: "Sign in", Bare: true, Data: door{Next: next, Providers: open}}, nil
}

// signIn lets somebody in by password.
func (h *Pages) signIn(c echo.Context) error {
	next := afterSignIn(c.FormValue("next"))
	in, err := h.cfg.Identity.SignIn(c.Request().Context(), scopeOf(c), c.FormValue("email"), c.FormValue("password"), clientOf(c))
	if err != nil {
		return h.signInAgain(c, err, next)
	}
	return entered(c, in, next, "")
}

// signInAgain shows the door to who was refused, whatever way they came.
func (h *Pages) signInAgain(c echo.Context, err error, next string) error {
	p, pageErr := h.doorPage(c, next)
	if pageErr != nil {
		return pageErr
	}
	return h.again(c, err, "auth/sign-in", p)
}

// secondFactorPage asks for a code, after the password.
func (h *Pages) secondFactorPage(c echo.Context) error {
	if token, _ := step(c, stepSecondFactor); token == "" {
		return c.Redirect(http.StatusSeeOther, signInPath)
	}
	return h.render(c, http.StatusOK, "auth/second-factor", secondFactorForm())
}

func secondFactorForm() page { return page{Title: "Confirm that it is you", Bare: true} }

// secondFactor lets in who has shown a password, and now a code.
func (h *Pages) secondFactor(c echo.Context) error {
	token, next := step(c, stepSecondFactor)
	if token == "" {
		return see(c, signInPath, "That took too long. Sign in again.")
	}
	in, err := h.cfg.Identity.SecondFactor(c.Request().Context(), scopeOf(c), token, c.FormValue("code"), clientOf(c))
	switch {
	case isCode(err, apperr.Unauthenticated): // The step is over: there is nothing to be tried again.
		endStep(c, stepSecondFactor)
		return h.signInAgain(c, err, next)
	case err != nil:
		return h.again(c, err, "auth/second-factor", secondFactorForm())
	}
	endStep(c, stepSecondFactor)
	return entered(c, in, next, "")
}

// signOut ends the session. Who has none is where they want to be.
func (h *Pages) signOut(c echo.Context) error {
	if p := caller(c); p.IsUser() {
		if err := h.cfg.Identity.SignOut(c.Request().Context(), scopeOf(c), p); err != nil {
			return err
		}
	}
	signOut(c)
	return see(c, signInPath, "You are signed out.")
}
