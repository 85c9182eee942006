package httpapi

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

const (
	pathSearch = "/api/v1/search"
	pathUsage  = "/api/v1/usage"
)

// foundView is a workspace.Found as the API documents it. The conversion between them keeps both alike.
type foundView struct {
	Type      string     `json:"type" enum:"project,task,comment"`
	ID        uuid.UUID  `json:"id" format:"uuid"`
	ProjectID uuid.UUID  `json:"project_id" format:"uuid" doc:"The project, or that of the task."`
	TaskID    *uuid.UUID `json:"task_id" format:"uuid" nullable:"true" doc:"The task, or that of the comment; null for a project."`
	Title     string     `json:"title" doc:"The name of the project, or the title of the task."`
	Excerpt   string     `json:"excerpt" doc:"Plain text around what was found, in which each hit stands between the characters U+0002 and U+0003."`
	CreatedAt time.Time  `json:"created_at"`
}

func viewFound(f workspace.Found) foundView { return foundView(f) }

type searchQuery struct {
	Query string `query:"q" required:"true" minLength:"1" maxLength:"100" doc:"All words must be there; the last may be the beginning of one. \"Quoted words\" stand side by side, -word must not be there, or is either."`
	Limit int    `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"The most items wanted."`
}

func (h *handler) search(ctx context.Context, scope tenantschema.Scope, in *searchQuery) (*page[foundView], error) {
	found, err := h.cfg.Workspace.Search(ctx, scope, in.Query, in.Limit)
	if err != nil {
		return nil, err
	}
	return pageOf(ctx, workspace.Page[workspace.Found]{Items: found}, viewFound), nil
}

// usageView is a workspace.Usage as the API documents it. The conversion between them keeps both alike.
type usageView struct {
	Users     int64                   `json:"users" doc:"Those who are not shut out."`
	Projects  int64                   `json:"projects"`
	Tasks     int64                   `json:"tasks"`
	OpenTasks int64                   `json:"open_tasks" doc:"Those to do, and those that are being done."`
	Comments  int64                   `json:"comments"`
	Files     int64                   `json:"files"`
	FileBytes int64                   `json:"file_bytes" doc:"What the files take together."`
	Activity  []workspace.DayActivity `json:"activity" nullable:"false" doc:"How much happened on each day, the oldest first, the last of them today, by UTC."`
}

type usageQuery struct {
	Days int `query:"days" minimum:"1" maximum:"90" default:"30" doc:"Of how many days the activity is told."`
}

type usageAnswer struct {
	Body usageView
}

func (h *handler) usage(ctx context.Context, scope tenantschema.Scope, in *usageQuery) (*usageAnswer, error) {
	u, err := h.cfg.Workspace.Usage(ctx, scope, in.Days)
	if err != nil {
		return nil, err
	}
	return &usageAnswer{Body: usageView(u)}, nil
}
