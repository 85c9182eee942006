package httpapi_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// `make generate` sets it.
var updateDocument = flag.Bool("update", false, "write docs/openapi.json and what the client is generated from anew")

// The description that is served stands in docs/openapi.json, where it can be read without a server, linted (make api-lint) and compared. The
// client in internal/client is generated from the same in the words of OpenAPI 3.0, which its generator understands; the hash says of which.
func TestOpenAPIFiles(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	var doc any
	require.NoError(t, json.Unmarshal([]byte(e.do(call{path: "/api/openapi.json"}).body), &doc))
	old := pretty(t, downgrade(doc))
	if *updateDocument {
		require.NoError(t, os.MkdirAll("../../bin", 0o700))
		require.NoError(t, os.WriteFile("../../bin/openapi-3.0.json", old, 0o600))
	}
	for path, want := range map[string][]byte{
		"../../docs/openapi.json": pretty(t, doc), "internal/client/openapi-3.0.sha256": fmt.Appendf(nil, "%x\n", sha256.Sum256(old)),
	} {
		if *updateDocument {
			require.NoError(t, os.WriteFile(path, want, 0o600))
		}
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got), "%s is not of what is served: run `make generate`", path)
	}
}

func pretty(t *testing.T, v any) []byte {
	t.Helper()
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	require.NoError(t, enc.Encode(v))
	return out.Bytes()
}

// downgrade gives the same in the words of OpenAPI 3.0: there, null is no type, and an example is one. Of the problems
// it has one per operation, so that the client is short.
func downgrade(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, value := range v {
			out[key] = downgrade(value)
		}
		if responses, ok := out["responses"].(map[string]any); ok && responses["default"] != nil {
			// All that goes wrong has one form.
			maps.DeleteFunc(responses, func(status string, _ any) bool { return status != "default" && status[0] != '2' })
		}
		if _, ok := out["openapi"].(string); ok {
			out["openapi"] = "3.0.3"
		}
		if types, ok := out["type"].([]any); ok {
			out["type"] = types[0]
			out["nullable"] = true
		}
		if examples, ok := out["examples"].([]any); ok {
			out["example"] = examples[0]
			delete(out, "examples")
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, value := range v {
			out[i] = downgrade(value)
		}
		return out
	}
	return v
}
