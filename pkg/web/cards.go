package web

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
)

// statusName and priorityName say what people read.
func statusName(s workspace.Status) string {
	switch s {
	case workspace.StatusTodo:
		return "To do"
	case workspace.StatusDoing:
		return "Doing"
	case workspace.StatusDone:
		return "Done"
	case workspace.StatusCancelled:
		return "Cancelled"
	}
	return string(s)
}

func statuses() []workspace.Status {
	return []workspace.Status{workspace.StatusTodo, workspace.StatusDoing, workspace.StatusDone, workspace.StatusCancelled}
}

func priorityName(priority int) string {
	names := []string{"None", "Low", "Medium", "High", "Urgent"}
	if priority < 0 || priority >= len(names) {
		return strconv.Itoa(priority)
	}
	return names[priority]
}

func statusChoices(chosen workspace.Status) []choice {
	out := make([]choice, 0, len(statuses()))
	for _, s := range statuses() {
		out = append(out, choice{Value: string(s), Label: statusName(s), Chosen: s == chosen})
	}
	return out
}

func priorityChoices(chosen int) []choice {
	out := make([]choice, 0, workspace.PriorityUrgent+1)
	for n := range workspace.PriorityUrgent + 1 {
		out = append(out, choice{Value: strconv.Itoa(n), Label: priorityName(n), Chosen: n == chosen})
	}
	return out
}

// taskCard is a task as lists and boards show it.
type taskCard struct {
	workspace.Task

	Assignee string
	Project  string
	Late     bool
	Labels   []workspace.Label
}

// people are who may be named on the pages of the work, by id.
type people struct {
	names map[uuid.UUID]string
	order []uuid.UUID
}

func (p people) name(id *uuid.UUID) string {
	if id == nil {
		return ""
	}
	if name, ok := p.names[*id]; ok {
		return name
	}
	return "Somebody"
}

func (p people) choices(chosen *uuid.UUID) []choice {
	out := make([]choice, 0, len(p.order)+1)
	there := chosen == nil
	for _, id := range p.order {
		is := chosen != nil && id == *chosen
		there = there || is
		out = append(out, choice{Value: id.String(), Label: p.names[id], Chosen: is})
	}
	if !there { // Saving the form must not take the task from who is not listed.
		out = append(out, choice{Value: chosen.String(), Label: p.name(chosen), Chosen: true})
	}
	return out
}

// peopleMost is how many people may be chosen from; a larger tenant has a search of its members.
const peopleMost = 200

// people gives those who may be given tasks, by name. Who may not see members sees the names of those who are assigned, and chooses nobody.
func (h *Pages) people(c echo.Context) (people, error) {
	ctx, scope := at(c)
	p := people{names: map[uuid.UUID]string{}}
	var cursor string
	for len(p.names) < peopleMost {
		found, err := h.cfg.Identity.ListUsers(ctx, scope, identity.UserFilter{}, identity.PageRequest{Limit: 100, Cursor: cursor})
		if err != nil {
			return people{}, err
		}
		for _, u := range found.Items {
			p.names[u.ID] = u.DisplayName
			if u.DisabledAt == nil && caller(c).May(identity.ActionSeeMembers) {
				p.order = append(p.order, u.ID)
			}
		}
		if cursor = found.Next; cursor == "" {
			break
		}
	}
	slices.SortFunc(p.order, func(a, b uuid.UUID) int {
		return strings.Compare(strings.ToLower(p.names[a]), strings.ToLower(p.names[b]))
	})
	return p, nil
}

// today is the day that it is for the tenant.
func today(zone *time.Location) workspace.Date {
	now := time.Now().In(zone)
	return workspace.NewDate(now.Year(), now.Month(), now.Day())
}

// cards shows tasks.
func cards(tasks []workspace.Task, who people, labels []workspace.Label, now workspace.Date) []taskCard {
	out := make([]taskCard, len(tasks))
	for i, t := range tasks {
		open := t.Status == workspace.StatusTodo || t.Status == workspace.StatusDoing
		out[i] = taskCard{
			Task: t, Assignee: who.name(t.AssigneeID), Late: open && t.DueOn != nil && t.DueOn.Before(now), Labels: labelled(labels, t.LabelIDs),
		}
	}
	return out
}
