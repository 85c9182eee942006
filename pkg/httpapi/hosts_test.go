package httpapi_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/httpapi"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

const fixedNotFound = `{"type":"urn:rowhouse:problem:not_found","title":"Not found","status":404,"detail":"There is nothing here."}` + "\n"

// wire sends a request as it is written, which must ask to close the connection, and gives the bytes that come back. It goes past the
// client's own checks of host names.
func (e *edge) wire(text string) string {
	e.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
	require.NoError(e.t, err)
	defer conn.Close() //nolint:errcheck // Read to its end.
	_, err = io.WriteString(conn, text)
	require.NoError(e.t, err)
	got, err := io.ReadAll(conn)
	require.NoError(e.t, err)
	return string(got)
}

// raw is wire with the answer taken apart.
func (e *edge) raw(text string) answer {
	e.t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(e.wire(text))), nil)
	require.NoError(e.t, err)
	defer resp.Body.Close() //nolint:errcheck // Read to its end.
	body, err := io.ReadAll(resp.Body)
	require.NoError(e.t, err)
	return answer{resp.StatusCode, resp.Header, string(body)}
}

// whoami lists the projects and says whose they are.
func (e *edge) whoami(request string) string {
	e.t.Helper()
	a := e.raw(request)
	switch {
	case a.status == 200 && strings.Contains(a.body, "of acme"):
		return "acme"
	case a.status == 200 && strings.Contains(a.body, "of globex"):
		return "globex"
	case a.status == 404 && a.body == fixedNotFound:
		return "nobody"
	}
	return fmt.Sprint(a.status)
}

func TestHosts(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	e.newProject("acme.localhost", e.acmeKey, "of acme")
	e.newProject("globex.localhost", e.globexKey, "of globex")
	request := func(target, host, key, more string) string {
		return "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\nAuthorization: Bearer " + key + "\r\n" + more + "\r\n"
	}
	const list = "/api/v1/projects"
	long := strings.Repeat("a", 63)
	for host, want := range map[string]string{
		"acme.localhost":                  "acme",
		"ACME.LocalHost":                  "acme",
		"acme.localhost:8080":             "acme",
		"acme.localhost:":                 "acme",
		"acme.localhost.":                 "acme",
		"acme.localhost.:443":             "acme",
		"localhost":                       "nobody", // the landing text is at / only
		"":                                "nobody",
		"acme":                            "nobody",
		"acme.localhost..":                "nobody",
		".acme.localhost":                 "nobody",
		".localhost":                      "nobody",
		"acme..localhost":                 "nobody",
		"x.acme.localhost":                "nobody",
		"acme.localhost.evil.com":         "nobody",
		"acmelocalhost":                   "nobody",
		"acme-localhost":                  "nobody",
		"acme.localhost:80:80":            "nobody",
		"acme.localhost:http":             "nobody",
		"acme.localhost:123456":           "nobody",
		"acme.notlocalhost":               "nobody",
		"acme.localhost,globex.localhost": "nobody",
		"acme_.localhost":                 "nobody",
		"-acme.localhost":                 "nobody",
		"acme%2elocalhost":                "nobody",
		"acme%00.localhost":               "nobody",
		"*.localhost":                     "nobody",
		"[::1]":                           "nobody",
		"[::1]:8080":                      "nobody",
		"127.0.0.1":                       "nobody",
		"console.localhost":               "nobody",
		"nobody.localhost":                "nobody",
		long + ".localhost":               "nobody",
		long + "a.localhost":              "nobody",
		strings.Repeat(long+".", 5) + "localhost":       "nobody",
		strings.Repeat("acme.localhost.", 500) + "com":  "nobody",
		"xn--acm-dma.localhost":                         "nobody",
		"acme.localhost/":                               "400", // net/http's own answer to what is no host at all
		"user@acme.localhost":                           "400",
		"acme.localhost globex.localhost":               "400",
		"acmé.localhost":                                "400",
		"\uff41cme.localhost":                           "400",
		"acme.localhost\r\nHost: globex.localhost":      "400",
		"acme.localhost\r\nX-Forwarded-Host: localhost": "acme",
	} {
		require.Equal(t, want, e.whoami(request(list, host, e.acmeKey, "")), "Host: %s", host)
	}

	for name, more := range map[string]string{
		"tenant by name":    "X-Tenant: globex\r\nX-Tenant-Id: " + e.globex.ID + "\r\nTenant: globex\r\n",
		"tenant by schema":  "X-Schema: " + e.globex.Schema.String() + "\r\n",
		"forwarded host":    "X-Forwarded-Host: globex.localhost\r\n",
		"forwarded":         "Forwarded: host=globex.localhost\r\nX-Forwarded-Server: globex.localhost\r\n",
		"original host":     "X-Original-Host: globex.localhost\r\nX-Host: globex.localhost\r\nX-Original-Url: http://globex.localhost/\r\n",
		"origin":            "Origin: http://globex.localhost\r\nReferer: http://globex.localhost/\r\n",
		"overridden method": "X-Http-Method-Override: DELETE\r\n",
		"cookie":            "Cookie: tenant=globex\r\n",
	} {
		require.Equal(t, "acme", e.whoami(request(list, "acme.localhost", e.acmeKey, more)), name)
		require.Equal(t, "401", e.whoami(request(list, "acme.localhost", e.globexKey, more)), name)
	}
	require.Equal(t, "acme", e.whoami(request(list+"?limit=5", "acme.localhost", e.acmeKey, "")))

	// An absolute request target overrides the Host header (RFC 9112, 3.2.2): it is the host, whatever the header says.
	require.Equal(t, "globex", e.whoami(request("http://globex.localhost"+list, "acme.localhost", e.globexKey, "")))
	require.Equal(t, "401", e.whoami(request("http://globex.localhost"+list, "acme.localhost", e.acmeKey, "")))
	require.Equal(t, "nobody", e.whoami(request("http://evil.com"+list, "acme.localhost", e.acmeKey, "")))
	require.Equal(t, "acme", e.whoami(request("http://ACME.localhost:99"+list, "globex.localhost", e.acmeKey, "")))
}

func TestForwardedHostOfTrustedProxy(t *testing.T) {
	t.Parallel()
	e := open(t, func(c *httpapi.Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	e.newProject("acme.localhost", e.acmeKey, "of acme")
	for _, forwarded := range [][]string{
		{"acme.localhost"}, {"globex.localhost, acme.localhost"}, {"globex.localhost", "acme.localhost"}, {"evil.com,ACME.localhost:443"},
	} {
		a := e.do(call{host: "10.0.0.7", path: "/api/v1/projects", key: e.acmeKey, header: http.Header{"X-Forwarded-Host": forwarded}})
		require.Equal(t, 200, a.status, "%v", forwarded)
	}
	for _, forwarded := range []string{
		"globex.localhost", "evil.com", "acme.localhost, evil.com", "acme.loc\u212alhost", "\u212acme.localhost", "acme.local\u017fhost",
	} {
		a := e.do(call{host: "acme.localhost", path: "/api/v1/projects", key: e.acmeKey, header: http.Header{"X-Forwarded-Host": {forwarded}}})
		require.NotEqual(t, 200, a.status, forwarded)
	}
	a := e.do(call{path: "/api/docs", header: http.Header{"X-Request-Id": {"from-the-proxy.1"}}})
	require.Equal(t, "from-the-proxy.1", a.header.Get("X-Request-Id"))
	a = e.do(call{path: "/api/docs", header: http.Header{"X-Request-Id": {"two words"}}})
	require.NotEqual(t, "two words", a.header.Get("X-Request-Id"))
}

func TestRequestIDOfStrangersIsIgnored(t *testing.T) {
	t.Parallel()
	e := open(t, func(c *httpapi.Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} })
	a := e.do(call{path: "/api/docs", header: http.Header{"X-Request-Id": {"mine"}, "X-Forwarded-For": {"10.0.0.1"}}})
	require.NotEqual(t, "mine", a.header.Get("X-Request-Id"))
}

// TestUnknownHostIsOneAnswer compares every byte, but for the request's id and the date.
func TestUnknownHostIsOneAnswer(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	archived, deleted := e.acme, e.acme
	archived.Slug, archived.State = "archived", tenancy.StateArchived
	deleted.Slug, deleted.State = "deleted", tenancy.StateDeleted
	e.street.put(archived)
	e.street.put(deleted)

	ask := func(method, host, path string) answer {
		a := e.do(call{method: method, host: host, path: path, key: e.acmeKey, body: bodyFor(method)})
		for _, name := range []string{"X-Request-Id", "Date"} {
			require.NotEmpty(t, a.header.Get(name))
			a.header.Del(name)
		}
		return a
	}
	want := ask("GET", "nobody.localhost", "/")
	require.Equal(t, 404, want.status)
	require.Equal(t, fixedNotFound, want.body) //nolint:testifylint // To the byte, not only the same JSON.
	require.Equal(t, "application/problem+json", want.header.Get("Content-Type"))
	for _, host := range []string{
		"nobody.localhost", "archived.localhost", "deleted.localhost", "console.localhost", "www.localhost", "x.acme.localhost", "evil.com", "[::1]",
	} {
		for _, path := range []string{"/", "/api/docs", "/api/openapi.json", "/api/v1/projects", "/healthz", "/no/such/path", "/%00?q=%ff"} {
			for _, method := range []string{"GET", "POST", "PATCH", "DELETE", "OPTIONS", "PUT"} {
				require.Equal(t, want, ask(method, host, path), "%s %s %s", method, host, path)
			}
			head := ask("HEAD", host, path)
			require.Empty(t, head.body)
			head.body = want.body
			require.Equal(t, want, head, "HEAD %s %s", host, path)
		}
	}

	perRequest := regexp.MustCompile(`(?m)^(Date|X-Request-Id): .+$`)
	wire := func(host string) string {
		return perRequest.ReplaceAllString(e.wire("GET /api/v1/projects HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n"), "$1")
	}
	unknown := wire("nobody.localhost")
	require.Contains(t, unknown, "404 Not Found")
	require.Equal(t, unknown, wire("archived.localhost"))
	require.Equal(t, unknown, wire("deleted.localhost"))

	require.Equal(t, want, ask("GET", "localhost", "/api/docs"), "the base domain has its landing text and nothing else")
	require.Equal(t, want, ask("POST", "localhost", "/"))
}

func bodyFor(method string) any {
	if method == "POST" || method == "PATCH" {
		return object{"name": "x"}
	}
	return nil
}

func TestBaseDomain(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	a := e.do(call{host: "LOCALHOST:8080", path: "/"})
	require.Equal(t, 200, a.status)
	require.Equal(t, "Rowhouse: each customer works on its own subdomain.\n", a.body)
	require.Equal(t, "text/plain; charset=UTF-8", a.header.Get("Content-Type"))
}

func TestStates(t *testing.T) {
	t.Parallel()
	var tested []tenancy.State
	e := open(t, func(c *httpapi.Config) { c.Versions = tenantschema.Versions{Min: 5, Max: 9} })
	for _, c := range []struct {
		state   tenancy.State
		version int64
		want    int
	}{
		{tenancy.StateReady, 5, 200},
		{tenancy.StateReady, 9, 200},
		{tenancy.StateReady, 4, 503},
		{tenancy.StateReady, 10, 503},
		{tenancy.StateMigrating, 5, 200},
		{tenancy.StateMigrating, 4, 503},
		{tenancy.StateProvisioning, 5, 503},
		{tenancy.StateQuarantined, 5, 503},
		{tenancy.State("new to us"), 5, 503},
		{tenancy.StateSuspended, 5, 403},
		{tenancy.StateSuspended, 4, 403},
		{tenancy.StateWarm, 5, 404},
		{tenancy.StateArchived, 5, 404},
		{tenancy.StateDeleted, 5, 404},
	} {
		tested = append(tested, c.state)
		tenant := e.acme
		tenant.State, tenant.SchemaVersion = c.state, c.version
		e.street.put(tenant)
		for _, path := range []string{"/api/v1/projects", "/api/docs"} {
			a := e.do(call{path: path, key: e.acmeKey})
			require.Equal(t, c.want, a.status, "%s at %d", c.state, c.version)
			switch c.want {
			case 403:
				require.Equal(t, "text/plain; charset=UTF-8", a.header.Get("Content-Type"))
				require.Contains(t, a.body, "This workspace is suspended.")
			case 503:
				e.refused(a, 503)
				require.Equal(t, "2", a.header.Get("Retry-After"))
				require.NotContains(t, a.body, string(c.state))
			case 404:
				require.Equal(t, fixedNotFound, a.body) //nolint:testifylint // To the byte, not only the same JSON.
			}
		}
	}
	require.Subset(t, tested, tenancy.States())
}

// TestKeys: whatever is wrong with a key, the answer is the same to the byte.
func TestKeys(t *testing.T) {
	t.Parallel()
	e := open(t, func(c *httpapi.Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} })
	scope := e.engine.Tenant(e.acme.Engine())
	revoked, revokedToken, err := e.keys.CreateKey(t.Context(), scope, identity.NewKey{Name: "old", Scopes: []string{identity.ScopeRead}})
	require.NoError(t, err)
	_, err = e.keys.RevokeKey(t.Context(), scope, revoked.ID)
	require.NoError(t, err)

	ask := func(authorization ...string) answer {
		a := e.do(call{path: "/api/v1/projects?limit=nonsense", header: http.Header{"Authorization": authorization, "X-Request-Id": {"same"}}})
		a.header.Del("Date")
		return a
	}
	want := ask("Bearer nonsense")
	e.refused(want, 401)
	require.Equal(t, `Bearer realm="rowhouse"`, want.header.Get("WWW-Authenticate"))
	for name, authorization := range map[string][]string{
		"key of another tenant": {"Bearer " + e.globexKey},
		"revoked":               {"Bearer " + revokedToken},
		"wrong secret":          {"Bearer " + e.acmeKey[:30] + flip(e.acmeKey[30]) + e.acmeKey[31:]},
		"none":                  {},
		"empty":                 {""},
		"no token":              {"Bearer"},
		"basic":                 {"Basic " + e.acmeKey},
		"bare":                  {e.acmeKey},
		"twice":                 {"Bearer " + e.acmeKey, "Bearer " + e.acmeKey},
		"long":                  {"Bearer rh_" + strings.Repeat("A", 10000)},
		"NUL in base64":         {"Bearer rh_" + strings.Repeat("A", 22) + "_" + strings.Repeat("A", 43)},
	} {
		require.Equal(t, want, ask(authorization...), name)
	}
	require.Equal(t, 422, ask("bearer "+e.acmeKey).status, "the scheme has no case, and validation comes after the key")

	reader := e.key(e.acme, identity.ScopeRead)
	require.Equal(t, 200, e.do(call{path: "/api/v1/projects", key: reader}).status)
	for _, c := range []call{
		{method: "POST", path: "/api/v1/projects", body: "not JSON at all"},
		{method: "DELETE", path: "/api/v1/tasks/x"},
		{method: "PATCH", path: "/api/v1/tasks/x", body: object{}},
	} {
		c.key = reader
		a := e.do(c)
		e.refused(a, 403)
		require.Contains(t, a.header.Get("WWW-Authenticate"), "insufficient_scope")
	}
	// At the other tenant it is nothing, whatever its scope.
	e.refused(e.do(call{host: "globex.localhost", path: "/api/v1/projects", key: reader}), 401)
}

// flip gives another letter of a token's alphabet.
func flip(c byte) string {
	if c == 'a' {
		return "b"
	}
	return "a"
}
