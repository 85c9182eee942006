package httpapi

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

const pathLabels = "/api/v1/labels"

// labelView is a workspace.Label as the API documents it. The conversion between them keeps both alike.
type labelView struct {
	ID        uuid.UUID `json:"id" format:"uuid"`
	Name      string    `json:"name" example:"Urgent"`
	Color     string    `json:"color" example:"#1e90ff"`
	CreatedAt time.Time `json:"created_at"`
}

func viewLabel(l workspace.Label) labelView { return labelView(l) }

type newLabel struct {
	Name  string `json:"name" minLength:"1" maxLength:"50" doc:"One line. No two labels have the same name." example:"Urgent"`
	Color string `json:"color,omitempty" pattern:"^#[0-9a-fA-F]{6}$" doc:"Grey if absent." example:"#1e90ff"`
}

type labelPatch struct {
	Name  changed[string] `json:"name,omitzero" minLength:"1" maxLength:"50"`
	Color changed[string] `json:"color,omitzero" pattern:"^#[0-9a-fA-F]{6}$"`
}

type labelAnswer struct {
	Body labelView
}

type labelCreated struct {
	Location string `header:"Location" doc:"The address of the new label."`
	Body     labelView
}

func (h *handler) listLabels(ctx context.Context, scope tenantschema.Scope, in *Paging) (*page[labelView], error) {
	found, err := h.cfg.Workspace.ListLabels(ctx, scope, in.request())
	if err != nil {
		return nil, err
	}
	return pageOf(ctx, found, viewLabel), nil
}

func (h *handler) createLabel(ctx context.Context, scope tenantschema.Scope, in *struct{ Body newLabel }) (*labelCreated, error) {
	label, err := h.work(ctx).CreateLabel(ctx, scope, workspace.NewLabel(in.Body))
	if err != nil {
		return nil, err
	}
	return &labelCreated{Location: pathLabels + "/" + label.ID.String(), Body: viewLabel(label)}, nil
}

func (h *handler) getLabel(ctx context.Context, scope tenantschema.Scope, in *ByID) (*labelAnswer, error) {
	id, err := in.id("label")
	if err != nil {
		return nil, err
	}
	label, err := h.cfg.Workspace.GetLabel(ctx, scope, id)
	if err != nil {
		return nil, err
	}
	return &labelAnswer{Body: viewLabel(label)}, nil
}

func (h *handler) patchLabel(ctx context.Context, scope tenantschema.Scope, in *struct {
	ByID
	Body labelPatch
},
) (*labelAnswer, error) {
	id, err := in.id("label")
	if err != nil {
		return nil, err
	}
	patch := workspace.LabelPatch{Name: in.Body.Name.ptr(), Color: in.Body.Color.ptr()}
	label, err := h.work(ctx).PatchLabel(ctx, scope, id, patch)
	if err != nil {
		return nil, err
	}
	return &labelAnswer{Body: viewLabel(label)}, nil
}

func (h *handler) deleteLabel(ctx context.Context, scope tenantschema.Scope, in *ByID) (*struct{}, error) {
	id, err := in.id("label")
	if err != nil {
		return nil, err
	}
	return nil, h.work(ctx).DeleteLabel(ctx, scope, id)
}
