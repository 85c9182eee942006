package web

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/workspace"
)

// columnMost is how many tasks a column of the board shows; the list has the others.
const columnMost = 100

// board is a project with its tasks by status.
type board struct {
	Project workspace.Project
	Columns []column
}

type column struct {
	Status workspace.Status
	Name   string
	Cards  []taskCard
	// More says that there are others.
	More bool
}

func (h *Pages) board(c echo.Context) error { return h.showBoard(c, nil) }

func (h *Pages) showBoard(c echo.Context, failed error) error {
	ctx, scope := at(c)
	id, err := workID(c)
	if err != nil {
		return err
	}
	project, err := h.work(c).GetProject(ctx, scope, id)
	if err != nil {
		return err
	}
	who, err := h.people(c)
	if err != nil {
		return err
	}
	labels, err := h.labels(c)
	if err != nil {
		return err
	}
	view := board{Project: project}
	for _, status := range statuses() {
		filter := workspace.TaskFilter{ProjectID: &id, Statuses: []workspace.Status{status}, Sort: workspace.SortPosition}
		found, err := h.work(c).ListTasks(ctx, scope, filter, workspace.PageRequest{Limit: columnMost})
		if err != nil {
			return err
		}
		view.Columns = append(view.Columns, column{
			Status: status, Name: statusName(status), Cards: cards(found.Items, who, labels, today(zoneOf(c))), More: found.Next != "",
		})
	}
	p := page{Title: project.Name, Nav: "projects", Tab: "board", Data: view}
	if failed != nil {
		return h.renderWrong(c, failed, "work/board", p)
	}
	return h.render(c, http.StatusOK, "work/board", p)
}
