package httpapi

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/identity"
)

// routes is every address of a tenant's host, and what of the policy each operation of the API is. The pages about the API are for everybody.
func (h *handler) routes(e *echo.Echo) error {
	api := h.newAPI(e)
	h.api = api
	h.peopleRoutes(api)
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
		read, write  = identity.ActionRead, identity.ActionWrite
		comment      = identity.ActionComment
		byID         = "/{id}"
		imported     = pathProjects + byID + "/imports"
		attached     = pathTasks + byID + "/attachments"
		commented    = pathTasks + byID + "/comments"
	)
	projects := resource{api, "Projects"}
	huma.Register(api, projects.op(list, pathProjects, "list", "List projects", read), inTenant(h.listProjects))
	huma.Register(api, projects.op(create, pathProjects, "create", "Create a project", write), inTenant(h.createProject))
	huma.Register(api, projects.op(get, pathProjects+byID, "get", "Get a project", read), inTenant(h.getProject))
	huma.Register(api, projects.op(patch, pathProjects+byID, "patch", "Change a project", write), inTenant(h.patchProject))
	huma.Register(api, projects.op(remove, pathProjects+byID, "delete", "Delete a project with its tasks", write), inTenant(h.deleteProject))

	tasks := resource{api, "Tasks"}
	huma.Register(api, tasks.op(list, pathTasks, "list", "List tasks", read), inTenant(h.listTasks))
	huma.Register(api, tasks.op(create, pathTasks, "create", "Create a task", write), inTenant(h.createTask))
	huma.Register(api, tasks.op(get, pathTasks+byID, "get", "Get a task", read), inTenant(h.getTask))
	huma.Register(api, tasks.op(patch, pathTasks+byID, "patch", "Change a task", write), inTenant(h.patchTask))
	huma.Register(api, tasks.op(remove, pathTasks+byID, "delete", "Delete a task", write), inTenant(h.deleteTask))

	huma.Register(api, doing(tasks.op(create, pathBulk, "bulk", "Create, change and delete many tasks, all or none", write)), inTenant(h.changeTasks))

	labels := resource{api, "Labels"}
	huma.Register(api, labels.op(list, pathLabels, "list", "List labels", read), inTenant(h.listLabels))
	huma.Register(api, labels.op(create, pathLabels, "create", "Create a label", write), inTenant(h.createLabel))
	huma.Register(api, labels.op(get, pathLabels+byID, "get", "Get a label", read), inTenant(h.getLabel))
	huma.Register(api, labels.op(patch, pathLabels+byID, "patch", "Change a label", write), inTenant(h.patchLabel))
	huma.Register(api, labels.op(remove, pathLabels+byID, "delete", "Delete a label, and take it from all tasks", write), inTenant(h.deleteLabel))

	comments := resource{api, "Comments"}
	huma.Register(api, comments.op(list, commented, "list", "List the comments on a task", read), inTenant(h.listComments))
	huma.Register(api, comments.op(create, commented, "create", "Comment on a task", comment), inTenant(h.createComment))
	huma.Register(api, comments.op(get, pathComments+byID, "get", "Get a comment", read), inTenant(h.getComment))
	huma.Register(api, comments.op(patch, pathComments+byID, "patch", "Change a comment of your own", comment), inTenant(h.patchComment))
	huma.Register(api, comments.op(remove, pathComments+byID, "delete", "Delete a comment", comment), inTenant(h.deleteComment))

	search := resource{api, "Search"}
	huma.Register(api, search.op(list, pathSearch, "list", "Search projects, tasks and comments", read), inTenant(h.search))

	activity := resource{api, "Activity"}
	huma.Register(api, activity.op(list, pathActivity, "list", "List what happened", read), inTenant(h.listActivity))

	reports := resource{api, "Reports"}
	huma.Register(api, reports.op(list, pathReports, "list", "List reports", read), inTenant(h.listReports))
	huma.Register(api, accepted(reports.op(create, pathReports, "create", "Make the report of a day now", write)), inTenant(h.createReport))
	huma.Register(api, reports.op(get, pathReports+byID, "get", "Get what there is to know of a report", read), inTenant(h.getReport))
	huma.Register(api, file(reports.op(get, pathReports+byID+"/csv", "csv", "Get a report as a table", read), mimeCSV), inTenant(h.getReportCSV))
	huma.Register(api, file(reports.op(get, pathReports+byID+"/html", "html", "Get a report as a page", read), mimeHTML), inTenant(h.getReportHTML))

	imports := resource{api, "Imports"}
	huma.Register(api, imports.op(list, imported, "list", "List the imports into a project", read), inTenant(h.listImports))
	huma.Register(api, accepted(takingCSV(imports.op(create, imported, "create", "Import tasks from a CSV file", write))), inTenant(h.createImport))
	huma.Register(api, imports.op(get, pathImports+byID, "get", "Get an import and how far it is", read), inTenant(h.getImport))

	files := resource{api, "Attachments"}
	one := pathAttachments + byID
	huma.Register(api, files.op(list, attached, "list", "List the files of a task", read), inTenant(h.listAttachments))
	huma.Register(api, takingFile(files.op(create, attached, "create", "Add a file to a task", write)), inTenant(h.createAttachment))
	huma.Register(api, files.op(get, one, "get", "Get what there is to know of a file", read), inTenant(h.getAttachment))
	huma.Register(api, streaming(file(files.op(get, one+"/content", "content", "Get a file, or a part of it", read), mimeFile)),
		inTenant(h.getAttachmentContent))
	small := files.op(get, one+"/thumbnail", "thumbnail", "Get a small copy of a picture", read)
	huma.Register(api, streaming(file(small, "image/jpeg", "image/png")), inTenant(h.getThumbnail))
	huma.Register(api, files.op(remove, one, "delete", "Delete a file", write), inTenant(h.deleteAttachment))

	usage := resource{api, "Usage"}
	huma.Register(api, usage.op(get, pathUsage, "get", "Count what there is, and what happened by day", identity.ActionSeeUsage), inTenant(h.usage))
}

// peopleRoutes is who may come in, and by which keys.
func (h *handler) peopleRoutes(api huma.API) {
	const (
		list, create = http.MethodGet, http.MethodPost
		get, patch   = http.MethodGet, http.MethodPatch
		remove       = http.MethodDelete
		manage       = identity.ActionManageMembers
		keep         = identity.ActionManageKeys
		byID         = "/{id}"
	)
	me := resource{api, "Me"}
	huma.Register(api, me.op(get, pathMe, "get", "Get who you are here", identity.ActionRead), inTenant(h.getMe))

	members := resource{api, "Members"}
	huma.Register(api, members.op(list, pathMembers, "list", "List the people of the workspace", identity.ActionSeeMembers), inTenant(h.listMembers))
	huma.Register(api, members.op(get, pathMembers+byID, "get", "Get a person", identity.ActionSeeMembers), inTenant(h.getMember))
	huma.Register(api, members.op(patch, pathMembers+byID, "patch", "Change a person's name or role, or shut them out", manage),
		inTenant(h.patchMember))
	huma.Register(api, members.op(remove, pathMembers+byID, "delete", "Remove a person for ever", manage), inTenant(h.deleteMember))

	invitations := resource{api, "Invitations"}
	invited := pathInvitations + byID
	huma.Register(api, invitations.op(list, pathInvitations, "list", "List open invitations", manage), inTenant(h.listInvitations))
	huma.Register(api, invitations.op(create, pathInvitations, "create", "Invite somebody by mail", manage), inTenant(h.createInvitation))
	huma.Register(api, invitations.op(get, invited, "get", "Get an open invitation", manage), inTenant(h.getInvitation))
	huma.Register(api, invitations.action(invited+"/resend", "resend", "Send the mail again, with a new link", manage), inTenant(h.resendInvitation))
	huma.Register(api, invitations.op(remove, invited, "delete", "Revoke an invitation", manage), inTenant(h.revokeInvitation))

	keys := resource{api, "Keys"}
	huma.Register(api, keys.op(list, pathKeys, "list", "List API keys", keep), inTenant(h.listKeys))
	huma.Register(api, keys.op(create, pathKeys, "create", "Create an API key and show its token", keep), inTenant(h.createKey))
	huma.Register(api, keys.op(get, pathKeys+byID, "get", "Get an API key", keep), inTenant(h.getKey))
	huma.Register(api, keys.op(remove, pathKeys+byID, "delete", "Revoke an API key, at once and for ever", keep), inTenant(h.revokeKey))
}

// webhookRoutes is what the webhooks are asked for.
func (h *handler) webhookRoutes(api huma.API) {
	const (
		list, create = http.MethodGet, http.MethodPost
		get, patch   = http.MethodGet, http.MethodPatch
		remove       = http.MethodDelete
		hooks        = identity.ActionManageWebhooks
		byID         = "/{id}"
	)

	webhooks := resource{api, "Webhooks"}
	huma.Register(api, webhooks.op(list, pathWebhooks, "list", "List webhooks", hooks), inTenant(h.listWebhooks))
	huma.Register(api, webhooks.op(create, pathWebhooks, "create", "Create a webhook and show its secret", hooks), inTenant(h.createWebhook))
	huma.Register(api, webhooks.op(get, pathWebhooks+byID, "get", "Get a webhook", hooks), inTenant(h.getWebhook))
	huma.Register(api, webhooks.op(patch, pathWebhooks+byID, "patch", "Change a webhook", hooks), inTenant(h.patchWebhook))
	huma.Register(api, webhooks.op(remove, pathWebhooks+byID, "delete", "Delete a webhook with its deliveries", hooks), inTenant(h.deleteWebhook))
	huma.Register(api, webhooks.action(pathWebhooks+byID+"/rotate", "rotate", "Give a webhook a new secret and show it", hooks),
		inTenant(h.rotateWebhook))
	huma.Register(api, webhooks.action(pathWebhooks+byID+"/enable", "enable", "Enable a webhook again", hooks), inTenant(h.enableWebhook))
	huma.Register(api, webhooks.action(pathWebhooks+byID+"/test", "test", "Send a webhook.test event", hooks), inTenant(h.testWebhook))

	deliveries := resource{api, "Deliveries"}
	huma.Register(api, deliveries.op(list, pathDeliveries, "list", "List what became of events at a webhook", hooks), inTenant(h.listDeliveries))
	huma.Register(api, deliveries.action(pathRedeliver, "redeliver", "Send an event to a webhook again", hooks), inTenant(h.redeliver))
}
