package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// setting reads, checks and shows one field of a Config.
type setting struct {
	// typ says in a word what kind of value it is, for a flag's help.
	typ string
	// list says that the file may give a sequence. Elsewhere, and handed to parse, it is separated by commas.
	list bool
	// parse sets the field. Its error says what would be right, and holds nothing of raw if that is secret.
	parse func(raw string) error
	// check says what is wrong with the field's present value.
	check func() error
	// show gives the field's value in the form that parse reads, redacted if it is secret.
	show func() string
	// redact gives raw, which may not be parseable, without what is secret in it.
	redact func(raw string) string
}

// value is the setting of the field at p.
func value[T any](p *T, typ string, parse func(string) (T, error), show func(T) string, checks ...func(T) error) setting {
	return setting{
		typ: typ,
		parse: func(raw string) error {
			v, err := parse(raw)
			if err != nil {
				return err
			}
			*p = v
			return nil
		},
		check: func() error {
			for _, check := range checks {
				if err := check(*p); err != nil {
					return err
				}
			}
			return nil
		},
		show:   func() string { return show(*p) },
		redact: plain,
	}
}

func plain(s string) string { return s }

func text(p *string, typ string, checks ...func(string) error) setting {
	return value(p, typ, func(raw string) (string, error) { return raw, nil }, plain, checks...)
}

func duration(p *time.Duration, checks ...func(time.Duration) error) setting {
	parse := func(raw string) (time.Duration, error) {
		d, err := time.ParseDuration(raw)
		if err != nil {
			return 0, errors.New("must be a duration with a unit, such as 500ms, 30s or 720h")
		}
		return d, nil
	}
	return value(p, "duration", parse, showDuration, checks...)
}

// showDuration is d without the zeros that Duration.String ends with: 720h, not 720h0m0s.
func showDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func number(p *int, checks ...func(int) error) setting {
	parse := func(raw string) (int, error) {
		n, err := strconv.Atoi(raw)
		if err != nil {
			return 0, errors.New("must be a whole number")
		}
		return n, nil
	}
	return value(p, "number", parse, strconv.Itoa, checks...)
}

func boolean(p *bool) setting {
	parse := func(raw string) (bool, error) {
		if raw != "true" && raw != "false" {
			return false, errors.New("must be true or false")
		}
		return raw == "true", nil
	}
	return value(p, "true or false", parse, strconv.FormatBool)
}

func size(p *ByteSize, checks ...func(ByteSize) error) setting {
	return value(p, "size", ParseByteSize, ByteSize.String, checks...)
}

func prefixes(p *[]netip.Prefix) setting {
	parse := func(raw string) ([]netip.Prefix, error) {
		var out []netip.Prefix
		for item := range strings.SplitSeq(raw, ",") {
			if item = strings.TrimSpace(item); item == "" {
				continue
			}
			prefix, err := parsePrefix(item)
			if err != nil {
				return nil, err
			}
			out = append(out, prefix)
		}
		return out, nil
	}
	show := func(list []netip.Prefix) string {
		items := make([]string, len(list))
		for i, prefix := range list {
			items[i] = prefix.String()
		}
		return strings.Join(items, ",")
	}
	s := value(p, "networks", parse, show, func(list []netip.Prefix) error {
		for _, prefix := range list {
			if !prefix.IsValid() {
				return errors.New("must be networks such as 10.0.0.0/8")
			}
		}
		return nil
	})
	s.list = true
	return s
}

// origins are those of pages, exact: scheme, host and, where it is not the scheme's own, port.
func origins(p *[]string) setting {
	parse := func(raw string) ([]string, error) {
		var out []string
		for item := range strings.SplitSeq(raw, ",") {
			if item = strings.TrimSpace(item); item != "" {
				out = append(out, item)
			}
		}
		return out, nil
	}
	show := func(list []string) string { return strings.Join(list, ",") }
	s := value(p, "origins", parse, show, func(list []string) error {
		for _, origin := range list {
			u, err := url.Parse(origin)
			good := err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && !strings.Contains(u.Host, "*")
			if exact := good && strings.ToLower(u.Scheme+"://"+u.Host) == origin; !exact { //nolint:gocritic // Capitals are refused.
				return fmt.Errorf("must be origins such as https://app.example.com, in lower case and without a path, and %q is none", origin)
			}
		}
		return nil
	})
	s.list = true
	return s
}

// parsePrefix reads a network, or one address as the network of only that address.
func parsePrefix(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(s)
	if err != nil || prefix.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("must be networks such as 10.0.0.0/8 or addresses such as 192.0.2.7, and %q is neither", s)
	}
	if prefix != prefix.Masked() {
		return netip.Prefix{}, fmt.Errorf("%s is an address inside a network: write %s for the network", s, prefix.Masked())
	}
	return prefix, nil
}

func secret(p *Secret, least int) setting {
	parse := func(raw string) (Secret, error) { return NewSecret(raw), nil }
	s := value(p, "secret", parse, Secret.String, func(v Secret) error {
		if v.IsSet() && len(v.Reveal()) < least {
			return fmt.Errorf("must have %d characters or more, for example from `openssl rand -base64 32`", least)
		}
		return nil
	})
	s.redact = func(raw string) string { return NewSecret(raw).String() }
	return s
}

// seed is a secret of exactly so many bytes, in base64.
func seed(p *Secret, bytes int) setting {
	s := secret(p, 0)
	s.check = func() error {
		raw, err := base64.StdEncoding.DecodeString(p.Reveal())
		if p.IsSet() && (err != nil || len(raw) != bytes) {
			return fmt.Errorf("must be %d bytes in base64, for example from `openssl rand -base64 %d`", bytes, bytes)
		}
		return nil
	}
	return s
}

func databaseURL(p *URL) setting {
	parse := func(raw string) (URL, error) { return NewURL(raw), nil }
	s := value(p, "URL", parse, URL.String, func(u URL) error { return checkDatabaseURL(u.Reveal()) })
	s.redact = redactURL
	return s
}
