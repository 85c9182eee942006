package migrationlint

import "strings"

// piece is what goose sends as one statement. It may hold several: goose ends one at a line that ends in a semicolon, not at the semicolon.
type piece struct {
	text  string
	lines []int // the file's line of each line of text
	lead  []comment
	down  bool
}

// comment is a line that goose skips.
type comment struct {
	line int
	text string
}

// fault is what keeps goose from running a file as it looks.
type fault struct {
	line    int
	rule    string
	problem string
}

// script is a file as goose reads it.
type script struct {
	pieces []piece
	noTx   bool
	// faults end with the first that goose would refuse the file for; pieces are then those before it.
	faults []fault
}

// section is the part of a file.
type section int

const (
	preamble section = iota
	up
	down
)

// splitter does what goose's own parser does, which is not exported: line by line, annotations first.
// See internal/sqlparser/parser.go of goose v3.
type splitter struct {
	script

	section section
	block   bool // between StatementBegin and StatementEnd
	current piece
}

// split reads a file as goose would, both directions at once.
func split(text string) script {
	s := &splitter{}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if problem := s.line(n, line); problem != "" {
			s.faults = append(s.faults, fault{n, ruleGoose, problem})
			return s.script
		}
	}
	if problem := s.end(); problem != "" {
		s.faults = append(s.faults, fault{max(n, 1), ruleGoose, problem})
	}
	return s.script
}

// line takes the next line, and says why goose would refuse it.
func (s *splitter) line(n int, line string) string {
	trimmed := strings.TrimSpace(line)
	isComment := strings.HasPrefix(trimmed, "--")
	switch {
	case isComment && strings.Contains(line, "+goose"):
		return s.annotation(n, line)
	case len(s.current.lines) == 0 && (isComment || line == ""):
		if isComment && s.section != preamble {
			s.current.lead = append(s.current.lead, comment{n, trimmed})
		}
		return ""
	case s.section == preamble && trimmed == "":
		return ""
	case s.section == preamble:
		return "it stands before -- +goose Up"
	}
	s.current.text += line + "\n"
	s.current.lines = append(s.current.lines, n)
	if !s.block && endsStatement(line) {
		s.emit()
	}
	return ""
}

// annotation obeys a line that goose takes for an annotation, wherever it stands: in a block comment or a text in quotes as well.
func (s *splitter) annotation(n int, line string) string {
	word := strings.TrimSpace(strings.Replace(strings.ReplaceAll(line, "--", ""), "+goose", "", 1))
	if strings.TrimLeft(line, " \t") != line {
		return "goose refuses an annotation that is indented"
	}
	switch strings.ToUpper(word) {
	case "UP":
		if s.section != preamble {
			return "a second -- +goose Up"
		}
		s.section = up
	case "DOWN":
		if s.section != up || s.block {
			return "-- +goose Down must stand once, after the statements of -- +goose Up"
		}
		if problem := s.unfinished(); problem != "" {
			return problem
		}
		s.section, s.current = down, piece{}
	case "STATEMENTBEGIN":
		if s.section == preamble || s.block {
			return "-- +goose StatementBegin must stand after -- +goose Up or Down, and not inside another"
		}
		s.block = true
	case "STATEMENTEND":
		if !s.block {
			return "-- +goose StatementEnd without -- +goose StatementBegin"
		}
		if len(s.current.lines) == 0 {
			return "nothing stands between -- +goose StatementBegin and StatementEnd, and goose would skip the line that follows"
		}
		s.block = false
		s.emit()
	case "NO TRANSACTION":
		s.noTx = true
	case "ENVSUB ON", "ENVSUB OFF":
		s.faults = append(s.faults, fault{n, ruleEnvsub, "-- +goose ENVSUB puts variables of the environment into the SQL"})
	default:
		return "goose knows no annotation " + word
	}
	return ""
}

func (s *splitter) emit() {
	s.current.down = s.section == down
	s.pieces = append(s.pieces, s.current)
	s.current = piece{}
}

func (s *splitter) unfinished() string {
	if strings.TrimSpace(s.current.text) != "" {
		return "the statement before it has no line that ends in a semicolon"
	}
	return ""
}

func (s *splitter) end() string {
	switch {
	case s.section == preamble:
		return "there is no -- +goose Up"
	case s.block:
		return "-- +goose StatementEnd is missing"
	}
	return s.unfinished()
}

// endsStatement reports whether the last word of the line that is no comment ends in a semicolon.
func endsStatement(line string) bool {
	last := ""
	for word := range strings.FieldsSeq(line) {
		if strings.HasPrefix(word, "--") {
			break
		}
		last = word
	}
	return strings.HasSuffix(last, ";")
}

// position is a place in a file; both count from 1.
type position struct{ line, column int }

// at gives the place of a byte of the piece's text. What lies outside is put at its nearest end.
func (p piece) at(offset int) position {
	before := p.text[:min(max(offset, 0), len(p.text))]
	row := min(strings.Count(before, "\n"), len(p.lines)-1)
	return position{p.lines[row], len([]rune(before[strings.LastIndexByte(before, '\n')+1:])) + 1}
}
