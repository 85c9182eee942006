package web

import (
	"errors"
	"fmt"
	"html/template"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/pkg/workspace"
)

// functions are what templates may call.
func functions(a *assets) template.FuncMap {
	return template.FuncMap{
		"asset":    a.path,
		"dict":     dict,
		"initials": initials,
		"status":   statusName,
		"priority": priorityName,
		"date":     func(d workspace.Date) string { return shortDate(d.String()) },
		"stamp":    func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"contains": slices.Contains[[]uuid.UUID],
		"pictured": func(contentType string) bool { return strings.HasPrefix(contentType, "image/") },
		"extension": func(name string) string {
			return strings.ToUpper(strings.TrimPrefix(path.Ext(name[max(0, len(name)-5):]), "."))
		},
		"dateValue": func(d *workspace.Date) string {
			if d == nil {
				return ""
			}
			return d.String()
		},
		"size":        byteSize,
		"day":         func(t time.Time) string { return t.UTC().Format("2 Jan 2006") },
		"moment":      func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") },
		"browserName": browserName,
	}
}

// shortDate gives a date like 2026-11-24 as people read it.
func shortDate(text string) string {
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return text
	}
	return day.Format("2 Jan 2006")
}

// dict makes a map of names and values in turn, for templates that want several things.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, errors.New("dict wants names and values in turn")
	}
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: %v is no name", pairs[i])
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}

// initials gives one or two letters that stand for a name.
func initials(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) })
	if len(words) == 0 {
		return "?"
	}
	out := firstLetter(words[0])
	if len(words) > 1 {
		out += firstLetter(words[len(words)-1])
	}
	return out
}

func firstLetter(word string) string {
	r, _ := utf8.DecodeRuneInString(word)
	return strings.ToUpper(string(r))
}

// byteSize gives a number of bytes as people read it.
func byteSize(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, names := float64(n)/unit, []string{"KiB", "MiB", "GiB", "TiB"}
	i := 0
	for ; value >= unit && i < len(names)-1; i++ {
		value /= unit
	}
	return fmt.Sprintf("%.1f %s", value, names[i])
}
