package httpapi_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rowhousehq/rowhouse/pkg/httpapi"
)

const password = "correct horse"

// pages serves /jobs/ and gives a function that asks for it from an address.
func pages(t *testing.T) func(method, from, user, password string, headers ...string) (int, http.Header) {
	t.Helper()
	answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "pages") })
	h, err := httpapi.Admin(httpapi.AdminConfig{Metrics: answer, Log: zap.NewNop(), Jobs: answer, JobsPassword: password})
	require.NoError(t, err)
	return func(method, from, user, password string, headers ...string) (int, http.Header) {
		r := httptest.NewRequestWithContext(t.Context(), method, "http://admin.example/jobs/api/jobs", nil)
		r.RemoteAddr = from + ":4321"
		if user != "" {
			r.SetBasicAuth(user, password)
		}
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code, w.Header()
	}
}

func TestAdminJobs(t *testing.T) {
	t.Parallel()
	ask := pages(t)
	const here = "192.0.2.1"
	for _, c := range []struct {
		user, password string
		code           int
	}{
		{"", "", http.StatusUnauthorized},
		{"operator", "", http.StatusUnauthorized},
		{"operator", password + "!", http.StatusUnauthorized},
		{"root", password, http.StatusUnauthorized},
		{"operator", password, http.StatusOK},
	} {
		code, header := ask(http.MethodGet, here, c.user, c.password)
		require.Equal(t, c.code, code, "%s %s", c.user, c.password)
		require.Equal(t, "DENY", header.Get("X-Frame-Options"))
		require.Equal(t, c.code == http.StatusUnauthorized, header.Get("WWW-Authenticate") != "")
	}

	for _, headers := range [][]string{{"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			code, _ := ask(method, here, "operator", password, headers...)
			require.Equal(t, http.StatusForbidden, code, "%s %v", method, headers)
		}
	}
	code, _ := ask(http.MethodPost, here, "operator", password, "Sec-Fetch-Site", "same-origin")
	require.Equal(t, http.StatusOK, code)
}

// Who guesses is not listened to for a while, even if he guesses right; others are.
func TestAdminJobs_Guesses(t *testing.T) {
	t.Parallel()
	ask := pages(t)
	for range 10 {
		code, _ := ask(http.MethodGet, "192.0.2.1", "operator", "a guess")
		require.Equal(t, http.StatusUnauthorized, code)
	}
	code, header := ask(http.MethodGet, "192.0.2.1", "operator", password)
	require.Equal(t, http.StatusTooManyRequests, code)
	require.Equal(t, "5", header.Get("Retry-After"))
	code, _ = ask(http.MethodGet, "192.0.2.2", "operator", password)
	require.Equal(t, http.StatusOK, code)
	for range 20 { // A browser that asks what it should send guesses nothing.
		code, _ = ask(http.MethodGet, "192.0.2.3", "", "")
		require.Equal(t, http.StatusUnauthorized, code)
	}
	code, _ = ask(http.MethodGet, "192.0.2.3", "operator", password)
	require.Equal(t, http.StatusOK, code)
}

func TestAdminJobsNeedAPassword(t *testing.T) {
	t.Parallel()
	answer := http.NotFoundHandler()
	_, err := httpapi.Admin(httpapi.AdminConfig{Metrics: answer, Log: zap.NewNop(), Jobs: answer})
	require.ErrorContains(t, err, "JobsPassword")
}
