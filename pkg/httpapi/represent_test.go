package httpapi_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
)

func header(name, value string) http.Header { return http.Header{name: {value}} }

func TestEntityTags(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	path := "/api/v1/projects/" + e.newProject("acme.localhost", e.acmeKey, "Office").ID
	get := e.do(call{path: path, key: e.acmeKey})
	tag := get.header.Get("ETag")
	require.Regexp(t, `^"[\w-]{22}"$`, tag)
	require.Equal(t, "private, no-cache", get.header.Get("Cache-Control"))
	require.Equal(t, "Authorization, Cookie", get.header.Get("Vary"))

	for value, want := range map[string]int{
		tag: 304, "W/" + tag: 304, `"x", ` + tag: 304, "*": 304, `"x"`: 200, strings.Trim(tag, `"`): 200, `"`: 200, "W/": 200,
	} {
		a := e.do(call{path: path, key: e.acmeKey, header: header("If-None-Match", value)})
		require.Equal(t, want, a.status, value)
		require.Equal(t, tag, a.header.Get("ETag"), value)
		require.Equal(t, want == 304, a.body == "", value)
	}
	require.Equal(t, 304, e.do(call{method: "HEAD", path: path, key: e.acmeKey, header: header("If-None-Match", tag)}).status)
	require.Empty(t, e.do(call{path: "/api/v1/projects", key: e.acmeKey}).header.Get("ETag"), "a list is no thing")

	patch := func(body any, h http.Header) answer {
		return e.do(call{method: "PATCH", path: path, key: e.acmeKey, body: body, header: h})
	}
	for _, value := range []string{`"x"`, "W/" + tag, "", "*x"} {
		p := e.refused(patch(object{"name": "Lost"}, header("If-Match", value)), 412)
		require.Equal(t, "urn:rowhouse:problem:changed", p.Type, value)
	}
	changed := patch(object{"name": "Attic"}, header("If-Match", `"x", `+tag))
	require.Equal(t, 200, changed.status, changed.body)
	require.NotEqual(t, tag, changed.header.Get("ETag"))
	now := e.do(call{path: path, key: e.acmeKey}).header.Get("ETag")
	require.Equal(t, changed.header.Get("ETag"), now, "the answer to a PATCH is what a GET gives")
	e.refused(patch(object{"name": "Late"}, header("If-Match", tag)), 412)
	e.refused(patch(object{"name": "x"}, header("If-None-Match", "*")), 412)
	e.refused(e.do(call{method: "DELETE", path: path, key: e.acmeKey, header: header("If-Match", tag)}), 412)
	e.refused(e.do(call{method: "POST", path: "/api/v1/projects", key: e.acmeKey, body: object{"name": "x"}, header: header("If-Match", "*")}), 412)
	require.Contains(t, e.do(call{path: path, key: e.acmeKey}).body, "Attic", "nothing was changed by what was refused")
	require.Equal(t, 204, e.do(call{method: "DELETE", path: path, key: e.acmeKey, header: header("If-Match", changed.header.Get("ETag"))}).status)
	e.refused(e.do(call{method: "DELETE", path: path, key: e.acmeKey, header: header("If-Match", "*")}), 404)
}

// Of many who change what they have all seen, one does.
func TestIfMatchLetsOneThrough(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	in := e.newProject("acme.localhost", e.acmeKey, "Office")
	made := e.do(call{method: "POST", path: "/api/v1/tasks", key: e.acmeKey, body: object{"project_id": in.ID, "title": "Boxes"}})
	for _, path := range []string{"/api/v1/projects/" + in.ID, made.header.Get("Location")} {
		tag := e.do(call{path: path, key: e.acmeKey}).header.Get("ETag")
		var wg sync.WaitGroup
		statuses := make(chan int, 8)
		for range cap(statuses) {
			wg.Go(func() {
				a, err := e.try(t.Context(), call{
					method: "PATCH", path: path, key: e.acmeKey, body: object{"description": "mine"}, header: header("If-Match", tag),
				})
				if err == nil {
					statuses <- a.status
				}
			})
		}
		wg.Wait()
		close(statuses)
		count := map[int]int{}
		for status := range statuses {
			count[status]++
		}
		require.Equal(t, map[int]int{200: 1, 412: cap(statuses) - 1}, count, path)
	}
}

func TestFields(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	in := e.newProject("acme.localhost", e.acmeKey, `An <office> "x"`)
	e.newProject("acme.localhost", e.acmeKey, "Other")
	path := "/api/v1/projects/" + in.ID
	whole, some := e.do(call{path: path, key: e.acmeKey}), e.do(call{path: path + "?fields=name,id", key: e.acmeKey})
	require.Equal(t, `{"id":"`+in.ID+`","name":"An <office> \"x\""}`+"\n", some.body, "in the order of the whole")
	require.Equal(t, whole.header.Get("ETag"), some.header.Get("ETag"), "it is of the thing, and good for If-Match")

	page := e.do(call{path: "/api/v1/projects?fields=name&limit=1", key: e.acmeKey})
	require.Equal(t, 200, page.status, page.body)
	require.Regexp(t, `^\{"items":\[\{"name":"Other"\}\],"next":"[^"]+"\}\n$`, page.body)
	require.Contains(t, page.header.Get("Link"), "fields=name", "the next page has the same fields")

	for _, value := range []string{"", "nope", "id,", "id,nope", "id%20", "ID"} {
		p := e.refused(e.do(call{path: path + "?fields=" + value, key: e.acmeKey}), 422)
		require.Equal(t, "query.fields", p.Errors[0].Location, value)
		require.Contains(t, p.Errors[0].Message, "created_at", value)
	}
	e.refused(e.do(call{method: "POST", path: "/api/v1/projects?fields=id", key: e.acmeKey, body: object{"name": "x"}}), 422)
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	post := func(key, repeat string, body any) answer {
		host := "acme.localhost"
		if key == e.globexKey {
			host = "globex.localhost"
		}
		return e.do(call{method: "POST", host: host, path: "/api/v1/projects", key: key, body: body, header: header("Idempotency-Key", repeat)})
	}
	first := post(e.acmeKey, "one", object{"name": "Office"})
	require.Equal(t, 201, first.status, first.body)
	require.Empty(t, first.header.Get("Idempotency-Replayed"))
	again := post(e.acmeKey, "one", object{"name": "Office"})
	require.Equal(t, 201, again.status)
	require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
	require.Equal(t, first.body, again.body)
	require.Equal(t, first.header.Get("Location"), again.header.Get("Location"))
	require.Equal(t, "application/json", again.header.Get("Content-Type"))
	require.NotEqual(t, first.header.Get("X-Request-Id"), again.header.Get("X-Request-Id"))

	p := e.refused(post(e.acmeKey, "one", object{"name": "Attic"}), 422)
	require.Equal(t, "header.Idempotency-Key", p.Errors[0].Location)
	// The key is its caller's, and its tenant's.
	require.NotEqual(t, first.body, post(e.key(e.acme, identity.ScopeWrite), "one", object{"name": "Office"}).body)
	require.NotEqual(t, first.body, post(e.globexKey, "one", object{"name": "Office"}).body)
	// What was refused can be mended.
	e.refused(post(e.acmeKey, "two", object{"name": ""}), 422)
	require.Equal(t, 201, post(e.acmeKey, "two", object{"name": "Mended"}).status)
	for _, bad := range []string{"", "a b", strings.Repeat("x", 256), "ü"} {
		e.refused(post(e.acmeKey, bad, object{"name": "x"}), 422)
	}
	require.Len(t, e.projects(e.acmeKey), 3)
}

func (e *edge) projects(key string) []project {
	e.t.Helper()
	var found list[project]
	e.do(call{path: "/api/v1/projects?limit=100", key: key}).into(e.t, &found)
	return found.Items
}

// A request that was cut off blocks its key for a minute, and not for ever.
func TestIdempotencyKeyOfTheDead(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	post := func() answer {
		h := header("Idempotency-Key", "dead")
		return e.do(call{method: "POST", path: "/api/v1/projects", key: e.acmeKey, body: object{"name": "x"}, header: h})
	}
	require.Equal(t, 201, post().status)
	scope := e.engine.Tenant(e.acme.Engine())
	// As if the process had died before it noted the answer.
	tag, err := scope.Exec(t.Context(), `UPDATE idempotency_keys SET status = NULL, body = NULL`)
	require.NoError(t, err)
	require.EqualValues(t, 1, tag.RowsAffected())
	waiting := post()
	e.refused(waiting, 409)
	require.NotEmpty(t, waiting.header.Get("Retry-After"))
	_, err = scope.Exec(t.Context(), `UPDATE idempotency_keys SET created_at = created_at - interval '61 s'`)
	require.NoError(t, err)
	a := post()
	require.Equal(t, 201, a.status, a.body)
	require.Empty(t, a.header.Get("Idempotency-Replayed"))
	// A day later it is a new key.
	_, err = scope.Exec(t.Context(), `UPDATE idempotency_keys SET created_at = created_at - interval '25 h'`)
	require.NoError(t, err)
	require.Empty(t, post().header.Get("Idempotency-Replayed"))
}

func TestIdempotencyKeyAtOnce(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	var wg sync.WaitGroup
	answers := make(chan answer, 8)
	for range cap(answers) {
		wg.Go(func() {
			a, err := e.try(t.Context(), call{
				method: "POST", path: "/api/v1/projects", key: e.acmeKey, body: object{"name": "x"}, header: header("Idempotency-Key", "at-once"),
			})
			if err == nil {
				answers <- a
			}
		})
	}
	wg.Wait()
	close(answers)
	for a := range answers {
		require.Contains(t, []int{201, 409}, a.status, a.body)
	}
	require.Len(t, e.projects(e.acmeKey), 1)
}

// The secret of a webhook is shown again to who asked for it, and lies nowhere to be read.
func TestIdempotentAnswersAreSealed(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	post := func() answer {
		return e.do(call{
			method: "POST", path: "/api/v1/webhooks", key: e.acmeKey, body: object{"url": "https://example.com/hooks"},
			header: header("Idempotency-Key", "hook"),
		})
	}
	first := post()
	require.Equal(t, 201, first.status, first.body)
	var hook struct {
		Secret string `json:"secret"`
	}
	require.NoError(t, jsonLoose(first.body, &hook))
	require.NotEmpty(t, hook.Secret)
	require.Equal(t, first.body, post().body)
	var row string
	scope := e.engine.Tenant(e.acme.Engine())
	require.NoError(t, scope.QueryRow(t.Context(), `SELECT encode(body, 'escape') || k::text FROM idempotency_keys k`).Scan(&row))
	require.NotContains(t, row, hook.Secret)
	require.NotContains(t, row, "example.com")
}

func TestIdempotentUpload(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	in := e.newProject("acme.localhost", e.acmeKey, "Office")
	made := e.do(call{method: "POST", path: "/api/v1/tasks", key: e.acmeKey, body: object{"project_id": in.ID, "title": "Boxes"}})
	path := made.header.Get("Location") + "/attachments"
	post := func(text string) answer {
		h := header("Idempotency-Key", "file")
		h.Set("Content-Type", "text/plain")
		return e.do(call{method: "POST", path: path + "?name=a.txt", key: e.acmeKey, body: text, header: h})
	}
	first := post("content")
	require.Equal(t, 201, first.status, first.body)
	require.Equal(t, first.body, post("content").body)
	e.refused(post("another"), 422)
	var found list[workspace.Attachment]
	e.do(call{path: path, key: e.acmeKey}).into(t, &found)
	require.Len(t, found.Items, 1)
}
