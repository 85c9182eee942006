package httpapi_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
)

type hook struct {
	ID             string     `json:"id"`
	URL            string     `json:"url"`
	Description    string     `json:"description"`
	EventKinds     []string   `json:"event_kinds"`
	Secret         string     `json:"secret"`
	OldSecretUntil *time.Time `json:"old_secret_until"`
	FailingSince   *time.Time `json:"failing_since"`
	DisabledAt     *time.Time `json:"disabled_at"`
	DisabledReason *string    `json:"disabled_reason"`
	CreatedAt      time.Time  `json:"created_at"`
	UpdatedAt      time.Time  `json:"updated_at"`
}

type delivery struct {
	EndpointID string `json:"endpoint_id"`
	EventID    string `json:"event_id"`
	EventKind  string `json:"event_kind"`
	State      string `json:"state"`
}

const pathHooks = "/api/v1/webhooks"

func (e *edge) newHook(host, key string) hook {
	e.t.Helper()
	a := e.do(call{method: "POST", host: host, path: pathHooks, key: key, body: object{"url": "https://example.com/hooks"}})
	require.Equal(e.t, 201, a.status, a.body)
	var out hook
	a.into(e.t, &out)
	require.Equal(e.t, pathHooks+"/"+out.ID, a.header.Get("Location"))
	return out
}

func TestWebhooks(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	made := e.newHook("acme.localhost", e.acmeKey)
	require.Regexp(t, `^whsec_`, made.Secret)
	require.NotNil(t, made.EventKinds, "an empty list is [], not null")
	path := pathHooks + "/" + made.ID
	ask := func(method, path string, body any) hook {
		a := e.do(call{method: method, path: path, key: e.acmeKey, body: body})
		require.Equal(t, 200, a.status, a.body)
		var out hook
		a.into(t, &out)
		return out
	}
	got := ask("GET", path, nil)
	require.Empty(t, got.Secret)
	require.Equal(t, made.URL, got.URL)
	require.Equal(t, []string{"task.created"}, ask("PATCH", path, object{"event_kinds": []string{"task.created"}}).EventKinds)
	require.Equal(t, "CRM", ask("PATCH", path, object{"description": "CRM"}).Description)
	require.Empty(t, ask("PATCH", path, object{"event_kinds": []string{}}).EventKinds)
	rotated := ask("POST", path+"/rotate", nil)
	require.NotEqual(t, made.Secret, rotated.Secret)
	require.NotNil(t, rotated.OldSecretUntil)
	require.Nil(t, ask("POST", path+"/enable", nil).DisabledAt)
	a := e.do(call{path: pathHooks, key: e.acmeKey})
	var all list[hook]
	a.into(t, &all)
	require.Len(t, all.Items, 1)

	for field, body := range map[string]object{
		"body.url":         {"url": "http://127.0.0.1/"},
		"body.event_kinds": {"url": "https://example.com", "event_kinds": []string{"task.lost"}},
		"body.secret":      {"url": "https://example.com", "secret": "whsec_mine"},
		"body.headers":     {"url": "https://example.com", "headers": object{"Host": "metadata"}},
	} {
		p := e.refused(e.do(call{method: "POST", path: pathHooks, key: e.acmeKey, body: body}), 422)
		require.Equal(t, field, p.Errors[0].Location)
	}
	for _, nothing := range []any{object{"url": nil}, object{"event_kinds": nil}} {
		e.refused(e.do(call{method: "PATCH", path: path, key: e.acmeKey, body: nothing}), 422)
	}

	reader := e.key(e.acme, identity.ScopeWrite) // Where events go is for admins.
	for _, c := range []call{
		{path: path}, {path: pathHooks},
		{method: "POST", path: pathHooks, body: object{"url": "https://example.com"}}, {method: "PATCH", path: path, body: object{}},
		{method: "DELETE", path: path}, {method: "POST", path: path + "/rotate"}, {method: "POST", path: path + "/test"},
		{method: "POST", path: path + "/enable"}, {method: "POST", path: path + "/deliveries/" + made.ID + "/redeliver"},
	} {
		c.key = reader
		e.refused(e.do(c), 403)
	}
	require.Equal(t, 204, e.do(call{method: "DELETE", path: path, key: e.acmeKey}).status)
	e.refused(e.do(call{path: path, key: e.acmeKey}), 404)
}

func TestDeliveries(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	made := e.newHook("acme.localhost", e.acmeKey)
	path := pathHooks + "/" + made.ID
	for range 3 {
		a := e.do(call{method: "POST", path: path + "/test", key: e.acmeKey})
		require.Equal(t, 200, a.status, a.body)
		var d delivery
		require.NoError(t, jsonLoose(a.body, &d))
		require.Equal(t, "webhook.test", d.EventKind)
		require.Equal(t, "pending", d.State)
	}
	require.Len(t, e.jobs.args, 3)
	seen := map[string]bool{}
	next := ""
	for {
		a := e.do(call{path: path + "/deliveries?limit=2" + next, key: e.acmeKey})
		require.Equal(t, 200, a.status, a.body)
		var page list[delivery]
		require.NoError(t, jsonLoose(a.body, &page))
		for _, d := range page.Items {
			seen[d.EventID] = true
		}
		if page.Next == "" {
			break
		}
		require.Contains(t, a.header.Get("Link"), path+"/deliveries?cursor="+page.Next)
		next = "&cursor=" + page.Next
	}
	require.Len(t, seen, 3)
	for query, location := range map[string]string{
		"limit=101": "query.limit", "cursor=nonsense": "query.cursor", "limit=nonsense": "query.limit",
	} {
		p := e.refused(e.do(call{path: path + "/deliveries?" + query, key: e.acmeKey}), 422)
		require.Equal(t, location, p.Errors[0].Location)
	}
	for event := range seen {
		e.refused(e.do(call{method: "POST", path: path + "/deliveries/" + event + "/redeliver", key: e.acmeKey}), 409)
		_, err := e.engine.Tenant(e.acme.Engine()).Exec(t.Context(), `UPDATE webhook_deliveries SET state = 'failed', finished_at = now()`)
		require.NoError(t, err)
		require.Equal(t, 200, e.do(call{method: "POST", path: path + "/deliveries/" + event + "/redeliver", key: e.acmeKey}).status)
		break
	}
	for _, event := range []string{"nonsense", uuid.NewString()} {
		e.refused(e.do(call{method: "POST", path: path + "/deliveries/" + event + "/redeliver", key: e.acmeKey}), 404)
	}
}

// An id of another tenant's webhook is the id of nothing, and looks like one that never was.
func TestWebhooks_OfAnotherTenant(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	theirs := e.newHook("globex.localhost", e.globexKey)
	a := e.do(call{method: "POST", host: "globex.localhost", path: pathHooks + "/" + theirs.ID + "/test", key: e.globexKey})
	var d delivery
	require.NoError(t, jsonLoose(a.body, &d))
	path := pathHooks + "/" + theirs.ID
	for _, c := range []call{
		{path: path}, {method: "PATCH", path: path, body: object{"url": "https://example.com/mine"}}, {method: "DELETE", path: path},
		{method: "POST", path: path + "/rotate"}, {method: "POST", path: path + "/enable"}, {method: "POST", path: path + "/test"},
		{path: path + "/deliveries"}, {method: "POST", path: path + "/deliveries/" + d.EventID + "/redeliver"},
	} {
		c.key = e.acmeKey
		e.refused(e.do(c), 404)
	}
	var after hook
	e.do(call{host: "globex.localhost", path: path, key: e.globexKey}).into(t, &after)
	theirs.Secret = ""
	require.Equal(t, theirs, after)
}

// The event of a task has it as the API shows it.
func TestWebhooks_TaskAsShown(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	in := e.newProject("acme.localhost", e.acmeKey, "Office")
	a := e.do(call{method: "POST", path: "/api/v1/tasks", key: e.acmeKey, body: object{
		"project_id": in.ID, "title": "Boxes", "due_on": "2026-12-01",
	}})
	require.Equal(t, 201, a.status)
	var made task
	a.into(t, &made)
	stored, err := e.work.GetTask(t.Context(), e.engine.Tenant(e.acme.Engine()), uuid.MustParse(made.ID))
	require.NoError(t, err)
	told, err := json.Marshal(workspace.TaskEvent{Task: stored})
	require.NoError(t, err)
	require.JSONEq(t, `{"task":`+a.body+`}`, string(told))
}
