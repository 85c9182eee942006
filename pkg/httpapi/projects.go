package httpapi

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

const pathProjects = "/api/v1/projects"

// projectView is a workspace.Project as the API documents it. The conversion between them keeps both alike.
type projectView struct {
	ID          uuid.UUID  `json:"id" format:"uuid"`
	Name        string     `json:"name" example:"Move to the new office"`
	Description string     `json:"description"`
	ArchivedAt  *time.Time `json:"archived_at" doc:"When it was put away; null for a project in use."`
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
}

func viewProject(p workspace.Project) projectView { return projectView(p) }

type newProject struct {
	Name        string `json:"name" minLength:"1" maxLength:"100" doc:"One line. Two projects may have the same." example:"Move to the new office"`
	Description string `json:"description,omitempty" maxLength:"10000"`
}

type projectPatch struct {
	Name        changed[string] `json:"name,omitzero" minLength:"1" maxLength:"100"`
	Description changed[string] `json:"description,omitzero" maxLength:"10000"`
	Archived    changed[bool]   `json:"archived,omitzero" doc:"true puts the project away, false takes it back. Its tasks stay."`
}

func (p *projectPatch) patch() workspace.ProjectPatch {
	return workspace.ProjectPatch{Name: p.Name.ptr(), Description: p.Description.ptr(), Archived: p.Archived.ptr()}
}

type projectQuery struct {
	Paging
	Archived optional[bool] `query:"archived" doc:"Only projects that are put away, or only those that are not."`
	Query    string         `query:"q" maxLength:"100" doc:"Only projects with this text in their name."`
}

type projectAnswer struct {
	Body projectView
}

type projectCreated struct {
	Location string `header:"Location" doc:"The address of the new project."`
	Body     projectView
}

func (h *handler) listProjects(ctx context.Context, scope tenantschema.Scope, in *projectQuery) (*page[projectView], error) {
	filter := workspace.ProjectFilter{Archived: in.Archived.ptr(), Query: in.Query}
	found, err := h.cfg.Workspace.ListProjects(ctx, scope, filter, in.request())
	if err != nil {
		return nil, err
	}
	return pageOf(ctx, found, viewProject), nil
}

func (h *handler) createProject(ctx context.Context, scope tenantschema.Scope, in *struct{ Body newProject }) (*projectCreated, error) {
	project, err := h.work(ctx).CreateProject(ctx, scope, workspace.NewProject(in.Body))
	if err != nil {
		return nil, err
	}
	return &projectCreated{Location: pathProjects + "/" + project.ID.String(), Body: viewProject(project)}, nil
}

func (h *handler) getProject(ctx context.Context, scope tenantschema.Scope, in *ByID) (*projectAnswer, error) {
	id, err := in.id("project")
	if err != nil {
		return nil, err
	}
	project, err := h.cfg.Workspace.GetProject(ctx, scope, id)
	if err != nil {
		return nil, err
	}
	return &projectAnswer{Body: viewProject(project)}, nil
}

func (h *handler) patchProject(ctx context.Context, scope tenantschema.Scope, in *struct {
	ByID
	Body projectPatch
},
) (*projectAnswer, error) {
	id, err := in.id("project")
	if err != nil {
		return nil, err
	}
	patch := in.Body.patch()
	patch.UnchangedSince = unchangedSince(ctx)
	project, err := h.work(ctx).PatchProject(ctx, scope, id, patch)
	if err != nil {
		return nil, err
	}
	return &projectAnswer{Body: viewProject(project)}, nil
}

func (h *handler) deleteProject(ctx context.Context, scope tenantschema.Scope, in *ByID) (*struct{}, error) {
	id, err := in.id("project")
	if err != nil {
		return nil, err
	}
	return nil, h.work(ctx).DeleteProjectUnchanged(ctx, scope, id, unchangedSince(ctx))
}
