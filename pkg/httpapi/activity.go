package httpapi

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

const pathActivity = "/api/v1/activity"

// activityView is a workspace.Activity as the API documents it. The conversion between them keeps both alike.
type activityView struct {
	ID          uuid.UUID              `json:"id" format:"uuid"`
	EventID     uuid.UUID              `json:"event_id" format:"uuid" doc:"The feed has each event once."`
	Kind        string                 `json:"kind" example:"task.created"`
	SubjectType string                 `json:"subject_type" example:"task"`
	SubjectID   uuid.UUID              `json:"subject_id" format:"uuid" doc:"What it tells of, which may be gone."`
	ProjectID   *uuid.UUID             `json:"project_id" format:"uuid" nullable:"true"`
	Data        workspace.ActivityData `json:"data" doc:"What more there is to say; which fields there are is up to the kind."`
	ActorID     *uuid.UUID             `json:"actor_id" format:"uuid" nullable:"true" doc:"The person or key that did it; null for what came by itself."`
	ActorName   string                 `json:"actor_name" doc:"What they were called then."`
	OccurredAt  time.Time              `json:"occurred_at"`
}

func viewActivity(a workspace.Activity) activityView { return activityView(a) }

type activityQuery struct {
	Paging
	ProjectID optional[uuid.UUID] `query:"project_id" format:"uuid" doc:"Only what happened in this project."`
	SubjectID optional[uuid.UUID] `query:"subject_id" format:"uuid" doc:"Only what happened to this, for example a task."`
}

func (h *handler) listActivity(ctx context.Context, scope tenantschema.Scope, in *activityQuery) (*page[activityView], error) {
	filter := workspace.ActivityFilter{ProjectID: in.ProjectID.ptr(), SubjectID: in.SubjectID.ptr()}
	found, err := h.cfg.Workspace.ListActivity(ctx, scope, filter, in.request())
	if err != nil {
		return nil, err
	}
	return pageOf(ctx, found, viewActivity), nil
}
