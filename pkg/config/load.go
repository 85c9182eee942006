package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// fileVariable names the file, like --config.
const fileVariable = envPrefix + "CONFIG"

// delimiter stands between section and key.
const delimiter = "."

// LoadOptions says where to look.
type LoadOptions struct {
	// Flags are the parsed flags of the command; those of [BindFlags] and [BindConfigFlag] are read. May be nil.
	Flags *pflag.FlagSet
	// Environ is the environment as os.Environ gives it. Nil is an empty one.
	Environ []string
	// Search are the files of which the first that exists is read, if neither --config nor ROWHOUSE_CONFIG names one. See [SearchPath].
	Search []string
}

// SearchPath gives the files that the program looks for.
func SearchPath() []string { return []string{"rowhouse.yaml", "/etc/rowhouse/rowhouse.yaml"} }

// loader gathers what the layers say.
type loader struct {
	table    []key
	merged   *koanf.Koanf
	sources  Sources
	problems []Problem
}

// Load reads all layers and gives the configuration and where each of its values came from. What the configuration's author did wrong is an
// [*Error] with all of it.
func Load(opts LoadOptions) (Config, Sources, error) {
	var cfg Config
	l := &loader{table: tableOf(&cfg), merged: koanf.New(delimiter), sources: Sources{}}
	err := errors.Join(
		l.defaults(),
		l.file(opts),
		l.environment(opts.Environ),
		l.flags(opts.Flags),
	)
	if err != nil {
		return Config{}, nil, fmt.Errorf("load configuration: %w", err)
	}
	bad := map[string]bool{}
	for _, k := range l.table {
		raw := l.merged.String(k.name)
		err := k.parse(raw)
		if err == nil {
			err = k.check()
		}
		if err != nil {
			bad[k.name] = true
			l.refuse(Problem{Key: k.name, Value: k.redact(raw), Source: l.sources[k.name], Message: err.Error()})
		}
	}
	for _, p := range cfg.conflicts(bad) {
		p.Source = l.sources[p.Key]
		l.refuse(p)
	}
	if len(l.problems) > 0 {
		return Config{}, nil, &Error{Problems: l.problems}
	}
	return cfg, l.sources, nil
}

func (l *loader) refuse(p Problem) { l.problems = append(l.problems, p) }

// add lays what p provides over what is there.
func (l *loader) add(p koanf.Provider, source func(key string) Source) error {
	layer := koanf.New(delimiter)
	if err := layer.Load(p, nil); err != nil {
		return err
	}
	for _, name := range layer.Keys() {
		l.sources[name] = source(name)
	}
	return l.merged.Merge(layer)
}

func (l *loader) defaults() error {
	values := map[string]any{}
	for _, k := range l.table {
		values[k.name] = k.def
	}
	return l.add(confmap.Provider(values, delimiter), func(string) Source { return Source{Kind: FromDefault} })
}

func (l *loader) environment(environ []string) error {
	names := make([]string, len(l.table))
	for i, k := range l.table {
		names[i] = strings.TrimPrefix(k.env(), envPrefix)
	}
	var unknown []Problem
	provider := env.Provider(delimiter, env.Opt{
		Prefix:      envPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(variable, value string) (string, any) {
			name := strings.TrimPrefix(variable, envPrefix)
			switch at := slices.Index(names, name); {
			case at >= 0 && value != "":
				return l.table[at].name, value
			case at < 0 && variable != fileVariable && !isServiceLink(variable, value):
				hint := suggestTail(name, "_", names)
				if hint != "" {
					hint = envPrefix + hint
				}
				unknown = append(unknown, Problem{
					Key: variable, Source: Source{Kind: FromEnvironment}, Message: "there is no such variable" + didYouMean(hint),
				})
			}
			return "", nil
		},
	})
	err := l.add(provider, func(name string) Source { return Source{Kind: FromEnvironment, Name: envName(name)} })
	slices.SortFunc(unknown, func(a, b Problem) int { return strings.Compare(a.Key, b.Key) })
	l.problems = append(l.problems, unknown...)
	return err
}

func (l *loader) flags(flags *pflag.FlagSet) error {
	if flags == nil {
		return nil
	}
	names := map[string]string{}
	provider := posflag.ProviderWithFlag(flags, delimiter, nil, func(f *pflag.Flag) (string, any) {
		if _, ours := f.Value.(*flagValue); !ours {
			return "", nil
		}
		for _, k := range l.table {
			if k.flag == f.Name {
				names[k.name] = f.Name
				return k.name, f.Value.String()
			}
		}
		return "", nil
	})
	return l.add(provider, func(name string) Source { return Source{Kind: FromFlag, Name: "--" + names[name]} })
}

// file finds the file and reads it.
func (l *loader) file(opts LoadOptions) error {
	path, named := namedFile(opts)
	for _, candidate := range opts.Search {
		if named {
			break
		}
		if _, err := os.Stat(candidate); !errors.Is(err, fs.ErrNotExist) {
			path = candidate
			break
		}
	}
	if path == "" {
		return nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		cause := err
		if pathError, ok := errors.AsType[*fs.PathError](err); ok {
			cause = pathError.Err
		}
		l.refuse(Problem{Source: Source{Kind: FromFile, Name: path}, Message: "cannot be read: " + cause.Error()})
		return nil
	}
	f := readFile(path, content, l.table)
	l.problems = append(l.problems, f.problems...)
	return l.add(confmap.Provider(f.values, delimiter), func(name string) Source {
		return Source{Kind: FromFile, Name: path, Line: f.lines[name]}
	})
}
