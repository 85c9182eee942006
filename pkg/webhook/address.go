package webhook

import (
	"net/netip"
	"net/url"
	"strconv"
)

const maxURL = 2000

// url gives the address of an endpoint in canonical form. Where it leads is asked by guard, at each connection: here the customer is only
// told early of what can never work.
func (c *checker) url(raw string, allowHTTP, allowPrivate bool) string {
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" || u.Hostname() == "" || len(u.String()) > maxURL {
		c.add("url", "Give an address such as https://example.com/hooks, of %d characters at most.", maxURL)
		return raw
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !allowHTTP) {
		c.add("url", "Give an address that begins with https://.")
	}
	if u.User != nil {
		c.add("url", "Leave user and password out: the signature says who sends.")
	}
	if u.Fragment != "" {
		c.add("url", "Leave out the # and what follows: it is never sent.")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || !allowPrivate && !allowedPort(uint16(n)) {
			c.add("url", "Give port 80, 443, or one from 1024 on.")
		}
	}
	if addr, err := netip.ParseAddr(u.Hostname()); err == nil && !allowPrivate && !public(addr) {
		c.add("url", "Give an address that can be reached from the internet: %s cannot.", addr)
	}
	return u.String()
}

// allowedPort leaves out the ports of mail, remote logins, name servers and their like, with which HTTP could be made to talk.
func allowedPort(port uint16) bool { return port == 80 || port == 443 || port >= 1024 }

// public reports whether a is an address of the internet: in none of the blocks of IANA's registries of special-purpose addresses.
func public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return !within(a, special4())
	}
	// Of IPv6 only this has been given out. All else stays outside: loopback, private and link-local addresses, multicast, and what stands for an
	// address of IPv4 (64:ff9b::/96 and others).
	return within(a, []netip.Prefix{netip.MustParsePrefix("2000::/3")}) && !within(a, special6())
}

func within(a netip.Addr, prefixes []netip.Prefix) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func special4() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),        // this network
		netip.MustParsePrefix("10.0.0.0/8"),       // private
		netip.MustParsePrefix("100.64.0.0/10"),    // carrier-grade NAT; the metadata of one cloud
		netip.MustParsePrefix("127.0.0.0/8"),      // loopback
		netip.MustParsePrefix("168.63.129.16/32"), // the platform of another cloud, at an address that looks public
		netip.MustParsePrefix("169.254.0.0/16"),   // link-local; the metadata of most clouds
		netip.MustParsePrefix("172.16.0.0/12"),    // private
		netip.MustParsePrefix("192.0.0.0/24"),     // protocols
		netip.MustParsePrefix("192.0.2.0/24"),     // documentation
		netip.MustParsePrefix("192.31.196.0/24"),  // AS112
		netip.MustParsePrefix("192.52.193.0/24"),  // AMT
		netip.MustParsePrefix("192.88.99.0/24"),   // relays of 6to4
		netip.MustParsePrefix("192.168.0.0/16"),   // private
		netip.MustParsePrefix("192.175.48.0/24"),  // AS112
		netip.MustParsePrefix("198.18.0.0/15"),    // benchmarks
		netip.MustParsePrefix("198.51.100.0/24"),  // documentation
		netip.MustParsePrefix("203.0.113.0/24"),   // documentation
		netip.MustParsePrefix("224.0.0.0/3"),      // multicast, reserved, broadcast
	}
}

// special6 are the blocks of 2000::/3 that are nobody's.
func special6() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("2001::/23"),         // protocols, Teredo among them, which stands for an address of IPv4
		netip.MustParsePrefix("2001:db8::/32"),     // documentation
		netip.MustParsePrefix("2002::/16"),         // 6to4, which stands for an address of IPv4
		netip.MustParsePrefix("2620:4f:8000::/48"), // AS112
		netip.MustParsePrefix("3fff::/20"),         // documentation
	}
}
