package web

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/identity"
)

// The pages of links that were sent by mail. They are shown without touching the link where that can be: programs that look at mails before people do
// follow links, too, and must not use them up. What a link does is done by the form on its page.

func forgotForm() page { return page{Title: "Forgot your password?", Bare: true} }

func (h *Pages) forgotPage(c echo.Context) error {
	return h.render(c, http.StatusOK, "auth/forgot", forgotForm())
}

// forgot has a link sent, if there is an account; the answer is the same if there is none.
func (h *Pages) forgot(c echo.Context) error {
	if err := h.cfg.Identity.ForgotPassword(c.Request().Context(), scopeOf(c), c.FormValue("email")); err != nil {
		return h.again(c, err, "auth/forgot", forgotForm())
	}
	p := forgotForm()
	p.Title = "Look into your mailbox"
	return h.render(c, http.StatusOK, "auth/forgot-sent", p)
}

func resetForm() page { return page{Title: "Choose a new password", Bare: true} }

func (h *Pages) resetPage(c echo.Context) error {
	return h.render(c, http.StatusOK, "auth/reset", resetForm())
}

// reset sets a new password by the link of a mail, and lets in who has it.
func (h *Pages) reset(c echo.Context) error {
	in, err := h.cfg.Identity.ResetPassword(c.Request().Context(), scopeOf(c), c.Param("token"), c.FormValue("password"), clientOf(c))
	if spent(err) {
		return h.deadLink(c, "This link for a new password")
	}
	if err != nil {
		return h.again(c, err, "auth/reset", resetForm())
	}
	return entered(c, in, "/", "Your password is changed. Other browsers are signed out.")
}

// spent reports whether a link opens nothing: it was used, is too old, was taken back, or never was one of this tenant's.
func spent(err error) bool {
	return isCode(err, apperr.NotFound) || isCode(err, apperr.Unauthenticated)
}

// deadLink is the one answer to all links that open nothing, whyever.
func (h *Pages) deadLink(c echo.Context, what string) error {
	return h.render(c, http.StatusNotFound, "auth/dead-link", page{Title: "This link does not work", Bare: true, Data: what})
}

func invitationForm(in identity.Invitation) page {
	return page{Title: "Join " + in.Email, Bare: true, Data: in}
}

func (h *Pages) invitationPage(c echo.Context) error {
	in, err := h.cfg.Identity.InvitationByToken(c.Request().Context(), scopeOf(c), c.Param("token"))
	if spent(err) {
		return h.deadLink(c, "This invitation")
	}
	if err != nil {
		return err
	}
	return h.render(c, http.StatusOK, "auth/invitation", invitationForm(in))
}

// acceptInvitation makes the account of who was invited.
func (h *Pages) acceptInvitation(c echo.Context) error {
	ctx, scope, token := c.Request().Context(), scopeOf(c), c.Param("token")
	invitation, err := h.cfg.Identity.InvitationByToken(ctx, scope, token)
	if err == nil {
		var in identity.SignedIn
		in, err = h.cfg.Identity.AcceptInvitation(ctx, scope, token, identity.AcceptInvitation{
			DisplayName: c.FormValue("display_name"), Password: c.FormValue("password"),
		}, clientOf(c))
		if err == nil {
			return entered(c, in, "/", "Welcome. You have joined.")
		}
	}
	if spent(err) {
		return h.deadLink(c, "This invitation")
	}
	return h.again(c, err, "auth/invitation", invitationForm(invitation))
}

func (h *Pages) verifyPage(c echo.Context) error {
	return h.render(c, http.StatusOK, "auth/verify", page{Title: "Confirm your e-mail address", Bare: true})
}

// verify notes that an address is that of who has the link.
func (h *Pages) verify(c echo.Context) error {
	_, err := h.cfg.Identity.VerifyEmail(c.Request().Context(), scopeOf(c), c.Param("token"))
	if spent(err) {
		return h.deadLink(c, "This link for your e-mail address")
	}
	if err != nil {
		return h.again(c, err, "auth/verify", page{Title: "Confirm your e-mail address", Bare: true})
	}
	return see(c, "/", "Thank you. Your e-mail address is confirmed.")
}

// welcome lets in who has just signed up on the base domain.
func (h *Pages) welcome(c echo.Context) error {
	if c.Request().Method != http.MethodGet { // HEAD must not use up what serves once.
		return c.NoContent(http.StatusOK)
	}
	in, err := h.cfg.Identity.Welcome(c.Request().Context(), scopeOf(c), c.QueryParam("token"), clientOf(c))
	if spent(err) {
		return h.deadLink(c, "This link")
	}
	if err != nil {
		return h.signInAgain(c, err, "/")
	}
	return entered(c, in, "/", "Welcome. This is your workspace.")
}
