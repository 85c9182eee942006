package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/labstack/echo/v4"
)

const paramFields = "fields"

// chosenFields gives the fields that the caller wants of a thing, or of each thing of a list; nil for all. It takes the parameter away, which
// is no operation's own.
func (h *handler) chosenFields(c echo.Context, op *huma.Operation) (map[string]bool, error) {
	req := c.Request()
	query := req.URL.Query()
	values, sent := query[paramFields]
	known := h.fieldsOf(op)
	if !sent || known == nil {
		return nil, nil
	}
	chosen := map[string]bool{}
	for name := range strings.SplitSeq(strings.Join(values, ","), ",") {
		if _, ok := known[name]; !ok {
			p := newProblem(http.StatusUnprocessableEntity, invalidDetail)
			names := strings.Join(slices.Sorted(maps.Keys(known)), ", ")
			p.Errors = []FieldProblem{{Location: "query." + paramFields, Message: "Give some of these, separated by commas: " + names + "."}}
			return nil, p
		}
		chosen[name] = true
	}
	query.Del(paramFields)
	// A copy: the address that links are made of keeps the parameter.
	own := *req.URL
	own.RawQuery = query.Encode()
	clone := req.WithContext(req.Context())
	clone.URL = &own
	c.SetRequest(clone)
	return chosen, nil
}

// fieldsOf gives the fields that the answers of op have, or nil if they have none.
func (h *handler) fieldsOf(op *huma.Operation) map[string]*huma.Schema {
	response := op.Responses["200"]
	if response == nil || response.Content[mimeJSON] == nil {
		return nil
	}
	schemas := h.api.OpenAPI().Components.Schemas
	resolve := func(s *huma.Schema) *huma.Schema {
		if s != nil && s.Ref != "" {
			return schemas.SchemaFromRef(s.Ref)
		}
		return s
	}
	s := resolve(response.Content[mimeJSON].Schema)
	if s != nil && shapeOf(op).list && s.Properties["items"] != nil {
		s = resolve(s.Properties["items"].Items)
	}
	if s == nil {
		return nil
	}
	return s.Properties
}

// choose leaves of the answer only the chosen fields, of each item if it is a list.
func (r *recorded) choose(chosen map[string]bool, list bool) error {
	text := r.body.Bytes()
	if list {
		var page struct {
			Items []json.RawMessage `json:"items"`
			Next  string            `json:"next,omitempty"`
		}
		if err := json.Unmarshal(text, &page); err != nil {
			return err
		}
		for i, item := range page.Items {
			var err error
			if page.Items[i], err = only(item, chosen); err != nil {
				return err
			}
		}
		return r.replace(page)
	}
	thing, err := only(text, chosen)
	if err != nil {
		return err
	}
	return r.replace(thing)
}

func (r *recorded) replace(v any) error {
	r.body.Reset()
	enc := json.NewEncoder(&r.body)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// only gives the object with the chosen of its fields, in their order.
func only(object json.RawMessage, chosen map[string]bool) (json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(object))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("httpapi: choose fields: the answer is no object")
	}
	out := []byte{'{'}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err = dec.Decode(&value); err != nil {
			return nil, err
		}
		key, _ := name.(string)
		if !chosen[key] {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		quoted, err := json.Marshal(key)
		if err != nil {
			return nil, err
		}
		out = append(append(append(out, quoted...), ':'), value...)
	}
	return append(out, '}'), nil
}
