package web

import (
	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/identity"
)

// The pages of settings. The first is the profile's.
const (
	profilePath   = "/settings"
	securityPath  = "/settings/security"
	sessionsPath  = "/settings/sessions"
	membersPath   = "/settings/members"
	keysPath      = "/settings/keys"
	providersPath = "/settings/sign-in"
)

// settingsRoutes are the pages of a person's own settings and of the tenant's people, keys and providers. What is dangerous is behind recent.
func (h *Pages) settingsRoutes(r routes) {
	r.get(profilePath, h.profilePage, h.requireUser)
	r.post(profilePath, h.changeProfile, h.requireUser)
	r.post(profilePath+"/email", h.changeEmail, h.requireUser, h.recent)
	r.post(profilePath+"/verification", h.sendVerification, h.requireUser)

	r.get(securityPath, h.securityPage, h.requireUser)
	r.post(securityPath+"/password", h.changePassword, h.requireUser)
	h.factorRoutes(r)

	r.get(sessionsPath, h.sessionsPage, h.requireUser)
	r.post(sessionsPath+"/others", h.revokeOtherSessions, h.requireUser)
	r.post(sessionsPath+"/:id/revoke", h.revokeSession, h.requireUser)

	members, people := h.require(identity.ActionSeeMembers), h.require(identity.ActionManageMembers)
	r.get(membersPath, h.membersPage, members)
	r.post(membersPath+"/invite", h.invite, people)
	r.post(membersPath+"/invitations/:id/resend", h.resendInvitation, people)
	r.post(membersPath+"/invitations/:id/revoke", h.revokeInvitation, people)
	r.post(membersPath+"/:id/role", h.changeRole, people, h.recent)
	r.post(membersPath+"/:id/disable", h.disableMember, people, h.recent)
	r.post(membersPath+"/:id/enable", h.enableMember, people, h.recent)
	r.post(membersPath+"/:id/remove", h.removeMember, people, h.recent)

	keys := h.require(identity.ActionManageKeys)
	r.get(keysPath, h.keysPage, keys)
	r.post(keysPath, h.createKey, keys, h.recent)
	r.post(keysPath+"/:id/revoke", h.revokeKey, keys)

	h.providerRoutes(r)
}

// myself gives who is signed in, as stored.
func (h *Pages) myself(c echo.Context) (identity.User, error) {
	return h.cfg.Identity.GetUser(c.Request().Context(), scopeOf(c), caller(c).UserID)
}

// inWords says in the message what is wrong with a field that the page has no place for.
func inWords(err error) error {
	problem, _, ok := wrong(err)
	if !ok || len(problem.Fields) == 0 {
		return err
	}
	return apperr.Wrap(err, problem.Code, "%s %s", problem.Message, problem.Fields[0].Message)
}
