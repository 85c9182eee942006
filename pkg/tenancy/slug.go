package tenancy

import (
	"strings"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

// reservedSlugs are subdomains that the platform keeps, would be mistaken for it, or that programs of the network look up by
// themselves (RFC 2142 mailboxes, autodiscovery).
const reservedSlugs = " about abuse account accounts admin administrator affiliate api app apps archive archives assets auth autoconfig " +
	"autodiscover avatar backup backups beta billing billing-portal blog bot bots bounce calendar cart cdn certificate " +
	"certs chat checkout client clients cms code community config connect console contact cpanel css customer customers " +
	"dashboard data db demo dev developer developers dns docs download downloads edge email embed enterprise error " +
	"errors events everyone example export faq feed feedback feeds file files forum forums ftp gateway git github go " +
	"graphql group groups guest health healthz hello help home host hosting hostmaster hosts http https id identity image " +
	"images imap img imprint info internal invitation invitations invite ip ipv4 ipv6 irc jobs js legal license live load " +
	"localdomain localhost log login logs m mail mailer mailing maintenance manage manager marketing master me media " +
	"member members metrics mfa mobile monitor monitoring mta mta-sts mx mx0 mx1 mx2 mx3 my new news newsletter no-reply nobody " +
	"noc noreply notification notifications ns ns1 ns2 ns3 ns4 oauth office official one-time openid operator ops order " +
	"orders org organization owner page pages partner partners passkey passkeys password passwords pay payment payments " +
	"phishing photos ping plans platform pop pop3 post postmaster preview prices pricing privacy private production " +
	"profile project projects proxy public purchase readyz register registration release releases remote reply reset " +
	"resources rest river root rowhouse sales sandbox schema script scripts search secure security server servers service " +
	"services session sessions settings setup share shop sign-in sign-out sign-up signin signout signup site sites smtp " +
	"smtps source spam ssh ssl sso stage staging start stat static statistics stats status store subscribe support sync " +
	"sysadmin sysop system team tenant tenants terms test tests tls token tokens tools trace tracking trust update updates " +
	"upload uploads usenet user username users verify vpn wallet web webhook webhooks webmail webmaster website welcome " +
	"wiki workspace workspaces wpad ws www www1 www2 www3 xmpp "

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

// LooksReserved reports whether people would take s for a subdomain that no tenant may have.
func LooksReserved(s string) bool {
	looks := Skeleton(s)
	for word := range strings.FieldsSeq(reservedSlugs) {
		if Skeleton(word) == looks {
			return true
		}
	}
	return false
}

// Skeleton gives what a slug looks like: of two slugs that people take for each other it is the same. 0 is o, 1 and i are l, m is rn, w is
// vv, and hyphens are nothing; slugs hold no letters but a to z, so the rest of Unicode's confusable characters (UTS #39) does not come up.
// Letter by letter, so that what looks like something in two steps does so in one. The columns slug_skeleton of the catalog hold the same.
func Skeleton(slug string) string {
	return strings.NewReplacer("0", "o", "1", "l", "i", "l", "m", "rn", "w", "vv", "-", "").Replace(slug)
}

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
