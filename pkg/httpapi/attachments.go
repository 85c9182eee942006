package httpapi

import (
	"context"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humaecho"
	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

const pathAttachments = "/api/v1/attachments"

// attachmentView is a workspace.Attachment as the API documents it. The conversion between them keeps both alike.
type attachmentView struct {
	ID          uuid.UUID `json:"id" format:"uuid"`
	TaskID      uuid.UUID `json:"task_id" format:"uuid"`
	FileName    string    `json:"file_name"`
	ContentType string    `json:"content_type" doc:"What its first bytes look like, whatever the upload said."`
	SizeBytes   int64     `json:"size_bytes"`
	SHA256      string    `json:"sha256" doc:"In hexadecimal."`
	CreatedAt   time.Time `json:"created_at"`
}

func viewAttachment(a workspace.Attachment) attachmentView { return attachmentView(a) }

// attachmentsOf chooses the files of a task.
type attachmentsOf struct {
	ByID
	Paging
}

// newAttachment has no field for the body, so that huma does not read it into memory.
type newAttachment struct {
	ByID
	Name string `query:"name" required:"true" minLength:"1" maxLength:"255" doc:"The file's name, without / and \\."`

	content io.Reader
}

// Resolve is called by huma.
func (n *newAttachment) Resolve(ctx huma.Context) []error {
	n.content = ctx.BodyReader()
	return nil
}

type attachmentAnswer struct {
	Body attachmentView
}

type attachmentCreated struct {
	Location string `header:"Location" doc:"The address of the attachment."`
	Body     attachmentView
}

func (h *handler) listAttachments(ctx context.Context, scope tenantschema.Scope, in *attachmentsOf) (*page[attachmentView], error) {
	id, err := in.id("task")
	if err != nil {
		return nil, err
	}
	found, err := h.cfg.Workspace.ListAttachments(ctx, scope, id, in.request())
	if err != nil {
		return nil, err
	}
	return pageOf(ctx, found, viewAttachment), nil
}

func (h *handler) createAttachment(ctx context.Context, scope tenantschema.Scope, in *newAttachment) (*attachmentCreated, error) {
	id, err := in.id("task")
	if err != nil {
		return nil, err
	}
	made, err := h.work(ctx).CreateAttachment(ctx, scope, id, in.Name, in.content)
	if err != nil {
		return nil, err
	}
	return &attachmentCreated{Location: pathAttachments + "/" + made.ID.String(), Body: viewAttachment(made)}, nil
}

func (h *handler) getAttachment(ctx context.Context, scope tenantschema.Scope, in *ByID) (*attachmentAnswer, error) {
	id, err := in.id("attachment")
	if err != nil {
		return nil, err
	}
	found, err := h.cfg.Workspace.GetAttachment(ctx, scope, id)
	if err != nil {
		return nil, err
	}
	return &attachmentAnswer{Body: viewAttachment(found)}, nil
}

func (h *handler) deleteAttachment(ctx context.Context, scope tenantschema.Scope, in *ByID) (*struct{}, error) {
	id, err := in.id("attachment")
	if err != nil {
		return nil, err
	}
	return nil, h.work(ctx).DeleteAttachment(ctx, scope, id)
}

func (h *handler) getAttachmentContent(ctx context.Context, scope tenantschema.Scope, in *ByID) (*huma.StreamResponse, error) {
	id, err := in.id("attachment")
	if err != nil {
		return nil, err
	}
	f, err := h.cfg.Workspace.OpenAttachment(ctx, scope, id)
	if err != nil {
		return nil, err
	}
	return streamed(f, "attachment"), nil // Never shown in place: it is a stranger's.
}

func (h *handler) getThumbnail(ctx context.Context, scope tenantschema.Scope, in *ByID) (*huma.StreamResponse, error) {
	id, err := in.id("attachment")
	if err != nil {
		return nil, err
	}
	f, err := h.cfg.Workspace.OpenThumbnail(ctx, scope, id)
	if err != nil {
		return nil, err
	}
	return streamed(f, "inline"), nil
}

// streamed answers with a file or the parts of it that were asked for, and closes it.
func streamed(f workspace.AttachmentFile, disposition string) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		defer f.Content.Close() //nolint:errcheck // It was read.
		c := humaecho.Unwrap(ctx)
		header := c.Response().Header()
		header.Set("Content-Type", f.ContentType)
		header.Set("Content-Disposition", mime.FormatMediaType(disposition, map[string]string{"filename": f.Name}))
		header.Set("Content-Security-Policy", "default-src 'none'"+filePolicy)
		header.Set("ETag", `"`+f.Tag+`"`)
		w := &rangeWriter{ResponseWriter: c.Response(), refuse: func() {
			renderError(newProblem(http.StatusRequestedRangeNotSatisfiable, rangeDetail), c)
		}}
		http.ServeContent(w, c.Request(), "", f.Content.ModTime(), f.Content)
	}}
}

// rangeWriter shows the one error of ServeContent that a client can cause as a problem.
type rangeWriter struct {
	http.ResponseWriter

	refuse  func()
	refused bool
}

func (w *rangeWriter) WriteHeader(status int) {
	if w.refused = status == http.StatusRequestedRangeNotSatisfiable; w.refused {
		w.Header().Del("Content-Disposition")
		w.refuse()
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *rangeWriter) Write(p []byte) (int, error) {
	if w.refused {
		return len(p), nil // Said already.
	}
	return w.ResponseWriter.Write(p)
}
