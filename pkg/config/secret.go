package config

import (
	"fmt"
	"regexp"
	"strings"
)

// redacted stands for a secret wherever one would be printed.
const redacted = "********"

// Secret is a string that prints and marshals as ********. The zero Secret is not set and prints as nothing.
//
// The value stands behind a pointer because fmt asks no methods of unexported fields: inside such a field a string type would be printed
// in clear, and a pointer is printed as an address.
type Secret struct{ value *string }

// NewSecret makes a Secret of value; of "" the one that is not set.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{value: &value}
}

// Reveal gives the value in clear.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsSet reports whether there is a value.
func (s Secret) IsSet() bool { return s.value != nil }

// String gives ********, or nothing if the secret is not set.
func (s Secret) String() string {
	if !s.IsSet() {
		return ""
	}
	return redacted
}

// Format prints String for every verb.
func (s Secret) Format(f fmt.State, verb rune) { format(f, verb, s.String()) }

// MarshalText gives String, to encoding/json and its like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// URL is a URL that prints and marshals with its password as ********. The zero URL is not set and prints as nothing. Like [Secret] it does
// not leak from unexported fields either.
type URL struct{ value *string }

// NewURL makes a URL of value; of "" the one that is not set. It does not check value.
func NewURL(value string) URL {
	if value == "" {
		return URL{}
	}
	return URL{value: &value}
}

// Reveal gives the URL in clear.
func (u URL) Reveal() string {
	if u.value == nil {
		return ""
	}
	return *u.value
}

// IsSet reports whether there is a URL.
func (u URL) IsSet() bool { return u.value != nil }

// String gives the URL with its password as ********.
func (u URL) String() string { return redactURL(u.Reveal()) }

// Format prints String for every verb.
func (u URL) Format(f fmt.State, verb rune) { format(f, verb, u.String()) }

// MarshalText gives String, to encoding/json and its like.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// format prints s under the flags of the verb; under %#v, which would be a quoted Go string, as it is.
func format(f fmt.State, verb rune, s string) {
	if verb == 'v' {
		_, _ = fmt.Fprint(f, s) // Nowhere to report to: fmt.State is a buffer.
		return
	}
	_, _ = fmt.Fprintf(f, fmt.FormatString(f, verb), s)
}

// redactURL hides the passwords of a URL, also of one that is malformed: where it cannot tell what the password is, it hides too much. A
// password with a raw @, / or ? in it is the usual mistake, so everything up to the last @ is taken for user and password.
func redactURL(raw string) string {
	if raw == "" {
		return ""
	}
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok || strings.ContainsAny(scheme, ":@/?= ") {
		return redacted // Perhaps host=… password=…, perhaps a password alone.
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		if user, _, hasPassword := strings.Cut(rest[:at], ":"); hasPassword {
			rest = user + ":" + redacted + rest[at:]
		}
	} else if hosts, _, _ := strings.Cut(rest, "/"); !hasNumericPorts(hosts) {
		return scheme + "://" + redacted // More likely user:password without its @ than a host.
	}
	return scheme + "://" + regexp.MustCompile(`(?i)(password=)[^&#]*`).ReplaceAllString(rest, "${1}"+redacted)
}

// hasNumericPorts reports whether hosts, separated by commas, have numbers for ports or none.
func hasNumericPorts(hosts string) bool {
	hosts, _, _ = strings.Cut(hosts, "?")
	for host := range strings.SplitSeq(hosts, ",") {
		if _, bracketed, ok := strings.Cut(host, "]"); ok {
			host = bracketed
		}
		if _, port, ok := strings.Cut(host, ":"); ok && strings.Trim(port, "0123456789") != "" {
			return false
		}
	}
	return true
}
