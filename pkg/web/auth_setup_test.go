package web_test

import (
	"context"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/pkg/tenantsecret"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// letters are the mails of identity: those that are due, and what became of them.
type letters struct {
	mu   sync.Mutex
	due  []identity.MailDue
	sent []identity.Letter
}

func (l *letters) Enqueue(_ context.Context, _ *tenantschema.Tx, args job.Args, _ job.Opts) (job.Receipt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if due, ok := args.(identity.MailDue); ok {
		l.due = append(l.due, due)
	}
	return job.Receipt{}, nil
}

func (l *letters) Send(_ context.Context, _ *tenantschema.Tx, letter identity.Letter) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = append(l.sent, letter)
	return nil
}

func (h *house) identityConfig() identity.Config {
	box, err := tenantsecret.New(pgtest.Secret)
	require.NoError(h.t, err)
	return identity.Config{
		Argon2Memory: 64, Jobs: &h.letters, Mailer: &h.letters, Secrets: box,
		AllowHTTPIssuers: true, HTTP: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		SiteOf: func(_ context.Context, t tenantschema.Tenant) (identity.Site, error) {
			host := "globex.localhost"
			if t.Schema == h.acme.Schema {
				host = "acme.localhost"
			}
			return identity.Site{Origin: "http://" + host, Host: host, Name: host}, nil
		},
	}
}

// mail works the mails that are due and gives the last link, as a path; or "" if nothing was sent.
func (h *house) mail(t tenancy.Tenant) string {
	h.t.Helper()
	h.letters.mu.Lock()
	due, before := h.letters.due, len(h.letters.sent)
	h.letters.due = nil
	h.letters.mu.Unlock()
	for _, args := range due {
		require.NoError(h.t, h.people.SendMail(h.t.Context(), h.scope(t), args))
	}
	h.letters.mu.Lock()
	defer h.letters.mu.Unlock()
	if len(h.letters.sent) == before {
		return ""
	}
	link, err := url.Parse(h.letters.sent[len(h.letters.sent)-1].URL)
	require.NoError(h.t, err)
	require.Equal(h.t, t.Slug+".localhost", link.Host)
	return link.Path
}

// longAgo makes the last proof of who somebody is an hour old.
func (h *house) longAgo(t tenancy.Tenant) {
	h.t.Helper()
	_, err := h.scope(t).Exec(h.t.Context(), `UPDATE sessions SET confirmed_at = confirmed_at - interval '1 hour'`)
	require.NoError(h.t, err)
}

// signedIn reports whether the visitor's cookies open a page of settings.
func (v *visitor) signedIn() bool {
	v.h.t.Helper()
	return v.get("/settings").status == 200
}

// follow follows a redirect and gives the page.
func (v *visitor) follow(s seen) seen {
	v.h.t.Helper()
	require.Equal(v.h.t, 303, s.status, s.body)
	require.NotEmpty(v.h.t, s.location)
	return v.get(s.location)
}

// signIn fills the form of the door in.
func (v *visitor) signIn(email, secret string) seen {
	v.h.t.Helper()
	return v.submit("/sign-in", url.Values{"email": {email}, "password": {secret}})
}

// text gives a page without its tags and with single spaces, to be read.
func text(s seen) string {
	plain := regexp.MustCompile(`<[^>]*>`).ReplaceAllString(s.body, " ")
	return strings.Join(strings.Fields(html.UnescapeString(plain)), " ")
}

// hidden gives the hidden fields of a page's form.
func hidden(tb testing.TB, s seen) url.Values {
	tb.Helper()
	form := url.Values{}
	for _, m := range regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`).FindAllStringSubmatch(s.body, -1) {
		form.Add(html.UnescapeString(m[1]), html.UnescapeString(m[2]))
	}
	return form
}
