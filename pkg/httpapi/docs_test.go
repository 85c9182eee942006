package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestDocsPage(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	home := e.do(call{path: "/"})
	require.Equal(t, 302, home.status)
	require.Equal(t, "/api/docs", home.header.Get("Location"))
	slash := e.do(call{path: "/api/docs/"})
	require.Equal(t, 302, slash.status)
	require.Equal(t, "/api/docs", slash.header.Get("Location"))

	page := e.do(call{path: "/api/docs"})
	require.Equal(t, 200, page.status)
	require.Equal(t, "text/html; charset=utf-8", page.header.Get("Content-Type"))
	policy := page.header.Get("Content-Security-Policy")
	require.Contains(t, policy, "script-src 'self'")
	require.NotContains(t, policy, "http")
	require.NotRegexp(t, `<script>|<style|\son[a-z]+=|style=`, page.body, "the policy would block it")
	links := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page.body, -1)
	require.Len(t, links, 5)
	for _, link := range links {
		require.True(t, strings.HasPrefix(link[1], "/api/"), "%s is not ours", link[1])
		plain := e.do(call{path: link[1]})
		require.Equal(t, 200, plain.status, link[1])
		require.NotEmpty(t, plain.body)
		require.Empty(t, plain.header.Get("Content-Encoding"))
		zipped := e.do(call{path: link[1], header: http.Header{"Accept-Encoding": {"gzip, br"}}})
		require.Equal(t, 200, zipped.status)
		require.Equal(t, plain.header.Get("Content-Type"), zipped.header.Get("Content-Type"))
		if zipped.header.Get("Content-Encoding") == "gzip" {
			require.Less(t, len(zipped.body), len(plain.body))
			require.Equal(t, "Accept-Encoding", zipped.header.Get("Vary"))
		}
	}
}

// TestOpenAPI checks the document against what OpenAPI 3.1 asks for, and that each operation in it answers.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	a := e.do(call{path: "/api/openapi.json"})
	require.Equal(t, 200, a.status)
	var doc struct {
		OpenAPI string `json:"openapi"`
		Info    struct {
			Title   string `json:"title"`
			Version string `json:"version"`
		} `json:"info"`
		Servers []struct {
			URL string `json:"url"`
		} `json:"servers"`
		Paths map[string]map[string]struct {
			OperationID string                `json:"operationId"`
			Security    []map[string][]string `json:"security"`
			Parameters  []struct {
				Name     string         `json:"name"`
				In       string         `json:"in"`
				Required bool           `json:"required"`
				Schema   map[string]any `json:"schema"`
			} `json:"parameters"`
			RequestBody *struct {
				Required bool           `json:"required"`
				Content  map[string]any `json:"content"`
			} `json:"requestBody"`
			Responses map[string]struct {
				Description string `json:"description"`
				Headers     map[string]struct {
					Description string `json:"description"`
				} `json:"headers"`
				Content map[string]struct {
					Schema  map[string]any `json:"schema"`
					Example map[string]any `json:"example"`
				} `json:"content"`
			} `json:"responses"`
		} `json:"paths"`
		Components struct {
			Schemas         map[string]map[string]any `json:"schemas"`
			SecuritySchemes map[string]struct {
				Type   string `json:"type"`
				Scheme string `json:"scheme"`
			} `json:"securitySchemes"`
		} `json:"components"`
	}
	require.NoError(t, json.Unmarshal([]byte(a.body), &doc))
	require.Regexp(t, `^3\.1\.\d+$`, doc.OpenAPI)
	require.NotEmpty(t, doc.Info.Title)
	require.NotEmpty(t, doc.Info.Version)
	require.Equal(t, "/", doc.Servers[0].URL)
	require.Equal(t, "bearer", doc.Components.SecuritySchemes["key"].Scheme)
	require.Equal(t, "http", doc.Components.SecuritySchemes["key"].Type)

	for _, ref := range regexp.MustCompile(`"\$ref":"([^"]+)"`).FindAllStringSubmatch(a.body, -1) {
		name, ok := strings.CutPrefix(ref[1], "#/components/schemas/")
		require.True(t, ok, ref[1])
		require.Contains(t, doc.Components.Schemas, name)
		require.Regexp(t, `^[a-zA-Z0-9._-]+$`, name)
	}
	var names []string
	for name := range doc.Components.Schemas {
		names = append(names, name)
	}
	require.ElementsMatch(t, []string{
		"Activity", "ActivityData", "Attachment", "ChangedTasks", "Comment", "CommentPatch", "DayActivity", "Delivery",
		"FieldProblem", "Found", "Import", "ImportError", "Invitation", "ListOfInvitation", "NewInvitation",
		"Key", "KeyMade", "Label", "LabelPatch", "ListOfComment", "ListOfFound", "ListOfKey", "ListOfLabel", "ListOfMember", "Me", "Member",
		"MemberPatch", "NewComment", "NewKey", "NewLabel", "TaskChange", "TaskChanges", "Usage", "ListOfActivity", "ListOfAttachment",
		"ListOfDelivery", "ListOfImport",
		"ListOfProject", "ListOfReport", "ListOfTask", "ListOfWebhook", "NewProject", "NewReport", "NewTask", "NewWebhook", "Problem", "Project",
		"ProjectPatch", "Report", "ReportRequested", "Task", "TaskPatch", "Webhook", "WebhookPatch",
	}, names)
	require.Equal(t, []any{"string", "null"}, property(doc.Components.Schemas["TaskPatch"], "due_on")["type"])
	require.Equal(t, "date", property(doc.Components.Schemas["TaskPatch"], "due_on")["format"])
	require.Equal(t, "string", property(doc.Components.Schemas["TaskPatch"], "title")["type"])
	require.NotContains(t, doc.Components.Schemas["TaskPatch"], "required")
	require.Equal(t, []any{"string", "null"}, property(doc.Components.Schemas["Task"], "assignee_id")["type"])
	for name, schema := range doc.Components.Schemas {
		if strings.HasPrefix(name, "New") || strings.HasSuffix(name, "Patch") || strings.HasPrefix(name, "TaskChange") {
			require.Equal(t, false, schema["additionalProperties"], "%s: an unknown field is refused", name)
		} else {
			require.NotContains(t, schema, "additionalProperties", "%s may get more fields", name)
		}
	}

	ids := map[string]bool{}
	operations := 0
	for path, methods := range doc.Paths {
		for method, op := range methods {
			operations++
			where := method + " " + path
			require.NotEmpty(t, op.OperationID, where)
			require.False(t, ids[op.OperationID], "%s: operation ids are unique", where)
			ids[op.OperationID] = true
			require.Equal(t, []map[string][]string{{"key": {}}, {"session": {}}}, op.Security, where)
			for _, p := range op.Parameters {
				require.Contains(t, []string{"path", "query", "header"}, p.In, where)
				require.NotEmpty(t, p.Schema["type"], "%s: %s", where, p.Name)
				if p.In == "path" {
					require.True(t, p.Required, where)
					require.Contains(t, path, "{"+p.Name+"}", where)
				}
			}
			for _, status := range []string{"401", "403", "422", "503", "default"} {
				require.Contains(t, op.Responses, status, where)
			}
			for status, response := range op.Responses {
				require.NotEmpty(t, response.Description, "%s %s", where, status)
				if strings.HasPrefix(status, "2") {
					require.NotContains(t, response.Content, "application/problem+json", "%s %s", where, status)
					continue
				}
				if status == "304" {
					require.Empty(t, response.Content, where)
					continue
				}
				// An error has one form and no other.
				require.Len(t, response.Content, 1, "%s %s", where, status)
				shown := response.Content["application/problem+json"]
				require.Equal(t, "#/components/schemas/Problem", shown.Schema["$ref"], "%s %s", where, status)
				if status != "default" {
					require.Equal(t, status, fmt.Sprint(shown.Example["status"]), where)
				}
				for _, field := range []string{"type", "title", "detail", "request_id"} {
					require.NotEmpty(t, shown.Example[field], "%s %s: %s", where, status, field)
				}
			}
			action := slices.Contains([]string{"rotate", "enable", "test", "redeliver", "resend"}, path[strings.LastIndexByte(path, '/')+1:])
			require.Equal(t, method == "post" && !action || method == "patch", op.RequestBody != nil, where)
			require.Equal(t, op.RequestBody != nil, op.Responses["400"].Description != "", where)

			// Without a key each of them is there and closed; with one, the router finds a handler.
			address := strings.NewReplacer("{id}", uuid.NewString(), "{event_id}", uuid.NewString()).Replace(path)
			verb := strings.ToUpper(method)
			closed := e.refused(e.do(call{method: verb, path: address}), 401)
			require.Equal(t, op.Responses["401"].Content["application/problem+json"].Example["detail"], closed.Detail)
			want := map[string]int{"get": 200, "post": 422, "patch": 404, "delete": 404}[method]
			if strings.Contains(path, "{id}") {
				want = 404
			} else if path == "/api/v1/search" {
				want = 422 // It wants words.
			}
			var body any
			if op.RequestBody != nil {
				body = object{}
			}
			if strings.Contains(path, "comments") && op.RequestBody != nil {
				body = object{"body": "x"}
			}
			header := http.Header{}
			if op.RequestBody != nil && op.RequestBody.Content["text/csv"] != nil {
				body, header = "title\n", http.Header{"Content-Type": {"text/csv"}}
			}
			if op.RequestBody != nil && op.RequestBody.Content["application/octet-stream"] != nil {
				address, body, header = address+"?name=a.txt", "text", http.Header{"Content-Type": {"text/plain"}}
			}
			got := e.do(call{method: verb, path: address, key: e.acmeKey, body: body, header: header})
			require.Equal(t, want, got.status, "%s: %s", where, got.body)
			require.NotContains(t, got.body, "There is nothing at this address", where)
		}
	}
	require.Equal(t, 62, operations)

	require.Contains(t, doc.Paths["/api/v1/reports/{id}/csv"]["get"].Responses["200"].Content, "text/csv")
	require.Contains(t, doc.Paths["/api/v1/reports/{id}/html"]["get"].Responses["200"].Content, "text/html")
	require.Contains(t, doc.Paths["/api/v1/projects/{id}/imports"]["post"].Responses, "202")
	activity := doc.Paths["/api/v1/activity"]["get"]
	require.Equal(t, "list-activity", activity.OperationID)
	var parameters []string
	for _, p := range activity.Parameters {
		parameters = append(parameters, p.Name)
	}
	require.ElementsMatch(t, []string{"fields", "limit", "cursor", "project_id", "subject_id"}, parameters)
	require.Equal(t, "#/components/schemas/ListOfActivity", activity.Responses["200"].Content["application/json"].Schema["$ref"])
	require.NotEmpty(t, activity.Responses["200"].Headers["Link"].Description)
}

func property(schema map[string]any, name string) map[string]any {
	properties, _ := schema["properties"].(map[string]any)
	p, _ := properties[name].(map[string]any)
	return p
}
