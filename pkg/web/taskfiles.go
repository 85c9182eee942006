package web

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
)

// multipartRoom is what a form with a file may have beside the file.
const multipartRoom = 64 << 10

// uploadFile stores the file of a form as it comes, without keeping it anywhere before.
func (h *Pages) uploadFile(c echo.Context) error {
	ctx, scope := at(c)
	id, err := workID(c)
	if err != nil {
		return err
	}
	req := c.Request()
	req.Body = http.MaxBytesReader(c.Response().Writer, req.Body, h.cfg.Workspace.MaxUploadBytes()+multipartRoom)
	part, err := filePart(req)
	if err == nil {
		_, err = h.work(c).CreateAttachment(ctx, scope, id, part.FileName(), part)
	}
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		err = invalid("The file was not stored.", "file", "Choose a file of at most "+byteSize(h.cfg.Workspace.MaxUploadBytes())+".")
	}
	if err != nil {
		return h.showTask(c, err)
	}
	return back(c, "/tasks/"+id.String()+"#files", "The file is there.")
}

// filePart gives the first part of the form that is a file.
func filePart(req *http.Request) (*multipart.Part, error) {
	nothing := invalid("No file was stored.", "file", "Choose a file first.")
	reader, err := req.MultipartReader()
	if err != nil {
		return nil, nothing
	}
	for range 10 { // Fields before the file.
		part, err := reader.NextPart()
		if errors.Is(err, io.EOF) {
			return nil, nothing
		}
		if err != nil {
			return nil, apperr.Wrap(err, apperr.Invalid, "The file could not be read to its end. Send it again.")
		}
		if part.FormName() == "file" && part.FileName() != "" {
			return part, nil
		}
	}
	return nil, nothing
}

func (h *Pages) file(c echo.Context) error {
	ctx, scope := at(c)
	id, err := workID(c)
	if err != nil {
		return err
	}
	file, err := h.work(c).OpenAttachment(ctx, scope, id)
	if err != nil {
		return err
	}
	return serveFile(c, file, "attachment") // Never shown in place: it is a stranger's.
}

func (h *Pages) thumbnail(c echo.Context) error {
	ctx, scope := at(c)
	id, err := workID(c)
	if err != nil {
		return err
	}
	file, err := h.work(c).OpenThumbnail(ctx, scope, id)
	if err != nil {
		return err
	}
	return serveFile(c, file, "inline")
}

// serveFile answers with a file and closes it. The browser of who may see it keeps it, and asks each time whether it is still so.
func serveFile(c echo.Context, file workspace.AttachmentFile, disposition string) error {
	defer file.Content.Close() //nolint:errcheck // It was read.
	header := c.Response().Header()
	header.Set(echo.HeaderContentType, file.ContentType)
	header.Set(echo.HeaderContentDisposition, mime.FormatMediaType(disposition, map[string]string{"filename": file.Name}))
	header.Set(echo.HeaderContentSecurityPolicy, "default-src 'none'; sandbox; frame-ancestors 'none'")
	header.Set(echo.HeaderCacheControl, "private, no-cache")
	header.Set("ETag", `"`+file.Tag+`"`)
	http.ServeContent(c.Response(), c.Request(), "", file.Content.ModTime(), file.Content)
	return nil
}

func (h *Pages) deleteFile(c echo.Context) error {
	ctx, scope := at(c)
	id, err := workID(c)
	if err != nil {
		return err
	}
	file, err := h.work(c).GetAttachment(ctx, scope, id)
	if err != nil {
		return err
	}
	if err = h.work(c).DeleteAttachment(ctx, scope, id); err != nil {
		return err
	}
	return back(c, "/tasks/"+file.TaskID.String()+"#files", "The file was deleted.")
}
