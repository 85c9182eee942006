package web

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/webhook"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
)

const webhooksPath = "/settings/webhooks"

// webhookRoutes are for the addresses that hear of events.
func (h *Pages) webhookRoutes(r routes) {
	hooks := h.require(identity.ActionManageWebhooks)
	one := webhooksPath + "/:id"
	r.get(webhooksPath, func(c echo.Context) error { return h.showWebhooks(c, nil) }, hooks)
	r.post(webhooksPath, h.createWebhook, hooks)
	r.get(one, h.webhookPage, hooks)
	r.post(one+"/rotate", h.rotateWebhook, hooks)
	r.post(one+"/enable", h.enableWebhook, hooks)
	r.post(one+"/test", h.testWebhook, hooks)
	r.post(one+"/delete", h.deleteWebhook, hooks)
	r.post(one+"/deliveries/:event/redeliver", h.redeliver, hooks)
}

// webhookList is the page of all of them.
type webhookList struct {
	Items []webhook.Endpoint
	Kinds []string
	// Secret was made just now, and is shown this once.
	Secret string
	Made   string
}

func (h *Pages) showWebhooks(c echo.Context, failed error) error {
	return h.listWebhooks(c, failed, webhookList{})
}

func (h *Pages) listWebhooks(c echo.Context, failed error, view webhookList) error {
	ctx, scope := at(c)
	found, err := h.cfg.Webhooks.List(ctx, scope)
	if err != nil {
		return err
	}
	view.Items, view.Kinds = found, workspace.EventKinds()
	p := page{Title: "Webhooks", Nav: "settings", Tab: "webhooks", Data: view}
	if failed != nil {
		return h.renderWrong(c, failed, "settings/webhooks", p)
	}
	return h.render(c, http.StatusOK, "settings/webhooks", p)
}

func (h *Pages) createWebhook(c echo.Context) error {
	ctx, scope := at(c)
	form, err := c.FormParams()
	if err != nil {
		return err
	}
	made, err := h.cfg.Webhooks.Create(ctx, scope, webhook.NewEndpoint{
		URL: form.Get("url"), Description: form.Get("description"), EventKinds: slices.Clone(form["kinds"]),
	})
	if err != nil {
		return h.showWebhooks(c, err)
	}
	// Not after a redirect: the secret must stand in no cookie and no address.
	return h.listWebhooks(c, nil, webhookList{Secret: made.Secret, Made: made.URL})
}

// webhookView is the page of one.
type webhookView struct {
	webhook.Endpoint

	Deliveries []webhook.Delivery
	Next       string
	NewSecret  string
}

func (h *Pages) webhookPage(c echo.Context) error { return h.showWebhook(c, "") }

func (h *Pages) showWebhook(c echo.Context, secret string) error {
	ctx, scope := at(c)
	id, err := workID(c)
	if err != nil {
		return err
	}
	endpoint, err := h.cfg.Webhooks.Get(ctx, scope, id)
	if err != nil {
		return err
	}
	found, err := h.cfg.Webhooks.ListDeliveries(ctx, scope, id, webhook.PageRequest{Limit: 30, Cursor: c.QueryParam("cursor")})
	if err != nil {
		return err
	}
	view := webhookView{Endpoint: endpoint, Deliveries: found.Items, NewSecret: secret}
	if found.Next != "" {
		view.Next = withQuery(webhooksPath+"/"+id.String(), url.Values{"cursor": {found.Next}})
	}
	return h.render(c, http.StatusOK, "settings/webhook", page{Title: "Webhook", Nav: "settings", Tab: "webhooks", Data: view})
}

func (h *Pages) rotateWebhook(c echo.Context) error {
	ctx, scope := at(c)
	id, err := workID(c)
	if err != nil {
		return err
	}
	rotated, err := h.cfg.Webhooks.RotateSecret(ctx, scope, id)
	if err != nil {
		return err
	}
	return h.showWebhook(c, rotated.Secret)
}

func (h *Pages) enableWebhook(c echo.Context) error {
	ctx, scope := at(c)
	id, err := workID(c)
	if err != nil {
		return err
	}
	if _, err = h.cfg.Webhooks.Enable(ctx, scope, id); err != nil {
		return err
	}
	return see(c, webhooksPath+"/"+id.String(), "The webhook is sent events again.")
}

func (h *Pages) testWebhook(c echo.Context) error {
	ctx, scope := at(c)
	id, err := workID(c)
	if err != nil {
		return err
	}
	if _, err = h.cfg.Webhooks.Test(ctx, scope, id); err != nil {
		return err
	}
	return see(c, webhooksPath+"/"+id.String(), "A test event is on its way.")
}

func (h *Pages) deleteWebhook(c echo.Context) error {
	ctx, scope := at(c)
	id, err := workID(c)
	if err != nil {
		return err
	}
	if err = h.cfg.Webhooks.Delete(ctx, scope, id); err != nil {
		return err
	}
	return see(c, webhooksPath, "The webhook was deleted.")
}

func (h *Pages) redeliver(c echo.Context) error {
	ctx, scope := at(c)
	id, err := workID(c)
	if err != nil {
		return err
	}
	event, err := uuid.Parse(c.Param("event"))
	if err != nil {
		return echo.ErrNotFound
	}
	if _, err = h.cfg.Webhooks.Redeliver(ctx, scope, id, event); err != nil {
		return err
	}
	return see(c, webhooksPath+"/"+id.String(), "The event is sent again.")
}
