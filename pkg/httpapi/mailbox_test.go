package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/httpapi"
	"github.com/rowhousehq/rowhouse/pkg/mail"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

const evilMail = `<script>alert(1)</script><img src="https://eve.example/pixel"><form action="https://eve.example">`

// file delivers a mail and gives its id.
func file(t *testing.T, files *mail.Files, tenant, subject string) uuid.UUID {
	t.Helper()
	name, err := tenantschema.ParseName(tenant)
	require.NoError(t, err)
	id, err := uuid.NewV7()
	require.NoError(t, err)
	require.NoError(t, files.Deliver(t.Context(), mail.Outgoing{
		ID: id, Tenant: name, MessageID: id.String() + "@x.test", From: mail.Address{Address: "from@x.test"}, At: time.Now(),
		To: mail.Address{Name: "<b>Ada</b>", Address: "ada@x.test"}, Subject: subject, HTML: evilMail,
		Text: "<script>alert(2)</script>\nOpen https://acme.example/verify?a=1&b=2\nBye",
	}))
	return id
}

func getPage(t *testing.T, srv *httptest.Server, path string) (int, http.Header, string) {
	t.Helper()
	resp, err := srv.Client().Get(srv.URL + path)
	require.NoError(t, err)
	defer resp.Body.Close() //nolint:errcheck // Read to its end.
	var body strings.Builder
	require.NoError(t, resp.Write(&body))
	_, text, _ := strings.Cut(body.String(), "\r\n\r\n")
	return resp.StatusCode, resp.Header, text
}

func TestMailbox(t *testing.T) {
	t.Parallel()
	files, err := mail.NewFiles(t.TempDir())
	require.NoError(t, err)
	srv, _ := admin(t, httpapi.AdminConfig{Mailbox: files})

	status, _, body := getPage(t, srv, "/mailbox")
	require.Equal(t, 200, status)
	require.Contains(t, body, "There are no mails yet")

	older, newer := file(t, files, "t_acme", "Older <b>"), file(t, files, "t_globex", "Newer")
	status, header, body := getPage(t, srv, "/mailbox")
	require.Equal(t, 200, status)
	require.Contains(t, header.Get("Content-Security-Policy"), "default-src 'none'")
	require.Equal(t, "no-store", header.Get("Cache-Control"))
	require.Less(t, strings.Index(body, newer.String()), strings.Index(body, older.String()), "the newest first")
	require.Contains(t, body, "Older &lt;b&gt;")
	require.Contains(t, body, "t_acme")
	require.Contains(t, body, "t_globex")
	require.NotContains(t, body, "<b>")

	status, header, body = getPage(t, srv, "/mailbox/"+older.String())
	require.Equal(t, 200, status)
	require.Contains(t, header.Get("Content-Security-Policy"), "default-src 'none'")
	require.NotContains(t, header.Get("Content-Security-Policy"), "unsafe")
	require.NotContains(t, header.Get("Content-Security-Policy"), "script")
	require.Contains(t, body, `<iframe sandbox="" src="/mailbox/`+older.String()+`/html"`)
	require.Contains(t, body, `<a href="https://acme.example/verify?a=1&amp;b=2" rel="noopener noreferrer"`)
	require.Contains(t, body, `&lt;script&gt;alert(2)`)
	require.NotContains(t, body, "<script")
	require.NotContains(t, body, "eve.example", "the HTML part stands in its frame alone")
	require.Contains(t, body, "&lt;"+older.String()+"@x.test&gt;")

	status, header, body = getPage(t, srv, "/mailbox/"+older.String()+"/html")
	require.Equal(t, 200, status)
	require.Contains(t, body, evilMail)
	policy := strings.Split(header.Get("Content-Security-Policy"), "; ")
	require.Contains(t, policy, "default-src 'none'")
	require.Contains(t, policy, "sandbox", "nor does it run outside of the frame")
	require.NotContains(t, header.Get("Content-Security-Policy"), "script")
	require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"))

	status, header, _ = getPage(t, srv, "/mailbox/mailbox.css")
	require.Equal(t, 200, status)
	require.Equal(t, "text/css; charset=utf-8", header.Get("Content-Type"))

	for _, path := range []string{"/" + uuid.NewString(), "/x", "/..%2f..%2fetc%2fpasswd", "/" + older.String() + "/x", "/x/html"} {
		status, _, _ = getPage(t, srv, "/mailbox"+path)
		require.Equal(t, 404, status, path)
	}
}

func TestMailbox_OnlyIfAskedFor(t *testing.T) {
	t.Parallel()
	srv, _ := admin(t, httpapi.AdminConfig{})
	for _, path := range []string{"/mailbox", "/mailbox/", "/mailbox/" + uuid.NewString(), "/mailbox/mailbox.css"} {
		status, _, _ := getPage(t, srv, path)
		require.Equal(t, 404, status, path)
	}
}
