package cli_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	module       = "github.com/rowhousehq/rowhouse"
	repository   = "../.."
	architecture = "ARCHITECTURE.md"
	toMend       = "if it is meant, edit the table under \"## Imports\" in " + architecture + " in the same change; else it is in the wrong place"
)

// engineModules are all that the engine may be built of, so that any Go program can use it alone.
var engineModules = []string{"github.com/jackc/pgx/v5", "github.com/pressly/goose/v3", "golang.org/x/sync"}

// rules are what ARCHITECTURE.md says under "## Imports", in two tables:
//
//	| package | may import (ours) |     first cell: a package's directory; second: directories, "nothing" or "anything"
//	| library | only in |               first cell: an import path, which covers all below it; second: directories of ours
//
// Names stand in backquotes; whatever else a cell holds is for people. That document is the only place where the rules are written.
type rules struct {
	arrows    map[string][]string
	libraries map[string][]string
}

// anything in an arrow's list allows every package of ours.
const anything = "anything"

// TestImports holds the imports of every Go file against ARCHITECTURE.md. It parses the files itself: the go command would answer from a
// cache that does not know that they changed. Tests may import what they like; what ships may not.
func TestImports(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(repository, architecture))
	require.NoError(t, err)
	want := parseRules(t, string(text))
	got := imports(t, os.DirFS(repository))

	for dir, imported := range got {
		allowed, known := want.arrows[dir]
		if !known {
			t.Errorf("package %s is not in the table; %s", dir, toMend)
			continue
		}
		for _, name := range imported {
			if problem := want.forbids(dir, allowed, name); problem != "" {
				t.Errorf("%s imports %s: %s; %s", dir, name, problem, toMend)
			}
		}
	}
	for dir := range want.arrows {
		if _, exists := got[dir]; !exists {
			t.Errorf("the table names package %s, which has no Go files; %s", dir, toMend)
		}
	}
}

// TestImportRulesFind shows that each rule finds what it is for.
func TestImportRulesFind(t *testing.T) {
	t.Parallel()
	r := parseRules(t, `
# Title
| package | may import (ours) |
|---|---|
| `+"`elsewhere`"+` | `+"`cmd/rowhouse`"+` |

## Imports
| package | may import (ours) |
|---|---|
| `+"`cmd/rowhouse`"+` | anything |
| `+"`tenantschema`"+` | nothing |
| `+"`pkg/a`"+` | `+"`pkg/b`, `tenantschema`"+` (why) |

| library | only in |
|---|---|
| `+"`example.com/web`"+` | `+"`pkg/b`"+` |

## Next
| `+"`pkg/c`"+` | nothing |
`)
	require.Equal(t, map[string][]string{
		"cmd/rowhouse": {anything},
		"tenantschema": nil,
		"pkg/a":        {"pkg/b", "tenantschema"},
	}, r.arrows)
	require.Equal(t, map[string][]string{"example.com/web": {"pkg/b"}}, r.libraries)

	for _, c := range []struct {
		dir, name string
		wrong     bool
	}{
		{"cmd/rowhouse", module + "/pkg/a", false},
		{"cmd/rowhouse", module + "/pkg/pgtest", true},
		{"cmd/rowhouse", "example.com/web/sub", true},
		{"pkg/a", module + "/pkg/b", false},
		{"pkg/a", module + "/pkg/bb", true},
		{"pkg/a", module + "/cmd/rowhouse", true},
		{"pkg/a", "net/http", false},
		{"pkg/a", "example.com/website", false},
		{"pkg/a", "example.com/web", true},
		{"pkg/b", "example.com/web", false},
		{"tenantschema", module + "/pkg/b", true},
		{"tenantschema", "crypto/hmac", false},
		{"tenantschema", "github.com/jackc/pgx/v5/pgxpool", false},
		{"tenantschema", "go.uber.org/zap", true},
	} {
		require.Equal(t, c.wrong, r.forbids(c.dir, r.arrows[c.dir], c.name) != "", "%s imports %s", c.dir, c.name)
	}
}

// forbids says what is wrong with the package in dir importing name, or nothing.
func (r rules) forbids(dir string, allowed []string, name string) string {
	if ours, ok := strings.CutPrefix(name, module+"/"); ok {
		switch {
		case ours == "pkg/pgtest" && !strings.HasPrefix(dir, "pkg/pgtest"):
			return "only tests import it"
		case !slices.Contains(allowed, ours) && !slices.Contains(allowed, anything):
			return "the table does not allow it"
		}
		return ""
	}
	for library, dirs := range r.libraries {
		if within(name, library) && !slices.Contains(dirs, dir) {
			return library + " is for " + strings.Join(dirs, ", ")
		}
	}
	standard := !strings.Contains(strings.SplitN(name, "/", 2)[0], ".")
	if dir == "tenantschema" && !standard && !slices.ContainsFunc(engineModules, func(m string) bool { return within(name, m) }) {
		return "the engine is built of " + strings.Join(engineModules, ", ") + " and nothing else"
	}
	return ""
}

// within reports whether the import path name is that of parent or lies below it.
func within(name, parent string) bool {
	return name == parent || strings.HasPrefix(name, parent+"/")
}

var quoted = regexp.MustCompile("`([^`]+)`")

func parseRules(t *testing.T, text string) rules {
	t.Helper()
	r := rules{arrows: map[string][]string{}, libraries: map[string][]string{}}
	var inSection bool
	var table map[string][]string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "## ") {
			inSection = line == "## Imports"
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if !inSection || !strings.HasPrefix(line, "|") || len(cells) < 2 {
			continue
		}
		switch strings.TrimSpace(cells[0]) {
		case "package":
			table = r.arrows
			continue
		case "library":
			table = r.libraries
			continue
		}
		if strings.Trim(cells[0], "-: ") == "" {
			continue
		}
		require.NotNil(t, table, "%s: a row before the head of a table: %s", architecture, line)
		keys := names(cells[0])
		require.NotEmpty(t, keys, "%s: a row that names nothing in backquotes: %s", architecture, line)
		for _, key := range keys {
			require.NotContains(t, table, key, "%s names it twice", architecture)
			table[key] = names(cells[1])
			if strings.HasPrefix(strings.TrimSpace(cells[1]), anything) {
				table[key] = []string{anything}
			}
		}
	}
	require.NotEmpty(t, r.arrows, "%s has no table of packages under \"## Imports\"", architecture)
	require.NotEmpty(t, r.libraries, "%s has no table of libraries under \"## Imports\"", architecture)
	return r
}

// names gives what stands in backquotes.
func names(cell string) []string {
	var found []string
	for _, match := range quoted.FindAllStringSubmatch(cell, -1) {
		found = append(found, match[1])
	}
	return found
}

// imports gives, for each directory with Go files that ship, what those import.
func imports(t *testing.T, repo fs.FS) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	err := fs.WalkDir(repo, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(name)
		if entry.IsDir() {
			if name != "." && (strings.HasPrefix(base, ".") || base == "testdata" || name == "bin") {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(base) != ".go" || strings.HasSuffix(base, "_test.go") {
			return nil
		}
		source, err := fs.ReadFile(repo, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir := path.Dir(name)
		list := found[dir]
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if !slices.Contains(list, imported) {
				list = append(list, imported)
			}
		}
		found[dir] = list
		return nil
	})
	require.NoError(t, err)
	return found
}
