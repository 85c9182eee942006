package httpapi_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/filestore"
	"github.com/rowhousehq/rowhouse/pkg/httpapi"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
)

// attachment is how one looks on the wire.
type attachment struct {
	ID          string    `json:"id"`
	TaskID      string    `json:"task_id"`
	FileName    string    `json:"file_name"`
	ContentType string    `json:"content_type"`
	SizeBytes   int64     `json:"size_bytes"`
	SHA256      string    `json:"sha256"`
	CreatedAt   time.Time `json:"created_at"`
}

// attaching is an edge with a task of acme's, and the address of the task's files. A file may have 4,000 bytes.
func attaching(t *testing.T) (e *edge, work *workspace.Service, path string) {
	t.Helper()
	e = open(t, func(c *httpapi.Config) {
		store, err := filestore.Open(t.TempDir())
		require.NoError(t, err)
		work, err = workspace.New(workspace.Config{Jobs: &jobs{}, Files: store, MaxUploadBytes: 4000})
		require.NoError(t, err)
		c.Workspace, c.MaxBodyBytes, c.MaxImportBytes = work, 1000, 1000
	})
	var project, task struct {
		ID string `json:"id"`
	}
	made := e.do(call{method: "POST", path: "/api/v1/projects", key: e.acmeKey, body: object{"name": "Attic"}})
	require.NoError(t, jsonLoose(made.body, &project))
	made = e.do(call{method: "POST", path: "/api/v1/tasks", key: e.acmeKey, body: object{"project_id": project.ID, "title": "Sweep"}})
	require.NoError(t, jsonLoose(made.body, &task))
	return e, work, "/api/v1/tasks/" + task.ID + "/attachments"
}

// send uploads a file of acme's.
func (e *edge) send(path, query, content string, header ...string) answer {
	c := call{method: "POST", path: path + query, key: e.acmeKey, body: content, header: http.Header{"Content-Type": {"image/png"}}}
	for i := 0; i < len(header); i += 2 {
		c.header.Set(header[i], header[i+1])
	}
	return e.do(c)
}

func TestAttachments(t *testing.T) {
	t.Parallel()
	e, _, path := attaching(t)
	content := strings.Repeat("hello, world! ", 200) // More than another body may have.
	a := e.send(path, "?name=Pl%C3%A4n%20%22a%22.html", content)
	require.Equal(t, 201, a.status, a.body)
	var made attachment
	a.into(t, &made)
	require.Equal(t, "/api/v1/attachments/"+made.ID, a.header.Get("Location"))
	require.Equal(t, []any{`Plän "a".html`, "text/plain; charset=utf-8", int64(len(content))}, []any{made.FileName, made.ContentType, made.SizeBytes})
	require.Contains(t, path, made.TaskID)
	var list struct {
		Items []attachment `json:"items"`
	}
	e.do(call{path: path, key: e.acmeKey}).into(t, &list)
	require.Equal(t, []attachment{made}, list.Items)
	one := "/api/v1/attachments/" + made.ID
	var got attachment
	e.do(call{path: one, key: e.acmeKey}).into(t, &got)
	require.Equal(t, made, got)

	get := func(header ...string) answer {
		c := call{path: one + "/content", key: e.key(e.acme, "read"), header: http.Header{}}
		for i := 0; i < len(header); i += 2 {
			c.header.Set(header[i], header[i+1])
		}
		return e.do(c)
	}
	file := get()
	require.Equal(t, 200, file.status)
	require.Equal(t, content, file.body)
	for name, want := range map[string]string{
		"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Accept-Ranges": "bytes",
		"Content-Disposition":     `attachment; filename*=utf-8''Pl%C3%A4n%20%22a%22.html`,
		"Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
	} {
		require.Equal(t, []string{want}, file.header.Values(name), name)
	}
	part := get("Range", "bytes=7-11")
	require.Equal(t, 206, part.status)
	require.Equal(t, "world", part.body)
	require.Equal(t, fmt.Sprintf("bytes 7-11/%d", len(content)), part.header.Get("Content-Range"))
	require.Equal(t, 304, get("If-None-Match", file.header.Get("Etag")).status)
	beyond := get("Range", "bytes=9999-")
	e.refused(beyond, 416)
	require.Equal(t, fmt.Sprintf("bytes */%d", len(content)), beyond.header.Get("Content-Range"))
	head := e.do(call{method: "HEAD", path: one + "/content", key: e.acmeKey})
	require.Equal(t, []string{"200", fmt.Sprint(len(content)), ""}, []string{fmt.Sprint(head.status), head.header.Get("Content-Length"), head.body})

	e.refused(e.do(call{method: "DELETE", path: one, key: e.key(e.acme, "read")}), 403)
	require.Equal(t, 204, e.do(call{method: "DELETE", path: one, key: e.acmeKey}).status)
	e.refused(e.do(call{path: one + "/content", key: e.acmeKey}), 404)
	e.refused(e.do(call{method: "DELETE", path: one, key: e.acmeKey}), 404)
}

func TestAttachments_Refused(t *testing.T) {
	t.Parallel()
	e, _, path := attaching(t)
	require.Equal(t, 201, e.send(path, "?name=a", strings.Repeat("x", 4000)).status)
	nobody := "/api/v1/tasks/" + uuid.NewString() + "/attachments"
	for name, c := range map[string]struct {
		answer   answer
		status   int
		location string
	}{
		"too large":  {e.send(path, "?name=a", strings.Repeat("x", 4001)), 413, ""},
		"compressed": {e.send(path, "?name=a", "x", "Content-Encoding", "gzip"), 415, ""},
		"no name":    {e.send(path, "", "x"), 422, "query.name"},
		"a path":     {e.send(path, "?name=..%2Fa", "x"), 422, "query.name"},
		"a control":  {e.send(path, "?name=a%00", "x"), 422, "query.name"},
		"too long":   {e.send(path, "?name="+strings.Repeat("x", 256), "x"), 422, "query.name"},
		"no task":    {e.send(nobody, "?name=a", "x"), 404, ""},
		"not an id":  {e.send("/api/v1/tasks/nonsense/attachments", "?name=a", "x"), 404, ""},
		"read only":  {e.do(call{method: "POST", path: path + "?name=a", key: e.key(e.acme, "read"), body: "x"}), 403, ""},
		"no list":    {e.do(call{path: nobody, key: e.acmeKey}), 404, ""},
	} {
		require.Equal(t, c.status, c.answer.status, "%s: %s", name, c.answer.body)
		p := e.refused(c.answer, c.status)
		if c.location != "" {
			require.Equal(t, c.location, p.Errors[0].Location, name)
		}
	}

	// Without a length, what is too much is found on the way; who hangs up in the middle is told so.
	raw := func(body string, closeAfter bool) string {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(e.url, "http://"))
		require.NoError(t, err)
		defer conn.Close() //nolint:errcheck // A test's.
		_, err = fmt.Fprintf(conn, "POST %s?name=a HTTP/1.1\r\nHost: acme.localhost\r\nAuthorization: Bearer %s\r\nTransfer-Encoding: chunked\r\n\r\n%s",
			path, e.acmeKey, body)
		require.NoError(t, err)
		if tcp, ok := conn.(*net.TCPConn); ok && closeAfter {
			require.NoError(t, tcp.CloseWrite())
		}
		status, err := bufio.NewReader(conn).ReadString('\n')
		require.NoError(t, err)
		return status
	}
	require.Contains(t, raw("1388\r\n"+strings.Repeat("x", 5000)+"\r\n0\r\n\r\n", false), " 413 ")
	require.Contains(t, raw("3e8\r\n"+strings.Repeat("x", 500), true), " 400 ")

	var list struct {
		Items []attachment `json:"items"`
	}
	e.do(call{path: path, key: e.acmeKey}).into(t, &list)
	require.Len(t, list.Items, 1, "that one was refused in nothing")
}

func TestThumbnails(t *testing.T) {
	t.Parallel()
	e, work, path := attaching(t)
	const point = "GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\x00\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
	var made attachment
	e.send(path, "?name=dot.gif", point).into(t, &made)
	require.Equal(t, "image/gif", made.ContentType)
	one := "/api/v1/attachments/" + made.ID
	e.refused(e.do(call{path: one + "/thumbnail", key: e.acmeKey}), 404)
	due := workspace.ThumbnailDue{AttachmentID: uuid.MustParse(made.ID)}
	require.NoError(t, work.MakeThumbnail(context.WithoutCancel(t.Context()), e.engine.Tenant(e.acme.Engine()), due))
	small := e.do(call{path: one + "/thumbnail", key: e.acmeKey})
	require.Equal(t, 200, small.status)
	require.Equal(t, "image/jpeg", small.header.Get("Content-Type"))
	require.Equal(t, "inline; filename=thumbnail-"+made.ID+".jpg", small.header.Get("Content-Disposition"))
	require.True(t, strings.HasPrefix(small.body, "\xff\xd8\xff"))

	// Acme's file is nothing at globex.
	for _, c := range []call{
		{path: one}, {path: one + "/content"}, {path: one + "/thumbnail"}, {path: path}, {method: "DELETE", path: one},
		{method: "POST", path: path + "?name=a", body: "x"},
	} {
		c.host, c.key = "globex.localhost", e.globexKey
		e.refused(e.do(c), 404)
		c.key = e.acmeKey
		e.refused(e.do(c), 401)
	}
	require.Equal(t, 200, e.do(call{path: one + "/content", key: e.acmeKey}).status)
	e.refused(e.do(call{path: "/api/v1/attachments/nonsense/content", key: e.acmeKey}), 404)
}
