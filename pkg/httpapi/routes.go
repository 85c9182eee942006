package httpapi

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/labstack/echo/v4"
)

// routes is every address of a tenant's host. Operations of the API need a key; the pages about it do not.
func (h *handler) routes(e *echo.Echo) error {
	const (
		list, create = http.MethodGet, http.MethodPost
		get, patch   = http.MethodGet, http.MethodPatch
		remove       = http.MethodDelete
		byID         = "/{id}"
	)
	api := h.newAPI(e)

	projects := resource{api, "Projects"}
	huma.Register(api, projects.op(list, pathProjects, "list", "List projects"), inTenant(h.listProjects))
	huma.Register(api, projects.op(create, pathProjects, "create", "Create a project"), inTenant(h.createProject))
	huma.Register(api, projects.op(get, pathProjects+byID, "get", "Get a project"), inTenant(h.getProject))
	huma.Register(api, projects.op(patch, pathProjects+byID, "patch", "Change a project"), inTenant(h.patchProject))
	huma.Register(api, projects.op(remove, pathProjects+byID, "delete", "Delete a project with its tasks"), inTenant(h.deleteProject))

	tasks := resource{api, "Tasks"}
	huma.Register(api, tasks.op(list, pathTasks, "list", "List tasks"), inTenant(h.listTasks))
	huma.Register(api, tasks.op(create, pathTasks, "create", "Create a task"), inTenant(h.createTask))
	huma.Register(api, tasks.op(get, pathTasks+byID, "get", "Get a task"), inTenant(h.getTask))
	huma.Register(api, tasks.op(patch, pathTasks+byID, "patch", "Change a task"), inTenant(h.patchTask))
	huma.Register(api, tasks.op(remove, pathTasks+byID, "delete", "Delete a task"), inTenant(h.deleteTask))

	activity := resource{api, "Activity"}
	huma.Register(api, activity.op(list, pathActivity, "list", "List what happened"), inTenant(h.listActivity))

	webhooks := resource{api, "Webhooks"}
	huma.Register(api, webhooks.op(list, pathWebhooks, "list", "List webhooks"), inTenant(h.listWebhooks))
	huma.Register(api, webhooks.op(create, pathWebhooks, "create", "Create a webhook and show its secret"), inTenant(h.createWebhook))
	huma.Register(api, webhooks.op(get, pathWebhooks+byID, "get", "Get a webhook"), inTenant(h.getWebhook))
	huma.Register(api, webhooks.op(patch, pathWebhooks+byID, "patch", "Change a webhook"), inTenant(h.patchWebhook))
	huma.Register(api, webhooks.op(remove, pathWebhooks+byID, "delete", "Delete a webhook with its deliveries"), inTenant(h.deleteWebhook))
	huma.Register(api, webhooks.action(pathWebhooks+byID+"/rotate", "rotate", "Give a webhook a new secret and show it"), inTenant(h.rotateWebhook))
	huma.Register(api, webhooks.action(pathWebhooks+byID+"/enable", "enable", "Enable a webhook again"), inTenant(h.enableWebhook))
	huma.Register(api, webhooks.action(pathWebhooks+byID+"/test", "test", "Send a webhook.test event"), inTenant(h.testWebhook))

	deliveries := resource{api, "Deliveries"}
	huma.Register(api, deliveries.op(list, pathDeliveries, "list", "List what became of events at a webhook"), inTenant(h.listDeliveries))
	huma.Register(api, deliveries.action(pathRedeliver, "redeliver", "Send an event to a webhook again"), inTenant(h.redeliver))

	docs, err := newDocs(api)
	if err != nil {
		return err
	}
	e.GET("/", docs.redirect)
	e.GET(pathOpenAPI, docs.openAPI)
	e.GET(pathDocs, docs.page)
	e.GET(pathDocs+"/", docs.redirect)
	e.GET(pathDocs+"/:asset", docs.asset)
	return nil
}
