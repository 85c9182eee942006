package httpapi

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/labstack/echo/v4"
)

// forwardingHeaders say something about a request that only a proxy can know. From anybody else they are lies.
func forwardingHeaders() []string {
	return []string{
		"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Forwarded-Protocol",
		"X-Forwarded-Ssl", "X-Url-Scheme", "X-Real-Ip", echo.HeaderXRequestID,
	}
}

// forwarded is the door: from a peer that is not a configured proxy it takes the forwarding headers away, so that nothing behind it
// needs to ask whether to believe them. From a proxy it takes the host over.
func (h *handler) forwarded(next echo.HandlerFunc) echo.HandlerFunc {
	names := forwardingHeaders()
	return func(c echo.Context) error {
		req := c.Request()
		if !h.fromProxy(req.RemoteAddr) {
			for _, name := range names {
				req.Header.Del(name)
			}
			return next(c)
		}
		if host := lastElement(req.Header, "X-Forwarded-Host"); host != "" {
			req.Host = host
		}
		return next(c)
	}
}

func (h *handler) fromProxy(remoteAddr string) bool {
	if len(h.cfg.TrustedProxies) == 0 {
		return false
	}
	peer, err := netip.ParseAddrPort(remoteAddr)
	if err != nil {
		return false
	}
	addr := peer.Addr().Unmap().WithZone("")
	for _, prefix := range h.cfg.TrustedProxies {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// lastElement gives the last element of a list header: the one that the nearest proxy appended. Those before it came from outside.
func lastElement(header http.Header, name string) string {
	lines := header.Values(name)
	if len(lines) == 0 {
		return ""
	}
	last := lines[len(lines)-1]
	return strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
}
