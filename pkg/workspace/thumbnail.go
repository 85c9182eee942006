package workspace

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/filestore"
	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// ThumbnailDue is the job that makes the thumbnail of a picture, [Service.MakeThumbnail].
type ThumbnailDue struct {
	AttachmentID uuid.UUID `json:"attachment_id"`
}

// Kind names the job.
func (ThumbnailDue) Kind() string { return "workspace.thumbnail" }

// JobOpts asks for the queue of what may take until tomorrow, and for few attempts: a picture is broken or it is not.
func (ThumbnailDue) JobOpts() job.Opts { return job.Opts{Queue: job.QueueBulk, MaxAttempts: 5} }

// waitToDraw is how long a job waits for another one's picture, in a worker that others could use, before it is put off for as long.
const waitToDraw = 5 * time.Second

// maxThumbnailBytes is more than any thumbnail has: four bytes for each point, and a head.
const maxThumbnailBytes = 4*maxSide*maxSide + 64<<10

// pictured says whether files of that type get a thumbnail.
func pictured(contentType string) bool {
	switch contentType {
	case "image/jpeg", "image/png", "image/gif", "image/webp":
		return true
	}
	return false
}

// MakeThumbnail does the work of the job: it stores a small copy of the picture under a key of its own, the same in each run. A picture that is
// broken or too large to be decoded ends the job; the attachment stays as it is, without a thumbnail. One picture is worked at a time.
func (s *Service) MakeThumbnail(ctx context.Context, scope tenantschema.Scope, due ThumbnailDue) error {
	file, err := s.OpenAttachment(ctx, scope, due.AttachmentID)
	if errors.Is(err, &apperr.Error{Code: apperr.NotFound}) {
		return job.Cancel(err)
	}
	if err != nil {
		return err
	}
	defer file.Content.Close() //nolint:errcheck // It was read.
	select {
	case s.drawing <- struct{}{}:
		defer func() { <-s.drawing }()
	case <-time.After(waitToDraw):
		return job.Snooze(waitToDraw)
	case <-ctx.Done():
		return ctx.Err()
	}
	small, err := thumbnail(whileContext{ctx, file.Content})
	if err != nil {
		if _, ok := errors.AsType[*fs.PathError](err); ok || ctx.Err() != nil {
			return failed("make thumbnail", err)
		}
		return job.Cancel(failed("make thumbnail", err))
	}
	_, err = s.files.Put(ctx, scope.Tenant().Schema, thumbnailKey(due.AttachmentID), bytes.NewReader(small), maxThumbnailBytes)
	if err != nil {
		return failed("make thumbnail", err)
	}
	return nil
}

// OpenThumbnail opens the thumbnail of an attachment. The error is apperr.NotFound if there is none: not yet, or not of this file.
func (s *Service) OpenThumbnail(ctx context.Context, scope tenantschema.Scope, id uuid.UUID) (AttachmentFile, error) {
	a, err := s.GetAttachment(ctx, scope, id)
	if err != nil {
		return AttachmentFile{}, err
	}
	content, err := s.files.Open(ctx, scope.Tenant().Schema, thumbnailKey(id))
	if errors.Is(err, &apperr.Error{Code: apperr.NotFound}) {
		return AttachmentFile{}, apperr.Wrap(err, apperr.NotFound, "There is no thumbnail of the attachment %s, or not yet.", id)
	}
	if err != nil {
		return AttachmentFile{}, failed("open thumbnail", err)
	}
	contentType, err := typeOf(content)
	if err != nil {
		return AttachmentFile{}, failed("open thumbnail", errors.Join(err, content.Close()))
	}
	return AttachmentFile{Name: "thumbnail-" + id.String() + extensionOf(contentType), ContentType: contentType, Tag: a.SHA256 + "-t", Content: content}, nil
}

// typeOf tells what our own file is.
func typeOf(f filestore.File) (string, error) {
	head := make([]byte, 512)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", err
	}
	_, err = f.Seek(0, io.SeekStart)
	return http.DetectContentType(head[:n]), err
}

func extensionOf(contentType string) string {
	if contentType == "image/png" {
		return ".png"
	}
	return ".jpg"
}

// whileContext ends with its context: a decoder has no other way to be stopped.
type whileContext struct {
	ctx context.Context //nolint:containedctx // It lives for one call.
	io.ReadSeeker
}

func (w whileContext) Read(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.ReadSeeker.Read(p)
}
