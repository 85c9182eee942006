package httpapi

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

const pathInvitations = "/api/v1/invitations"

// invitationView is an identity.Invitation as the API documents it. The conversion between them keeps both alike.
type invitationView struct {
	ID          uuid.UUID     `json:"id" format:"uuid"`
	Email       string        `json:"email" example:"bob@example.com"`
	Role        identity.Role `json:"role" enum:"admin,member,guest"`
	InvitedBy   *uuid.UUID    `json:"invited_by" format:"uuid" nullable:"true" doc:"The person who invites; null for a program, or somebody who has left."`
	InviterName string        `json:"inviter_name"`
	CreatedAt   time.Time     `json:"created_at"`
	ExpiresAt   time.Time     `json:"expires_at"`
}

func viewInvitation(i identity.Invitation) invitationView { return invitationView(i) }

type newInvitation struct {
	Email string        `json:"email" minLength:"3" maxLength:"254" example:"bob@example.com"`
	Role  identity.Role `json:"role" enum:"admin,member,guest" doc:"Owners are made of members."`
}

type invitationAnswer struct {
	Body invitationView
}

type invitationCreated struct {
	Location string `header:"Location" doc:"The address of the new invitation."`
	Body     invitationView
}

// listInvitations gives all that are open.
func (h *handler) listInvitations(ctx context.Context, scope tenantschema.Scope, _ *struct{}) (*page[invitationView], error) {
	found, err := h.cfg.Keys.ListInvitations(ctx, scope)
	if err != nil {
		return nil, err
	}
	return pageOf(ctx, workspace.Page[identity.Invitation]{Items: found}, viewInvitation), nil
}

func (h *handler) createInvitation(ctx context.Context, scope tenantschema.Scope, in *struct{ Body newInvitation }) (*invitationCreated, error) {
	made, err := h.cfg.Keys.Invite(ctx, scope, requestFrom(ctx).caller, identity.NewInvitation(in.Body))
	if err != nil {
		return nil, err
	}
	return &invitationCreated{Location: pathInvitations + "/" + made.ID.String(), Body: viewInvitation(made)}, nil
}

func (h *handler) getInvitation(ctx context.Context, scope tenantschema.Scope, in *ByID) (*invitationAnswer, error) {
	id, err := in.id("invitation")
	if err != nil {
		return nil, err
	}
	found, err := h.cfg.Keys.ListInvitations(ctx, scope) // There are few.
	if err != nil {
		return nil, err
	}
	for _, invitation := range found {
		if invitation.ID == id {
			return &invitationAnswer{Body: viewInvitation(invitation)}, nil
		}
	}
	return nil, apperr.New(apperr.NotFound, "There is no open invitation %s.", id)
}

func (h *handler) resendInvitation(ctx context.Context, scope tenantschema.Scope, in *ByID) (*invitationAnswer, error) {
	id, err := in.id("invitation")
	if err != nil {
		return nil, err
	}
	sent, err := h.cfg.Keys.ResendInvitation(ctx, scope, requestFrom(ctx).caller, id)
	if err != nil {
		return nil, err
	}
	return &invitationAnswer{Body: viewInvitation(sent)}, nil
}

func (h *handler) revokeInvitation(ctx context.Context, scope tenantschema.Scope, in *ByID) (*struct{}, error) {
	id, err := in.id("invitation")
	if err != nil {
		return nil, err
	}
	return nil, h.cfg.Keys.RevokeInvitation(ctx, scope, requestFrom(ctx).caller, id)
}
