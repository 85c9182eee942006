package httpapi_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// one reports true one time in n.
func (f *fuzzer) one(n int) bool { return f.random.IntN(n) == 0 }

// id gives an id of a kind: mostly of here, also of another kind, of there, of nobody, or none at all.
func (f *fuzzer) id(kind string, here, there *house) string {
	from := here
	switch f.random.IntN(14) {
	case 0, 1:
		from = there
	case 2:
		return uuid.NewString()
	case 3:
		return pick(f.random, []string{
			"0", "x", "..", "%00", "%ff", "%2e%2e%2f", uuid.Nil.String(), uuid.Max.String(), "urn:uuid:" + uuid.NewString(),
			strings.ToUpper(uuid.NewString()), "'", "%27%3B--", strings.Repeat("9", 400), "%F0%9F%92%A9",
		})
	case 4:
		kind = pick(f.random, []string{"projects", "tasks", "labels", "comments", "webhooks", "members", "keys", "activity"})
	}
	if len(from.ids[kind]) == 0 {
		return uuid.NewString()
	}
	return pick(f.random, from.ids[kind])
}

// kindOf says what a field of that name is the id of.
func kindOf(field string) string {
	switch field {
	case "project_id":
		return "projects"
	case "assignee_id":
		return "members"
	case "label_id", "label_ids":
		return "labels"
	}
	return "tasks"
}

// junk gives text that nobody should send.
func (f *fuzzer) junk() string {
	return pick(f.random, []string{
		"", " ", "\x00", "\xff\xfe", "null", "-1", "0", "1e400", "9223372036854775808", "true", "[]", "{}", "'", `"`, `\`, "%", "_", "a\nb",
		"\u202e\ufeff",
		"\U0001F600", strings.Repeat("a", 300), strings.Repeat("é", 101), "0001-01-01", "9999-12-31", "10000-01-01", "-0001-01-01", "2026-02-30",
		"2026-11-24T09:00:00Z", "0000-00-00T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "1,2,,3", "id,title", "infinity", "NaN", "*", "todo,done",
		"-created", "'; DROP TABLE tasks; --", "../../etc/passwd", "<script>alert(1)</script>", "${jndi:x}", "%s%n",
		"a:b & c | !d", "((", "\u0000\u0002",
	})
}

// text gives words that bear the mark of here, or junk.
func (f *fuzzer) text(here *house) string {
	if f.one(4) {
		return f.junk()
	}
	return here.mark + pick(f.random, []string{"", " boxes", "\tand\nlines", " ünï", strings.Repeat(" long", 30), strings.Repeat("x", 5000)})
}

// target gives path and query.
func (f *fuzzer) target(op operation, here, there *house) string {
	kind := strings.Split(op.path, "/")[3]
	path := strings.NewReplacer("{id}", f.id(kind, here, there), "{event_id}", f.id("activity", here, there)).Replace(op.path)
	query := url.Values{}
	for _, p := range op.params {
		param, _ := p.(map[string]any)
		name, _ := param["name"].(string)
		required, _ := param["required"].(bool)
		if param["in"] != "query" || !f.one(3) && !required {
			continue
		}
		query.Add(name, f.param(name, f.resolve(param["schema"]), here, there))
		if f.one(30) {
			query.Add(name, f.junk())
		}
	}
	switch f.random.IntN(40) {
	case 0:
		query.Add("nonsense", f.junk())
	case 1:
		return path + "?" + pick(f.random, []string{"%zz", "&&&", "=", "limit=%", "a;b", "limit=+5", "cursor=%00", "q=%ff", "fields[]=id"})
	case 2:
		path += pick(f.random, []string{"/", "//", "/x", "%2f", ".json"})
	}
	if len(query) == 0 {
		return path
	}
	return path + "?" + query.Encode()
}

func (f *fuzzer) param(name string, schema map[string]any, here, there *house) string {
	switch {
	case f.one(5):
		return f.junk()
	case name == "cursor" && len(here.values)+len(there.values) > 0:
		return f.value(here, there)
	case name == "fields":
		return pick(f.random, []string{"id", "id,title", "name", "created_at,id", "id,id"})
	case name == "limit" || name == "days":
		return pick(f.random, []string{"1", "2", "50", "100"})
	}
	switch v := f.make(name, schema, here, there, 0).(type) {
	case string:
		return v
	case []any:
		var parts []string
		for _, part := range v {
			text, _ := json.Marshal(part) //nolint:errchkjson // It was made here.
			parts = append(parts, strings.Trim(string(text), `"`))
		}
		return strings.Join(parts, ",")
	default:
		text, _ := json.Marshal(v) //nolint:errchkjson // It was made here.
		return string(text)
	}
}

// value gives a cursor or tag that was seen, or one bent.
func (f *fuzzer) value(here, there *house) string {
	v := "AAAA"
	if all := slices.Concat(here.values, there.values); len(all) > 0 {
		v = pick(f.random, all)
	}
	if f.one(4) && len(v) > 3 {
		at := f.random.IntN(len(v))
		v = v[:at] + pick(f.random, []string{"", "A", "_", "=", "\"", "%"}) + v[at+1:]
	}
	return v
}

func (f *fuzzer) header(h http.Header, here, there *house, kind string) {
	callers := here.headers
	if f.one(15) {
		callers = there.headers // Worth nothing here.
	}
	maps.Copy(h, pick(f.random, callers))
	if f.one(60) {
		h.Set("Authorization", f.junk())
	}
	h.Set("Content-Type", kind)
	if f.one(30) {
		h.Set("Content-Type", pick(f.random, []string{
			"", "text/plain", "application/json; charset=latin1", "multipart/form-data", "application/xml", f.junk(),
		}))
	}
	for _, odd := range []struct{ name, value string }{
		{"If-Match", f.value(here, there)}, {"If-None-Match", f.value(here, there)}, {"If-Match", "*"},
		{"Idempotency-Key", pick(f.random, []string{"a", "b", "c", f.junk()})},
		{"Range", pick(f.random, []string{"bytes=0-1", "bytes=9-", "bytes=-1", f.junk()})}, {"Accept", f.junk()},
		{"Origin", f.junk()}, {"Content-Encoding", "gzip"}, {"Expect", "100-continue"},
		{"X-Tenant", there.tenant.Slug}, {"X-Forwarded-Host", there.host}, {"Cookie", "session=" + f.junk()},
		{"If-Modified-Since", f.junk()},
	} {
		if f.one(12) {
			h.Add(odd.name, odd.value)
		}
	}
}

// body gives a body and what it is to be declared as.
func (f *fuzzer) body(op operation, here, there *house) ([]byte, string) {
	if op.body == nil {
		if f.one(20) {
			return []byte(f.junk()), "application/json"
		}
		return nil, "application/json"
	}
	media, isJSON := op.body["application/json"].(map[string]any)
	if !isJSON {
		kind := "text/plain"
		if op.body["text/csv"] != nil {
			kind = "text/csv"
		}
		return []byte(pick(f.random, []string{
			"title\n" + here.mark + "\n", "title,status,priority,due_on\n" + here.mark + ",done,3,2026-12-01\n\"", "title,title\n", here.mark,
			f.junk(), "\x89PNG\r\n\x1a\n",
			strings.Repeat("title,", 3000), strings.Repeat("x", 70<<10), "title\n" + strings.Repeat(here.mark+"\n", 300),
		})), kind
	}
	switch f.random.IntN(30) {
	case 0:
		return []byte(f.junk()), "application/json"
	case 1:
		return []byte(pick(f.random, []string{
			"{", "[", `{"name":`, "nul", `{"name":"\ud800"}`, "{\"name\":\"\xff\"}", `{"a":1}{"b":2}`, strings.Repeat("[", 20000),
			strings.Repeat(`{"a":`, 5000),
			`{"name":"` + strings.Repeat("y", 70<<10) + `"}`, `{"items":[` + strings.Repeat(`{"delete":true},`, 200) + `{}]}`, `{"priority":1e999}`,
			`{"name":"x","name":1}`,
		})), "application/json"
	}
	value := f.make("", f.resolve(media["schema"]), here, there, 0)
	if f.one(25) {
		value = pick(f.random, []any{nil, 1, "x", []any{}, []any{value}, true, map[string]any{"nonsense": value}})
	}
	text, err := json.Marshal(value)
	if err != nil {
		f.t.Fatal(err)
	}
	return text, pick(f.random, []string{"application/json", "application/json", "application/merge-patch+json", "application/json; charset=utf-8"})
}

// resolve follows a reference.
func (f *fuzzer) resolve(v any) map[string]any {
	schema, _ := v.(map[string]any)
	if ref, ok := schema["$ref"].(string); ok {
		schema, _ = f.schemas[strings.TrimPrefix(ref, "#/components/schemas/")].(map[string]any)
	}
	return schema
}

// make gives a value of the schema, or one that is none in a place or two.
func (f *fuzzer) make(name string, schema map[string]any, here, there *house, depth int) any {
	if f.one(25) || depth > 6 {
		return pick(f.random, []any{nil, f.junk(), -1, 1 << 40, 1.5, true, []any{nil}, map[string]any{}, f.id("tasks", here, there)})
	}
	if options, ok := schema["enum"].([]any); ok {
		return pick(f.random, options)
	}
	kind, _ := schema["type"].(string)
	if kinds, ok := schema["type"].([]any); ok {
		if f.one(4) {
			return nil
		}
		kind, _ = kinds[0].(string)
	}
	switch kind {
	case "object":
		return f.object(schema, here, there, depth)
	case "array":
		out := []any{}
		for range f.random.IntN(4) {
			out = append(out, f.make(name, f.resolve(schema["items"]), here, there, depth+1))
		}
		return out
	case "integer", "number":
		return f.random.IntN(5)
	case "boolean":
		return f.one(2)
	}
	switch schema["format"] {
	case "uuid":
		return f.id(kindOf(name), here, there)
	case "date":
		return pick(f.random, []string{"2026-12-01", "2027-01-01", "0001-01-01", "9999-12-31"})
	case "date-time":
		return pick(f.random, []string{"2026-11-24T09:00:00Z", "2099-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"})
	}
	if pattern, _ := schema["pattern"].(string); strings.HasPrefix(pattern, "^#") {
		return "#1e90ff"
	}
	return f.text(here)
}

func (f *fuzzer) object(schema map[string]any, here, there *house, depth int) any {
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	out := map[string]any{}
	names := make([]string, 0, len(properties))
	for name := range properties {
		names = append(names, name)
	}
	slices.Sort(names) // The same seed gives the same object.
	for _, name := range names {
		if !slices.Contains(required, any(name)) && f.one(2) || f.one(40) {
			continue
		}
		value := f.make(name, f.resolve(properties[name]), here, there, depth+1)
		switch {
		case name == "label_ids":
			if ids, ok := value.([]any); ok {
				for i := range ids {
					ids[i] = f.id("labels", here, there)
				}
			}
		case name == "url" && f.one(2):
			value = "https://" + here.mark + ".example.com/x"
		case name == "time_zone":
			value = pick(f.random, []string{"UTC", "Europe/Berlin", "Mars/Olympus", ""})
		}
		out[name] = value
	}
	if f.one(25) {
		out["nonsense"] = f.junk()
	}
	return out
}
