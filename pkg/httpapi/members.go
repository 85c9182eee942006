package httpapi

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

const (
	pathMembers = "/api/v1/members"
	pathMe      = "/api/v1/me"
)

// memberView is an identity.User as the API documents it. The conversion between them keeps both alike.
type memberView struct {
	ID              uuid.UUID     `json:"id" format:"uuid"`
	Email           string        `json:"email" example:"ada@example.com"`
	DisplayName     string        `json:"display_name" example:"Ada"`
	Role            identity.Role `json:"role" enum:"owner,admin,member,guest"`
	EmailVerifiedAt *time.Time    `json:"email_verified_at" doc:"null as long as the person has not shown that the address is theirs."`
	DisabledAt      *time.Time    `json:"disabled_at" doc:"null for who may come in."`
	LastSeenAt      *time.Time    `json:"last_seen_at" doc:"Right to some minutes."`
	CreatedAt       time.Time     `json:"created_at"`
	TwoFactor       bool          `json:"two_factor" doc:"Whether a password alone does not let them in."`
	HasPassword     bool          `json:"has_password"`
	Passkeys        int           `json:"passkeys" doc:"How many there are."`
}

func viewMember(u identity.User) memberView { return memberView(u) }

type memberPatch struct {
	DisplayName changed[string]        `json:"display_name,omitzero" minLength:"1" maxLength:"100"`
	Role        changed[identity.Role] `json:"role,omitzero" enum:"owner,admin,member,guest" doc:"Only owners make owners, and touch them."`
	Disabled    changed[bool]          `json:"disabled,omitzero" doc:"true shuts the person out, at once; false lets them in again."`
}

func (p *memberPatch) patch() identity.UserPatch {
	return identity.UserPatch{DisplayName: p.DisplayName.ptr(), Role: p.Role.ptr(), Disabled: p.Disabled.ptr()}
}

type memberQuery struct {
	Paging
	Query string `query:"q" maxLength:"100" doc:"Only people with this text in their name or address."`
}

type memberAnswer struct {
	Body memberView
}

func answerMember(u identity.User, err error) (*memberAnswer, error) {
	if err != nil {
		return nil, err
	}
	return &memberAnswer{Body: viewMember(u)}, nil
}

// meView is who calls.
type meView struct {
	Kind   string        `json:"kind" enum:"person,key"`
	ID     uuid.UUID     `json:"id" format:"uuid"`
	Name   string        `json:"name"`
	Email  string        `json:"email,omitempty" doc:"Of a person."`
	Role   identity.Role `json:"role,omitempty" enum:"owner,admin,member,guest" doc:"Of a person."`
	Scopes []string      `json:"scopes,omitempty" nullable:"false" doc:"Of a key."`
}

type meAnswer struct {
	Body meView
}

func (h *handler) getMe(ctx context.Context, _ tenantschema.Scope, _ *struct{}) (*meAnswer, error) {
	p := requestFrom(ctx).caller
	if p.IsUser() {
		return &meAnswer{Body: meView{Kind: "person", ID: p.UserID, Name: p.Name, Email: p.Email, Role: p.Role}}, nil
	}
	return &meAnswer{Body: meView{Kind: "key", ID: p.KeyID, Name: p.Name, Scopes: p.Scopes}}, nil
}

func (h *handler) listMembers(ctx context.Context, scope tenantschema.Scope, in *memberQuery) (*page[memberView], error) {
	found, err := h.cfg.Keys.ListUsers(ctx, scope, identity.UserFilter{Search: in.Query}, identity.PageRequest(in.request()))
	if err != nil {
		return nil, err
	}
	return pageOf(ctx, workspace.Page[identity.User](found), viewMember), nil
}

func (h *handler) getMember(ctx context.Context, scope tenantschema.Scope, in *ByID) (*memberAnswer, error) {
	id, err := in.id("member")
	if err != nil {
		return nil, err
	}
	return answerMember(h.cfg.Keys.GetUser(ctx, scope, id))
}

func (h *handler) patchMember(ctx context.Context, scope tenantschema.Scope, in *struct {
	ByID
	Body memberPatch
},
) (*memberAnswer, error) {
	id, err := in.id("member")
	if err != nil {
		return nil, err
	}
	return answerMember(h.cfg.Keys.ChangeUser(ctx, scope, requestFrom(ctx).caller, id, in.Body.patch()))
}

func (h *handler) deleteMember(ctx context.Context, scope tenantschema.Scope, in *ByID) (*struct{}, error) {
	id, err := in.id("member")
	if err != nil {
		return nil, err
	}
	return nil, h.cfg.Keys.RemoveUser(ctx, scope, requestFrom(ctx).caller, id)
}
