package httpapi

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// edgeParams are the parameters that all operations of a method have: the edge itself obeys them, see represent.
func edgeParams(method string, list bool) []*huma.Param {
	text := func(most int) *huma.Schema { return &huma.Schema{Type: huma.TypeString, MaxLength: &most} }
	const longest = 1000
	fields := &huma.Param{
		Name: paramFields, In: "query", Schema: text(longest), Example: "id,created_at",
		Description: "Only these fields of each thing, separated by commas. All if absent.",
	}
	switch method {
	case http.MethodGet:
		if list {
			return []*huma.Param{fields}
		}
		return []*huma.Param{fields, {
			Name: "If-None-Match", In: "header", Schema: text(longest),
			Description: "The ETag of what you have: the answer is 304 if it is still so.",
		}}
	case http.MethodPost:
		return []*huma.Param{{
			Name: headerKey, In: "header", Schema: text(maxKey), Example: "0192f3a1-7f4e-7b9e-8d9a-2f6c5b1e4a77",
			Description: "A key of your choice, 1 to 255 visible ASCII characters. The same request with the same key is done once: sent again " +
				"within a day it is answered as before, with the header Idempotency-Replayed. Another request with the key is 422.",
		}}
	case http.MethodPatch, http.MethodDelete, http.MethodPut:
		return []*huma.Param{{
			Name: "If-Match", In: "header", Schema: text(longest),
			Description: "The ETag of the thing as you know it: nothing is changed, and the answer is 412, if it is another one now.",
		}}
	}
	return nil
}

// describeTags shows where answers bear an entity tag. get is what reads the address of op.
func describeTags(op, get *huma.Operation) {
	if op == nil || get == nil || shapeOf(get).list || shapeOf(get).streams {
		return
	}
	answer := op.Responses["200"]
	if answer == nil || answer.Content[mimeJSON] == nil || op.Method != http.MethodGet && op.Method != http.MethodPatch {
		return
	}
	if answer.Headers == nil {
		answer.Headers = map[string]*huma.Param{}
	}
	answer.Headers["ETag"] = &huma.Param{
		Description: "Changes when the thing does. For If-None-Match and If-Match.", Schema: &huma.Schema{Type: huma.TypeString},
	}
	if op.Method == http.MethodGet {
		op.Responses["304"] = &huma.Response{Description: "It is as the ETag in If-None-Match says."}
	}
}
