package config

import (
	"fmt"
	"strings"
)

// Error is all that is wrong with a configuration.
type Error struct {
	Problems []Problem
}

// Error gives one line for one problem, and a list for more.
func (e *Error) Error() string {
	if len(e.Problems) == 1 {
		return "configuration: " + e.Problems[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "configuration: %d problems", len(e.Problems))
	for _, p := range e.Problems {
		b.WriteString("\n  " + p.String())
	}
	return b.String()
}

// Problem is one thing that is wrong, in words for whoever wrote the configuration.
type Problem struct {
	// Key is the key, or for what is none the name as it was written. Empty if the whole file is wrong.
	Key string `json:"key"`
	// Value is the refused value, redacted if it is secret. Empty for what is no key, because it may be a secret under a misspelt name.
	Value string `json:"value"`
	// Source is where the value came from.
	Source Source `json:"source"`
	// Message says what would be right. It follows the key as a sentence: "must be …".
	Message string `json:"message"`
}

// String gives the problem in one line.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.Key)
	if p.Value != "" {
		fmt.Fprintf(&b, " %q", p.Value)
	}
	if source := p.Source.String(); source != "" && p.Key == "" {
		b.WriteString(source)
	} else if source != "" {
		b.WriteString(" (" + source + ")")
	}
	return b.String() + ": " + p.Message
}

// SourceKind is a kind of place where values come from.
type SourceKind string

// The kinds, from the weakest to the strongest.
const (
	FromDefault     SourceKind = "default"
	FromFile        SourceKind = "file"
	FromEnvironment SourceKind = "environment"
	FromFlag        SourceKind = "flag"
)

// Source is where a value came from. The zero Source is unknown.
type Source struct {
	Kind SourceKind
	// Name is the file's path, the variable's name, or the flag's name with its dashes.
	Name string
	// Line is the line in the file, from 1; 0 elsewhere.
	Line int
}

// String gives for example "default", "file rowhouse.yaml:12", "environment ROWHOUSE_SERVER_ADDR" or "flag --addr".
func (s Source) String() string {
	switch {
	case s.Name == "":
		return string(s.Kind)
	case s.Line > 0:
		return fmt.Sprintf("%s %s:%d", s.Kind, s.Name, s.Line)
	}
	return string(s.Kind) + " " + s.Name
}

// MarshalText gives String.
func (s Source) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Sources says for each key where its value came from.
type Sources map[string]Source

func didYouMean(s string) string {
	if s == "" {
		return ""
	}
	return "; did you mean " + s + "?"
}

// suggest gives the candidate that word was most likely meant to be, or "" if none is near.
func suggest(word string, candidates []string) string {
	// At most a third may be wrong, three letters of a short word, and never all of it.
	best, bestDistance := "", min(max(3, len(word)/3)+1, len(word))
	for _, c := range candidates {
		if d := distance(word, c); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// suggestTail is suggest, but first looks for candidates that end like word, for who left the section out.
func suggestTail(word, separator string, candidates []string) string {
	best := ""
	for _, c := range candidates {
		if strings.HasSuffix(c, separator+word) && (best == "" || len(c) < len(best)) {
			best = c
		}
	}
	if best != "" {
		return best
	}
	return suggest(word, candidates)
}

// distance is the Levenshtein distance: how many bytes to insert, delete or replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
