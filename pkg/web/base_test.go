package web_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/rowhousehq/rowhouse/pkg/httpapi"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/signup"
	"github.com/rowhousehq/rowhouse/pkg/telemetry"
	"github.com/rowhousehq/rowhouse/pkg/web"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// openBase is a house with the base domain, and what makes the tenants that are asked for there.
func openBase(t *testing.T) (*house, *signup.Maker) {
	t.Helper()
	h := open(t)
	jobs, err := jobqueue.New(jobqueue.Config{})
	require.NoError(t, err)
	service, err := signup.New(signup.Config{
		Control: h.db.Control, Jobs: jobs, People: h.people, AddressKey: make([]byte, 32), SlugQuarantine: time.Hour, PerAddress: 3,
	})
	require.NoError(t, err)
	maker, err := signup.NewMaker(signup.MakerConfig{
		Owner: h.db.Owner, Tenants: h.db.Manager, DB: h.engine, People: h.people,
		Verify: func(context.Context, *tenantschema.Tx, uuid.UUID) error { return nil },
	})
	require.NoError(t, err)
	base, err := web.NewBase(web.BaseConfig{BaseDomain: "localhost", SignUp: service, Catalog: h.street})
	require.NoError(t, err)
	metrics, err := telemetry.NewMetrics(telemetry.MetricsConfig{})
	require.NoError(t, err)
	handler, err := httpapi.New(httpapi.Config{
		BaseDomain: "localhost", Catalog: h.street, DB: h.engine, Keys: h.people, Workspace: h.work, Webhooks: h.hooks,
		Log: zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel)), Metrics: metrics, Versions: tenantschema.Versions{Min: 1}, Base: base,
	})
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	h.url = server.URL
	return h, maker
}

func (h *house) onBase() *visitor {
	v := h.visitor("")
	v.host = "localhost:8080"
	return v
}

func wanted(slug string) url.Values {
	return url.Values{
		"name": {"Hooli <b>"}, "slug": {slug}, "display_name": {"Gavin"}, "email": {"gavin@hooli.example"}, "password": {"seven rockets behind the barn"},
	}
}

func TestBase_Pages(t *testing.T) {
	t.Parallel()
	h, _ := openBase(t)
	v := h.onBase()
	for path, status := range map[string]int{
		"/": 200, "/sign-up": 200, "/nothing": 404, "/sign-up/": 404, "/sign-up/x": 404, "/api/v1/projects": 404, "/assets/none.css": 404,
		"/sign-up/" + uuid.NewString(): 404, "/sign-up/" + uuid.NewString() + "/events": 404,
	} {
		got := v.get(path)
		require.Equal(t, status, got.status, path)
		require.Contains(t, got.header.Get("Content-Type"), "text/html", path)
		require.Contains(t, got.header.Get("Content-Security-Policy"), "form-action 'self' *.localhost:*;", path)
		require.NotContains(t, got.header.Get("Content-Security-Policy"), "unsafe", path)
		require.NotEmpty(t, got.header.Get("X-Request-Id"))
		require.Equal(t, "no-referrer", got.header.Get("Referrer-Policy"))
	}
	require.Equal(t, 404, v.do(http.MethodDelete, "/sign-up", "", nil).status)
	require.Equal(t, "http://acme.localhost:8080/sign-in", v.get("/go?workspace=+ACME").location)
	require.Equal(t, "http://nobody.localhost:8080/sign-in", v.get("/go?workspace=nobody").location)
	require.Equal(t, "/", v.get("/go?workspace=evil.example%2f").location)
}

func TestSignUp(t *testing.T) {
	t.Parallel()
	h, maker := openBase(t)
	v := h.onBase()

	// What is wrong is said beside the field, and what was typed is kept, but for the password.
	form := wanted("acme")
	form.Set("email", "gavin")
	got := v.submit("/sign-up", form)
	require.Equal(t, http.StatusUnprocessableEntity, got.status)
	require.Contains(t, got.body, `value="Hooli &lt;b&gt;"`)
	require.Contains(t, got.body, `id="e-email"`)
	require.NotContains(t, got.body, "barn")
	require.Equal(t, http.StatusConflict, v.submit("/sign-up", wanted("acrne")).status)

	// Another site cannot send it.
	v.header.Set("Sec-Fetch-Site", "cross-site")
	require.Equal(t, http.StatusForbidden, v.submit("/sign-up", wanted("hooli")).status)
	v.header.Del("Sec-Fetch-Site")

	begun := v.submit("/sign-up", wanted("hooli"))
	require.Equal(t, http.StatusSeeOther, begun.status, begun.body)
	require.Contains(t, begun.header.Get("Set-Cookie"), "HttpOnly; SameSite=Lax")
	page := v.get(begun.location)
	require.Contains(t, page.body, `<noscript><meta http-equiv="refresh" content="1"></noscript>`)
	require.Contains(t, page.body, "Hooli &lt;b&gt;")
	stranger := h.onBase()
	require.Equal(t, 404, stranger.get(begun.location).status)
	require.Equal(t, 404, stranger.get(begun.location+"/events").status)

	id := uuid.MustParse(begun.location[len("/sign-up/"):])
	require.NoError(t, maker.Make(t.Context(), signup.Create{ID: id}))
	h.tenant("hooli")
	events := v.get(begun.location + "/events")
	require.Equal(t, "text/event-stream", events.header.Get("Content-Type"))
	require.Contains(t, events.body, "event: end\ndata: {\"done\":\"done\",\"made\":\"done\",\"making\":\"done\",\"waiting\":\"done\"}\n\n")
	require.NotContains(t, events.body, "rw_")
	require.Regexp(t, `^http://hooli\.localhost:8080/welcome\?token=rw_[\w-]{43}$`, v.get(begun.location).location)

	// Too many.
	require.Equal(t, http.StatusSeeOther, v.submit("/sign-up", wanted("pied-piper")).status)
	require.Equal(t, http.StatusSeeOther, v.submit("/sign-up", wanted("aviato")).status)
	got = v.submit("/sign-up", wanted("raviga"))
	require.Equal(t, http.StatusTooManyRequests, got.status)
	require.NotEmpty(t, got.header.Get("Retry-After"))
	require.Contains(t, got.body, `value="raviga"`)
}

func TestSignUp_Check(t *testing.T) {
	t.Parallel()
	h, _ := openBase(t)
	v := h.onBase()
	for slug, want := range map[string]string{
		"free": `{"slug":"free","free":true,"message":"free.localhost is free."}`,
		"acme": `{"slug":"acme","free":false,"reason":"taken","message":"This address is not available."}`,
		"www":  `{"slug":"","free":false,"reason":"taken","message":"This address is not available."}`,
	} {
		require.JSONEq(t, want, v.get("/sign-up/check?slug="+slug).body)
	}
	last := 0
	for range 60 {
		if last = v.get("/sign-up/check?slug=a").status; last == http.StatusTooManyRequests {
			return
		}
	}
	require.Equal(t, http.StatusTooManyRequests, last)
}

// When it has failed the page says so, and the way back is open.
func TestSignUp_Failed(t *testing.T) {
	t.Parallel()
	h, maker := openBase(t)
	v := h.onBase()
	begun := v.submit("/sign-up", wanted("hooli"))
	h.tenant("hooli")
	require.Error(t, maker.Make(t.Context(), signup.Create{ID: uuid.MustParse(begun.location[len("/sign-up/"):])}))
	require.Contains(t, v.get(begun.location).body, "a moment before you")
	require.Contains(t, v.get(begun.location+"/events").body, "event: end\n")
}
