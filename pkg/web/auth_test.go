package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/identity"
)

func TestSignIn(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.person(h.acme, "ada", identity.RoleOwner)
	v := h.visitor("acme")

	door := v.get("/sign-in?next=/settings/security")
	require.Equal(t, http.StatusOK, door.status)
	require.Contains(t, door.body, `autocomplete="username webauthn"`)
	require.Contains(t, door.body, `autocomplete="current-password"`)
	require.Equal(t, "/settings/security", hidden(t, door).Get("next"))

	done := v.submit("/sign-in", url.Values{"email": {u.Email}, "password": {password}, "next": {"/settings/security"}})
	require.Equal(t, http.StatusSeeOther, done.status, done.body)
	require.Equal(t, "/settings/security", done.location)
	cookie := done.header.Get("Set-Cookie")
	require.Contains(t, cookie, "session=rs_")
	require.Contains(t, cookie, "HttpOnly")
	require.Contains(t, cookie, "SameSite=Lax")
	require.True(t, v.signedIn())
	require.Equal(t, "/settings", v.get("/sign-in?next=/settings").location, "who is in is sent on")

	// Signing in once more ends the session of before.
	old := h.visitor("acme")
	old.cookies["session"] = v.cookies["session"]
	require.Equal(t, http.StatusSeeOther, v.signIn(u.Email, password).status)
	require.True(t, v.signedIn())
	require.False(t, old.signedIn())

	old.cookies["session"] = v.cookies["session"]
	require.Contains(t, text(v.follow(v.submit("/sign-out", nil))), "You are signed out.")
	require.Empty(t, v.cookies["session"])
	require.False(t, old.signedIn(), "the session is over, not only the cookie")
}

// TestSignIn_SaysTheSameOfEverybody: neither the page nor its headers tell whether there is an account.
func TestSignIn_SaysTheSameOfEverybody(t *testing.T) {
	t.Parallel()
	h := open(t)
	known := h.person(h.acme, "ada", identity.RoleOwner)
	disabled := h.person(h.acme, "bob", identity.RoleMember)
	_, err := h.scope(h.acme).Exec(t.Context(), `UPDATE users SET disabled_at = now() WHERE id = $1`, disabled.ID)
	require.NoError(t, err)
	stranger := h.person(h.globex, "eve", identity.RoleOwner)

	show := func(path string, form url.Values) string {
		got := h.visitor("acme").submit(path, form)
		require.NotContains(t, got.body, form.Get("password"))
		header := got.header.Clone()
		header.Del("X-Request-Id")
		header.Del("Date")
		header.Del("Content-Length")
		body := strings.ReplaceAll(got.body, form.Get("email"), "…")
		var out strings.Builder
		require.NoError(t, header.Write(&out))
		return http.StatusText(got.status) + "\n" + out.String() + body
	}
	for path, said := range map[string]string{"/sign-in": "The e-mail address or the password is wrong", "/forgot": "If there is an account"} {
		form := func(email, secret string) url.Values { return url.Values{"email": {email}, "password": {secret}} }
		want := show(path, form(known.Email, "a wrong password"))
		require.Contains(t, want, said)
		require.Equal(t, want, show(path, form("nobody@example.com", "a wrong password")), path)
		require.Equal(t, want, show(path, form(disabled.Email, password)), path)
		require.Equal(t, want, show(path, form(stranger.Email, password)), "somebody of another tenant")
	}
}

func TestSignIn_TooOften(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.visitor("acme")
	var last seen
	for range 30 {
		if last = v.signIn("nobody@example.com", "wrong"); last.status == http.StatusTooManyRequests {
			break
		}
		require.Equal(t, http.StatusUnprocessableEntity, last.status)
	}
	require.Equal(t, http.StatusTooManyRequests, last.status)
	require.Regexp(t, `^[1-9][0-9]*$`, last.header.Get("Retry-After"))
	require.Contains(t, last.body, `value="nobody@example.com"`, "what was typed is kept")
	require.Contains(t, last.body, `role="alert"`)
}

func TestDoors_LeadNowhereElse(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.person(h.acme, "ada", identity.RoleOwner)
	for _, next := range []string{
		"https://evil.example/", "//evil.example", `/\evil.example`, `\\evil.example`,
		"/\t/evil.example", "javascript:alert(1)", "evil.example", " //evil.example",
	} {
		v := h.visitor("acme")
		require.Equal(t, "/", hidden(t, v.get("/sign-in?next="+url.QueryEscape(next))).Get("next"), next)
		done := v.submit("/sign-in", url.Values{"email": {u.Email}, "password": {password}, "next": {next}})
		require.Equal(t, "/", done.location, next)
		require.Equal(t, "/", v.get("/sign-in?next="+url.QueryEscape(next)).location, next)
		require.Equal(t, "/", v.submit("/confirm", url.Values{"confirm_password": {password}, "next": {next}}).location, next)
	}
}

// TestDoors_OtherSite: what another site sends is not done.
func TestDoors_OtherSite(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.person(h.acme, "ada", identity.RoleOwner)
	in := h.visitor("acme")
	require.Equal(t, http.StatusSeeOther, in.signIn(u.Email, password).status)
	for _, header := range []http.Header{
		{"Sec-Fetch-Site": {"cross-site"}}, {"Sec-Fetch-Site": {"same-site"}},
		{"Origin": {"https://evil.example"}}, {"Origin": {"http://globex.localhost"}}, {"Origin": {"null"}},
	} {
		v := h.visitor("acme")
		v.cookies = in.cookies
		v.header = header.Clone()
		v.header.Set("Accept", "text/html")
		for _, path := range []string{
			"/sign-in", "/sign-out", "/forgot", "/confirm", "/settings", "/settings/keys", "/settings/members/invite", "/settings/security/password",
			"/settings/security/totp", "/sign-in/passkey/begin", "/settings/sessions/others", "/settings/sign-in", "/sign-in/second-factor",
		} {
			got := v.submit(path, url.Values{"email": {u.Email}, "password": {password}, "name": {"evil"}, "scope": {"admin"}, "expires": {"never"}})
			require.Equal(t, http.StatusForbidden, got.status, path)
		}
	}
	require.True(t, in.signedIn())
}

func TestForgotAndReset(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.person(h.acme, "ada", identity.RoleOwner)
	elsewhere := h.visitor("acme")
	elsewhere.signIn(u.Email, password)
	v := h.visitor("acme")

	require.Contains(t, text(v.submit("/forgot", url.Values{"email": {"nobody@example.com"}})), "If there is an account")
	require.Empty(t, h.mail(h.acme))
	require.Contains(t, text(v.submit("/forgot", url.Values{"email": {u.Email}})), "If there is an account")
	link := h.mail(h.acme)
	require.Contains(t, link, "/reset/rr_")

	for range 2 { // Who only looks uses nothing up.
		page := v.get(link)
		require.Equal(t, http.StatusOK, page.status)
		require.Contains(t, page.body, `autocomplete="new-password"`)
	}
	short := v.submit(link, url.Values{"password": {"short"}})
	require.Equal(t, http.StatusUnprocessableEntity, short.status)
	require.Contains(t, short.body, `aria-describedby="e-password h-password"`)
	require.NotContains(t, short.body, `value="short"`)

	done := v.submit(link, url.Values{"password": {"another horse battery"}})
	require.Contains(t, text(v.follow(done)), "Your password is changed.")
	require.True(t, v.signedIn())
	require.False(t, elsewhere.signedIn(), "other browsers are signed out")
	require.Equal(t, http.StatusUnprocessableEntity, h.visitor("acme").signIn(u.Email, password).status)

	again := h.visitor("acme").submit(link, url.Values{"password": {"a third horse battery"}})
	require.Equal(t, http.StatusNotFound, again.status)
	require.Contains(t, text(again), "This link does not work")
}

func TestInvitation(t *testing.T) {
	t.Parallel()
	h := open(t)
	owner := h.as(h.acme, "ada", identity.RoleOwner)
	sent := owner.submit("/settings/members/invite", url.Values{"invite_email": {"bob@example.com"}, "invite_role": {"member"}})
	require.Contains(t, text(owner.follow(sent)), "An invitation is on its way to bob@example.com.")
	first := h.mail(h.acme)
	require.Contains(t, first, "/invitations/ri_")

	v := h.visitor("acme")
	page := v.get(first)
	require.Equal(t, http.StatusOK, page.status)
	require.Contains(t, text(page), "ada invites you to work here as a member.")
	require.Contains(t, page.body, `value="bob@example.com"`)
	wrong := v.submit(first, url.Values{"display_name": {"Bob <b>"}, "password": {"password1234"}})
	require.Equal(t, http.StatusUnprocessableEntity, wrong.status)
	require.Contains(t, wrong.body, `value="Bob &lt;b&gt;"`, "what was typed is kept")
	require.NotContains(t, wrong.body, "password1234")

	joined := v.submit(first, url.Values{"display_name": {"Bob"}, "password": {"another horse battery"}})
	require.Contains(t, text(v.follow(joined)), "Welcome. You have joined.")
	require.True(t, v.signedIn())
	require.Equal(t, http.StatusNotFound, h.visitor("acme").get(first).status)
	refused := v.submit("/settings/members/invite", url.Values{"invite_email": {"c@example.com"}, "invite_role": {"member"}})
	require.Equal(t, http.StatusForbidden, refused.status)
}

func TestVerifyAndChangeOfAddress(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.as(h.acme, "ada", identity.RoleOwner)
	require.Contains(t, text(v.get("/settings")), "Not confirmed")
	v.follow(v.submit("/settings/verification", nil))
	link := h.mail(h.acme)
	require.Contains(t, link, "/verify/rv_")
	stranger := h.visitor("acme")
	require.Equal(t, http.StatusOK, stranger.get(link).status)
	require.Contains(t, text(v.get("/settings")), "Not confirmed", "to look is not to confirm")
	v.follow(v.submit(link, nil))
	require.NotContains(t, text(v.get("/settings")), "Not confirmed")
	require.Equal(t, http.StatusNotFound, v.submit(link, nil).status)

	require.Contains(t, text(v.follow(v.submit("/settings/email", url.Values{"email": {"new@example.com"}}))), "A link was sent to new@example.com.")
	require.Contains(t, v.get("/settings").body, "ada@acme.example")
	require.Equal(t, http.StatusSeeOther, v.submit(h.mail(h.acme), nil).status)
	require.Contains(t, v.get("/settings").body, "new@example.com")
}

func TestWelcome(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.person(h.acme, "ada", identity.RoleOwner)
	token, err := h.people.NewWelcome(t.Context(), h.scope(h.acme), u.ID)
	require.NoError(t, err)
	path := "/welcome?token=" + url.QueryEscape(token)
	v := h.visitor("acme")
	require.Equal(t, http.StatusOK, v.do(http.MethodHead, path, "", nil).status)
	require.Contains(t, text(v.follow(v.get(path))), "Welcome. This is your workspace.")
	require.True(t, v.signedIn())
	require.Equal(t, http.StatusNotFound, h.visitor("acme").get(path).status, "it works once")
}

// TestCookies: over https, cookies bear the prefix that keeps other hosts from setting them, and what is set without it is nothing.
func TestCookies(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.person(h.acme, "ada", identity.RoleOwner)
	v := h.visitor("acme")
	v.header.Set("X-Forwarded-Proto", "https")
	done := v.submit("/sign-in", url.Values{"email": {u.Email}, "password": {password}})
	cookie := done.header.Get("Set-Cookie")
	for _, want := range []string{"__Host-session=rs_", "; Path=/;", "; HttpOnly", "; Secure", "; SameSite=Lax"} {
		require.Contains(t, cookie, want)
	}
	require.NotContains(t, cookie, "Domain")
	require.NotEmpty(t, done.header.Get("Strict-Transport-Security"))
	require.True(t, v.signedIn())
	v.cookies = map[string]string{"session": v.cookies["__Host-session"]}
	require.False(t, v.signedIn())
}

// TestOfAnotherTenant: whatever opens a door at acme opens none at globex.
func TestOfAnotherTenant(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.person(h.acme, "ada", identity.RoleOwner)
	h.person(h.globex, "ada", identity.RoleOwner)
	v := h.visitor("acme")
	require.Equal(t, http.StatusSeeOther, v.signIn(u.Email, password).status)

	foreign := h.visitor("globex")
	foreign.cookies["session"] = v.cookies["session"]
	require.False(t, foreign.signedIn())
	require.Equal(t, http.StatusUnauthorized, foreign.get("/api/v1/projects").status)

	v.submit("/settings/members/invite", url.Values{"invite_email": {"bob@example.com"}, "invite_role": {"guest"}})
	invitation := h.mail(h.acme)
	v.submit("/forgot", url.Values{"email": {u.Email}})
	reset := h.mail(h.acme)
	v.submit("/settings/verification", nil)
	verify := h.mail(h.acme)
	token, err := h.people.NewWelcome(t.Context(), h.scope(h.acme), u.ID)
	require.NoError(t, err)
	welcome := "/welcome?token=" + token

	form := url.Values{"display_name": {"Bob"}, "password": {"another horse battery"}}
	for _, path := range []string{invitation, reset, verify} {
		there := h.visitor("globex")
		got := there.submit(path, form)
		require.Equal(t, http.StatusNotFound, got.status, path)
		require.NotContains(t, got.body, "bob@example.com")
		require.Empty(t, there.cookies)
	}
	require.Equal(t, http.StatusNotFound, h.visitor("globex").get(invitation).status)
	require.Equal(t, http.StatusNotFound, h.visitor("globex").get(welcome).status)

	// And nothing was used up by trying.
	require.Equal(t, http.StatusSeeOther, h.visitor("acme").submit(invitation, form).status)
	require.Equal(t, http.StatusSeeOther, h.visitor("acme").submit(verify, nil).status)
	require.Equal(t, http.StatusSeeOther, h.visitor("acme").get(welcome).status)
	require.Equal(t, http.StatusSeeOther, h.visitor("acme").submit(reset, form).status)
}
