package web

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/identity"
)

func (h *Pages) profileForm(c echo.Context) (page, error) {
	u, err := h.myself(c)
	return page{Title: "Profile", Nav: "settings", Tab: "profile", Data: u}, err
}

func (h *Pages) profilePage(c echo.Context) error {
	p, err := h.profileForm(c)
	if err != nil {
		return err
	}
	return h.render(c, http.StatusOK, "settings/profile", p)
}

func (h *Pages) profileAgain(c echo.Context, err error) error {
	p, pageErr := h.profileForm(c)
	if pageErr != nil {
		return pageErr
	}
	return h.again(c, err, "settings/profile", p)
}

func (h *Pages) changeProfile(c echo.Context) error {
	name := c.FormValue("display_name")
	_, err := h.cfg.Identity.ChangeProfile(c.Request().Context(), scopeOf(c), caller(c), identity.ProfilePatch{DisplayName: &name})
	if err != nil {
		return h.profileAgain(c, err)
	}
	return see(c, profilePath, "Your profile is saved.")
}

// changeEmail has a link sent to the new address; until it is followed, the old one stays.
func (h *Pages) changeEmail(c echo.Context) error {
	address := strings.TrimSpace(c.FormValue("email"))
	p := caller(c)
	_, err := h.cfg.Identity.ChangeProfile(c.Request().Context(), scopeOf(c), p, identity.ProfilePatch{Email: &address})
	if err != nil {
		return h.profileAgain(c, err)
	}
	if strings.EqualFold(address, p.Email) {
		return see(c, profilePath, "That is your address already.")
	}
	return see(c, profilePath, "A link was sent to %s. Your address changes when you follow it.", address)
}

func (h *Pages) sendVerification(c echo.Context) error {
	if err := h.cfg.Identity.SendVerification(c.Request().Context(), scopeOf(c), caller(c)); err != nil {
		return h.profileAgain(c, err)
	}
	return see(c, profilePath, "A link was sent to you. Look into your mailbox.")
}
