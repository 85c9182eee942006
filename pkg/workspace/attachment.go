package workspace

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/filestore"
	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

const maxFileName = 255

// Attachment is a file of a task. It goes with its task.
type Attachment struct {
	ID     uuid.UUID `json:"id"`
	TaskID uuid.UUID `json:"task_id"`
	// FileName is what its owner calls it; it is no path of ours.
	FileName string `json:"file_name"`
	// ContentType is what its first bytes look like, whatever the sender said.
	ContentType string `json:"content_type"`
	SizeBytes   int64  `json:"size_bytes"`
	// SHA256 is in hexadecimal.
	SHA256    string    `json:"sha256"`
	CreatedAt time.Time `json:"created_at"`
}

// AttachmentFile is an open file of an attachment. Content must be closed.
type AttachmentFile struct {
	// Name is what a browser may save it as.
	Name        string
	ContentType string
	// Tag changes when the content does.
	Tag     string
	Content filestore.File
}

// CreateAttachment stores a file of a task as it comes, at most [Service.MaxUploadBytes] of it, and enqueues the job that makes the thumbnail of
// a picture: all of it or nothing. The error is apperr.NotFound if there is no such task, apperr.Invalid if the name or the size is not
// accepted, and apperr.Conflict if the tenant's plan has no room for it; one of content is wrapped.
//
// The row is written when the file is whole. So a crash leaves at most a file without a row, which [Service.SweepFiles] removes.
func (s *Service) CreateAttachment(
	ctx context.Context, scope tenantschema.Scope, taskID uuid.UUID, name string, content io.Reader,
) (Attachment, error) {
	var check checker
	name = check.fileName("name", name)
	if err := check.err("The file cannot be stored under this name."); err != nil {
		return Attachment{}, err
	}
	if _, err := s.GetTask(ctx, scope, taskID); err != nil { // Before the upload, which takes its time and holds no connection.
		return Attachment{}, err
	}
	if err := s.checkStorage(ctx, scope, scope.Tenant().ID, 1); err != nil {
		return Attachment{}, failed("create attachment", err)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Attachment{}, failed("create attachment", err)
	}
	a := Attachment{ID: id, TaskID: taskID, FileName: name, CreatedAt: s.now()}
	sum, err := s.store(ctx, scope, &a, content)
	if err != nil {
		return Attachment{}, failed("create attachment", err)
	}
	told := false
	err = scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		if err := s.reserveStorage(ctx, tx, a.SizeBytes); err != nil {
			return err
		}
		if err := insertAttachment(ctx, tx, a, sum, s.actor); err != nil {
			return err
		}
		if pictured(a.ContentType) {
			if _, err := s.jobs.Enqueue(ctx, tx, ThumbnailDue{AttachmentID: id}, job.Opts{}); err != nil {
				return err
			}
		}
		if err := note(ctx, tx, uuid.Nil, taskID); err != nil {
			return err
		}
		told = true
		return nil
	})
	if err != nil {
		if !told { // Else it may have been committed, and only the answer was lost: the sweep knows.
			_ = s.files.Delete(ctx, scope.Tenant().Schema, attachmentKey(id))
		}
		return Attachment{}, failedOn("create attachment", "task", taskID, err)
	}
	return a, nil
}

// store puts content into the file of a, and fills in what is then known of it.
func (s *Service) store(ctx context.Context, scope tenantschema.Scope, a *Attachment, content io.Reader) (sum []byte, err error) {
	head := make([]byte, 512) // As much as DetectContentType looks at.
	n, err := io.ReadFull(content, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	a.ContentType = http.DetectContentType(head[:n])
	whole := io.MultiReader(bytes.NewReader(head[:n]), content)
	info, err := s.files.Put(ctx, scope.Tenant().Schema, attachmentKey(a.ID), whole, s.maxUpload)
	if _, ok := errors.AsType[*filestore.TooLargeError](err); ok {
		return nil, apperr.Wrap(err, apperr.Invalid, "The file is too large.").
			WithField("content", fmt.Sprintf("Give at most %d bytes.", s.maxUpload))
	}
	a.SizeBytes, a.SHA256 = info.Size, hex.EncodeToString(info.SHA256[:])
	return info.SHA256[:], err
}

// ListAttachments gives a page of the files of a task, newest first. The error is apperr.NotFound if there is no such task, apperr.Invalid for
// a limit or cursor that is wrong.
func (s *Service) ListAttachments(ctx context.Context, scope tenantschema.Scope, taskID uuid.UUID, p PageRequest) (Page[Attachment], error) {
	w, err := p.window("attachments", taskID)
	if err != nil {
		return Page[Attachment]{}, err
	}
	const sql = `SELECT ` + attachmentColumns + ` FROM attachments WHERE task_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3`
	rows, err := scope.Query(ctx, sql, taskID, w.before, w.fetch())
	if err != nil {
		return Page[Attachment]{}, failed("list attachments", err)
	}
	attachments, err := pgx.CollectRows(rows, scanAttachment)
	if err != nil {
		return Page[Attachment]{}, failed("list attachments", err)
	}
	if len(attachments) == 0 {
		if _, err = s.GetTask(ctx, scope, taskID); err != nil {
			return Page[Attachment]{}, err
		}
	}
	return pageOf(w, attachments, func(a Attachment) uuid.UUID { return a.ID }), nil
}

// GetAttachment gives an attachment without its file. The error is apperr.NotFound if there is none with that id.
func (s *Service) GetAttachment(ctx context.Context, scope tenantschema.Scope, id uuid.UUID) (Attachment, error) {
	const sql = `SELECT ` + attachmentColumns + ` FROM attachments WHERE id = $1`
	a, err := queryAttachment(ctx, scope, sql, id)
	if err != nil {
		return Attachment{}, failedOn("get attachment", "attachment", id, err)
	}
	return a, nil
}

// OpenAttachment opens the file of an attachment. The error is apperr.NotFound if there is none with that id.
func (s *Service) OpenAttachment(ctx context.Context, scope tenantschema.Scope, id uuid.UUID) (AttachmentFile, error) {
	a, err := s.GetAttachment(ctx, scope, id)
	if err != nil {
		return AttachmentFile{}, err
	}
	content, err := s.files.Open(ctx, scope.Tenant().Schema, attachmentKey(id))
	if errors.Is(err, &apperr.Error{Code: apperr.NotFound}) {
		if _, err := s.GetAttachment(ctx, scope, id); err != nil {
			return AttachmentFile{}, err // Deleted just now.
		}
		return AttachmentFile{}, fmt.Errorf("workspace: open attachment: the file %s is lost", attachmentKey(id))
	}
	if err != nil {
		return AttachmentFile{}, failed("open attachment", err)
	}
	return AttachmentFile{Name: a.FileName, ContentType: a.ContentType, Tag: a.SHA256, Content: content}, nil
}

// DeleteAttachment deletes an attachment for ever. The error is apperr.NotFound if there is none with that id.
func (s *Service) DeleteAttachment(ctx context.Context, scope tenantschema.Scope, id uuid.UUID) error {
	err := scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		a, err := queryAttachment(ctx, tx, `DELETE FROM attachments WHERE id = $1 RETURNING `+attachmentColumns, id)
		if err != nil {
			return err
		}
		return note(ctx, tx, uuid.Nil, a.TaskID)
	})
	if err != nil {
		return failedOn("delete attachment", "attachment", id, err)
	}
	for _, key := range []string{attachmentKey(id), thumbnailKey(id)} {
		_ = s.files.Delete(ctx, scope.Tenant().Schema, key) // Nobody finds it any more; what stays is swept.
	}
	return nil
}

// fileName gives text if it is the name of a file, and no path.
func (c *checker) fileName(path, text string) string {
	if text = c.line(path, text, maxFileName); strings.ContainsAny(text, `/\`) || text == "." || text == ".." {
		c.add(path, `Give a name without / and \.`)
	}
	return text
}

// insertAttachment finds no row if there is no such task.
func insertAttachment(ctx context.Context, tx *tenantschema.Tx, a Attachment, sum []byte, by Actor) error {
	const sql = `INSERT INTO attachments (id, task_id, file_name, content_type, size_bytes, sha256, storage_key, created_at, uploaded_by)
SELECT $1, t.id, $3, $4, $5, $6, $7, $8, $9 FROM tasks AS t WHERE t.id = $2 RETURNING ` + attachmentColumns
	_, err := queryAttachment(ctx, tx, sql, a.ID, a.TaskID, a.FileName, a.ContentType, a.SizeBytes, sum, attachmentKey(a.ID), a.CreatedAt,
		by.user())
	return err
}

const attachmentColumns = `id, task_id, file_name, content_type, size_bytes, encode(sha256, 'hex'), created_at`

func scanAttachment(row pgx.CollectableRow) (Attachment, error) {
	var a Attachment
	err := row.Scan(&a.ID, &a.TaskID, &a.FileName, &a.ContentType, &a.SizeBytes, &a.SHA256, &a.CreatedAt)
	a.CreatedAt = a.CreatedAt.UTC()
	return a, err
}

func queryAttachment(ctx context.Context, db tenantschema.DBTX, sql string, args ...any) (Attachment, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return Attachment{}, err
	}
	return pgx.CollectOneRow(rows, scanAttachment)
}
