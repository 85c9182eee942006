package migrationlint

import (
	"errors"
	"fmt"
	"strings"
)

// checker reads one file.
type checker struct {
	name     string
	tables   schema
	findings []Finding

	// Of the file.
	noTx  bool
	fresh map[string]bool // tables that this file has made
	keys  []keyless       // tables that have no primary key yet
	added map[string]bool // constraints that it adds NOT VALID, by table and name

	// Of the statement.
	piece   piece
	current []*allow
}

// keyless is a table without a primary key, and where it was made.
type keyless struct {
	table  string
	piece  piece
	allows []*allow
	offset int
}

func newChecker(name string, tables schema) *checker {
	return &checker{name: name, tables: tables, fresh: map[string]bool{}, added: map[string]bool{}}
}

// file finds what is wrong with a file.
func (c *checker) file(text string) {
	s := split(text)
	c.noTx = s.noTx
	for _, f := range s.faults {
		c.add(f.rule, position{f.line, 1}, f.problem)
	}
	var all []*allow
	for _, p := range s.pieces {
		all = append(all, c.statements(p)...)
	}
	for _, k := range c.keys {
		c.piece, c.current = k.piece, k.allows
		c.report(rulePrimaryKey, k.offset, "the table %s has no primary key", k.table)
	}
	c.unused(all)
}

// statements checks what goose sends at once, and gives the comments that allow something there.
func (c *checker) statements(p piece) (all []*allow) {
	c.piece, c.current = p, nil
	parsed, err := parseSQL(p.text)
	if err != nil {
		offset := 0
		if e, ok := errors.AsType[*syntaxError](err); ok {
			offset = e.offset
		}
		c.report(ruleSyntax, offset, "%s", oneLine(err.Error()))
		return nil
	}
	lead := p.lead
	for _, s := range parsed {
		c.current = c.allows(lead, p, s)
		lead = nil
		all = append(all, c.current...)
		c.statement(s, whole(s), !p.down)
	}
	return all
}

// statement checks one statement, in the file itself or in a body. runs says that the migration runs it forward, so that its locks count.
func (c *checker) statement(s statement, in span, runs bool) {
	c.hard(s, in)
	if runs {
		c.locks(s, in)
	}
	if nested := c.bodies(s, in); runs && s.kind == "DoStmt" {
		for _, inner := range nested {
			c.locks(inner.statement, inner.in)
		}
	}
}

// span says where a parsed text stands in the piece.
type span struct {
	offset int
	// start is where the text's first statement begins.
	start int
	// exact says that it stands there as it was parsed, so that its bytes can be counted. Else all of it is put at offset.
	exact bool
	// what names it in messages: "" for the file itself.
	what string
}

// whole is the span of a statement of the file itself.
func whole(s statement) span { return span{exact: true, start: s.start} }

// at gives the place in the piece of a byte of the parsed text. A node that says none has -1.
func (in span) at(location int) int {
	switch {
	case !in.exact:
		return in.offset
	case location < 0:
		return in.offset + in.start
	}
	return in.offset + location
}

// report adds a finding at a byte of the piece.
func (c *checker) report(rule string, offset int, format string, args ...any) {
	f := finding(rule, c.name, c.piece.at(offset), fmt.Sprintf(format, args...))
	f.Allowed = c.allowed(rule)
	c.findings = append(c.findings, f)
}

// found is report for a node of a parsed text.
func (c *checker) found(rule string, in span, location int, format string, args ...any) {
	problem := fmt.Sprintf(format, args...)
	if in.what != "" {
		problem += ", in " + in.what
	}
	c.report(rule, in.at(location), "%s", problem)
}

// add adds a finding that no comment may allow.
func (c *checker) add(rule string, at position, problem string) {
	c.findings = append(c.findings, finding(rule, c.name, at, problem))
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
