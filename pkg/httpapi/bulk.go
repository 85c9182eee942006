package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

const pathBulk = pathTasks + "/bulk"

// taskChange is one of many.
type taskChange struct {
	Create *newTask   `json:"create,omitempty" doc:"The task to be made."`
	ID     *uuid.UUID `json:"id,omitempty" format:"uuid" doc:"The task to be changed or deleted."`
	Patch  *taskPatch `json:"patch,omitempty" doc:"What of it to change."`
	Delete bool       `json:"delete,omitempty" doc:"true to delete it."`
}

type taskChanges struct {
	Items []taskChange `json:"items" minItems:"1" maxItems:"100" nullable:"false" doc:"Each has create, or id and patch, or id and delete. Done in this order."`
}

// changedTasks is what became of each change.
type changedTasks struct {
	Items []*taskView `json:"items" nullable:"false" doc:"The tasks as they are now, in the order of the changes; null for one that was deleted."`
}

type changesAnswer struct {
	Body changedTasks
}

func (h *handler) changeTasks(ctx context.Context, scope tenantschema.Scope, in *struct{ Body taskChanges }) (*changesAnswer, error) {
	changes := make([]workspace.TaskChange, len(in.Body.Items))
	for i, item := range in.Body.Items {
		change := workspace.TaskChange{Delete: item.Delete}
		if item.Create != nil {
			create := workspace.NewTask(*item.Create)
			change.Create = &create
		}
		if item.Patch != nil {
			patch := item.Patch.patch()
			change.Patch = &patch
		}
		if item.ID != nil {
			change.ID = *item.ID
		}
		changes[i] = change
	}
	done, err := h.work(ctx).ChangeTasks(ctx, scope, changes)
	if err != nil {
		return nil, err
	}
	out := &changesAnswer{Body: changedTasks{Items: make([]*taskView, len(done))}}
	for i, task := range done {
		if task != nil {
			view := viewTask(*task)
			out.Body.Items[i] = &view
		}
	}
	return out, nil
}

// doing makes op one that does something with what is sent, and makes no thing with an address.
func doing(op huma.Operation) huma.Operation {
	op.DefaultStatus = http.StatusOK
	return op
}
