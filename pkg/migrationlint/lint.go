// Package migrationlint reads tenant migrations before anything runs them.
//
// A tenant's file runs in every tenant's schema, thousands of times, while the code of the release before is still serving. So it may name no
// schema and no role, must leave the session and the seal as they are, and should hold no lock for as long as a large table takes to read.
// [Lint] parses each statement of a directory of goose files with PostgreSQL's own parser and tells what breaks that; [Rules] lists what it
// looks for. It needs no database, and runs nothing.
//
//	file ─▶ split as goose splits it ─▶ parse ─▶ hard rules (errors): Up and Down, function bodies and DO blocks too
//	                                         └─▶ lock rules (warnings): Up only, with what the files before it made
//
// What goose would send is what is parsed: a line that goose takes for the end of a statement ends it here, whatever the author meant.
// It is a guard against mistakes, made to be hard to get around by accident; who means harm can write Go. What it cannot read, a query that is
// put together at run time or a body in another language, is an error, not a pass.
//
// The parser is libpg_query compiled to WebAssembly. It is loaded by the first call and needs no cgo.
package migrationlint

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Severity says whether a finding must be mended.
type Severity string

// An Error must not be released; a Warning wants a second thought, and a better way where the tables are large.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Kind says what a warning is about. Errors have none.
type Kind string

// The kinds. A statement that locks keeps others out of the table while it reads the table; one that rewrites does so while it writes all of
// it anew. Breaks: code of the release before fails on it. Portable: it works here, and not on a cluster that distributes schemas (Citus).
const (
	Lock     Kind = "lock"
	Rewrite  Kind = "rewrite"
	Breaks   Kind = "breaks"
	Portable Kind = "portable"
)

// Finding is one thing that is wrong in a file.
type Finding struct {
	File string `json:"file"`
	// Line and Column count from 1; a column is a character.
	Line     int      `json:"line"`
	Column   int      `json:"column"`
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	Kind     Kind     `json:"kind,omitempty"`
	// Problem says what is wrong with this statement, Fix how the rule wants it done.
	Problem string `json:"problem"`
	Fix     string `json:"fix"`
	// Allowed is the reason that a comment gives for what [Locks] tells all the same. [Lint] leaves such findings out.
	Allowed string `json:"allowed,omitempty"`
}

// String gives "file:line:column: severity: problem (rule)".
func (f Finding) String() string {
	return fmt.Sprintf("%s:%d:%d: %s: %s (%s)", f.File, f.Line, f.Column, f.Severity, f.Problem, f.Rule)
}

// Lint reads the goose files (*.sql) in the root of fsys, in the order of their versions, and gives what breaks the rules, in that order.
// Findings are no error; an error says that the files cannot be read, or that there are none.
func Lint(fsys fs.FS) ([]Finding, error) {
	findings, err := check(fsys)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(findings, func(f Finding) bool { return f.Allowed != "" }), nil
}

// Locks gives, by file name, the statements of the Up parts that lock or rewrite a table, in their order. It reads all files as [Lint] does,
// since it is the earlier ones that say which tables are there and what they hold. What a comment allows is told as well: it locks all the same.
func Locks(fsys fs.FS) (map[string][]Finding, error) {
	findings, err := check(fsys)
	if err != nil {
		return nil, err
	}
	locks := map[string][]Finding{}
	for _, f := range findings {
		if f.Kind == Lock || f.Kind == Rewrite {
			locks[f.File] = append(locks[f.File], f)
		}
	}
	return locks, nil
}

// ErrNoFiles is returned for a directory without goose files.
var ErrNoFiles = errors.New("there are no .sql files")

// check gives all findings, those that comments allow included.
func check(fsys fs.FS) (findings []Finding, err error) {
	files, findings, err := list(fsys)
	if err != nil {
		return nil, err
	}
	tables := schema{}
	for _, file := range files {
		text, err := fs.ReadFile(fsys, file.name)
		if err != nil {
			return nil, fmt.Errorf("read migration: %w", err)
		}
		c := newChecker(file.name, tables)
		c.file(string(text))
		findings = append(findings, sorted(c.findings)...)
	}
	return findings, nil
}

// source is a file with its version.
type source struct {
	name    string
	version int64
}

// list gives the files as goose would run them, and what is wrong with their names.
func list(fsys fs.FS) (files []source, findings []Finding, err error) {
	names, err := fs.Glob(fsys, "*.sql")
	if err != nil {
		return nil, nil, fmt.Errorf("list migrations: %w", err)
	}
	if len(names) == 0 {
		return nil, nil, ErrNoFiles
	}
	seen := map[int64]string{}
	for _, name := range names {
		prefix, _, separated := strings.Cut(path.Base(name), "_")
		version, err := strconv.ParseInt(prefix, 10, 64)
		switch {
		case !separated || err != nil || version < 1:
			findings = append(findings, finding(ruleGoose, name, position{1, 1}, "the name does not begin with a version and _, as in 00004_name.sql"))
		case seen[version] != "":
			findings = append(findings, finding(ruleGoose, name, position{1, 1}, fmt.Sprintf("%s has the version %d, too", seen[version], version)))
		default:
			seen[version] = name
		}
		files = append(files, source{name, version})
	}
	slices.SortStableFunc(files, func(a, b source) int { return cmp.Compare(a.version, b.version) })
	return files, findings, nil
}

func finding(name, file string, at position, problem string) Finding {
	r := ruleOf(name)
	return Finding{File: file, Line: at.line, Column: at.column, Rule: name, Severity: r.Severity, Kind: r.Kind, Problem: problem, Fix: r.Safe}
}

// sorted puts findings in the order of the file and drops repetitions.
func sorted(findings []Finding) []Finding {
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Problem, b.Problem))
	})
	return slices.Compact(findings)
}
