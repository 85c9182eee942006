package httpapi

import (
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
)

// secureTransport has browsers that came by https come by nothing else, for a year.
func secureTransport(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.Scheme() == "https" {
			c.Response().Header().Set(echo.HeaderStrictTransportSecurity, "max-age=31536000")
		}
		return next(c)
	}
}

// crossOrigin lets scripts of the pages that are named in the configuration call the API (CORS): exactly those origins, with their users' sessions.
// Anybody else gets no header, and browsers then keep the answer from them.
func (h *handler) crossOrigin(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		req := c.Request()
		if len(h.cfg.CORSOrigins) == 0 || !strings.HasPrefix(req.URL.Path, pathAPI) {
			return next(c)
		}
		header := c.Response().Header()
		header.Add(echo.HeaderVary, echo.HeaderOrigin)
		origins := req.Header.Values(echo.HeaderOrigin)
		if len(origins) != 1 || !slices.Contains(h.cfg.CORSOrigins, origins[0]) {
			return next(c)
		}
		header.Set(echo.HeaderAccessControlAllowOrigin, origins[0])
		header.Set(echo.HeaderAccessControlAllowCredentials, "true")
		header.Set(echo.HeaderAccessControlExposeHeaders, "ETag, Link, Location, Retry-After, X-Request-Id, "+headerReplayed)
		if req.Method != http.MethodOptions || req.Header.Get(echo.HeaderAccessControlRequestMethod) == "" {
			return next(c)
		}
		header.Set(echo.HeaderAccessControlAllowMethods, "GET, HEAD, POST, PATCH, DELETE")
		header.Set(echo.HeaderAccessControlAllowHeaders, "Authorization, Content-Type, If-Match, If-None-Match, "+headerKey)
		header.Set(echo.HeaderAccessControlMaxAge, "600")
		return c.NoContent(http.StatusNoContent)
	}
}
