package httpapi

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/labstack/echo/v4"
)

// routes is every address of a tenant's host. Operations of the API need a key; the pages about it do not.
func (h *handler) routes(e *echo.Echo) error {
	api := h.newAPI(e)
	if h.cfg.Workspace != nil {
		h.workspaceRoutes(api)
	}
	if h.cfg.Webhooks != nil {
		h.webhookRoutes(api)
	}
	e.GET(pathDocs+"/", toDocs)
	if h.cfg.Product == nil {
		e.GET("/", toDocs)
	} else {
		edge := &Edge{Echo: e, API: api}
		if err := h.cfg.Product(edge); err != nil {
			return err
		}
		h.errorPage = edge.ErrorPage
	}
	docs, err := newDocs(api) // Now that all operations are known.
	if err != nil {
		return err
	}
	e.GET(pathOpenAPI, docs.openAPI)
	e.GET(pathDocs, docs.page)
	e.GET(pathDocs+"/:asset", docs.asset)
	return nil
}

// workspaceRoutes is what the workspace is asked for.
func (h *handler) workspaceRoutes(api huma.API) {
	const (
		list, create = http.MethodGet, http.MethodPost
		get, patch   = http.MethodGet, http.MethodPatch
		remove       = http.MethodDelete
		byID         = "/{id}"
		imported     = pathProjects + byID + "/imports"
		attached     = pathTasks + byID + "/attachments"
	)
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

	reports := resource{api, "Reports"}
	huma.Register(api, reports.op(list, pathReports, "list", "List reports"), inTenant(h.listReports))
	huma.Register(api, accepted(reports.op(create, pathReports, "create", "Make the report of a day now")), inTenant(h.createReport))
	huma.Register(api, reports.op(get, pathReports+byID, "get", "Get what there is to know of a report"), inTenant(h.getReport))
	huma.Register(api, file(reports.op(get, pathReports+byID+"/csv", "csv", "Get a report as a table"), mimeCSV), inTenant(h.getReportCSV))
	huma.Register(api, file(reports.op(get, pathReports+byID+"/html", "html", "Get a report as a page"), mimeHTML), inTenant(h.getReportHTML))

	imports := resource{api, "Imports"}
	huma.Register(api, imports.op(list, imported, "list", "List the imports into a project"), inTenant(h.listImports))
	huma.Register(api, accepted(takingCSV(imports.op(create, imported, "create", "Import tasks from a CSV file"))), inTenant(h.createImport))
	huma.Register(api, imports.op(get, pathImports+byID, "get", "Get an import and how far it is"), inTenant(h.getImport))

	files := resource{api, "Attachments"}
	one := pathAttachments + byID
	huma.Register(api, files.op(list, attached, "list", "List the files of a task"), inTenant(h.listAttachments))
	huma.Register(api, takingFile(files.op(create, attached, "create", "Add a file to a task")), inTenant(h.createAttachment))
	huma.Register(api, files.op(get, one, "get", "Get what there is to know of a file"), inTenant(h.getAttachment))
	huma.Register(api, file(files.op(get, one+"/content", "content", "Get a file, or a part of it"), mimeFile), inTenant(h.getAttachmentContent))
	huma.Register(api, file(files.op(get, one+"/thumbnail", "thumbnail", "Get a small copy of a picture"), "image/jpeg", "image/png"),
		inTenant(h.getThumbnail))
	huma.Register(api, files.op(remove, one, "delete", "Delete a file"), inTenant(h.deleteAttachment))
}

// webhookRoutes is what the webhooks are asked for.
func (h *handler) webhookRoutes(api huma.API) {
	const (
		list, create = http.MethodGet, http.MethodPost
		get, patch   = http.MethodGet, http.MethodPatch
		remove       = http.MethodDelete
		byID         = "/{id}"
	)
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
}
