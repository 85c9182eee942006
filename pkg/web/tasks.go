package web

import (
	"net/http"
	"net/url"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/workspace"
)

// taskList is the page of tasks: of all projects, or of one.
type taskList struct {
	// Project is the one, or nil.
	Project     *workspace.Project
	Cards       []taskCard
	Query       string
	Statuses    []choice
	Assignees   []choice
	Due         []choice
	Labels      []choice
	Sorts       []choice
	Filtered    bool
	Action      string
	First, Next string
}

func (h *Pages) tasks(c echo.Context) error { return h.showTasks(c, nil) }

func (h *Pages) projectTasks(c echo.Context) error {
	ctx, scope := at(c)
	id, err := workID(c)
	if err != nil {
		return err
	}
	project, err := h.work(c).GetProject(ctx, scope, id)
	if err != nil {
		return err
	}
	return h.showTasks(c, &project)
}

func (h *Pages) showTasks(c echo.Context, project *workspace.Project) error {
	ctx, scope := at(c)
	who, err := h.people(c)
	if err != nil {
		return err
	}
	labels, err := h.labels(c)
	if err != nil {
		return err
	}
	list := taskList{Project: project, Query: c.QueryParam("q"), Action: c.Request().URL.Path}
	filter := list.filter(c, who)
	list.more(c, &filter, labels)
	found, err := h.work(c).ListTasks(ctx, scope, filter, workspace.PageRequest{Limit: 50, Cursor: c.QueryParam("cursor")})
	if err != nil {
		return err
	}
	list.Cards = cards(found.Items, who, labels, today(zoneOf(c)))
	p := page{Title: "Tasks", Nav: "tasks", Data: &list}
	if project != nil {
		p = page{Title: project.Name, Nav: "projects", Tab: "list", Data: &list}
	} else if err = h.nameProjects(c, list.Cards); err != nil {
		return err
	}
	query := url.Values{"q": {list.Query}, "status": {c.QueryParam("status")}, "assignee": {c.QueryParam("assignee")}, "due": {c.QueryParam("due")},
		"label": {c.QueryParam("label")}, "sort": {c.QueryParam("sort")}}
	if c.QueryParam("cursor") != "" {
		list.First = withQuery(list.Action, query)
	}
	if found.Next != "" {
		query.Set("cursor", found.Next)
		list.Next = withQuery(list.Action, query)
	}
	return h.render(c, http.StatusOK, "work/tasks", p)
}

// filter reads the filters of the address. What it does not know it takes for no filter, as an address that was edited by hand should not fail.
func (l *taskList) filter(c echo.Context, who people) workspace.TaskFilter {
	f := workspace.TaskFilter{Query: l.Query}
	if l.Project != nil {
		f.ProjectID = &l.Project.ID
	}
	status := c.QueryParam("status")
	switch status {
	case "open":
		f.Statuses = []workspace.Status{workspace.StatusTodo, workspace.StatusDoing}
	case "all", "":
	default:
		f.Statuses = []workspace.Status{workspace.Status(status)}
	}
	l.Statuses = append([]choice{{"", "Any status", status == ""}, {"open", "Open", status == "open"}}, statusChoices(workspace.Status(status))...)

	assignee := c.QueryParam("assignee")
	mine := caller(c).UserID
	switch id, err := uuid.Parse(assignee); {
	case assignee == "me":
		f.AssigneeID = &mine
	case err == nil:
		f.AssigneeID = &id
	}
	l.Assignees = append([]choice{{"", "Anybody", assignee == ""}, {"me", "Me", assignee == "me"}}, who.choices(f.AssigneeID)...)
	if assignee == "me" {
		for i := range l.Assignees {
			l.Assignees[i].Chosen = l.Assignees[i].Value == "me"
		}
	}

	now, due := today(zoneOf(c)), c.QueryParam("due")
	switch due {
	case "late":
		f.DueBefore = &now
	case "week":
		until, from := now.AddDays(8), now.AddDays(-1)
		f.DueBefore, f.DueAfter = &until, &from
	}
	l.Due = []choice{{"", "Any date", due == ""}, {"late", "Before today", due == "late"}, {"week", "In the next 7 days", due == "week"}}
	l.Filtered = l.Query != "" || status != "" || assignee != "" || due != ""
	return f
}

// nameProjects writes the projects' names onto the cards.
func (h *Pages) nameProjects(c echo.Context, list []taskCard) error {
	ctx, scope := at(c)
	names := map[uuid.UUID]string{}
	for i := range list {
		id := list[i].ProjectID
		if _, known := names[id]; !known {
			project, err := h.work(c).GetProject(ctx, scope, id)
			if err != nil {
				return err
			}
			names[id] = project.Name
		}
		list[i].Project = names[id]
	}
	return nil
}

// more reads the label and the order.
func (l *taskList) more(c echo.Context, f *workspace.TaskFilter, labels []workspace.Label) {
	label := c.QueryParam("label")
	if id, err := uuid.Parse(label); err == nil {
		f.LabelID = &id
		l.Filtered = true
	}
	l.Labels = []choice{{"", "Any label", label == ""}}
	for _, one := range labels {
		l.Labels = append(l.Labels, choice{one.ID.String(), one.Name, one.ID.String() == label})
	}
	sort := workspace.TaskSort(c.QueryParam("sort"))
	for _, s := range []choice{
		{"", "Newest first", sort == ""}, {"created", "Oldest first", sort == workspace.SortCreated},
		{"due_on", "By date due", sort == workspace.SortDueOn},
		{"-priority", "By priority", sort == "-priority"}, {"position", "As on the board", sort == workspace.SortPosition},
	} {
		l.Sorts = append(l.Sorts, s)
		if s.Chosen {
			f.Sort = sort
		}
	}
}
