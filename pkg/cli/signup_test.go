package cli_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
)

// visitor is a browser without scripts: every host is at p, cookies are kept, redirects are not followed.
type visitor struct {
	t      *testing.T
	client *http.Client
	base   string
}

func (p *process) visitor() *visitor {
	p.t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(p.t, err)
	_, port, err := net.SplitHostPort(p.addr)
	require.NoError(p.t, err)
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, p.addr)
	}}
	p.t.Cleanup(transport.CloseIdleConnections)
	return &visitor{t: p.t, base: "http://localhost:" + port, client: &http.Client{
		Transport: transport, Jar: jar, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// get gives status, body and where it leads, of a path of the base domain or a whole address.
func (v *visitor) get(where string) (status int, body, location string) {
	v.t.Helper()
	if strings.HasPrefix(where, "/") {
		where = v.base + where
	}
	return v.read(v.client.Get(where))
}

func (v *visitor) post(path string, form url.Values) (status int, body, location string) {
	v.t.Helper()
	return v.read(v.client.PostForm(v.base+path, form))
}

func (v *visitor) read(response *http.Response, err error) (int, string, string) {
	v.t.Helper()
	require.NoError(v.t, err)
	defer response.Body.Close() //nolint:errcheck // Read to its end.
	text, err := io.ReadAll(response.Body)
	require.NoError(v.t, err)
	return response.StatusCode, string(text), response.Header.Get("Location")
}

func signUpForm(slug string) url.Values {
	return url.Values{
		"name": {"Acme Rockets"}, "slug": {slug}, "display_name": {"Ada"}, "email": {"ada@acme.example"}, "password": {"seven rockets behind the barn"},
	}
}

// Who serves holds no owner's credentials, who makes the tenant serves nobody; between them somebody who signs up reaches a tenant.
func TestSignUp(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	h := onDatabase(t, d)
	h.env = append(h.env, "ROWHOUSE_PROVISIONING_WARM=1")
	serve := h.start("serve")
	v := serve.visitor()
	status, body, _ := v.get("/")
	require.Equal(t, 200, status)
	require.Contains(t, body, `href="/sign-up"`)
	_, body, _ = v.get("/sign-up/check?slug=acme")
	require.JSONEq(t, `{"slug":"acme","free":true,"message":"acme.localhost is free."}`, body)

	status, body, progress := v.post("/sign-up", signUpForm("acme"))
	require.Equal(t, 303, status, body)
	status, body, _ = v.get(progress)
	require.Equal(t, 200, status)
	require.Contains(t, body, `data-step="making" data-state="now"`)
	status, _, _ = serve.visitor().get(progress)
	require.Equal(t, 404, status, "another browser")

	provision := h.start("provision")
	status, events, _ := v.get(progress + "/events")
	require.Equal(t, 200, status)
	require.Contains(t, events, "event: end\n")
	require.Contains(t, events, `"done":"done"`)
	status, _, welcome := v.get(progress)
	require.Equal(t, 303, status)
	require.True(t, strings.HasPrefix(welcome, strings.Replace(v.base, "localhost", "acme.localhost", 1)+"/welcome?token=rw_"), welcome)
	status, _, _ = v.get(strings.Replace(v.base, "localhost", "acme.localhost", 1) + "/api/v1/projects")
	require.Equal(t, 401, status, "the tenant is served")

	// A second one: another person is told that the name is gone, before they lose what they typed; and gets another.
	w := serve.visitor()
	form := signUpForm("acrne")
	form.Set("name", "Acrne & Sons")
	status, body, _ = w.post("/sign-up", form)
	require.Equal(t, 409, status)
	require.Contains(t, body, `value="Acrne &amp; Sons"`)
	require.Contains(t, body, `value="acrne"`)
	require.NotContains(t, body, "barn")
	form.Set("slug", "globex")
	status, _, second := w.post("/sign-up", form)
	require.Equal(t, 303, status)
	_, events, _ = w.get(second + "/events")
	require.Contains(t, events, `"done":"done"`)
	status, _, _ = w.get(progress)
	require.Equal(t, 404, status)
	h.must("isolation", "prove", "--all")
	require.NotContains(t, serve.errOut.String()+provision.errOut.String(), "ada@")
	provision.stop(syscall.SIGTERM)
	serve.stop(syscall.SIGTERM)
}

func TestSignUp_Closed(t *testing.T) {
	t.Parallel()
	h := onDatabase(t, pgtest.New(t))
	h.env = append(h.env, "ROWHOUSE_SIGNUP_ENABLED=false")
	serve := h.start("serve")
	v := serve.visitor()
	status, body, _ := v.get("/sign-up")
	require.Equal(t, 404, status)
	require.Contains(t, body, "Sign-up is closed")
	status, _, _ = v.post("/sign-up", signUpForm("acme"))
	require.NotEqual(t, 303, status)
	_, body, _ = v.get("/")
	require.NotContains(t, body, `href="/sign-up"`)
	serve.stop(syscall.SIGTERM)
}
