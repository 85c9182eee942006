package web_test

import (
	"net/http"
	"net/url"
	"regexp"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/identity"
)

func TestProfile(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.as(h.acme, "ada", identity.RoleGuest)
	require.Contains(t, text(v.follow(v.submit("/settings", url.Values{"display_name": {"Ada <i>"}}))), "Your profile is saved.")
	require.Contains(t, v.get("/settings").body, `value="Ada &lt;i&gt;"`)
	wrong := v.submit("/settings", url.Values{"display_name": {""}})
	require.Equal(t, http.StatusUnprocessableEntity, wrong.status)
	require.Contains(t, wrong.body, `aria-invalid="true" aria-describedby="e-display_name h-display_name"`)
	for _, path := range []string{
		"/settings", "/settings/security", "/settings/sessions", "/settings/members", "/settings/keys", "/settings/sign-in",
	} {
		require.Equal(t, "/sign-in?next="+url.QueryEscape(path), h.visitor("acme").get(path).location)
	}
}

func TestChangePassword(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.as(h.acme, "ada", identity.RoleMember)
	wrong := v.submit("/settings/security/password", url.Values{"current_password": {"not this one"}, "new_password": {"another horse battery"}})
	require.Equal(t, http.StatusUnprocessableEntity, wrong.status)
	require.Contains(t, wrong.body, `id="e-current_password"`)
	require.NotContains(t, wrong.body, "not this one")
	require.NotContains(t, wrong.body, "another horse")
	short := v.submit("/settings/security/password", url.Values{"current_password": {password}, "new_password": {"short"}})
	require.Contains(t, short.body, `id="e-new_password"`)
	elsewhere := h.visitor("acme")
	elsewhere.signIn("ada@acme.example", password)
	done := v.submit("/settings/security/password", url.Values{"current_password": {password}, "new_password": {"another horse battery"}})
	require.Contains(t, text(v.follow(done)), "Your password is changed.")
	require.False(t, elsewhere.signedIn())
}

// TestSecondFactor sets an authenticator up, comes in by it and by a recovery code, and turns it off.
func TestSecondFactor(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.as(h.acme, "ada", identity.RoleMember)
	setup := v.submit("/settings/security/totp", nil)
	require.Equal(t, http.StatusOK, setup.status)
	require.Contains(t, setup.body, `src="data:image/png;base64,`)
	require.Contains(t, setup.body, `autocomplete="one-time-code"`)
	secret := regexp.MustCompile(`<code id="totp-secret" tabindex="0">([A-Z2-7]+)</code>`).FindStringSubmatch(setup.body)
	require.Len(t, secret, 2)
	wrong := v.submit("/settings/security/totp/confirm", url.Values{"code": {"000000"}})
	require.Equal(t, http.StatusUnprocessableEntity, wrong.status)
	require.Contains(t, wrong.body, `id="e-code"`)
	require.NotContains(t, wrong.body, secret[1])
	code, err := totp.GenerateCode(secret[1], time.Now())
	require.NoError(t, err)
	on := v.submit("/settings/security/totp/confirm", url.Values{"code": {code}})
	require.Equal(t, http.StatusOK, on.status, on.body)
	codes := regexp.MustCompile(`<li><code>([a-z0-9-]+)</code></li>`).FindAllStringSubmatch(on.body, -1)
	require.Len(t, codes, 10)

	in := h.visitor("acme")
	require.Equal(t, "/sign-in", in.get("/sign-in/second-factor").location, "first the password")
	first := in.submit("/sign-in", url.Values{"email": {"ada@acme.example"}, "password": {password}, "next": {"/settings/members"}})
	require.Equal(t, "/sign-in/second-factor", first.location)
	require.NotContains(t, in.cookies, "session")
	require.False(t, in.signedIn())
	again := in.submit(first.location, url.Values{"code": {code}})
	require.Equal(t, http.StatusUnprocessableEntity, again.status, "a code serves once")
	require.NotContains(t, in.cookies, "session")

	// The step belongs to the browser that has begun, at this tenant.
	other := h.visitor("acme")
	require.Contains(t, text(other.follow(other.submit(first.location, url.Values{"code": {codes[0][1]}}))), "Sign in again.")
	foreign := h.visitor("globex")
	foreign.cookies["step-factor"] = in.cookies["step-factor"]
	require.Contains(t, text(foreign.submit(first.location, url.Values{"code": {codes[0][1]}})), "This took too long")
	require.NotContains(t, foreign.cookies, "session")

	done := in.submit(first.location, url.Values{"code": {codes[0][1]}})
	require.Equal(t, "/settings/members", done.location, done.body)
	require.NotContains(t, in.cookies, "step-factor")
	require.True(t, in.signedIn())

	fresh := in.submit("/settings/security/recovery-codes", nil)
	require.Equal(t, http.StatusOK, fresh.status)
	require.NotContains(t, fresh.body, codes[1][1])
	require.Contains(t, in.submit("/settings/security/totp/disable", url.Values{"totp_password": {"wrong"}}).body, `id="e-totp_password"`)
	off := in.submit("/settings/security/totp/disable", url.Values{"totp_password": {password}})
	require.Contains(t, text(in.follow(off)), "Two-factor sign-in is off.")
}

// TestStepUp: what is dangerous asks for the password again after a while, and then does what was asked.
func TestStepUp(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.as(h.acme, "ada", identity.RoleOwner)
	bob := h.person(h.acme, "bob", identity.RoleMember)
	h.longAgo(h.acme)
	act := url.Values{"role": {"admin"}}
	path := "/settings/members/" + bob.ID.String() + "/role"
	role := func() identity.Role {
		u, err := h.people.GetUser(t.Context(), h.scope(h.acme), bob.ID)
		require.NoError(t, err)
		return u.Role
	}

	asked := v.submit(path, act)
	require.Equal(t, http.StatusForbidden, asked.status)
	require.Contains(t, asked.body, `action="`+path+`"`)
	form := hidden(t, asked)
	form.Del("next") // That of the choice of the theme.
	require.Equal(t, act, form, "what was asked for is kept")
	form.Set("confirm_password", "wrong")
	refused := v.submit(path, form)
	require.Equal(t, http.StatusUnprocessableEntity, refused.status)
	require.Contains(t, refused.body, `aria-describedby="e-confirm_password"`)
	require.Equal(t, []string{"admin"}, hidden(t, refused)["role"])
	require.Equal(t, identity.RoleMember, role())
	form.Set("confirm_password", password)
	require.Contains(t, text(v.follow(v.submit(path, form))), "bob is now an admin.")
	require.Equal(t, identity.RoleAdmin, role())
	require.Equal(t, http.StatusSeeOther, v.submit(path, url.Values{"role": {"guest"}}).status, "and it is not asked for again soon")

	h.longAgo(h.acme)
	for path, form := range map[string]url.Values{
		"/settings/keys":                                             {"name": {"ci"}, "scope": {"read"}, "expires": {"30"}},
		"/settings/email":                                            {"email": {"new@example.com"}},
		"/settings/security/totp":                                    {},
		"/settings/security/recovery-codes":                          {},
		"/settings/members/invite":                                   {"invite_email": {"c@example.com"}, "invite_role": {"admin"}},
		"/settings/members/" + bob.ID.String() + "/disable":          {},
		"/settings/members/" + bob.ID.String() + "/remove":           {},
		"/settings/security/passkeys/" + bob.ID.String() + "/remove": {},
		"/settings/sign-in":                                          {"name": {"x"}, "client_secret": {"a secret value"}},
		"/settings/sign-in/" + bob.ID.String() + "/delete":           {},
		"/settings/security/totp/confirm":                            {"code": {"123456"}},
	} {
		got := v.submit(path, form)
		require.Equal(t, http.StatusForbidden, got.status, path)
		require.Contains(t, got.body, `name="confirm_password"`, path)
		require.NotContains(t, got.body, "a secret value")
	}
	require.Equal(t, "/confirm?next=%2Fsettings%2Fsign-in%2Fnew", v.get("/settings/sign-in/new").location)
	require.JSONEq(t, `{"location":"/confirm?next=%2Fsettings%2Fsecurity"}`, v.submit("/settings/security/passkeys/begin", nil).body)
	confirmed := v.submit("/confirm", url.Values{"next": {"/settings/sign-in/new"}, "confirm_password": {password}})
	require.Equal(t, "/settings/sign-in/new", confirmed.location)
	require.Equal(t, http.StatusOK, v.get("/settings/sign-in/new").status)
}

func TestSessions(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.as(h.acme, "ada", identity.RoleMember)
	other := h.visitor("acme")
	other.header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	other.signIn("ada@acme.example", password)
	list := v.get("/settings/sessions")
	require.Contains(t, text(list), "Firefox on Linux")
	ids := regexp.MustCompile(`/settings/sessions/([0-9a-f-]{36})/revoke`).FindAllStringSubmatch(list.body, -1)
	require.Len(t, ids, 2)

	bob := h.as(h.acme, "bob", identity.RoleOwner)
	require.Equal(t, http.StatusNotFound, bob.submit(ids[0][0], nil).status, "not even an owner ends another's session")
	eve := h.as(h.globex, "eve", identity.RoleOwner)
	require.Equal(t, http.StatusNotFound, eve.submit(ids[0][0], nil).status)
	require.True(t, other.signedIn())

	require.Contains(t, text(v.follow(v.submit(ids[0][0], nil))), "That browser is signed out.")
	require.False(t, other.signedIn())
	other.signIn("ada@acme.example", password)
	require.Contains(t, text(v.follow(v.submit("/settings/sessions/others", nil))), "All other browsers are signed out (1).")
	require.False(t, other.signedIn())
	require.True(t, v.signedIn())
	require.Equal(t, "/sign-in", v.submit(ids[1][0], nil).location)
	require.False(t, v.signedIn())
}

func TestMembers(t *testing.T) {
	t.Parallel()
	h := open(t)
	owner := h.as(h.acme, "ada", identity.RoleOwner)
	admin := h.as(h.acme, "bob", identity.RoleAdmin)
	member := h.as(h.acme, "cy", identity.RoleMember)
	guest := h.as(h.acme, "di", identity.RoleGuest)
	h.person(h.globex, "eve", identity.RoleOwner)
	users, err := h.people.ListUsers(t.Context(), h.scope(h.acme), identity.UserFilter{}, identity.PageRequest{})
	require.NoError(t, err)
	path := map[string]string{}
	for _, u := range users.Items {
		path[u.DisplayName] = "/settings/members/" + u.ID.String()
	}

	page := text(owner.get("/settings/members"))
	require.Contains(t, page, "bob@acme.example")
	require.NotContains(t, page, "eve")
	require.NotContains(t, text(owner.get("/settings/members?q=bob")), "cy@acme.example")
	require.NotContains(t, member.get("/settings/members").body, "<form class=\"card\"")
	require.Equal(t, http.StatusForbidden, guest.get("/settings/members").status)
	require.Equal(t, http.StatusForbidden, member.submit(path["di"]+"/remove", nil).status)

	require.Contains(t, text(admin.submit(path["ada"]+"/disable", nil)), "Only an owner may change owners")
	require.Equal(t, http.StatusForbidden, admin.submit(path["cy"]+"/role", url.Values{"role": {"owner"}}).status)
	last := owner.submit(path["ada"]+"/role", url.Values{"role": {"member"}})
	require.Equal(t, http.StatusConflict, last.status)
	require.Contains(t, text(last), "This is the last owner")

	require.Contains(t, text(admin.follow(admin.submit(path["cy"]+"/disable", nil))), "cy is signed out everywhere")
	require.False(t, member.signedIn())
	admin.follow(admin.submit(path["cy"]+"/enable", nil))
	require.Contains(t, text(admin.follow(admin.submit(path["cy"]+"/remove", nil))), "The account is removed.")
	require.Equal(t, http.StatusNotFound, h.as(h.globex, "mal", identity.RoleOwner).submit(path["di"]+"/remove", nil).status)
	require.True(t, guest.signedIn())

	wrong := owner.submit("/settings/members/invite", url.Values{"invite_email": {"no address"}, "invite_role": {"guest"}})
	require.Equal(t, http.StatusUnprocessableEntity, wrong.status)
	require.Contains(t, wrong.body, `id="e-invite_email"`)
	require.Contains(t, wrong.body, `value="no address"`)
	require.Contains(t, wrong.body, `<option value="guest" selected>`)
	owner.submit("/settings/members/invite", url.Values{"invite_email": {"new@example.com"}, "invite_role": {"guest"}})
	list := owner.get("/settings/members")
	open := regexp.MustCompile(`/settings/members/invitations/[0-9a-f-]{36}`).FindString(list.body)
	require.NotEmpty(t, open)
	soon := owner.submit(open+"/resend", nil)
	require.Equal(t, http.StatusTooManyRequests, soon.status)
	require.NotEmpty(t, soon.header.Get("Retry-After"))
	link := h.mail(h.acme)
	require.Contains(t, text(owner.follow(owner.submit(open+"/revoke", nil))), "The invitation is taken back.")
	require.Equal(t, http.StatusNotFound, h.visitor("acme").get(link).status)
}

func TestKeys(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.as(h.acme, "ada", identity.RoleAdmin)
	wrong := v.submit("/settings/keys", url.Values{"name": {""}, "scope": {"write"}, "expires": {"soon"}})
	require.Equal(t, http.StatusUnprocessableEntity, wrong.status)
	require.Contains(t, wrong.body, `id="e-expires"`)
	require.Contains(t, wrong.body, `value="write" checked`)
	require.Contains(t, v.submit("/settings/keys", url.Values{"name": {""}, "scope": {"write"}, "expires": {"7"}}).body, `id="e-name"`)
	made := v.submit("/settings/keys", url.Values{"name": {"ci"}, "scope": {"read"}, "expires": {"7"}})
	require.Equal(t, http.StatusOK, made.status)
	require.Contains(t, made.header.Get("Cache-Control"), "no-store")
	token := regexp.MustCompile(`<code id="token" tabindex="0">(rh_[\w-]+)</code>`).FindStringSubmatch(made.body)
	require.Len(t, token, 2)
	require.NotContains(t, v.get("/settings/keys").body, token[1], "it is shown once")

	bearer := func(slug string) int {
		program := h.visitor(slug)
		program.header = http.Header{"Authorization": {"Bearer " + token[1]}}
		return program.get("/api/v1/projects").status
	}
	require.Equal(t, http.StatusOK, bearer("acme"))
	require.Equal(t, http.StatusUnauthorized, bearer("globex"))
	revoke := regexp.MustCompile(`/settings/keys/[0-9a-f-]{36}/revoke`).FindString(v.get("/settings/keys").body)
	eve := h.as(h.globex, "eve", identity.RoleOwner)
	require.Equal(t, http.StatusNotFound, eve.submit(revoke, nil).status)
	require.Contains(t, text(v.follow(v.submit(revoke, nil))), "The key “ci” is revoked.")
	require.Equal(t, http.StatusUnauthorized, bearer("acme"))
	member := h.as(h.acme, "bob", identity.RoleMember)
	require.Equal(t, http.StatusForbidden, member.get("/settings/keys").status)
	require.Equal(t, http.StatusForbidden, member.submit("/settings/keys", url.Values{"name": {"x"}, "scope": {"read"}, "expires": {"7"}}).status)
}
