package web

import (
	"context"
	"net/http"
	"net/url"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/httpapi"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// workRoutes are the pages of the work itself.
func (h *Pages) workRoutes(r routes) {
	read, write := h.require(identity.ActionRead), h.require(identity.ActionWrite)
	r.get("/", h.projects, h.requireUser, read)
	r.post("/projects", h.createProject, write)
	r.get("/projects/:id", h.board, read)
	r.get("/projects/:id/tasks", h.projectTasks, read)
	r.post("/projects/:id/tasks", h.createTask, write)
	r.get("/projects/:id/settings", h.projectSettings, write)
	r.post("/projects/:id", h.changeProject, write)
	r.post("/projects/:id/archive", h.archiveProject, write)
	r.post("/projects/:id/delete", h.deleteProject, write)

	r.get("/tasks", h.tasks, read)
	r.get("/tasks/:id", h.task, read)
	r.post("/tasks/:id", h.changeTask, write)
	r.post("/tasks/:id/move", h.moveTask, write)
	r.post("/tasks/:id/delete", h.deleteTask, write)

	r.post("/tasks/:id/files", h.uploadFile, write)
	r.get("/files/:id", h.file, read)
	r.get("/files/:id/thumbnail", h.thumbnail, read)
	r.post("/files/:id/delete", h.deleteFile, write)

	r.get("/search", h.search, read)
	r.get("/usage", h.usage, h.require(identity.ActionSeeUsage))
	h.commentRoutes(r)
	h.brandingRoutes(r)
	h.webhookRoutes(r)
	if h.cfg.Live != nil {
		r.get("/events", h.events, read)
	}
	r.get("/activity", h.activity, read)
}

// at gives what a handler of the work begins with.
func at(c echo.Context) (context.Context, tenantschema.Scope) {
	ctx := c.Request().Context()
	return ctx, httpapi.ScopeOf(ctx)
}

// work gives the product as who is signed in.
func (h *Pages) work(c echo.Context) *workspace.Service {
	p := caller(c)
	return h.cfg.Workspace.As(workspace.Actor{UserID: p.UserID, Name: p.Name, Moderates: p.May(identity.ActionManageMembers)})
}

// workID gives the id in the path. What is none names nothing: the page is not there.
func workID(c echo.Context) (uuid.UUID, error) {
	id, err := uuid.Parse(c.Param("id"))
	if err != nil || id.String() != c.Param("id") {
		return uuid.UUID{}, apperr.New(apperr.NotFound, "There is nothing here.")
	}
	return id, nil
}

// back goes to where the form says, or to path.
func back(c echo.Context, path, flash string) error {
	if isScripted(c) {
		return c.NoContent(http.StatusNoContent)
	}
	if next := c.FormValue("next"); next != "" {
		path = afterSignIn(next)
	}
	return see(c, path, "%s", flash)
}

// choice is an option of a select or filter.
type choice struct {
	Value, Label string
	Chosen       bool
}

// withQuery gives path with parameters, those that are empty left out.
func withQuery(path string, values url.Values) string {
	for name, value := range values {
		if len(value) == 0 || value[0] == "" {
			values.Del(name)
		}
	}
	if len(values) == 0 {
		return path
	}
	return path + "?" + values.Encode()
}
