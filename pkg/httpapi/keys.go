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

const pathKeys = "/api/v1/keys"

// keyView is an identity.Key as the API documents it. The conversion between them keeps both alike.
type keyView struct {
	ID         uuid.UUID  `json:"id" format:"uuid"`
	Name       string     `json:"name" example:"Nightly export"`
	Prefix     string     `json:"prefix" doc:"How its token begins."`
	Scopes     []string   `json:"scopes" nullable:"false" example:"[\"read\"]"`
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  *time.Time `json:"expires_at" doc:"null for one that does not expire."`
	LastUsedAt *time.Time `json:"last_used_at" doc:"Right to a minute."`
	RevokedAt  *time.Time `json:"revoked_at" doc:"null for one that was not revoked."`
	CreatedBy  *uuid.UUID `json:"created_by" format:"uuid" nullable:"true" doc:"The person who made it."`
}

func viewKey(k identity.Key) keyView { return keyView(k) }

// keyMade is a key and what it is worth.
type keyMade struct {
	keyView
	Token string `json:"token" doc:"What to send as Authorization: Bearer. Shown now, and never again." example:"rh_…"`
}

type newKey struct {
	Name      string     `json:"name" minLength:"1" maxLength:"100" doc:"What it is for." example:"Nightly export"`
	Scopes    []string   `json:"scopes" minItems:"1" maxItems:"3" nullable:"false" enum:"read,write,admin" doc:"Each includes those before it. None beyond your own."`
	ExpiresAt *time.Time `json:"expires_at,omitempty" nullable:"true" doc:"When it stops working; never if absent."`
}

type keyAnswer struct {
	Body keyView
}

type keyCreated struct {
	Location string `header:"Location" doc:"The address of the new key."`
	Body     keyMade
}

// listKeys gives all of them, the revoked and expired ones too.
func (h *handler) listKeys(ctx context.Context, scope tenantschema.Scope, _ *struct{}) (*page[keyView], error) {
	found, err := h.cfg.Keys.ListKeys(ctx, scope)
	if err != nil {
		return nil, err
	}
	return pageOf(ctx, workspace.Page[identity.Key]{Items: found}, viewKey), nil
}

func (h *handler) createKey(ctx context.Context, scope tenantschema.Scope, in *struct{ Body newKey }) (*keyCreated, error) {
	key, token, err := h.cfg.Keys.CreateKeyAs(ctx, scope, requestFrom(ctx).caller, identity.NewKey(in.Body))
	if err != nil {
		return nil, err
	}
	return &keyCreated{Location: pathKeys + "/" + key.ID.String(), Body: keyMade{viewKey(key), token}}, nil
}

func (h *handler) getKey(ctx context.Context, scope tenantschema.Scope, in *ByID) (*keyAnswer, error) {
	id, err := in.id("key")
	if err != nil {
		return nil, err
	}
	found, err := h.cfg.Keys.ListKeys(ctx, scope) // There are few.
	if err != nil {
		return nil, err
	}
	for _, key := range found {
		if key.ID == id {
			return &keyAnswer{Body: viewKey(key)}, nil
		}
	}
	return nil, apperr.New(apperr.NotFound, "There is no key %s.", id)
}

// revokeKey keeps the key in the list, so that its name stays to be found.
func (h *handler) revokeKey(ctx context.Context, scope tenantschema.Scope, in *ByID) (*struct{}, error) {
	id, err := in.id("key")
	if err != nil {
		return nil, err
	}
	_, err = h.cfg.Keys.RevokeKey(ctx, scope, id)
	return nil, err
}
