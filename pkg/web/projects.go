package web

import (
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/workspace"
)

// projectList is the first page.
type projectList struct {
	Items    []workspace.Project
	Query    string
	Archived bool
	Next     string
}

func (h *Pages) projects(c echo.Context) error {
	return h.showProjects(c, nil)
}

// showProjects shows the list, after a form that was not accepted with what is wrong.
func (h *Pages) showProjects(c echo.Context, failed error) error {
	ctx, scope := at(c)
	archived := c.QueryParam("archived") == "1"
	filter := workspace.ProjectFilter{Query: c.QueryParam("q"), Archived: &archived}
	found, err := h.work(c).ListProjects(ctx, scope, filter, workspace.PageRequest{Limit: 30, Cursor: c.QueryParam("cursor")})
	if err != nil {
		return err
	}
	list := projectList{Items: found.Items, Query: filter.Query, Archived: archived}
	if found.Next != "" {
		query := url.Values{"q": {filter.Query}, "archived": {c.QueryParam("archived")}, "cursor": {found.Next}}
		list.Next = withQuery("/", query)
	}
	p := page{Title: "Projects", Nav: "projects", Data: list}
	if failed != nil {
		return h.renderWrong(c, failed, "work/projects", p)
	}
	return h.render(c, http.StatusOK, "work/projects", p)
}

func (h *Pages) createProject(c echo.Context) error {
	ctx, scope := at(c)
	made, err := h.work(c).CreateProject(ctx, scope, workspace.NewProject{
		Name: c.FormValue("name"), Description: c.FormValue("description"),
	})
	if err != nil {
		return h.showProjects(c, err)
	}
	return see(c, "/projects/"+made.ID.String(), "The project %s is there.", made.Name)
}

func (h *Pages) projectSettings(c echo.Context) error { return h.showProjectSettings(c, nil) }

func (h *Pages) showProjectSettings(c echo.Context, failed error) error {
	ctx, scope := at(c)
	id, err := workID(c)
	if err != nil {
		return err
	}
	project, err := h.work(c).GetProject(ctx, scope, id)
	if err != nil {
		return err
	}
	p := page{Title: project.Name, Nav: "projects", Tab: "settings", Data: project}
	if failed != nil {
		return h.renderWrong(c, failed, "work/project-settings", p)
	}
	return h.render(c, http.StatusOK, "work/project-settings", p)
}

func (h *Pages) changeProject(c echo.Context) error {
	ctx, scope := at(c)
	id, err := workID(c)
	if err != nil {
		return err
	}
	name, description := c.FormValue("name"), c.FormValue("description")
	if _, err = h.work(c).PatchProject(ctx, scope, id, workspace.ProjectPatch{Name: &name, Description: &description}); err != nil {
		return h.showProjectSettings(c, err)
	}
	return see(c, "/projects/"+id.String(), "The project was changed.")
}

func (h *Pages) archiveProject(c echo.Context) error {
	ctx, scope := at(c)
	id, err := workID(c)
	if err != nil {
		return err
	}
	archived := c.FormValue("archived") == "1"
	if _, err = h.work(c).PatchProject(ctx, scope, id, workspace.ProjectPatch{Archived: &archived}); err != nil {
		return err
	}
	if archived {
		return see(c, "/", "The project was put into the archive.")
	}
	return see(c, "/projects/"+id.String(), "The project is in use again.")
}

func (h *Pages) deleteProject(c echo.Context) error {
	ctx, scope := at(c)
	id, err := workID(c)
	if err != nil {
		return err
	}
	project, err := h.work(c).GetProject(ctx, scope, id)
	if err != nil {
		return err
	}
	if c.FormValue("confirm") != project.Name {
		return h.showProjectSettings(c, invalid("The project was not deleted.", "confirm", "Type the project's name, exactly as it is."))
	}
	if err = h.work(c).DeleteProject(ctx, scope, id); err != nil {
		return err
	}
	return see(c, "/", "The project %s was deleted, with its tasks.", project.Name)
}
