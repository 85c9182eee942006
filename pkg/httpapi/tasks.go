package httpapi

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

const pathTasks = "/api/v1/tasks"

// taskView is a workspace.Task as the API documents it. The conversion between them keeps both alike.
type taskView struct {
	ID          uuid.UUID        `json:"id" format:"uuid"`
	ProjectID   uuid.UUID        `json:"project_id" format:"uuid"`
	Title       string           `json:"title" example:"Order the moving boxes"`
	Description string           `json:"description"`
	Status      workspace.Status `json:"status" enum:"todo,doing,done,cancelled"`
	Priority    int              `json:"priority" minimum:"0" maximum:"4" doc:"From 0 (none) to 4 (urgent)."`
	AssigneeID  *uuid.UUID       `json:"assignee_id" format:"uuid" nullable:"true"`
	DueOn       *workspace.Date  `json:"due_on" format:"date"`
	LabelIDs    []uuid.UUID      `json:"label_ids" nullable:"false" doc:"Its labels, in the order of their ids."`
	Position    string           `json:"position" example:"1795510800000" doc:"Where it stands among the tasks of its project: a decimal number, as text."`
	CreatedAt   time.Time        `json:"created_at"`
	UpdatedAt   time.Time        `json:"updated_at"`
	CompletedAt *time.Time       `json:"completed_at" doc:"When it became done; null in every other status."`
}

func viewTask(t workspace.Task) taskView { return taskView(t) }

type newTask struct {
	ProjectID   uuid.UUID        `json:"project_id" format:"uuid"`
	Title       string           `json:"title" minLength:"1" maxLength:"200" doc:"One line." example:"Order the moving boxes"`
	Description string           `json:"description,omitempty" maxLength:"10000"`
	Status      workspace.Status `json:"status,omitempty" enum:"todo,doing,done,cancelled" doc:"todo if absent."`
	Priority    int              `json:"priority,omitempty" minimum:"0" maximum:"4" doc:"From 0 (none) to 4 (urgent)."`
	AssigneeID  *uuid.UUID       `json:"assignee_id,omitempty" format:"uuid" nullable:"true"`
	DueOn       *workspace.Date  `json:"due_on,omitempty" format:"date" nullable:"true"`
	LabelIDs    []uuid.UUID      `json:"label_ids,omitempty" maxItems:"20" nullable:"false"`
}

type taskPatch struct {
	Title       changed[string]           `json:"title,omitzero" minLength:"1" maxLength:"200"`
	Description changed[string]           `json:"description,omitzero" maxLength:"10000"`
	Status      changed[workspace.Status] `json:"status,omitzero" enum:"todo,doing,done,cancelled"`
	Priority    changed[int]              `json:"priority,omitzero" minimum:"0" maximum:"4"`
	AssigneeID  nullable[uuid.UUID]       `json:"assignee_id,omitzero" format:"uuid" doc:"null takes the task from whoever has it."`
	DueOn       nullable[workspace.Date]  `json:"due_on,omitzero" format:"date" doc:"null takes the date away."`
	LabelIDs    changed[[]uuid.UUID]      `json:"label_ids,omitzero" maxItems:"20" doc:"All labels that it is to have."`
	Before      changed[uuid.UUID]        `json:"before,omitzero" format:"uuid" doc:"Move it directly before this task of the same project."`
	After       changed[uuid.UUID]        `json:"after,omitzero" format:"uuid" doc:"Move it directly behind this task of the same project."`
}

func (p *taskPatch) patch() workspace.TaskPatch {
	return workspace.TaskPatch{
		Title: p.Title.ptr(), Description: p.Description.ptr(), Status: p.Status.ptr(), Priority: p.Priority.ptr(),
		AssigneeID: p.AssigneeID.Optional, DueOn: p.DueOn.Optional, LabelIDs: p.LabelIDs.ptr(), Before: p.Before.ptr(), After: p.After.ptr(),
	}
}

type taskQuery struct {
	Paging
	ProjectID  optional[uuid.UUID]      `query:"project_id" format:"uuid" doc:"Only tasks of this project."`
	Status     []workspace.Status       `query:"status" enum:"todo,doing,done,cancelled" nullable:"false" doc:"Only tasks in one of these, separated by commas."`
	AssigneeID optional[uuid.UUID]      `query:"assignee_id" format:"uuid" doc:"Only tasks of this user."`
	LabelID    optional[uuid.UUID]      `query:"label_id" format:"uuid" doc:"Only tasks with this label."`
	Priority   []int                    `query:"priority" minimum:"0" maximum:"4" nullable:"false" doc:"Only tasks with one of these, separated by commas."`
	Query      string                   `query:"q" maxLength:"100" doc:"Only tasks with this text in their title."`
	DueAfter   optional[workspace.Date] `query:"due_after" format:"date" doc:"Only tasks due later than this day."`
	DueBefore  optional[workspace.Date] `query:"due_before" format:"date" doc:"Only tasks due earlier than this day."`

	CreatedAfter optional[time.Time] `query:"created_after" format:"date-time" doc:"Only tasks that were made later than this."`
	UpdatedAfter optional[time.Time] `query:"updated_after" format:"date-time" doc:"Only tasks that were changed later than this."`
	Sort         workspace.TaskSort  `query:"sort" enum:"created,-created,due_on,-due_on,priority,-priority,position,-position" doc:"The order; with - the other way round. The newest first if absent."`
}

type taskAnswer struct {
	Body taskView
}

type taskCreated struct {
	Location string `header:"Location" doc:"The address of the new task."`
	Body     taskView
}

func (h *handler) listTasks(ctx context.Context, scope tenantschema.Scope, in *taskQuery) (*page[taskView], error) {
	filter := workspace.TaskFilter{
		ProjectID: in.ProjectID.ptr(), Statuses: in.Status, AssigneeID: in.AssigneeID.ptr(), Query: in.Query,
		DueAfter: in.DueAfter.ptr(), DueBefore: in.DueBefore.ptr(),
		LabelID: in.LabelID.ptr(), Priorities: in.Priority, CreatedAfter: in.CreatedAfter.ptr(), UpdatedAfter: in.UpdatedAfter.ptr(), Sort: in.Sort,
	}
	found, err := h.cfg.Workspace.ListTasks(ctx, scope, filter, in.request())
	if err != nil {
		return nil, err
	}
	return pageOf(ctx, found, viewTask), nil
}

func (h *handler) createTask(ctx context.Context, scope tenantschema.Scope, in *struct{ Body newTask }) (*taskCreated, error) {
	task, err := h.work(ctx).CreateTask(ctx, scope, workspace.NewTask(in.Body))
	if err != nil {
		return nil, err
	}
	return &taskCreated{Location: pathTasks + "/" + task.ID.String(), Body: viewTask(task)}, nil
}

func (h *handler) getTask(ctx context.Context, scope tenantschema.Scope, in *ByID) (*taskAnswer, error) {
	id, err := in.id("task")
	if err != nil {
		return nil, err
	}
	task, err := h.cfg.Workspace.GetTask(ctx, scope, id)
	if err != nil {
		return nil, err
	}
	return &taskAnswer{Body: viewTask(task)}, nil
}

func (h *handler) patchTask(ctx context.Context, scope tenantschema.Scope, in *struct {
	ByID
	Body taskPatch
},
) (*taskAnswer, error) {
	id, err := in.id("task")
	if err != nil {
		return nil, err
	}
	patch := in.Body.patch()
	patch.UnchangedSince = unchangedSince(ctx)
	task, err := h.work(ctx).PatchTask(ctx, scope, id, patch)
	if err != nil {
		return nil, err
	}
	return &taskAnswer{Body: viewTask(task)}, nil
}

func (h *handler) deleteTask(ctx context.Context, scope tenantschema.Scope, in *ByID) (*struct{}, error) {
	id, err := in.id("task")
	if err != nil {
		return nil, err
	}
	return nil, h.work(ctx).DeleteTaskUnchanged(ctx, scope, id, unchangedSince(ctx))
}
