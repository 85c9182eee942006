package signup

import (
	"crypto/hmac"
	"crypto/sha256"
	"net/netip"
)

// network gives what counts as one client of an address: an IPv4 address, or the /64 of an IPv6 address, which is what one customer of a provider
// has. What is no address is all one client.
func network(address string) netip.Prefix {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}
	}
	addr = addr.Unmap().WithZone("")
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	prefix, _ := addr.Prefix(bits) // The number of bits is right.
	return prefix
}

// hashed gives what is stored of an address: who reads it without the key cannot try all addresses.
func (s *Service) hashed(address string) []byte {
	mac := hmac.New(sha256.New, s.cfg.AddressKey)
	mac.Write([]byte(network(address).String()))
	return mac.Sum(nil)
}
