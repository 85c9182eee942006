package config

import (
	"fmt"
	"strings"
)

// Entry is one key of a configuration, for people to look at. Secrets are redacted.
type Entry struct {
	Key     string `json:"key"`
	Value   string `json:"value"`
	Source  Source `json:"source"`
	Default string `json:"default"`
	// Env is the environment variable that sets the key.
	Env string `json:"env"`
	// Flag is the flag that sets it, with its dashes, or "".
	Flag  string `json:"flag"`
	Usage string `json:"usage"`
}

// Entries gives all keys in the order of the documentation. Lists are separated by commas.
func Entries(cfg Config, sources Sources) []Entry {
	table := tableOf(&cfg)
	entries := make([]Entry, len(table))
	for i, k := range table {
		flag := k.flag
		if flag != "" {
			flag = "--" + flag
		}
		entries[i] = Entry{
			Key: k.name, Value: k.show(), Source: sources[k.name], Default: k.def, Env: k.env(), Flag: flag, Usage: k.usage,
		}
	}
	return entries
}

const exampleHead = `# The configuration of Rowhouse: every key with its default, what it does, and why the default is what it is.
#
# Rowhouse reads the file that --config or ROWHOUSE_CONFIG names; otherwise rowhouse.yaml in the current directory, otherwise
# /etc/rowhouse/rowhouse.yaml; otherwise none. A flag wins over the environment, the environment over the file, the file over the default.
# Unknown keys and unknown ROWHOUSE_ variables are refused. ` + "`rowhouse config show`" + ` tells what is in force, and where it came from.
#
# Durations have a unit (500ms, 30s, 720h), sizes may have one (4096, 32KiB, 1MiB).
#
# This file is made from the table in pkg/config/keys.go, and a test holds them equal.
`

// ExampleYAML gives configs/rowhouse.yaml: a file that documents every key and sets it to its default.
func ExampleYAML() string {
	var b strings.Builder
	b.WriteString(exampleHead)
	section := ""
	for _, k := range tableOf(new(Config)) {
		b.WriteByte('\n')
		indent, word := "", k.name
		if in, below, ok := strings.Cut(k.name, delimiter); ok {
			indent, word = "  ", below
			if in != section {
				section = in
				fmt.Fprintf(&b, "# %s\n%s:\n", sections()[in], in)
			}
		}
		for line := range strings.SplitSeq(sentence(k.usage)+"\n"+k.why, "\n") {
			fmt.Fprintf(&b, "%s# %s\n", indent, line)
		}
		fmt.Fprintf(&b, "%s# Environment: %s.", indent, k.env())
		if k.flag != "" {
			fmt.Fprintf(&b, " Flag: --%s.", k.flag)
		}
		value := k.def
		switch {
		case k.list:
			value = "[" + k.def + "]"
		case k.def == "":
			value = `""`
		}
		fmt.Fprintf(&b, "\n%s%s: %s\n", indent, word, value)
	}
	return b.String()
}

// sentence makes one of a flag's help.
func sentence(usage string) string { return strings.ToUpper(usage[:1]) + usage[1:] + "." }
