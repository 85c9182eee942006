package web

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/identity"
)

// security is what the page of a person's ways in shows.
type security struct {
	User     identity.User
	Passkeys []identity.Passkey
}

func (h *Pages) securityForm(c echo.Context) (page, error) {
	var (
		data security
		err  error
	)
	if data.User, err = h.myself(c); err == nil {
		data.Passkeys, err = h.cfg.Identity.ListPasskeys(c.Request().Context(), scopeOf(c), caller(c))
	}
	return page{Title: "Security", Nav: "settings", Tab: "security", Data: data}, err
}

func (h *Pages) securityPage(c echo.Context) error {
	p, err := h.securityForm(c)
	if err != nil {
		return err
	}
	return h.render(c, http.StatusOK, "settings/security", p)
}

func (h *Pages) securityAgain(c echo.Context, err error) error {
	p, pageErr := h.securityForm(c)
	if pageErr != nil {
		return pageErr
	}
	return h.again(c, err, "settings/security", p)
}

func (h *Pages) changePassword(c echo.Context) error {
	err := h.cfg.Identity.ChangePassword(c.Request().Context(), scopeOf(c), caller(c), c.FormValue("current_password"), c.FormValue("new_password"))
	if isCode(err, apperr.Refused) { // Who has no password signs in again.
		return h.askAgain(c, nil)
	}
	if err != nil {
		return h.securityAgain(c, renamed(err, map[string]string{"current": "current_password", "password": "new_password"}))
	}
	return see(c, securityPath, "Your password is changed. Your other browsers are signed out.")
}

func (h *Pages) sessionsForm(c echo.Context) (page, error) {
	list, err := h.cfg.Identity.ListSessions(c.Request().Context(), scopeOf(c), caller(c))
	return page{Title: "Sessions", Nav: "settings", Tab: "sessions", Data: list}, err
}

func (h *Pages) sessionsPage(c echo.Context) error {
	p, err := h.sessionsForm(c)
	if err != nil {
		return err
	}
	return h.render(c, http.StatusOK, "settings/sessions", p)
}

func (h *Pages) revokeSession(c echo.Context) error {
	id, err := workID(c)
	if err != nil {
		return err
	}
	if err = h.cfg.Identity.RevokeSession(c.Request().Context(), scopeOf(c), caller(c), id); err != nil {
		return err
	}
	if id == caller(c).SessionID {
		signOut(c)
		return see(c, signInPath, "You are signed out.")
	}
	return see(c, sessionsPath, "That browser is signed out.")
}

func (h *Pages) revokeOtherSessions(c echo.Context) error {
	n, err := h.cfg.Identity.RevokeOtherSessions(c.Request().Context(), scopeOf(c), caller(c))
	if err != nil {
		return err
	}
	if n == 0 {
		return see(c, sessionsPath, "You are signed in nowhere else.")
	}
	return see(c, sessionsPath, "All other browsers are signed out (%d).", n)
}
