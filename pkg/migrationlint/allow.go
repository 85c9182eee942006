package migrationlint

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// allow is a comment "lint:allow RULE reason" before a statement.
type allow struct {
	at     position
	rule   string
	reason string
	used   bool
}

// allows reads the comments before a statement: the lines that goose skips, and the comments that its own text begins with. One that ends the
// line of the statement before it is not among them.
func (c *checker) allows(lead []comment, p piece, s statement) (found []*allow) {
	for _, l := range lead {
		found = c.allow(found, position{l.line, 1}, l.text)
	}
	rest := p.text[s.from:s.start]
	if s.from > 0 {
		_, rest, _ = strings.Cut(rest, "\n")
	}
	for rest = strings.TrimLeftFunc(rest, unicode.IsSpace); rest != ""; rest = strings.TrimLeftFunc(rest, unicode.IsSpace) {
		if strings.HasPrefix(rest, "/*") {
			rest = skipBlockComment(rest)
			continue
		}
		text, after, _ := strings.Cut(rest, "\n")
		found = c.allow(found, p.at(s.start-len(rest)), text)
		rest = after
	}
	return found
}

func (c *checker) allow(found []*allow, at position, comment string) []*allow {
	words := strings.Fields(strings.TrimPrefix(comment, "--"))
	if len(words) == 0 || words[0] != "lint:allow" {
		return found
	}
	if len(words) == 1 {
		c.add(ruleBadAllow, at, "lint:allow names no rule")
		return found
	}
	isRule, allowable := known(words[1])
	switch {
	case !isRule:
		c.add(ruleBadAllow, at, fmt.Sprintf("there is no rule %s", words[1]))
	case !allowable:
		c.add(ruleBadAllow, at, fmt.Sprintf("what %s finds cannot be allowed", words[1]))
	case len(words) == 2:
		c.add(ruleBadAllow, at, fmt.Sprintf("lint:allow %s gives no reason", words[1]))
	default:
		return append(found, &allow{at: at, rule: words[1], reason: strings.Join(words[2:], " ")})
	}
	return found
}

// unused tells which comments have allowed nothing.
func (c *checker) unused(all []*allow) {
	for _, a := range all {
		if !a.used {
			c.add(ruleUnused, a.at, fmt.Sprintf("%s finds nothing here", a.rule))
		}
	}
}

// allowed gives the reason why the current statement may break a rule, or "".
func (c *checker) allowed(rule string) string {
	i := slices.IndexFunc(c.current, func(a *allow) bool { return a.rule == rule })
	if i < 0 {
		return ""
	}
	c.current[i].used = true
	return c.current[i].reason
}
