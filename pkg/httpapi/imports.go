package httpapi

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

const pathImports = "/api/v1/imports"

// importView is a workspace.Import as the API documents it. The conversion between them keeps both alike.
type importView struct {
	ID           uuid.UUID               `json:"id" format:"uuid"`
	ProjectID    uuid.UUID               `json:"project_id" format:"uuid"`
	State        workspace.ImportState   `json:"state" enum:"waiting,running,done,failed" doc:"failed: given up behind done_rows."`
	TotalRows    int                     `json:"total_rows" doc:"The rows of the file, without its header."`
	DoneRows     int                     `json:"done_rows" doc:"How many of them were taken or refused so far."`
	CreatedCount int                     `json:"created_count" doc:"The tasks made."`
	FailedCount  int                     `json:"failed_count" doc:"The rows refused. The others are taken in any case."`
	Errors       []workspace.ImportError `json:"errors" nullable:"false" doc:"What is wrong with the first hundred refused rows, by line and column."`
	CreatedAt    time.Time               `json:"created_at"`
	FinishedAt   *time.Time              `json:"finished_at" doc:"null as long as it is waiting or running."`
}

func viewImport(i workspace.Import) importView { return importView(i) }

// importsOf chooses the imports into a project.
type importsOf struct {
	ByID
	Paging
}

type newImport struct {
	ByID
	RawBody []byte `contentType:"text/csv" required:"true"`
}

type importAnswer struct {
	Body importView
}

type importAccepted struct {
	Location string `header:"Location" doc:"The address of the import, which tells how far it is."`
	Body     importView
}

func (h *handler) listImports(ctx context.Context, scope tenantschema.Scope, in *importsOf) (*page[importView], error) {
	id, err := in.id("project")
	if err != nil {
		return nil, err
	}
	found, err := h.cfg.Workspace.ListImports(ctx, scope, id, in.request())
	if err != nil {
		return nil, err
	}
	return pageOf(ctx, found, viewImport), nil
}

func (h *handler) createImport(ctx context.Context, scope tenantschema.Scope, in *newImport) (*importAccepted, error) {
	id, err := in.id("project")
	if err != nil {
		return nil, err
	}
	made, err := h.work(ctx).CreateImport(ctx, scope, id, in.RawBody)
	if err != nil {
		return nil, err
	}
	return &importAccepted{Location: pathImports + "/" + made.ID.String(), Body: viewImport(made)}, nil
}

func (h *handler) getImport(ctx context.Context, scope tenantschema.Scope, in *ByID) (*importAnswer, error) {
	id, err := in.id("import")
	if err != nil {
		return nil, err
	}
	found, err := h.cfg.Workspace.GetImport(ctx, scope, id)
	if err != nil {
		return nil, err
	}
	return &importAnswer{Body: viewImport(found)}, nil
}
