package tenancy

import (
	"strings"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

// reservedSlugs are subdomains that the platform keeps, would be mistaken for it, or that programs of the network look up by
// themselves (RFC 2142 mailboxes, autodiscovery).
const reservedSlugs = " abuse account accounts admin administrator api app apps assets auth autoconfig autodiscover beta billing blog cdn " +
	"console dashboard dev docs email example ftp help hostmaster imap internal login localhost mail metrics mx noc ns ns1 ns2 " +
	"oauth operator ops owner platform pop pop3 postmaster public river root rowhouse security signin signup smtp sso staging " +
	"static status support system team test usenet webmail webmaster wpad www www1 www2 "

// ParseSlug checks a subdomain: 2 to 63 characters of a-z, 0-9 and hyphen, neither beginning nor ending with a hyphen, without two hyphens
// as its third and fourth character (which would announce punycode), and not reserved. The error says what would be right.
func ParseSlug(s string) (string, error) {
	if reason := slugFault(s); reason != "" {
		err := apperr.New(apperr.Invalid, "the subdomain %q %s", s[:min(len(s), 80)], reason)
		if better := SuggestSlug(s); better != "" && better != s {
			err.Message += "; " + better + " would be right"
		}
		return "", err.WithField("slug", reason)
	}
	if ReservedSlug(s) {
		return "", apperr.New(apperr.Invalid, "the subdomain %q is reserved: choose another", s).WithField("slug", "is reserved")
	}
	return s, nil
}

// ReservedSlug reports whether s is a subdomain that no tenant may have.
func ReservedSlug(s string) bool { return strings.Contains(reservedSlugs, " "+s+" ") }

func slugFault(s string) string {
	switch {
	case len(s) < 2 || len(s) > 63:
		return "must have 2 to 63 characters"
	case !slugCharsOnly(s):
		return "may hold only a-z, 0-9 and hyphens"
	case s[0] == '-' || s[len(s)-1] == '-':
		return "must not begin or end with a hyphen"
	case len(s) >= 4 && s[2:4] == "--":
		return "must not have two hyphens as third and fourth character"
	}
	return ""
}

func slugCharsOnly(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// SuggestSlug makes a valid slug from a name, or "" if nothing is left of it.
func SuggestSlug(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() == 63 {
			break
		}
	}
	s := strings.Trim(b.String(), "-")
	if slugFault(s) != "" || ReservedSlug(s) {
		return ""
	}
	return s
}
