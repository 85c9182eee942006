package web

import (
	"encoding/base64"
	"html/template"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

// factorRoutes are what proves who somebody is beside a password.
func (h *Pages) factorRoutes(r routes) {
	r.get(totpPath, h.totpStart, h.requireUser)
	r.post(totpPath, h.beginTOTP, h.requireUser, h.recent)
	r.post(totpPath+"/confirm", h.confirmTOTP, h.requireUser, h.recent)
	r.post(totpPath+"/disable", h.disableTOTP, h.requireUser)
	r.post(securityPath+"/recovery-codes", h.newRecoveryCodes, h.requireUser, h.recent)
	r.post(passkeysPath+"/begin", h.beginPasskey, h.requireUser)
	r.post(passkeysPath, h.finishPasskey, h.requireUser)
	r.post(passkeysPath+"/:id/remove", h.removePasskey, h.requireUser, h.recent)
}

const (
	totpPath     = securityPath + "/totp"
	passkeysPath = securityPath + "/passkeys"
)

// totpSetup is shown once: the secret is on this page and nowhere else.
type totpSetup struct {
	QR     template.URL
	Secret string
}

// totpStart is where who reloads the page of the set-up arrives.
func (h *Pages) totpStart(c echo.Context) error { return c.Redirect(http.StatusSeeOther, securityPath) }

func (h *Pages) beginTOTP(c echo.Context) error {
	setup, err := h.cfg.Identity.BeginTOTP(c.Request().Context(), scopeOf(c), caller(c))
	if err != nil {
		return h.securityAgain(c, err)
	}
	return h.render(c, http.StatusOK, "settings/totp", totpPage(totpSetup{
		//nolint:gosec // An image that identity has drawn, in base64.
		QR: template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(setup.QR)), Secret: setup.Secret,
	}))
}

func totpPage(setup totpSetup) page {
	return page{Title: "Set up an authenticator app", Nav: "settings", Tab: "security", Data: setup}
}

func (h *Pages) confirmTOTP(c echo.Context) error {
	codes, err := h.cfg.Identity.ConfirmTOTP(c.Request().Context(), scopeOf(c), caller(c), c.FormValue("code"))
	if err != nil {
		return h.again(c, err, "settings/totp", totpPage(totpSetup{}))
	}
	return h.recoveryPage(c, codes, "Two-factor sign-in is on.")
}

func (h *Pages) recoveryPage(c echo.Context, codes []string, done string) error {
	p := page{Title: "Your recovery codes", Nav: "settings", Tab: "security", Flash: done, Data: codes}
	return h.render(c, http.StatusOK, "settings/recovery", p)
}

func (h *Pages) disableTOTP(c echo.Context) error {
	err := h.cfg.Identity.DisableTOTP(c.Request().Context(), scopeOf(c), caller(c), c.FormValue("totp_password"))
	if isCode(err, apperr.Refused) { // Who has no password signs in again.
		return h.askAgain(c, nil)
	}
	if err != nil {
		return h.securityAgain(c, renamed(err, map[string]string{"password": "totp_password"}))
	}
	return see(c, securityPath, "Two-factor sign-in is off.")
}

func (h *Pages) newRecoveryCodes(c echo.Context) error {
	codes, err := h.cfg.Identity.NewRecoveryCodes(c.Request().Context(), scopeOf(c), caller(c))
	if err != nil {
		return h.securityAgain(c, err)
	}
	return h.recoveryPage(c, codes, "Your former recovery codes no longer work.")
}

func (h *Pages) beginPasskey(c echo.Context) error {
	if h.cfg.Identity.RequireRecent(caller(c), recently) != nil {
		return c.JSON(http.StatusOK, challenge{Location: confirmFirst(securityPath)})
	}
	options, token, err := h.cfg.Identity.BeginPasskey(c.Request().Context(), scopeOf(c), caller(c), siteOf(c))
	if err != nil {
		return err
	}
	keepStep(c, stepPasskeyAdd, token, securityPath)
	return c.JSON(http.StatusOK, challenge{Options: options})
}

func (h *Pages) finishPasskey(c echo.Context) error {
	token, next := step(c, stepPasskeyAdd)
	endStep(c, stepPasskeyAdd)
	if token == "" {
		return errNoStep()
	}
	a, err := readAnswer(c)
	if err != nil {
		return err
	}
	made, err := h.cfg.Identity.FinishPasskey(c.Request().Context(), scopeOf(c), caller(c), siteOf(c), token, a.Name, a.Credential)
	if err != nil {
		return inWords(err)
	}
	setFlash(c, "The passkey “"+made.Name+"” is added.")
	return c.JSON(http.StatusOK, challenge{Location: next})
}

func (h *Pages) removePasskey(c echo.Context) error {
	id, err := workID(c)
	if err != nil {
		return err
	}
	err = h.cfg.Identity.RemovePasskey(c.Request().Context(), scopeOf(c), caller(c), id)
	if isCode(err, apperr.Conflict) || isCode(err, apperr.Refused) {
		return h.securityAgain(c, err)
	}
	if err != nil {
		return err
	}
	return see(c, securityPath, "The passkey is removed. Remove it from your device, too.")
}
