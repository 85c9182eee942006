package web_test

import (
	"net/http"
	"net/url"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStranger(t *testing.T) {
	t.Parallel()
	v := open(t).visitor("acme")
	first := v.get("/")
	require.Equal(t, http.StatusSeeOther, first.status)
	require.Equal(t, "/sign-in", first.location)
	require.Contains(t, first.header.Get("Content-Security-Policy"), "script-src 'self'")

	missing := v.get("/nothing/here")
	require.Equal(t, http.StatusNotFound, missing.status)
	require.Contains(t, missing.header.Get("Content-Type"), "text/html")
	require.Contains(t, missing.body, "There is nothing here")
	require.Contains(t, missing.body, missing.header.Get("X-Request-Id"))

	api := v.get("/api/v1/projects")
	require.Equal(t, http.StatusUnauthorized, api.status)
	require.Equal(t, "application/problem+json", api.header.Get("Content-Type"))

	// A program is answered as one everywhere.
	v.header.Set("Accept", "*/*")
	require.Equal(t, "application/problem+json", v.get("/nothing").header.Get("Content-Type"))
}

func TestAssets(t *testing.T) {
	t.Parallel()
	v := open(t).visitor("acme")
	sheet := regexp.MustCompile(`href="(/assets/app\.[0-9a-f]{12}\.css)"`).FindStringSubmatch(v.get("/nothing").body)
	require.Len(t, sheet, 2)
	got := v.get(sheet[1])
	require.Equal(t, http.StatusOK, got.status)
	require.Equal(t, "text/css; charset=utf-8", got.header.Get("Content-Type"))
	require.Contains(t, got.header.Get("Cache-Control"), "immutable")
	require.Equal(t, http.StatusNotFound, v.get("/assets/app.css").status)
}

func TestOtherSite(t *testing.T) {
	t.Parallel()
	v := open(t).visitor("acme")
	require.Equal(t, http.StatusSeeOther, v.submit("/theme", url.Values{"theme": {"dark"}}).status)
	require.Contains(t, v.get("/nothing").body, `data-theme="dark"`)
	v.header.Set("Sec-Fetch-Site", "cross-site")
	require.Equal(t, http.StatusForbidden, v.submit("/theme", url.Values{"theme": {"light"}}).status)
	v.header.Del("Sec-Fetch-Site")
	v.header.Set("Origin", "http://globex.localhost")
	require.Equal(t, http.StatusForbidden, v.submit("/theme", url.Values{"theme": {"light"}}).status)
	require.Contains(t, v.get("/nothing").body, `data-theme="dark"`)
}

func TestTheme_ComesBackHere(t *testing.T) {
	t.Parallel()
	v := open(t).visitor("acme")
	for next, want := range map[string]string{
		"/tasks?q=a": "/tasks?q=a", "//evil.example/": "/", `/\evil.example`: "/", "https://evil.example/": "/", "": "/", "/\t/evil.example": "/",
	} {
		require.Equal(t, want, v.submit("/theme", url.Values{"theme": {"dark"}, "next": {next}}).location, next)
	}
}
