package web

import (
	"context"
	"net/http"
	"strconv"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// taskPage is everything about one task.
type taskPage struct {
	Task       taskCard
	Project    workspace.Project
	Statuses   []choice
	Priorities []choice
	Assignees  []choice
	Labels     []workspace.Label
	Files      []workspace.Attachment
	Comments   []commentView
	// Before is the address of earlier comments.
	Before    string
	Feed      []feedEntry
	MaxUpload int64
}

func (h *Pages) task(c echo.Context) error { return h.showTask(c, nil) }

// showTask shows the task, after a form that was not accepted with what is wrong.
func (h *Pages) showTask(c echo.Context, failed error) error {
	ctx, scope := at(c)
	id, err := workID(c)
	if err != nil {
		return err
	}
	view, err := h.readTask(ctx, scope, id, c)
	if err != nil {
		return err
	}
	p := page{Title: view.Task.Title, Nav: "projects", Data: view}
	if failed != nil {
		return h.renderWrong(c, failed, "work/task", p)
	}
	return h.render(c, http.StatusOK, "work/task", p)
}

func (h *Pages) readTask(ctx context.Context, scope tenantschema.Scope, id uuid.UUID, c echo.Context) (taskPage, error) {
	task, err := h.work(c).GetTask(ctx, scope, id)
	if err != nil {
		return taskPage{}, err
	}
	project, err := h.work(c).GetProject(ctx, scope, task.ProjectID)
	if err != nil {
		return taskPage{}, err
	}
	who, err := h.people(c)
	if err != nil {
		return taskPage{}, err
	}
	labels, err := h.labels(c)
	if err != nil {
		return taskPage{}, err
	}
	comments, before, err := h.readComments(c, id)
	if err != nil {
		return taskPage{}, err
	}
	files, err := h.work(c).ListAttachments(ctx, scope, id, workspace.PageRequest{Limit: workspace.MaxLimit})
	if err != nil {
		return taskPage{}, err
	}
	feed, err := h.work(c).ListActivity(ctx, scope, workspace.ActivityFilter{SubjectID: &id}, workspace.PageRequest{Limit: 20})
	if err != nil {
		return taskPage{}, err
	}
	return taskPage{
		Task: cards([]workspace.Task{task}, who, labels, today(zoneOf(c)))[0], Project: project, Labels: labels, Comments: comments, Before: before,
		Statuses: statusChoices(task.Status), Priorities: priorityChoices(task.Priority), Assignees: who.choices(task.AssigneeID),
		Files: files.Items, Feed: entries(feed.Items), MaxUpload: h.cfg.Workspace.MaxUploadBytes(),
	}, nil
}

func (h *Pages) createTask(c echo.Context) error {
	ctx, scope := at(c)
	project, err := workID(c)
	if err != nil {
		return err
	}
	made, err := h.work(c).CreateTask(ctx, scope, workspace.NewTask{
		ProjectID: project, Title: c.FormValue("title"), Status: workspace.Status(c.FormValue("status")),
	})
	if err != nil {
		return h.showBoard(c, err)
	}
	if c.FormValue("open") == "1" {
		return see(c, "/tasks/"+made.ID.String(), "")
	}
	return back(c, "/projects/"+project.String()+"#task-"+made.ID.String(), "")
}

// changeTask saves the form of the task's page: the fields that were sent.
func (h *Pages) changeTask(c echo.Context) error {
	ctx, scope := at(c)
	id, err := workID(c)
	if err != nil {
		return err
	}
	patch, err := taskPatch(c)
	if err == nil {
		_, err = h.work(c).PatchTask(ctx, scope, id, patch)
	}
	if err != nil {
		return h.showTask(c, err)
	}
	return back(c, "/tasks/"+id.String(), "Saved.")
}

func taskPatch(c echo.Context) (workspace.TaskPatch, error) {
	var patch workspace.TaskPatch
	form, err := c.FormParams()
	if err != nil {
		return patch, apperr.Wrap(err, apperr.Invalid, "The form could not be read. Send it again.")
	}
	text := func(name string) *string {
		if !form.Has(name) {
			return nil
		}
		value := form.Get(name)
		return &value
	}
	patch.Title, patch.Description = text("title"), text("description")
	if s := text("status"); s != nil {
		status := workspace.Status(*s)
		patch.Status = &status
	}
	if s := text("priority"); s != nil {
		priority, err := strconv.Atoi(*s)
		if err != nil {
			return patch, invalid("The task was not changed.", "priority", "Choose one of the list.")
		}
		patch.Priority = &priority
	}
	if s := text("assignee_id"); s != nil {
		patch.AssigneeID = workspace.Null[uuid.UUID]()
		if *s != "" {
			id, err := uuid.Parse(*s)
			if err != nil {
				return patch, invalid("The task was not changed.", "assignee_id", "Choose one of the list.")
			}
			patch.AssigneeID = workspace.Some(id)
		}
	}
	if s := text("due_on"); s != nil {
		patch.DueOn = workspace.Null[workspace.Date]()
		if *s != "" {
			day, err := workspace.ParseDate(*s)
			if err != nil {
				return patch, invalid("The task was not changed.", "due_on", "Give a date like 2026-11-24.")
			}
			patch.DueOn = workspace.Some(day)
		}
	}
	return patch, nil
}

// moveTask puts a task into another column of the board, or to another place: after the task that is to stand above it, or before the one below.
func (h *Pages) moveTask(c echo.Context) error {
	ctx, scope := at(c)
	id, err := workID(c)
	if err != nil {
		return err
	}
	status := workspace.Status(c.FormValue("status"))
	patch := workspace.TaskPatch{Status: &status}
	if above, err := uuid.Parse(c.FormValue("after")); err == nil {
		patch.After = &above
	} else if below, err := uuid.Parse(c.FormValue("before")); err == nil {
		patch.Before = &below
	}
	task, err := h.work(c).PatchTask(ctx, scope, id, patch)
	if err != nil {
		return err
	}
	return back(c, "/projects/"+task.ProjectID.String(), "“"+task.Title+"” is now "+statusName(task.Status)+".")
}

func (h *Pages) deleteTask(c echo.Context) error {
	ctx, scope := at(c)
	id, err := workID(c)
	if err != nil {
		return err
	}
	task, err := h.work(c).GetTask(ctx, scope, id)
	if err != nil {
		return err
	}
	if err = h.work(c).DeleteTask(ctx, scope, id); err != nil {
		return err
	}
	return see(c, "/projects/"+task.ProjectID.String(), "“%s” was deleted.", task.Title)
}
