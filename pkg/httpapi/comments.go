package httpapi

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

const pathComments = "/api/v1/comments"

// commentView is a workspace.Comment as the API documents it. The conversion between them keeps both alike.
type commentView struct {
	ID          uuid.UUID  `json:"id" format:"uuid"`
	TaskID      uuid.UUID  `json:"task_id" format:"uuid"`
	AuthorID    *uuid.UUID `json:"author_id" format:"uuid" nullable:"true" doc:"The person who wrote it; null if that was a program, or somebody who has left."`
	AuthorKeyID *uuid.UUID `json:"author_key_id" format:"uuid" nullable:"true" doc:"The key by which a program wrote it."`
	AuthorName  string     `json:"author_name" example:"Ada"`
	Body        string     `json:"body"`
	CreatedAt   time.Time  `json:"created_at"`
	EditedAt    *time.Time `json:"edited_at" doc:"null if it is as it was written."`
}

func viewComment(c workspace.Comment) commentView { return commentView(c) }

// newComment is what a comment is made from, and what it is changed to.
type newComment struct {
	Body string `json:"body" minLength:"1" maxLength:"10000" example:"The vans come at nine."`
}

type commentPatch struct {
	Body string `json:"body" minLength:"1" maxLength:"10000"`
}

// commentsOf chooses the comments on a task.
type commentsOf struct {
	ByID
	Paging
}

type commentAnswer struct {
	Body commentView
}

type commentCreated struct {
	Location string `header:"Location" doc:"The address of the new comment."`
	Body     commentView
}

func (h *handler) listComments(ctx context.Context, scope tenantschema.Scope, in *commentsOf) (*page[commentView], error) {
	id, err := in.id("task")
	if err != nil {
		return nil, err
	}
	found, err := h.cfg.Workspace.ListComments(ctx, scope, id, in.request())
	if err != nil {
		return nil, err
	}
	return pageOf(ctx, found, viewComment), nil
}

func (h *handler) createComment(ctx context.Context, scope tenantschema.Scope, in *struct {
	ByID
	Body newComment
},
) (*commentCreated, error) {
	id, err := in.id("task")
	if err != nil {
		return nil, err
	}
	comment, err := h.work(ctx).CreateComment(ctx, scope, id, in.Body.Body)
	if err != nil {
		return nil, err
	}
	return &commentCreated{Location: pathComments + "/" + comment.ID.String(), Body: viewComment(comment)}, nil
}

func (h *handler) getComment(ctx context.Context, scope tenantschema.Scope, in *ByID) (*commentAnswer, error) {
	id, err := in.id("comment")
	if err != nil {
		return nil, err
	}
	comment, err := h.cfg.Workspace.GetComment(ctx, scope, id)
	if err != nil {
		return nil, err
	}
	return &commentAnswer{Body: viewComment(comment)}, nil
}

func (h *handler) patchComment(ctx context.Context, scope tenantschema.Scope, in *struct {
	ByID
	Body commentPatch
},
) (*commentAnswer, error) {
	id, err := in.id("comment")
	if err != nil {
		return nil, err
	}
	comment, err := h.work(ctx).EditComment(ctx, scope, id, in.Body.Body)
	if err != nil {
		return nil, err
	}
	return &commentAnswer{Body: viewComment(comment)}, nil
}

func (h *handler) deleteComment(ctx context.Context, scope tenantschema.Scope, in *ByID) (*struct{}, error) {
	id, err := in.id("comment")
	if err != nil {
		return nil, err
	}
	return nil, h.work(ctx).DeleteComment(ctx, scope, id)
}
