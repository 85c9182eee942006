package httpapi

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/pkg/webhook"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

const (
	pathDeliveries = pathWebhooks + "/{id}/deliveries"
	pathRedeliver  = pathDeliveries + "/{event_id}/redeliver"
)

// deliveryView is a webhook.Delivery as the API documents it. The conversion between them keeps both alike.
type deliveryView struct {
	EndpointID    uuid.UUID     `json:"endpoint_id" format:"uuid" doc:"The webhook."`
	EventID       uuid.UUID     `json:"event_id" format:"uuid" doc:"What the receiver gets as webhook-id; the feed has it, too."`
	EventKind     string        `json:"event_kind" example:"task.created"`
	State         webhook.State `json:"state" enum:"pending,succeeded,failed"`
	Attempts      int           `json:"attempts" doc:"How often it was sent since it was published or sent again."`
	LastStatus    *int          `json:"last_status" doc:"The status of the last answer; null if there was none."`
	LastError     *string       `json:"last_error" doc:"Why the last attempt failed; null if it did not."`
	Response      *string       `json:"response" doc:"The beginning of the last answer, at most 1 kB."`
	DurationMS    *int          `json:"duration_ms" doc:"How long the last attempt took, in milliseconds."`
	NextAttemptAt *time.Time    `json:"next_attempt_at" doc:"null if it is due at once, or will not be tried again."`
	CreatedAt     time.Time     `json:"created_at"`
	FinishedAt    *time.Time    `json:"finished_at" doc:"null while it is pending."`
}

func viewDelivery(d webhook.Delivery) deliveryView { return deliveryView(d) }

type deliveryQuery struct {
	ByID
	Paging
}

type deliveryAnswer struct {
	Body deliveryView
}

func answerDelivery(d webhook.Delivery, err error) (*deliveryAnswer, error) {
	if err != nil {
		return nil, err
	}
	return &deliveryAnswer{Body: viewDelivery(d)}, nil
}

func (h *handler) listDeliveries(ctx context.Context, scope tenantschema.Scope, in *deliveryQuery) (*page[deliveryView], error) {
	id, err := in.id("webhook")
	if err != nil {
		return nil, err
	}
	found, err := h.cfg.Webhooks.ListDeliveries(ctx, scope, id, webhook.PageRequest(in.request()))
	if err != nil {
		return nil, err
	}
	return pageOf(ctx, workspace.Page[webhook.Delivery](found), viewDelivery), nil
}

func (h *handler) testWebhook(ctx context.Context, scope tenantschema.Scope, in *ByID) (*deliveryAnswer, error) {
	id, err := in.id("webhook")
	if err != nil {
		return nil, err
	}
	return answerDelivery(h.cfg.Webhooks.Test(ctx, scope, id))
}

func (h *handler) redeliver(ctx context.Context, scope tenantschema.Scope, in *struct {
	ByID
	EventID string `path:"event_id" format:"uuid" doc:"The id of the event."`
},
) (*deliveryAnswer, error) {
	id, err := in.id("webhook")
	if err != nil {
		return nil, err
	}
	event, err := ByID{in.EventID}.id("delivery")
	if err != nil {
		return nil, err
	}
	return answerDelivery(h.cfg.Webhooks.Redeliver(ctx, scope, id, event))
}
