package migrationlint

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/wasilibs/go-pgquery/parser"
)

// node is an object of the parser's tree, as libpg_query writes it in JSON: PostgreSQL's own struct with its own field names. What is zero is
// left out. A node of any type is wrapped in its type's name: {"RangeVar": {"relname": "tasks"}}.
type node map[string]any

func (n node) text(key string) string {
	s, _ := n[key].(string)
	return s
}

func (n node) flag(key string) bool {
	b, _ := n[key].(bool)
	return b
}

func (n node) list(key string) []any {
	l, _ := n[key].([]any)
	return l
}

// child gives a field that holds an object, without the wrapper if it has one; nil if there is none.
func (n node) child(key string) node {
	_, inner := unwrap(n[key])
	return inner
}

// unwrap gives the type and the fields of a wrapped node. What has no wrapper has the type "".
func unwrap(v any) (kind string, inner node) {
	m, _ := v.(map[string]any)
	if len(m) == 1 {
		for key, value := range m {
			if fields, ok := value.(map[string]any); ok && key != "" && key[0] >= 'A' && key[0] <= 'Z' {
				return key, fields
			}
		}
	}
	return "", m
}

// names gives the parts of a list that holds nothing but names, else nil.
func names(list []any) (parts []string) {
	for _, item := range list {
		kind, inner := unwrap(item)
		if kind != "String" {
			return nil
		}
		parts = append(parts, inner.text("sval"))
	}
	return parts
}

// lastName gives the last part of a name, which is the name without its schema.
func lastName(list []any) string {
	parts := names(list)
	if len(parts) == 0 {
		return ""
	}
	return parts[len(parts)-1]
}

// constant gives the text of a string constant, with casts taken off.
func constant(v any) (text string, ok bool) {
	kind, inner := unwrap(v)
	switch kind {
	case "TypeCast":
		return constant(inner["arg"])
	case "A_Const":
		value, ok := inner["sval"].(map[string]any)
		return node(value).text("sval"), ok
	}
	return "", false
}

// statement is one statement of a text.
type statement struct {
	kind string
	node node
	sql  string // from its first word
	// from is where it begins with its leading blanks and comments, start its first word: bytes of the text.
	from, start int
}

// syntaxError is what the parser says.
type syntaxError struct {
	message string
	offset  int // byte of the text
}

func (e *syntaxError) Error() string { return e.message }

// parseSQL gives the statements of a text. The error is a *syntaxError.
func parseSQL(sql string) (statements []statement, err error) {
	if i := strings.IndexByte(sql, 0); i >= 0 {
		return nil, &syntaxError{"a zero byte, at which the parser would stop reading", i}
	}
	if !utf8.ValidString(sql) {
		return nil, &syntaxError{"the text is not UTF-8", len(sql) - len(strings.TrimLeftFunc(sql, func(r rune) bool { return r != utf8.RuneError }))}
	}
	text, err := guarded(parser.ParseToJSON, sql)
	if err != nil {
		return nil, asSyntaxError(err, sql)
	}
	var tree struct {
		Stmts []struct {
			Stmt     map[string]any `json:"stmt"`
			Location int            `json:"stmt_location"`
			Length   int            `json:"stmt_len"`
		} `json:"stmts"`
	}
	if err = json.Unmarshal([]byte(text), &tree); err != nil {
		return nil, &syntaxError{"the parser's answer cannot be read: " + err.Error(), 0}
	}
	for _, s := range tree.Stmts {
		kind, inner := unwrap(s.Stmt)
		to := s.Location + s.Length
		if s.Length == 0 {
			to = len(sql)
		}
		own := skipBlank(sql[s.Location:to])
		statements = append(statements, statement{kind: kind, node: inner, sql: own, from: s.Location, start: to - len(own)})
	}
	return statements, nil
}

// parsePLpgSQL gives the tree of each PL/pgSQL function or block of a text.
func parsePLpgSQL(sql string) (trees []any, err error) {
	text, err := guarded(parser.ParsePlPgSqlToJSON, sql)
	if err != nil {
		return nil, asSyntaxError(err, sql)
	}
	if err = json.Unmarshal([]byte(text), &trees); err != nil {
		return nil, &syntaxError{"the parser's answer cannot be read: " + err.Error(), 0}
	}
	return trees, nil
}

// guarded calls the parser and makes an error of its panic: it ends that way when its stack is too small for what is nested too deep.
func guarded(parse func(string) (string, error), sql string) (text string, err error) {
	defer func() {
		if r := recover(); r != nil {
			message, _, _ := strings.Cut(fmt.Sprint(r), "\n")
			err = &syntaxError{"the parser gave up: " + message, 0}
		}
	}()
	text, err = parse(sql)
	return text, err
}

func asSyntaxError(err error, sql string) error {
	e, ok := errors.AsType[*parser.Error](err)
	if !ok { // Of guarded.
		return &syntaxError{err.Error(), 0}
	}
	offset := 0
	for range e.Cursorpos - 1 { // It counts characters from 1.
		_, size := utf8.DecodeRuneInString(sql[offset:])
		offset += size
	}
	return &syntaxError{e.Message, offset}
}

// skipBlank gives the text without the blanks and comments at its beginning.
func skipBlank(sql string) string {
	for {
		sql = strings.TrimLeft(sql, " \t\n\r\f\v")
		switch {
		case strings.HasPrefix(sql, "--"):
			_, sql, _ = strings.Cut(sql, "\n")
		case strings.HasPrefix(sql, "/*"):
			sql = skipBlockComment(sql)
		default:
			return sql
		}
	}
}

// skipBlockComment skips a comment that may hold others, as PostgreSQL lets it.
func skipBlockComment(sql string) string {
	depth := 0
	for i := 0; i+1 < len(sql); i++ {
		switch sql[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			depth--
			i++
			if depth == 0 {
				return sql[i+1:]
			}
		}
	}
	return ""
}
