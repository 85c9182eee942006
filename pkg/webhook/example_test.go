package webhook_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
)

// Hooks receives webhooks. It is shown to customers in docs/webhooks.md.
type Hooks struct {
	hook *standardwebhooks.Webhook // standardwebhooks.NewWebhook("whsec_…")
	seen func(id string) bool      // remembers ids, for example in a table with a unique key
	todo func(kind string, data json.RawMessage) error
}

func (h Hooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 256<<10))
	if err != nil {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		return
	}
	if err = h.hook.Verify(body, r.Header); err != nil { // Signature, and that it is not older than five minutes.
		http.Error(w, "not ours", http.StatusUnauthorized)
		return
	}
	var event struct {
		Type string          `json:"type"`
		Data json.RawMessage `json:"data"`
	}
	if err = json.Unmarshal(body, &event); err != nil {
		http.Error(w, "no event", http.StatusBadRequest)
		return
	}
	if h.seen(r.Header.Get("webhook-id")) {
		return // 200: it arrived before.
	}
	if err = h.todo(event.Type, event.Data); err != nil { // Better: put it into a queue of your own, and answer at once.
		http.Error(w, "later", http.StatusInternalServerError)
	}
}

func Example() {
	hook, err := standardwebhooks.NewWebhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		fmt.Println(err)
		return
	}
	seen := map[string]bool{}
	hooks := Hooks{
		hook: hook,
		seen: func(id string) bool {
			before := seen[id]
			seen[id] = true
			return before
		},
		todo: func(kind string, data json.RawMessage) error {
			fmt.Println(kind, string(data))
			return nil
		},
	}
	const id, body = "0192f3a1-7f4e-7b9e-8d9a-2f6c5b1e4a77", `{"type":"task.created","timestamp":"2026-11-24T09:00:00Z","data":{"task":{}}}`
	now := time.Now()
	signature, _ := hook.Sign(id, now, []byte(body))
	for _, signed := range []string{signature, signature, "v1,forged"} {
		r := httptest.NewRequest(http.MethodPost, "/hooks", strings.NewReader(body))
		r.Header.Set("Webhook-Id", id)
		r.Header.Set("Webhook-Timestamp", fmt.Sprint(now.Unix()))
		r.Header.Set("Webhook-Signature", signed)
		w := httptest.NewRecorder()
		hooks.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// task.created {"task":{}}
	// 200
	// 200
	// 401
}

// What the customer is shown is what is compiled here.
func TestDocumentedReceiver(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/webhooks.md")
	require.NoError(t, err)
	own, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(page), "\n```go\n")
	require.True(t, found)
	code, _, found := strings.Cut(rest, "```\n")
	require.True(t, found)
	require.Contains(t, string(own), code)
	for _, kind := range []string{"task.created", "task.status_changed", "task.deleted", "webhook.test"} {
		require.Contains(t, string(page), "`"+kind+"`")
	}
}
