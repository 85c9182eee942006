package config

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

func nonEmpty(s string) error {
	if s == "" {
		return errors.New("must not be empty")
	}
	return nil
}

func positive(d time.Duration) error {
	if d <= 0 {
		return errors.New("must be longer than 0s")
	}
	return nil
}

func notNegative(d time.Duration) error {
	if d < 0 {
		return errors.New("must not be negative")
	}
	return nil
}

// within checks that lo ≤ v ≤ hi.
func within[T cmp.Ordered](lo, hi T) func(T) error {
	return func(v T) error {
		if v < lo || v > hi {
			return fmt.Errorf("must be between %s and %s", showBound(lo), showBound(hi))
		}
		return nil
	}
}

func showBound(v any) string {
	if d, ok := v.(time.Duration); ok {
		return showDuration(d)
	}
	return fmt.Sprint(v)
}

// minWorkers is one for each queue of package jobqueue, which refuses fewer.
const minWorkers = 3

func enoughWorkers(n int) error {
	if n < minWorkers {
		return fmt.Errorf("must be %d or more: each of the job queue's %d queues needs a worker of its own", minWorkers, minWorkers)
	}
	return nil
}

func oneOf(allowed ...string) func(string) error {
	return func(s string) error {
		if slices.Contains(allowed, s) {
			return nil
		}
		last := len(allowed) - 1
		return fmt.Errorf("must be %s or %s%s", strings.Join(allowed[:last], ", "), allowed[last], didYouMean(suggest(s, allowed)))
	}
}

// rolePrefix leaves room for "_cell_01" within PostgreSQL's 63 bytes, and lets no name need quotes.
func rolePrefix(s string) error {
	if !regexp.MustCompile(`^[a-z][a-z0-9_]{0,30}$`).MatchString(s) {
		return errors.New("must be a letter and up to 30 more letters, digits or underscores, all lower-case")
	}
	return nil
}

// hostPort checks an address to listen on. Port 0 is any free one, no host is all interfaces.
func hostPort(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return errors.New("must be host:port, such as 127.0.0.1:8080, [::1]:8080 or :8080")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return errors.New("must end with a port from 0 to 65535, such as 127.0.0.1:8080")
	}
	if _, err := netip.ParseAddr(host); host == "" || err == nil {
		return nil
	}
	if !isHostName(strings.ToLower(host)) {
		return errors.New("must begin with a host name or an IP address, such as 127.0.0.1:8080")
	}
	return nil
}

// parseHostName gives the one form of a host name that others compare with: lower-case, no dot at the end.
func parseHostName(raw string) (string, error) {
	return strings.TrimSuffix(strings.ToLower(raw), "."), nil
}

func hostName(s string) error {
	if host, port, err := net.SplitHostPort(s); err == nil && isHostName(host) && strings.Trim(port, "0123456789") == "" {
		return fmt.Errorf("must be a domain without a port: write %s; the port belongs to server.addr", host)
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return errors.New("must be a domain, because an IP address has no subdomains: use localhost on your own machine")
	}
	if !isHostName(s) {
		return errors.New("must be a domain such as example.com: letters, digits and hyphens between dots, without scheme or path " +
			"(an international name in its xn-- form)")
	}
	return nil
}

// isHostName reports whether s is a lower-case DNS name that leaves room for a tenant's label and its dot.
func isHostName(s string) bool {
	if s == "" || len(s) > 253-64 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
				return false
			}
		}
	}
	return true
}

// checkDatabaseURL finds what people get wrong; everything else is said by PostgreSQL's driver, which knows all parameters. Neither
// net/url nor a strict check would do, because PostgreSQL's URLs may name many hosts. Its errors do not hold raw.
func checkDatabaseURL(raw string) error {
	if raw == "" {
		return nil
	}
	const form = "postgres://user:password@host:5432/database" //nolint:gosec // Says what one looks like; nobody's password.
	rest, ok := strings.CutPrefix(raw, "postgres://")
	if !ok {
		rest, ok = strings.CutPrefix(raw, "postgresql://")
	}
	if !ok {
		return errors.New("must begin with postgres://, as in " + form)
	}
	if strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return errors.New("must not hold spaces or control characters: percent-encode them, as in " + form)
	}
	rest, query, _ := strings.Cut(rest, "?")
	params, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("must hold parameters as in ?sslmode=require&connect_timeout=5, percent-encoded")
	}
	hosts, database, _ := strings.Cut(rest, "/")
	_, afterUser, hasUser := strings.Cut(hosts, "@")
	if hasUser {
		hosts = afterUser
	}
	// A raw @, / or ? in the password has cut it into pieces that hold another @.
	cutByQuery := !hasUser && hosts == rest && strings.Contains(query, "@")
	switch {
	case strings.Contains(hosts, "@") || strings.ContainsAny(database, "@/") || cutByQuery:
		return errors.New("must have reserved characters of user and password percent-encoded: @ is %40, / is %2F, ? is %3F")
	case hosts == "" && !params.Has("host"):
		return errors.New("must name a host, as in " + form)
	case database == "" && !params.Has("dbname"):
		return errors.New("must name a database, as in " + form)
	}
	return nil
}
