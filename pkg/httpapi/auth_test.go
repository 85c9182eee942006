package httpapi_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rowhousehq/rowhouse/pkg/httpapi"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

const pass = "twelve quiet herons over Ghent"

// person adds somebody to the tenant and gives their id and the cookie of a session.
func (e *edge) person(tenant tenancy.Tenant, email string, role identity.Role) (uuid.UUID, string) {
	e.t.Helper()
	ctx, scope := e.t.Context(), e.engine.Tenant(tenant.Engine())
	hash, err := e.keys.HashPassword(ctx, pass)
	require.NoError(e.t, err)
	name := strings.ToUpper(email[:1]) + email[1:3]
	user, err := e.keys.CreateOwner(ctx, scope, identity.NewUser{Email: email, DisplayName: name, PasswordHash: hash})
	require.NoError(e.t, err)
	_, err = scope.Exec(ctx, `UPDATE users SET role = $2 WHERE id = $1`, user.ID, string(role))
	require.NoError(e.t, err)
	in, err := e.keys.SignIn(ctx, scope, email, pass, identity.Client{RemoteAddress: "192.0.2.1"})
	require.NoError(e.t, err)
	return user.ID, "session=" + in.Token
}

func cookie(value string) http.Header { return http.Header{"Cookie": {value}} }

func TestSessionsCallTheAPI(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	id, session := e.person(e.acme, "ada@example.com", identity.RoleOwner)
	me := e.do(call{path: "/api/v1/me", header: cookie(session)})
	require.Equal(t, 200, me.status, me.body)
	require.JSONEq(t, `{"kind":"person","id":"`+id.String()+`","name":"Ada","email":"ada@example.com","role":"owner"}`, me.body)
	require.Contains(t, e.do(call{path: "/api/v1/me", key: e.acmeKey}).body, `"kind":"key"`)

	e.refused(e.do(call{host: "globex.localhost", path: "/api/v1/me", header: cookie(session)}), 401)
	e.refused(e.do(call{path: "/api/v1/me", header: cookie(session + "x")}), 401)
	// A key that is no good is not made up for by a session.
	e.refused(e.do(call{path: "/api/v1/me", key: "rh_nonsense", header: cookie(session)}), 401)

	post := func(h http.Header) answer {
		h.Set("Cookie", session)
		return e.do(call{method: "POST", path: "/api/v1/projects", body: object{"name": "x"}, header: h})
	}
	for name, h := range map[string]http.Header{
		"another site": {"Sec-Fetch-Site": {"cross-site"}}, "a neighbour": {"Sec-Fetch-Site": {"same-site"}},
		"an origin":            {"Origin": {"https://evil.example"}},
		"a neighbour's origin": {"Origin": {"http://globex.localhost"}}, "null": {"Origin": {"null"}},
	} {
		e.refused(post(h), 403)
		require.Empty(t, e.projects(e.acmeKey), name)
	}
	require.Equal(t, 201, post(http.Header{"Sec-Fetch-Site": {"same-origin"}}).status)
	require.Equal(t, 201, post(http.Header{}).status, "no browser, no other site")
	a := e.do(call{
		method: "POST", path: "/api/v1/projects", key: e.acmeKey, body: object{"name": "x"}, header: http.Header{"Sec-Fetch-Site": {"cross-site"}},
	})
	require.Equal(t, 201, a.status, "nobody's browser sends a key by itself")
}

// Over https the session's cookie has a name that no other host can set.
func TestSecureCookie(t *testing.T) {
	t.Parallel()
	e := open(t, func(cfg *httpapi.Config) { cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	_, session := e.person(e.acme, "ada@example.com", identity.RoleOwner)
	get := func(value string) answer {
		h := cookie(value)
		h.Set("X-Forwarded-Proto", "https")
		return e.do(call{path: "/api/v1/me", header: h})
	}
	require.Equal(t, 200, get("__Host-"+session).status)
	e.refused(get(session), 401)
	require.Equal(t, "max-age=31536000", get(session).header.Get("Strict-Transport-Security"))
	require.Empty(t, e.do(call{path: "/api/v1/me"}).header.Get("Strict-Transport-Security"))
}

// Each operation lets in exactly those whom the policy names for its action.
func TestPolicyOfEveryOperation(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	type caller struct {
		name      string
		header    http.Header
		principal identity.Principal
	}
	var callers []caller
	for _, role := range identity.Roles() {
		_, session := e.person(e.acme, string(role)+"@example.com", role)
		callers = append(callers, caller{string(role), cookie(session), identity.Principal{UserID: uuid.Max, Role: role}})
	}
	for _, scope := range identity.KeyScopes() {
		callers = append(callers, caller{
			"key " + scope, http.Header{"Authorization": {"Bearer " + e.key(e.acme, scope)}}, identity.Principal{KeyID: uuid.Max, Scopes: []string{scope}},
		})
	}
	var doc struct {
		Paths map[string]map[string]struct {
			Description string `json:"description"`
		} `json:"paths"`
	}
	require.NoError(t, json.Unmarshal([]byte(e.do(call{path: "/api/openapi.json"}).body), &doc))
	seen := 0
	for path, methods := range doc.Paths {
		for method, op := range methods {
			for _, c := range callers {
				seen++
				address := strings.NewReplacer("{id}", uuid.NewString(), "{event_id}", uuid.NewString()).Replace(path)
				req := httptest.NewRequestWithContext(t.Context(), strings.ToUpper(method), "http://acme.localhost"+address, http.NoBody)
				maps.Copy(req.Header, c.header)
				rec := httptest.NewRecorder()
				e.handler.ServeHTTP(rec, req)
				want := strings.Contains(op.Description, " "+c.name+",") || strings.Contains(op.Description, " "+c.name+".")
				if scope, ok := strings.CutPrefix(c.name, "key "); ok {
					_, keys, _ := strings.Cut(op.Description, "for keys with the scope")
					want = strings.Contains(keys, " "+scope)
				}
				require.Equal(t, want, rec.Code != http.StatusForbidden, "%s %s by %s: %d (%s)", method, path, c.name, rec.Code, op.Description)
			}
		}
	}
	require.Greater(t, seen, 300)
	// And the sentences are true: samples of what the policy says.
	require.Contains(t, doc.Paths["/api/v1/webhooks"]["get"].Description, "role owner, admin, and for keys with the scope admin.")
	require.Contains(t, doc.Paths["/api/v1/tasks/{id}/comments"]["post"].Description, "guest, and for keys with the scope write, admin.")
	require.Contains(t, doc.Paths["/api/v1/tasks"]["post"].Description, "role owner, admin, member, and for keys")
}

func TestCORS(t *testing.T) {
	t.Parallel()
	const friend = "https://app.example.com"
	e := open(t, func(cfg *httpapi.Config) { cfg.CORSOrigins = []string{friend} })
	_, session := e.person(e.acme, "ada@example.com", identity.RoleOwner)
	preflight := func(origin string) answer {
		return e.do(call{method: "OPTIONS", path: "/api/v1/projects", header: http.Header{
			"Origin": {origin}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"idempotency-key"},
		}})
	}
	a := preflight(friend)
	require.Equal(t, 204, a.status, a.body)
	require.Equal(t, friend, a.header.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "true", a.header.Get("Access-Control-Allow-Credentials"))
	require.Contains(t, a.header.Get("Access-Control-Allow-Headers"), "Idempotency-Key")
	require.Contains(t, a.header.Values("Vary"), "Origin")
	for _, origin := range []string{
		"https://evil.example", friend + ".evil.example", "http://app.example.com", "null", "*", friend + "/", "HTTPS://APP.EXAMPLE.COM",
	} {
		a := preflight(origin)
		require.Empty(t, a.header.Get("Access-Control-Allow-Origin"), origin)
		require.Empty(t, a.header.Get("Access-Control-Allow-Credentials"), origin)
	}
	post := func(origin string) answer {
		h := http.Header{"Origin": {origin}, "Cookie": {session}}
		return e.do(call{method: "POST", path: "/api/v1/projects", body: object{"name": "x"}, header: h})
	}
	done := post(friend)
	require.Equal(t, 201, done.status, done.body)
	require.Equal(t, friend, done.header.Get("Access-Control-Allow-Origin"))
	e.refused(post("https://evil.example"), 403)
	require.Empty(t, e.do(call{path: "/api/docs", header: http.Header{"Origin": {friend}}}).header.Get("Access-Control-Allow-Origin"))

	for _, bad := range []string{"*", "app.example.com", "https://app.example.com/x", "null", ""} {
		_, err := httpapi.New(httpapi.Config{
			BaseDomain: "localhost", Catalog: e.street, DB: e.engine, Keys: e.keys, Workspace: e.work, Webhooks: e.hooks, Log: zap.NewNop(), Metrics: e.metrics,
			Versions: tenantschema.Versions{Min: 1}, CORSOrigins: []string{bad},
		})
		require.ErrorContains(t, err, "CORSOrigins", bad)
	}
}

func TestKeysOverTheAPI(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	made := e.do(call{method: "POST", path: "/api/v1/keys", key: e.acmeKey, body: object{"name": "Export", "scopes": []string{"read"}}})
	require.Equal(t, 201, made.status, made.body)
	var key struct {
		ID    string `json:"id"`
		Token string `json:"token"`
	}
	require.NoError(t, jsonLoose(made.body, &key))
	require.Equal(t, 200, e.do(call{path: "/api/v1/projects", key: key.Token}).status)
	path := made.header.Get("Location")
	require.NotContains(t, e.do(call{path: path, key: e.acmeKey}).body, "token")
	require.Contains(t, e.do(call{path: "/api/v1/keys", key: e.acmeKey}).body, key.ID)
	// Another tenant's admin knows it not.
	e.refused(e.do(call{host: "globex.localhost", path: path, key: e.globexKey}), 404)
	e.refused(e.do(call{method: "DELETE", host: "globex.localhost", path: path, key: e.globexKey}), 404)
	require.Equal(t, 204, e.do(call{method: "DELETE", path: path, key: e.acmeKey}).status)
	e.refused(e.do(call{path: "/api/v1/projects", key: key.Token}), 401)
}

func TestMembersOverTheAPI(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	owner, ownerSession := e.person(e.acme, "ada@example.com", identity.RoleOwner)
	member, memberSession := e.person(e.acme, "bob@example.com", identity.RoleMember)
	path := "/api/v1/members/" + member.String()
	var found list[struct {
		Email string `json:"email"`
		Role  string `json:"role"`
	}]
	require.NoError(t, jsonLoose(e.do(call{path: "/api/v1/members", header: cookie(memberSession)}).body, &found))
	require.Len(t, found.Items, 2)
	e.refused(e.do(call{method: "PATCH", path: path, header: cookie(memberSession), body: object{"role": "admin"}}), 403)
	changed := e.do(call{method: "PATCH", path: path, header: cookie(ownerSession), body: object{"role": "guest"}})
	require.Equal(t, 200, changed.status, changed.body)
	require.Contains(t, changed.body, `"role":"guest"`)
	e.refused(e.do(call{path: "/api/v1/members", header: cookie(memberSession)}), 403)
	last := e.do(call{method: "PATCH", path: "/api/v1/members/" + owner.String(), header: cookie(ownerSession), body: object{"role": "member"}})
	e.refused(last, 409)
	e.refused(e.do(call{host: "globex.localhost", path: path, key: e.globexKey}), 404)
	e.refused(e.do(call{method: "DELETE", host: "globex.localhost", path: path, key: e.globexKey}), 404)
	require.Equal(t, 204, e.do(call{method: "DELETE", path: path, header: cookie(ownerSession)}).status)
	e.refused(e.do(call{path: "/api/v1/me", header: cookie(memberSession)}), 401)
}

func TestInvitationsOverTheAPI(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	_, session := e.person(e.acme, "ada@example.com", identity.RoleOwner)
	invite := func(host string, h http.Header, email, role string) answer {
		return e.do(call{method: "POST", host: host, path: "/api/v1/invitations", header: h, body: object{"email": email, "role": role}})
	}
	made := invite("", cookie(session), "bob@example.com", "member")
	require.Equal(t, 201, made.status, made.body)
	require.Contains(t, made.body, `"inviter_name":"Ada"`)
	path := made.header.Get("Location")
	require.Equal(t, made.body, e.do(call{path: path, key: e.acmeKey}).body)
	e.refused(invite("", cookie(session), "ada@example.com", "member"), 409)
	e.refused(invite("", cookie(session), "eve@example.com", "owner"), 422)
	again := e.do(call{method: "POST", path: path + "/resend", key: e.acmeKey})
	e.refused(again, 429) // The first mail is on its way.
	require.NotEmpty(t, again.header.Get("Retry-After"))
	// At globex it is nothing.
	for _, c := range []call{{path: path}, {method: "DELETE", path: path}, {method: "POST", path: path + "/resend"}} {
		c.host, c.key = "globex.localhost", e.globexKey
		e.refused(e.do(c), 404)
	}
	require.NotContains(t, e.do(call{host: "globex.localhost", path: "/api/v1/invitations", key: e.globexKey}).body, "bob")
	require.Equal(t, 204, e.do(call{method: "DELETE", path: path, key: e.acmeKey}).status)
	e.refused(e.do(call{path: path, key: e.acmeKey}), 404)
}
