package identity

import (
	"context"

	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Role is what a person is in the tenant.
type Role string

// The roles.
const (
	RoleOwner  Role = "owner"
	RoleAdmin  Role = "admin"
	RoleMember Role = "member"
	RoleGuest  Role = "guest"
)

// Action is something that a caller may be allowed to do.
type Action string

// The actions.
const (
	ActionRead           Action = "work.read"
	ActionComment        Action = "work.comment"
	ActionWrite          Action = "work.write"
	ActionSeeMembers     Action = "members.read"
	ActionManageMembers  Action = "members.manage"
	ActionManageKeys     Action = "keys.manage"
	ActionManageWebhooks Action = "webhooks.manage"
	ActionManageSettings Action = "settings.manage"
	ActionExport         Action = "data.export"
	ActionSeeUsage       Action = "usage.read"
	ActionOwn            Action = "tenant.own"
)

// May reports whether the caller may do it.
func (p Principal) May(a Action) bool { return p.IsUser() && (a != ActionOwn || p.Role == RoleOwner) }

// IsUser reports whether it is a person who signed in.
func (p Principal) IsUser() bool { return p.UserID != uuid.Nil }

// AuthenticateSession gives whose session it is.
func (s *Service) AuthenticateSession(context.Context, tenantschema.Scope, string) (Principal, error) {
	return Principal{}, errUnauthenticated()
}

// Client is what is kept of who opens a session.
type Client struct{ RemoteAddress, UserAgent string }
