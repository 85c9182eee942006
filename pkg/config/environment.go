package config

import (
	"regexp"
	"strings"

	"github.com/spf13/pflag"
)

// namedFile gives the file that --config or ROWHOUSE_CONFIG names.
func namedFile(opts LoadOptions) (string, bool) {
	if opts.Flags != nil {
		if f := opts.Flags.Lookup(configFlag); isSet(f) {
			return f.Value.String(), true
		}
	}
	path := ""
	for _, entry := range opts.Environ {
		// The last one wins, as it does in os/exec.
		if name, v, _ := strings.Cut(entry, "="); name == fileVariable {
			path = v
		}
	}
	return path, path != ""
}

func isSet(f *pflag.Flag) bool { return f != nil && f.Changed }

// isServiceLink reports whether a variable is one that Kubernetes sets in every pod for a service whose name begins with "rowhouse", such
// as ROWHOUSE_SERVICE_HOST=10.0.0.1 and ROWHOUSE_PORT=tcp://10.0.0.1:80. Nobody wrote those, so nobody could mend them.
func isServiceLink(name, value string) bool {
	switch {
	case regexp.MustCompile(`_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$`).MatchString(name),
		regexp.MustCompile(`_PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$`).MatchString(name):
		return true
	case strings.HasSuffix(name, "_PORT"):
		return regexp.MustCompile(`^(tcp|udp|sctp)://`).MatchString(value)
	}
	return false
}
