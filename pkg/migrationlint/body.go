package migrationlint

import (
	"maps"
	"slices"
	"strings"
)

// embedded is a statement in a body.
type embedded struct {
	statement statement
	in        span
}

// bodies checks the body of a function, a procedure or a DO block by the hard rules and gives the statements in it.
func (c *checker) bodies(s statement, in span) (found []embedded) {
	b, ok := c.body(s, in)
	if !ok {
		return nil
	}
	switch b.language {
	case "sql":
		found = c.parsed(b.text, b.in)
	case "plpgsql":
		trees, err := parsePLpgSQL(s.sql)
		if err != nil || len(trees) == 0 {
			c.report(ruleDynamic, b.in.offset, "the body cannot be read%s", because(err))
			return nil
		}
		for _, tree := range trees {
			found = append(found, b.walk(tree, b.in)...)
		}
	default:
		c.report(ruleDynamic, b.in.offset, "a body in the language %s", b.language)
	}
	for _, e := range found {
		c.hard(e.statement, e.in)
		c.bodies(e.statement, e.in)
	}
	return found
}

// body is the text of a function or DO block.
type body struct {
	c        *checker
	language string
	text     string
	in       span
}

// body finds the body of a statement that has one as text. BEGIN ATOMIC is part of the statement's own tree.
func (c *checker) body(s statement, in span) (b body, ok bool) {
	b = body{c: c, in: in}
	options := s.node.list("options")
	switch s.kind {
	case "DoStmt":
		b.language, b.in.what, options = "plpgsql", "a DO block", s.node.list("args")
	case "CreateFunctionStmt":
		b.in.what = "the body of " + lastName(s.node.list("funcname"))
	default:
		return b, false
	}
	for _, option := range options {
		_, o := unwrap(option)
		switch arg := o.child("arg"); o.text("defname") {
		case "language":
			b.language = strings.ToLower(arg.text("sval"))
		case "as":
			if items := arg.list("items"); len(items) > 0 {
				_, arg = unwrap(items[0])
			}
			location, _ := o["location"].(float64)
			b.text, ok = arg.text("sval"), true
			b.in = c.locate(b.text, in.at(int(location)), b.in.what)
		}
	}
	return b, ok
}

// locate finds a text in the piece, at from or after it. Where the piece has it in another form (with quotes doubled, say) from is its place.
func (c *checker) locate(text string, from int, what string) span {
	if i := strings.Index(c.piece.text[from:], text); i >= 0 {
		return span{offset: from + i, exact: true, what: what}
	}
	return span{offset: from, what: what}
}

// parsed gives the statements of a text, or reports that it cannot be read.
func (c *checker) parsed(text string, in span) (found []embedded) {
	statements, err := parseSQL(text)
	if err != nil {
		c.report(ruleDynamic, in.offset, "%s cannot be read%s", in.what, because(err))
		return nil
	}
	for _, s := range statements {
		in.start = s.start
		found = append(found, embedded{s, in})
	}
	return found
}

func because(err error) string {
	if err == nil {
		return ""
	}
	return ": " + oneLine(err.Error())
}

// walk goes through the tree of a PL/pgSQL body and gives the statements and expressions in it.
func (b body) walk(v any, in span) (found []embedded) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			found = append(found, b.walk(item, in)...)
		}
	case map[string]any:
		in = b.line(v, in)
		for _, key := range slices.Sorted(maps.Keys(v)) {
			found = append(found, b.part(key, v[key], in)...)
		}
	}
	return found
}

// part goes through what stands under a key.
func (b body) part(key string, v any, in span) (found []embedded) {
	n := node(asMap(v))
	switch key {
	case "PLpgSQL_expr":
		return b.expression(n.text("query"), n["parseMode"], in)
	case "PLpgSQL_type":
		return b.declared(n.text("typname"), in)
	case "PLpgSQL_stmt_commit", "PLpgSQL_stmt_rollback":
		b.c.report(ruleTx, b.line(n, in).offset, "COMMIT or ROLLBACK, in %s", in.what)
	case "PLpgSQL_stmt_dynexecute", "PLpgSQL_stmt_dynfors":
		n = maps.Clone(n)
		found = b.dynamic(n.child("query"), b.line(n, in))
		delete(n, "query")
		return append(found, b.walk(map[string]any(n), in)...)
	case "dynquery":
		return b.dynamic(n.child("PLpgSQL_expr"), in)
	}
	return append(found, b.walk(v, in)...)
}

// line is the place of a node that says its line.
func (b body) line(n node, in span) span {
	number, ok := n["lineno"].(float64)
	if !ok || !b.in.exact {
		return in
	}
	offset := 0
	for range int(number) - 1 {
		offset += strings.IndexByte(b.text[offset:], '\n') + 1
	}
	line := b.text[offset:]
	in.offset, in.exact = b.in.offset+offset+len(line)-len(strings.TrimLeft(line, " \t")), false
	return in
}

// expression gives the statements of a query or expression, which stands in the body at in or after it.
func (b body) expression(query string, mode any, in span) []embedded {
	const raw, typeName, expression = 0, 1, 2
	number, _ := mode.(float64)
	prefix, cut := "", 0
	switch int(number) {
	case raw:
		if strings.HasPrefix(query, "SELECT") && !strings.Contains(b.c.piece.text[in.offset:], query) { // It was PERFORM.
			prefix, cut = "SELECT", len("SELECT")
		}
	case typeName:
		prefix = "SELECT NULL::"
	case expression:
		prefix = "SELECT "
	default: // variable := expression
		prefix = "SELECT "
		if cut = strings.Index(query, ":="); cut >= 0 {
			cut += len(":=")
		} else {
			cut = strings.IndexByte(query, '=') + 1
		}
	}
	at := b.c.locate(query[cut:], in.offset, in.what)
	if at.exact {
		at.offset -= len(prefix)
	}
	return b.c.parsed(prefix+query[cut:], at)
}

// declared gives a variable's type as a statement that names it.
func (b body) declared(name string, in span) []embedded {
	lower := strings.ToLower(name)
	for _, suffix := range []string{"%rowtype", "%type"} {
		if !strings.HasSuffix(lower, suffix) {
			continue
		}
		name = strings.TrimSpace(name[:len(name)-len(suffix)])
		if suffix == "%type" { // A column's name, or a variable's.
			in.exact = false
			return b.c.parsed("SELECT "+name, in)
		}
	}
	in.exact = false
	return b.c.parsed("SELECT NULL::"+name, in)
}

// dynamic gives the statements of a query that is run as text, if that is a constant.
func (b body) dynamic(expr node, in span) []embedded {
	value, err := parseSQL("SELECT " + expr.text("query"))
	if err == nil && len(value) == 1 {
		if targets := value[0].node.list("targetList"); len(targets) == 1 {
			_, target := unwrap(targets[0])
			if text, ok := constant(target["val"]); ok {
				return b.c.parsed(text, b.c.locate(text, in.offset, in.what))
			}
		}
	}
	b.c.report(ruleDynamic, in.offset, "EXECUTE of a query that is put together at run time, in %s", in.what)
	return nil
}
