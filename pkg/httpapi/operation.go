package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humaecho"
	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

const schemaRoot = "#/components/schemas/"

const apiDescription = `Each customer works on its own subdomain, and its API keys work there only.

- Send a key as ` + "`Authorization: Bearer rh_…`" + `. Its scopes are read, write and admin; each includes those before it.
- Errors are problem details (RFC 9457): 400 for a body that cannot be read, 422 for one that is wrong, with each field named.
- Lists come in pages, newest first: follow the header Link, or send the field next as the parameter cursor.
- PATCH is a merge patch (RFC 7396): what is absent stays, null empties a field that may be empty.
- GET takes fields=id,title for less. One thing comes with an ETag: send it as If-None-Match to be told that nothing has changed (304), or as
  If-Match with PATCH and DELETE to change only what you have seen (412 otherwise).
- POST takes an Idempotency-Key: sent again within a day, it is answered as the first time and nothing is done twice.`

// newAPI makes the huma API on e. It has none of huma's own pages: those load scripts from elsewhere and are built on first use.
func (h *handler) newAPI(e *echo.Echo) huma.API {
	api := humaecho.New(e, huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info:    h.info(),
			Servers: []*huma.Server{{URL: "/", Description: "The workspace whose host served this document."}},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry(schemaRoot, schemaName),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"key": {Type: "http", Scheme: "bearer", BearerFormat: "rh_…", Description: "An API key of this workspace."},
					"session": {
						Type: "apiKey", In: "cookie", Name: "__Host-session",
						Description: "Of who is signed in. Over plain http it is called session.",
					},
				},
			},
		},
		// By "json" huma finds the format of application/problem+json.
		Formats:       map[string]huma.Format{mimeJSON: huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		DefaultFormat: mimeJSON,
		Transformers:  []huma.Transformer{fromHuma},
	})
	api.UseMiddleware(h.authenticate, h.readBody, h.represent)
	return api
}

// schemaName names the schemas by what they show, not by how this package calls it.
func schemaName(t reflect.Type, hint string) string {
	return strings.ReplaceAll(huma.DefaultSchemaNamer(t, hint), "View", "")
}

// document gives the finished OpenAPI document. Call it after all operations have been registered.
func document(api huma.API) ([]byte, error) {
	// huma registers its own error type with every operation. No answer has it: fromHuma rewrites them all.
	schemas := api.OpenAPI().Components.Schemas.Map()
	delete(schemas, "ErrorModel")
	delete(schemas, "ErrorDetail")
	closed := map[string]bool{}
	for _, item := range api.OpenAPI().Paths {
		for _, op := range []*huma.Operation{item.Post, item.Patch} {
			if op != nil && op.RequestBody != nil && op.RequestBody.Content[mimeJSON] != nil {
				closeRefs(op.RequestBody.Content[mimeJSON].Schema, schemas, closed)
			}
		}
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Patch, item.Delete} {
			describeHeaders(op)
			describeTags(op, item.Get)
		}
	}
	for name, schema := range schemas {
		if !closed[schemaRoot+name] {
			schema.AdditionalProperties = nil // A request with an unknown field is refused; an answer may get new ones.
		}
	}
	doc, err := json.Marshal(api.OpenAPI())
	if err != nil {
		return nil, fmt.Errorf("httpapi: make the OpenAPI document: %w", err)
	}
	return doc, nil
}

// closeRefs notes the schemas that s is made of.
func closeRefs(s *huma.Schema, schemas map[string]*huma.Schema, closed map[string]bool) {
	if s == nil || s.Ref != "" && closed[s.Ref] {
		return
	}
	if s.Ref != "" {
		closed[s.Ref] = true
		closeRefs(schemas[strings.TrimPrefix(s.Ref, schemaRoot)], schemas, closed)
		return
	}
	closeRefs(s.Items, schemas, closed)
	for _, property := range s.Properties {
		closeRefs(property, schemas, closed)
	}
}

// describeHeaders puts the description of each header where readers look for it. huma has it in the header's schema only.
func describeHeaders(op *huma.Operation) {
	if op == nil {
		return
	}
	for _, response := range op.Responses {
		for _, header := range response.Headers {
			header.Description, header.Schema.Description = header.Schema.Description, ""
		}
	}
}

// exampleDetail gives what a problem of the given status may say.
func exampleDetail(status int) string {
	switch status {
	case http.StatusBadRequest:
		return malformedDetail
	case http.StatusUnauthorized:
		return "The API key is missing or not valid here. Send one of this site's keys: Authorization: Bearer rh_…"
	case http.StatusForbidden:
		return forbiddenDetail(identity.ActionWrite)
	case http.StatusNotFound:
		return "There is no such project."
	case http.StatusConflict:
		return "The webhook is disabled. Enable it first."
	case http.StatusPreconditionFailed:
		return staleDetail
	case http.StatusRequestEntityTooLarge:
		return tooLargeDetail(1 << 20)
	case http.StatusUnsupportedMediaType:
		return notJSONDetail
	case http.StatusUnprocessableEntity:
		return invalidDetail
	case http.StatusTooManyRequests:
		return tooManyDetail
	case http.StatusServiceUnavailable:
		return busyDetail
	}
	return internalDetail
}

const exampleRequestID = "0192f3a1-7f4e-7b9e-8d9a-2f6c5b1e4a77"

// resource describes the operations on one kind of thing.
type resource struct {
	api huma.API
	tag string
}

// op describes an operation. Its id is made of verb and tag.
func (r resource) op(method, path, verb, summary string, action identity.Action) huma.Operation {
	op := huma.Operation{
		Method: method, Path: path, Tags: []string{r.tag}, Summary: summary,
		OperationID: verb + "-" + strings.ToLower(r.tag),
		Description: describeAction(action),
		Security:    []map[string][]string{{"key": {}}, {"session": {}}},
		// readBody has bounded the body and read it, so huma shall neither limit it again nor touch the deadlines of the connection.
		MaxBodyBytes: -1, BodyReadTimeout: -1,
		Responses: map[string]*huma.Response{},
		Metadata:  map[string]any{metaShape: shape{list: verb == "list"}, metaAction: action},
	}
	statuses := []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity, http.StatusTooManyRequests,
		http.StatusServiceUnavailable}
	body := []int{http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType}
	switch method {
	case http.MethodPost:
		op.DefaultStatus = http.StatusCreated
		statuses = append(append(statuses, body...), http.StatusConflict)
	case http.MethodPatch:
		statuses = append(append(statuses, body...), http.StatusPreconditionFailed)
	case http.MethodDelete:
		statuses = append(statuses, http.StatusPreconditionFailed)
	}
	op.Parameters = edgeParams(method, verb == "list")
	if strings.Contains(path, "{id}") {
		// An id that is no id names nothing: 404 by ByID.id, where huma would say 422. What else such a path has, its feature checks.
		op.SkipValidateParams = true
		statuses = append(statuses, http.StatusNotFound)
	} else {
		// A misspelt filter must not list everything.
		op.RejectUnknownQueryParameters = true
	}
	schema := r.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")
	for _, status := range statuses {
		_, title := kindOf(status)
		op.Responses[strconv.Itoa(status)] = problemResponse(title, status, schema)
	}
	op.Responses["default"] = problemResponse("Any other problem", http.StatusInternalServerError, schema)
	return op
}

// describeAction says who may do an operation.
func describeAction(action identity.Action) string {
	var roles, scopes []string
	for _, role := range identity.Roles() {
		if (identity.Principal{UserID: uuid.Max, Role: role}).May(action) {
			roles = append(roles, string(role))
		}
	}
	for _, scope := range identity.KeyScopes() {
		if (identity.Principal{Scopes: []string{scope}}).May(action) {
			scopes = append(scopes, scope)
		}
	}
	text := "For people with the role " + strings.Join(roles, ", ")
	if len(scopes) > 0 {
		text += ", and for keys with the scope " + strings.Join(scopes, ", ")
	}
	return text + "."
}

// accepted makes op one that is answered before the work is done.
func accepted(op huma.Operation) huma.Operation {
	op.DefaultStatus = http.StatusAccepted
	return op
}

// takingCSV shows, for an operation that reads a table, what is said to another type.
func takingCSV(op huma.Operation) huma.Operation {
	exemplify(op, http.StatusUnsupportedMediaType, notCSVDetail)
	return op
}

// takingFile makes op one whose body is a file of any type, which is read as it comes: see readBody.
func takingFile(op huma.Operation) huma.Operation {
	exemplify(op, http.StatusUnsupportedMediaType, notPlainDetail)
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		mimeFile: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
	}}
	return op
}

// exemplify gives op's answer of that status another example.
func exemplify(op huma.Operation, status int, detail string) {
	for _, shown := range op.Responses[strconv.Itoa(status)].Content {
		example := newProblem(status, detail)
		example.RequestID = exampleRequestID
		shown.Example = example
	}
}

// streaming makes op one whose answer is not held in memory.
func streaming(op huma.Operation) huma.Operation {
	op.Metadata[metaShape] = shape{streams: true}
	op.Parameters = nil
	return op
}

// file makes op one that is answered with a file of one of the types.
func file(op huma.Operation, contentTypes ...string) huma.Operation {
	content := map[string]*huma.MediaType{}
	for _, contentType := range contentTypes {
		content[contentType] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	}
	op.Responses["200"] = &huma.Response{Description: "The file.", Content: content}
	op.Parameters = nil
	return op
}

// action describes an operation that does something to a thing and needs no body.
func (r resource) action(path, verb, summary string, action identity.Action) huma.Operation {
	op := r.op(http.MethodPost, path, verb, summary, action)
	op.DefaultStatus = http.StatusOK
	for _, status := range []int{http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType} {
		delete(op.Responses, strconv.Itoa(status)) // They are about bodies.
	}
	return op
}

// problemResponse describes the answer to what goes wrong. Its example is a problem of the given status.
func problemResponse(title string, status int, schema *huma.Schema) *huma.Response {
	example := newProblem(status, exampleDetail(status))
	example.RequestID = exampleRequestID
	if status == http.StatusUnprocessableEntity {
		example.Errors = []FieldProblem{{Location: "query.limit", Message: "expected number <= 100"}}
	}
	return &huma.Response{
		Description: title + ".",
		Content:     map[string]*huma.MediaType{mimeProblem: {Schema: schema, Example: example}},
	}
}

// inTenant makes a huma handler of a function that is given its tenant's scope, and shows its errors as problems.
func inTenant[I, O any](fn func(context.Context, tenantschema.Scope, *I) (*O, error)) func(context.Context, *I) (*O, error) {
	return func(ctx context.Context, in *I) (*O, error) {
		out, err := fn(ctx, requestFrom(ctx).scope, in)
		if err != nil {
			return nil, problemOf(ctx, err)
		}
		return out, nil
	}
}

// ByID is the parameter of every address of one thing.
type ByID struct {
	ID string `path:"id" format:"uuid" doc:"The id of the thing."`
}

// id reads the id. What cannot be an id is the id of nothing.
func (p ByID) id(thing string) (uuid.UUID, error) {
	id, err := uuid.Parse(p.ID)
	if err != nil || len(p.ID) != len(id.String()) { // uuid.Parse knows forms, such as urn:uuid:…, that would be second addresses.
		return uuid.UUID{}, apperr.New(apperr.NotFound, "There is no such %s.", thing)
	}
	return id, nil
}

// info says what the API is. The license is that of the description of the product that ships; another product's is its own matter.
func (h *handler) info() *huma.Info {
	info := &huma.Info{Title: h.cfg.Title, Version: h.cfg.Version, Description: apiDescription}
	if h.cfg.Workspace != nil {
		info.License = &huma.License{Name: "Apache License 2.0", Identifier: "Apache-2.0"}
	}
	return info
}
