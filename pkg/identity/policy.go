package identity

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

// Role is what a person is to the tenant. Everybody has one.
type Role string

// The roles, from the one that may most.
const (
	RoleOwner  Role = "owner"
	RoleAdmin  Role = "admin"
	RoleMember Role = "member"
	RoleGuest  Role = "guest"
)

// Roles gives all roles, from the one that may most.
func Roles() []Role { return []Role{RoleOwner, RoleAdmin, RoleMember, RoleGuest} }

// What a key may do.
const (
	// ScopeRead allows to see everything in the tenant.
	ScopeRead = "read"
	// ScopeWrite allows to change it, and to see it.
	ScopeWrite = "write"
	// ScopeAdmin allows all that an admin may.
	ScopeAdmin = "admin"
)

// KeyScopes gives all scopes, from the one that may least. Each includes those before it.
func KeyScopes() []string { return []string{ScopeRead, ScopeWrite, ScopeAdmin} }

// Action is something that not everybody may do.
type Action string

// The actions. Who may do them stands in the policy.
const (
	ActionRead           Action = "work.read"
	ActionComment        Action = "work.comment"
	ActionWrite          Action = "work.write"
	ActionSeeMembers     Action = "members.read"
	ActionManageMembers  Action = "members.manage"
	ActionManageKeys     Action = "keys.manage"
	ActionManageWebhooks Action = "webhooks.manage"
	// ActionManageSettings is branding, the domain, and providers of sign-in.
	ActionManageSettings Action = "settings.manage"
	ActionExport         Action = "data.export"
	ActionSeeUsage       Action = "usage.read"
	// ActionOwn is to make and unmake owners.
	ActionOwn Action = "tenant.own"
)

// rule says who may do an action: people of these roles, and keys with the scope or one that includes it. No scope is no key.
type rule struct {
	roles []Role
	key   string
}

// policy is the whole of who may do what. What it does not name nobody may do.
var policy = map[Action]rule{ //nolint:gochecknoglobals // A constant table; Go has no constant maps.
	ActionRead:           {[]Role{RoleOwner, RoleAdmin, RoleMember, RoleGuest}, ScopeRead},
	ActionComment:        {[]Role{RoleOwner, RoleAdmin, RoleMember, RoleGuest}, ScopeWrite},
	ActionWrite:          {[]Role{RoleOwner, RoleAdmin, RoleMember}, ScopeWrite},
	ActionSeeMembers:     {[]Role{RoleOwner, RoleAdmin, RoleMember}, ScopeRead},
	ActionSeeUsage:       {[]Role{RoleOwner, RoleAdmin}, ScopeRead},
	ActionManageMembers:  {[]Role{RoleOwner, RoleAdmin}, ScopeAdmin},
	ActionManageKeys:     {[]Role{RoleOwner, RoleAdmin}, ScopeAdmin},
	ActionManageWebhooks: {[]Role{RoleOwner, RoleAdmin}, ScopeAdmin},
	ActionManageSettings: {[]Role{RoleOwner, RoleAdmin}, ScopeAdmin},
	ActionExport:         {[]Role{RoleOwner, RoleAdmin}, ScopeAdmin},
	ActionOwn:            {[]Role{RoleOwner}, ""},
}

// Principal is a caller whose credentials were good: a person with a session, or a program with a key. The zero Principal may do nothing.
type Principal struct {
	// UserID and SessionID are those of a person, KeyID that of a program. What does not apply is zero.
	UserID, KeyID, SessionID uuid.UUID
	// Name is the person's, or the key's. Email is the person's.
	Name, Email string
	// Role is the person's.
	Role Role
	// Scopes are the key's.
	Scopes []string
	// ConfirmedAt is when the person last proved who it is, by password or otherwise.
	ConfirmedAt time.Time

	operator bool
}

// Operator is who runs the platform and has the owner's credentials of the database, so that nothing is kept from them: for commands, never for
// what comes over the network. No session and no key gives it.
func Operator() Principal { return Principal{Name: "operator", operator: true} }

// IsUser reports whether the caller is a person.
func (p Principal) IsUser() bool { return p.UserID != uuid.Nil }

// May reports whether the policy lets the caller do a.
func (p Principal) May(a Action) bool {
	r, ok := policy[a]
	switch {
	case !ok:
		return false
	case p.operator:
		return true
	case p.IsUser():
		return slices.Contains(r.roles, p.Role)
	default:
		return r.key != "" && p.holds(r.key)
	}
}

// Can reports whether the caller may do what a key of that scope may.
func (p Principal) Can(scope string) bool {
	switch {
	case !p.IsUser():
		return p.holds(scope)
	case scope == ScopeRead:
		return p.May(ActionRead)
	case scope == ScopeWrite:
		return p.May(ActionWrite)
	}
	return scope == ScopeAdmin && p.May(ActionManageKeys)
}

// holds reports whether the key has the scope, or one that includes it.
func (p Principal) holds(scope string) bool {
	wanted := slices.Index(KeyScopes(), scope)
	return wanted >= 0 && slices.ContainsFunc(p.Scopes, func(s string) bool { return slices.Index(KeyScopes(), s) >= wanted })
}

// permit gives apperr.Forbidden unless p may do a.
func permit(p Principal, a Action) error {
	if p.May(a) {
		return nil
	}
	return apperr.New(apperr.Forbidden, "You may not do this here (%s). Ask an owner or admin of the workspace.", a)
}

// requireUser gives apperr.Forbidden unless p is a person.
func requireUser(p Principal) error {
	if p.IsUser() {
		return nil
	}
	return apperr.New(apperr.Forbidden, "Only a person who is signed in may do this, not a key.")
}
