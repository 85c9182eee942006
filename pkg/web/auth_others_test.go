package web_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	virtual "github.com/descope/virtualwebauthn"
	"github.com/oauth2-proxy/mockoidc"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/identity"
)

// send does what passkey.js does, and gives the answer.
func (v *visitor) send(path string, body any) (answer struct {
	Options  json.RawMessage `json:"options"`
	Location string          `json:"location"`
}, s seen) {
	v.h.t.Helper()
	raw, err := json.Marshal(body)
	require.NoError(v.h.t, err)
	s = v.do(http.MethodPost, path, "application/json", strings.NewReader(string(raw)))
	if s.status == http.StatusOK {
		require.NoError(v.h.t, json.Unmarshal([]byte(s.body), &answer))
	}
	return answer, s
}

func TestPasskey(t *testing.T) {
	t.Parallel()
	h := open(t)
	party := virtual.RelyingParty{ID: "acme.localhost", Name: "acme", Origin: "http://acme.localhost"}
	phone, key := virtual.NewAuthenticator(), virtual.NewCredential(virtual.KeyTypeRSA)
	owner := h.as(h.acme, "ada", identity.RoleOwner)
	owner.header.Set("Accept", "application/json")

	begun, _ := owner.send("/settings/security/passkeys/begin", nil)
	creation, err := virtual.ParseAttestationOptions(string(begun.Options))
	require.NoError(t, err)
	phone.Options.UserHandle = []byte(creation.UserID)
	credential := json.RawMessage(virtual.CreateAttestationResponse(party, phone, key, *creation))
	_, late := h.as(h.acme, "bob", identity.RoleOwner).send("/settings/security/passkeys", map[string]any{"name": "Phone", "credential": credential})
	require.Equal(t, http.StatusUnprocessableEntity, late.status, "what one browser has begun no other ends")
	done, _ := owner.send("/settings/security/passkeys", map[string]any{"name": "Phone", "credential": credential})
	require.Equal(t, "/settings/security", done.Location)
	page := owner.get("/settings/security")
	require.Contains(t, text(page), "The passkey “Phone” is added.")

	enter := func(slug, next string) (string, *visitor, seen) {
		v := h.visitor(slug)
		v.header.Set("Accept", "application/json")
		begun, _ := v.send("/sign-in/passkey/begin", nil)
		asked, err := virtual.ParseAssertionOptions(string(begun.Options))
		require.NoError(t, err)
		key.Counter++
		at := party
		at.ID, at.Origin = slug+".localhost", "http://"+slug+".localhost"
		done, s := v.send("/sign-in/passkey", map[string]any{
			"next": next, "credential": json.RawMessage(virtual.CreateAssertionResponse(at, phone, key, *asked)),
		})
		return done.Location, v, s
	}
	location, v, _ := enter("acme", "/settings/sessions")
	require.Equal(t, "/settings/sessions", location)
	require.True(t, v.signedIn())
	location, _, _ = enter("acme", "//evil.example")
	require.Equal(t, "/", location)
	_, v, refused := enter("globex", "/")
	require.Equal(t, http.StatusUnauthorized, refused.status, "a passkey of acme is nothing at globex")
	require.NotContains(t, v.cookies, "session")

	_, s := h.visitor("acme").send("/sign-in/passkey", map[string]any{"credential": map[string]any{}})
	require.Equal(t, http.StatusUnprocessableEntity, s.status)
	remove := regexp.MustCompile(`/settings/security/passkeys/[0-9a-f-]{36}/remove`).FindString(page.body)
	require.Equal(t, http.StatusNotFound, h.as(h.globex, "eve", identity.RoleOwner).submit(remove, nil).status)
	require.Contains(t, text(owner.follow(owner.submit(remove, nil))), "The passkey is removed.")
	_, _, refused = enter("acme", "/")
	require.Equal(t, http.StatusUnauthorized, refused.status)
}

// TestProvider adds a provider of OpenID Connect that runs on loopback, and comes in by it.
func TestProvider(t *testing.T) {
	t.Parallel()
	h := open(t)
	remote, err := mockoidc.Run()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, remote.Shutdown()) })
	owner := h.as(h.acme, "ada", identity.RoleOwner)
	form := url.Values{
		"name": {"Acme SSO"}, "issuer": {remote.Issuer()}, "client_id": {remote.ClientID}, "client_secret": {remote.ClientSecret},
		"join_role": {"member"}, "join_domains": {"acme.example, acme.test"},
	}
	require.Contains(t, owner.get("/settings/sign-in/new").body, "http://acme.localhost/sign-in/oidc/callback")
	wrong := owner.submit("/settings/sign-in", url.Values{
		"name": {"SSO"}, "issuer": {"ftp://x"}, "client_secret": {"a secret value"}, "join_domains": {"@x"},
	})
	require.Equal(t, http.StatusUnprocessableEntity, wrong.status)
	for _, field := range []string{"issuer", "client_id", "join_domains"} {
		require.Contains(t, wrong.body, `id="e-`+field+`"`)
	}
	require.NotContains(t, wrong.body, "a secret value")
	require.Contains(t, text(owner.follow(owner.submit("/settings/sign-in", form))), "People can now sign in with Acme SSO.")

	carol := h.visitor("acme")
	door := carol.get("/sign-in?next=/settings/members").body
	button := regexp.MustCompile(`href="(/sign-in/oidc/[0-9a-f-]{36}\?next=[^"]*)"`).FindStringSubmatch(door)
	require.Len(t, button, 2)
	require.Equal(t, http.StatusNotFound, h.visitor("globex").get(button[1]).status, "it is acme's alone")
	other := h.visitor("acme")
	other.header.Set("Sec-Fetch-Site", "cross-site")
	require.Equal(t, "/sign-in", other.get(button[1]).location)

	back := func(v *visitor, subject, email string) string {
		remote.QueueUser(&mockoidc.MockUser{Subject: subject, Email: email, EmailVerified: true})
		begun := v.get(button[1])
		require.Equal(t, http.StatusSeeOther, begun.status, begun.body)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, begun.location, http.NoBody)
		require.NoError(t, err)
		resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
		require.NoError(t, err)
		_, _ = io.Copy(io.Discard, resp.Body)
		require.NoError(t, resp.Body.Close())
		answer, err := url.Parse(resp.Header.Get("Location"))
		require.NoError(t, err)
		require.Equal(t, "acme.localhost", answer.Host)
		return answer.RequestURI()
	}
	answer := back(carol, "carol", "carol@acme.example")
	thief := h.visitor("acme").get(answer)
	require.Equal(t, http.StatusUnprocessableEntity, thief.status, "the answer belongs to the browser that asked")
	require.Equal(t, "/settings/members", carol.get(answer).location)
	require.True(t, carol.signedIn())
	require.Equal(t, http.StatusUnprocessableEntity, carol.get(answer).status, "and serves once")
	eve := h.visitor("acme")
	require.Equal(t, http.StatusForbidden, eve.get(back(eve, "eve", "eve@evil.example")).status)
	require.NotContains(t, eve.cookies, "session")
	denied := h.visitor("acme").get("/sign-in/oidc/callback?error=access_denied&error_description=Call+555-0199")
	require.NotContains(t, denied.body, "555-0199")

	// Who has no password shows by signing in again who they are.
	h.longAgo(h.acme)
	asked := carol.submit("/settings/security/totp", nil)
	require.Equal(t, http.StatusForbidden, asked.status)
	again := regexp.MustCompile(`href="(/sign-in\?again=1[^"]*)"`).FindStringSubmatch(asked.body)
	require.Len(t, again, 2)
	require.Contains(t, carol.get(strings.ReplaceAll(again[1], "&amp;", "&")).body, "Continue with Acme SSO")
	carol.get(back(carol, "carol", "carol@acme.example"))
	require.Equal(t, http.StatusOK, carol.submit("/settings/security/totp", nil).status)

	owner.submit("/confirm", url.Values{"confirm_password": {password}})
	edit := regexp.MustCompile(`/settings/sign-in/[0-9a-f-]{36}`).FindString(owner.get("/settings/sign-in").body)
	require.Equal(t, http.StatusNotFound, h.as(h.globex, "mal", identity.RoleOwner).get(edit).status)
	require.NotContains(t, owner.get(edit).body, remote.ClientSecret)
	require.Contains(t, text(owner.follow(owner.submit(edit, url.Values{"name": {"Acme login"}, "join_role": {""}}))), "Acme login is saved.")
	require.NotContains(t, h.visitor("acme").get("/sign-in").body, "Acme login", "the box for enabled was not ticked")
	owner.follow(owner.submit(edit, url.Values{"name": {"Acme login"}, "join_role": {""}, "enabled": {"1"}}))
	require.Contains(t, h.visitor("acme").get("/sign-in").body, "Continue with Acme login")
	require.Contains(t, text(owner.follow(owner.submit(edit+"/delete", nil))), "Acme login is removed.")
	require.NotContains(t, h.visitor("acme").get("/sign-in").body, "Acme login")
}
