package config

import (
	"fmt"

	"github.com/spf13/pflag"
)

// configFlag is the flag that names the file. It is no key: a file cannot name itself.
const configFlag = "config"

// flagValue keeps what the command line says as it is: [Load] parses it with everything else, so that all problems are reported together.
type flagValue struct {
	raw string
	typ string
}

func (v *flagValue) String() string { return v.raw }
func (v *flagValue) Type() string   { return v.typ }
func (v *flagValue) Set(raw string) error {
	v.raw = raw
	return nil
}

// BindFlags adds the flags of keys to fs, for example those of "data_dir" and "server.addr", so that each command shows the flags that it
// uses. Like pflag it panics over a mistake of the program: a key that is not in the table or has no flag.
func BindFlags(fs *pflag.FlagSet, keys ...string) {
	table := tableOf(new(Config))
	for _, name := range keys {
		k, ok := find(table, name)
		if !ok || k.flag == "" {
			panic(fmt.Sprintf("config: key %q has no flag", name))
		}
		fs.Var(&flagValue{raw: k.def, typ: k.typ}, k.flag, k.usage)
	}
}

// BindConfigFlag adds the flag --config, which names the file to read.
func BindConfigFlag(fs *pflag.FlagSet) {
	fs.Var(&flagValue{typ: "file"}, configFlag, "file with the configuration (default rowhouse.yaml here or in /etc/rowhouse, if there is one)")
}

func find(table []key, name string) (key, bool) {
	for _, k := range table {
		if k.name == name {
			return k, true
		}
	}
	return key{}, false
}
