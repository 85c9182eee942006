package web

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/identity"
)

// members is what the page of the people shows.
type members struct {
	People      identity.Page[identity.User]
	Invitations []identity.Invitation
	// Search is what the list was narrowed by.
	Search string
	// Roles are those that the caller may give; Invitable those of invitations.
	Roles, Invitable []identity.Role
	Me               identity.Principal
}

func (h *Pages) membersForm(c echo.Context) (page, error) {
	ctx, p := c.Request().Context(), caller(c)
	data := members{Me: p, Search: c.QueryParam("q"), Roles: identity.Roles(), Invitable: identity.Roles()[1:]}
	if !p.May(identity.ActionOwn) {
		data.Roles = data.Roles[1:]
	}
	var err error
	data.People, err = h.cfg.Identity.ListUsers(ctx, scopeOf(c), identity.UserFilter{Search: data.Search},
		identity.PageRequest{Cursor: c.QueryParam("cursor")})
	if err == nil && p.May(identity.ActionManageMembers) {
		data.Invitations, err = h.cfg.Identity.ListInvitations(ctx, scopeOf(c))
	}
	return page{Title: "Members", Nav: "settings", Tab: "members", Data: data}, err
}

func (h *Pages) membersPage(c echo.Context) error {
	p, err := h.membersForm(c)
	if isCode(err, apperr.Invalid) { // A cursor that is none.
		return echo.ErrNotFound
	}
	if err != nil {
		return err
	}
	return h.render(c, http.StatusOK, "settings/members", p)
}

func (h *Pages) membersAgain(c echo.Context, err error) error {
	p, pageErr := h.membersForm(c)
	if pageErr != nil {
		return pageErr
	}
	return h.again(c, err, "settings/members", p)
}

// invite mails somebody a link. Who is invited as an admin will rule, so that wants a recent proof of who invites.
func (h *Pages) invite(c echo.Context) error {
	if identity.Role(c.FormValue("invite_role")) == identity.RoleAdmin {
		return h.recent(h.inviteNow)(c)
	}
	return h.inviteNow(c)
}

func (h *Pages) inviteNow(c echo.Context) error {
	made, err := h.cfg.Identity.Invite(c.Request().Context(), scopeOf(c), caller(c), identity.NewInvitation{
		Email: c.FormValue("invite_email"), Role: identity.Role(c.FormValue("invite_role")),
	})
	if err != nil {
		return h.membersAgain(c, renamed(err, map[string]string{"email": "invite_email", "role": "invite_role"}))
	}
	return see(c, membersPath, "An invitation is on its way to %s.", made.Email)
}

func (h *Pages) resendInvitation(c echo.Context) error {
	id, err := workID(c)
	if err != nil {
		return err
	}
	again, err := h.cfg.Identity.ResendInvitation(c.Request().Context(), scopeOf(c), caller(c), id)
	if err != nil {
		return h.membersAgain(c, err)
	}
	return see(c, membersPath, "The invitation was sent to %s again. The link of the former mail no longer works.", again.Email)
}

func (h *Pages) revokeInvitation(c echo.Context) error {
	id, err := workID(c)
	if err != nil {
		return err
	}
	if err = h.cfg.Identity.RevokeInvitation(c.Request().Context(), scopeOf(c), caller(c), id); err != nil {
		return h.membersAgain(c, err)
	}
	return see(c, membersPath, "The invitation is taken back. Its link no longer works.")
}

func (h *Pages) changeRole(c echo.Context) error {
	role := identity.Role(c.FormValue("role"))
	return h.changeMember(c, identity.UserPatch{Role: &role}, "%s is now "+roleArticle(role)+".")
}

func (h *Pages) disableMember(c echo.Context) error {
	return h.changeMember(c, identity.UserPatch{Disabled: new(true)}, "%s is signed out everywhere and cannot sign in.")
}

func (h *Pages) enableMember(c echo.Context) error {
	return h.changeMember(c, identity.UserPatch{Disabled: new(false)}, "%s may sign in again.")
}

func (h *Pages) changeMember(c echo.Context, patch identity.UserPatch, done string) error {
	id, err := workID(c)
	if err != nil {
		return err
	}
	u, err := h.cfg.Identity.ChangeUser(c.Request().Context(), scopeOf(c), caller(c), id, patch)
	if err != nil {
		return h.membersAgain(c, inWords(err))
	}
	return see(c, membersPath, done, u.DisplayName)
}

func (h *Pages) removeMember(c echo.Context) error {
	id, err := workID(c)
	if err != nil {
		return err
	}
	if err = h.cfg.Identity.RemoveUser(c.Request().Context(), scopeOf(c), caller(c), id); err != nil {
		return h.membersAgain(c, err)
	}
	if id == caller(c).UserID {
		signOut(c)
		return see(c, signInPath, "You have left the workspace.")
	}
	return see(c, membersPath, "The account is removed. What it wrote stays.")
}

// roleArticle gives a role as it stands in a sentence.
func roleArticle(role identity.Role) string {
	switch role {
	case identity.RoleOwner, identity.RoleAdmin:
		return "an " + string(role)
	case identity.RoleMember, identity.RoleGuest:
	}
	return "a " + string(role)
}
