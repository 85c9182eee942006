package config

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// parsedFile is what a file says.
type parsedFile struct {
	path     string
	table    []key
	values   map[string]any // by key, as text
	lines    map[string]int // by key
	problems []Problem
}

// readFile reads YAML into the keys of table. It keeps the text of each value and the line on which it stands: what the value means is for
// the key's own parser, not for YAML, which would make a float of 1.10 and a number of 010.
func readFile(path string, content []byte, table []key) *parsedFile {
	f := &parsedFile{path: path, table: table, values: map[string]any{}, lines: map[string]int{}}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var document, next yaml.Node
	if err := decoder.Decode(&document); err != nil {
		if !errors.Is(err, io.EOF) { // io.EOF: empty, or nothing but comments.
			f.refuse("", 0, "is not YAML: "+strings.TrimPrefix(err.Error(), "yaml: "))
		}
		return f
	}
	if err := decoder.Decode(&next); !errors.Is(err, io.EOF) {
		f.refuse("", 0, "must be one YAML document")
	}
	root := resolve(document.Content[0])
	switch {
	case isNull(root):
	case root.Kind != yaml.MappingNode:
		f.refuse("", root.Line, "must hold keys and values, such as data_dir: .rowhouse")
	default:
		f.section("", root)
	}
	return f
}

func (f *parsedFile) refuse(name string, line int, message string) {
	f.problems = append(f.problems, Problem{Key: name, Source: Source{Kind: FromFile, Name: f.path, Line: line}, Message: message})
}

// section reads the pairs of a mapping whose keys begin with prefix.
func (f *parsedFile) section(prefix string, mapping *yaml.Node) {
	seen := map[string]int{}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		word, node := mapping.Content[i], resolve(mapping.Content[i+1])
		name := prefix + word.Value
		if first, ok := seen[name]; ok {
			f.refuse(name, word.Line, "is here a second time; the first is on line "+strconv.Itoa(first))
			continue
		}
		seen[name] = word.Line

		_, isSection := sections()[name]
		k, isKey := find(f.table, name)
		switch {
		case !isSection && !isKey:
			f.refuse(name, word.Line, "there is no such key"+didYouMean(f.suggest(name, node)))
		case isNull(node): // Said, but not what: as if it were not there.
		case isSection && node.Kind != yaml.MappingNode:
			f.refuse(name, word.Line, "is a section: its keys go below it, indented")
		case isSection:
			f.section(name+delimiter, node)
		default:
			f.value(k, word.Line, node)
		}
	}
}

// value reads the value of one key.
func (f *parsedFile) value(k key, line int, node *yaml.Node) {
	items := []*yaml.Node{node}
	if k.list && node.Kind == yaml.SequenceNode {
		items = node.Content
	}
	words := make([]string, len(items))
	for i, item := range items {
		item = resolve(item)
		if item.Kind != yaml.ScalarNode {
			wanted := "must be one value"
			if k.list {
				wanted = "must be a list of values"
			}
			f.refuse(k.name, line, wanted)
			return
		}
		words[i] = item.Value
	}
	f.values[k.name] = strings.Join(words, ",")
	f.lines[k.name] = line
}

// suggest gives the key, or for a mapping the section, that was most likely meant.
func (f *parsedFile) suggest(name string, node *yaml.Node) string {
	var names []string
	if node.Kind == yaml.MappingNode {
		for section := range sections() {
			names = append(names, section)
		}
		return suggest(name, names)
	}
	for _, k := range f.table {
		names = append(names, k.name)
	}
	last := name[strings.LastIndex(name, delimiter)+1:]
	if near := suggest(name, names); near != "" {
		return near
	}
	return suggestTail(last, delimiter, names)
}

// resolve follows an alias. Aliases cannot run in a circle here: a mapping is only entered below a section's name, and sections do not nest.
func resolve(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

func isNull(node *yaml.Node) bool { return node.Kind == yaml.ScalarNode && node.Tag == "!!null" }
