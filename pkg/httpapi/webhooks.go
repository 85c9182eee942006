package httpapi

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/pkg/webhook"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

const pathWebhooks = "/api/v1/webhooks"

// webhookView is a webhook.Endpoint as the API documents it. The conversion between them keeps both alike.
type webhookView struct {
	ID             uuid.UUID  `json:"id" format:"uuid"`
	URL            string     `json:"url" example:"https://example.com/hooks"`
	Description    string     `json:"description"`
	EventKinds     []string   `json:"event_kinds" nullable:"false" example:"[\"task.created\"]" doc:"What it is told of; empty for everything."`
	Secret         string     `json:"secret,omitempty" doc:"What signatures are made with. Shown when it is made, and never again."`
	OldSecretUntil *time.Time `json:"old_secret_until" doc:"Until then requests bear a second signature, made with the secret before this one."`
	FailingSince   *time.Time `json:"failing_since" doc:"Since when nothing has been delivered; null if the last delivery succeeded."`
	DisabledAt     *time.Time `json:"disabled_at" doc:"null for one in use. POST to …/enable takes it into use again."`
	DisabledReason *string    `json:"disabled_reason"`
	CreatedAt      time.Time  `json:"created_at"`
	UpdatedAt      time.Time  `json:"updated_at"`
}

func viewWebhook(e webhook.Endpoint) webhookView { return webhookView(e) }

type newWebhook struct {
	URL         string   `json:"url" minLength:"1" maxLength:"2000" doc:"Without user, password and fragment." example:"https://example.com/hooks"`
	Description string   `json:"description,omitempty" maxLength:"200" doc:"One line."`
	EventKinds  []string `json:"event_kinds,omitempty" maxItems:"100" nullable:"false" doc:"What it is to be told of; everything if absent or empty."`
}

type webhookPatch struct {
	URL         changed[string]   `json:"url,omitzero" minLength:"1" maxLength:"2000"`
	Description changed[string]   `json:"description,omitzero" maxLength:"200"`
	EventKinds  changed[[]string] `json:"event_kinds,omitzero" maxItems:"100"`
}

func (p *webhookPatch) patch() webhook.Patch {
	return webhook.Patch{URL: p.URL.ptr(), Description: p.Description.ptr(), EventKinds: p.EventKinds.ptr()}
}

type webhookAnswer struct {
	Body webhookView
}

type webhookCreated struct {
	Location string `header:"Location" doc:"The address of the new webhook."`
	Body     webhookView
}

// answerWebhook is how most operations on one webhook end.
func answerWebhook(e webhook.Endpoint, err error) (*webhookAnswer, error) {
	if err != nil {
		return nil, err
	}
	return &webhookAnswer{Body: viewWebhook(e)}, nil
}

// listWebhooks gives all of them: there are at most webhook.MaxEndpoints.
func (h *handler) listWebhooks(ctx context.Context, scope tenantschema.Scope, _ *struct{}) (*page[webhookView], error) {
	found, err := h.cfg.Webhooks.List(ctx, scope)
	if err != nil {
		return nil, err
	}
	return pageOf(ctx, workspace.Page[webhook.Endpoint]{Items: found}, viewWebhook), nil
}

func (h *handler) createWebhook(ctx context.Context, scope tenantschema.Scope, in *struct{ Body newWebhook }) (*webhookCreated, error) {
	e, err := h.cfg.Webhooks.Create(ctx, scope, webhook.NewEndpoint(in.Body))
	if err != nil {
		return nil, err
	}
	return &webhookCreated{Location: pathWebhooks + "/" + e.ID.String(), Body: viewWebhook(e)}, nil
}

func (h *handler) getWebhook(ctx context.Context, scope tenantschema.Scope, in *ByID) (*webhookAnswer, error) {
	id, err := in.id("webhook")
	if err != nil {
		return nil, err
	}
	return answerWebhook(h.cfg.Webhooks.Get(ctx, scope, id))
}

func (h *handler) patchWebhook(ctx context.Context, scope tenantschema.Scope, in *struct {
	ByID
	Body webhookPatch
},
) (*webhookAnswer, error) {
	id, err := in.id("webhook")
	if err != nil {
		return nil, err
	}
	return answerWebhook(h.cfg.Webhooks.Update(ctx, scope, id, in.Body.patch()))
}

func (h *handler) deleteWebhook(ctx context.Context, scope tenantschema.Scope, in *ByID) (*struct{}, error) {
	id, err := in.id("webhook")
	if err != nil {
		return nil, err
	}
	return nil, h.cfg.Webhooks.Delete(ctx, scope, id)
}

func (h *handler) rotateWebhook(ctx context.Context, scope tenantschema.Scope, in *ByID) (*webhookAnswer, error) {
	id, err := in.id("webhook")
	if err != nil {
		return nil, err
	}
	return answerWebhook(h.cfg.Webhooks.RotateSecret(ctx, scope, id))
}

func (h *handler) enableWebhook(ctx context.Context, scope tenantschema.Scope, in *ByID) (*webhookAnswer, error) {
	id, err := in.id("webhook")
	if err != nil {
		return nil, err
	}
	return answerWebhook(h.cfg.Webhooks.Enable(ctx, scope, id))
}
