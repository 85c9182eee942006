package httpapi

import (
	"errors"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/telemetry"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

// Catalog finds a tenant by the label before the base domain, without I/O. tenancy.Catalog is one.
type Catalog interface {
	BySlug(slug string) (tenancy.Tenant, bool)
}

// notFoundHost is the whole answer to every host that is no tenant's. It holds no request id and nothing of the request, so that
// nobody can tell a name that is reserved, or was a customer's once, from one that never existed.
const notFoundHost = `{"type":"urn:rowhouse:problem:not_found","title":"Not found","status":404,"detail":"There is nothing here."}` + "\n"

// landing is what the base domain itself says.
const landing = "Rowhouse: each customer works on its own subdomain.\n"

// suspendedPage is the whole answer of a suspended workspace, to people and programs alike.
const suspendedPage = "This workspace is suspended. Its data is kept. Ask whoever runs it for you.\n"

const (
	maxHostName = 253 // octets of a name in DNS, RFC 1035
	maxLabel    = 63
)

// normalHost gives the name part of a Host header in lower case, without port and without the one trailing dot that a fully
// qualified name may have. It gives false for what cannot be a DNS name here: IPv6 literals, non-ASCII, empty or overlong names.
func normalHost(host string) (string, bool) {
	name, port, hasPort := strings.Cut(host, ":")
	if hasPort && !isPort(port) { // A second colon, so IPv6 as well, fails here.
		return "", false
	}
	name = strings.TrimSuffix(name, ".")
	if name == "" || len(name) > maxHostName {
		return "", false
	}
	// Outside ASCII there are letters that become ASCII in lower case, such as the Kelvin sign.
	if strings.ContainsFunc(name, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return "", false
	}
	name = strings.ToLower(name)
	for label := range strings.SplitSeq(name, ".") {
		if !isLabel(label) {
			return "", false
		}
	}
	return name, true
}

// isPort allows the empty port: RFC 3986 lets a host end in a bare colon.
func isPort(s string) bool {
	if len(s) > 5 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func isLabel(s string) bool {
	if s == "" || len(s) > maxLabel || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// slugOf gives the one label before base, or false. Both must be normal.
func slugOf(host, base string) (string, bool) {
	slug, ok := strings.CutSuffix(host, "."+base)
	return slug, ok && !strings.Contains(slug, ".")
}

// hostGate finds the tenant of the request, or answers. It stands before the router, so its 404 is the same on every path.
func (h *handler) hostGate(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		host, ok := normalHost(c.Request().Host)
		if ok && host == h.cfg.BaseDomain && h.cfg.Base != nil {
			if err := h.takeAsStranger(c); err != nil {
				return h.reject(c, err)
			}
			h.cfg.Base.ServeHTTP(c.Response(), c.Request())
			return nil
		}
		if ok && host == h.cfg.BaseDomain && c.Request().URL.Path == "/" && isRead(c.Request().Method) {
			return c.String(http.StatusOK, landing)
		}
		tenant, found := tenancy.Tenant{}, false
		if slug, below := slugOf(host, h.cfg.BaseDomain); ok && below {
			tenant, found = h.cfg.Catalog.BySlug(slug)
		}
		if !found {
			return h.nobody(c)
		}
		r := requestFrom(c.Request().Context())
		r.tenant = tenant
		if h.cfg.Plans != nil {
			r.limits = h.cfg.Plans.Limits(tenant.Plan)
		}
		engine := tenant.Engine()
		engine.StatementTimeout = r.limits.StatementTimeout
		r.scope = h.cfg.DB.Tenant(engine)
		r.served = func() bool { return h.stillServed(tenant) }
		return next(c)
	}
}

// stillServed reports whether the tenant is there as it was when the request came.
func (h *handler) stillServed(t tenancy.Tenant) bool {
	now, found := h.cfg.Catalog.BySlug(t.Slug)
	return found && now.ID == t.ID && (now.State == tenancy.StateReady || now.State == tenancy.StateMigrating) && now.Runs(h.cfg.Versions)
}

// nobody answers for a host that is no tenant's, or no longer.
func (h *handler) nobody(c echo.Context) error {
	h.cfg.Metrics.TenantResolved(telemetry.TenantUnknown)
	return c.Blob(http.StatusNotFound, mimeProblem, []byte(notFoundHost))
}

// stateGate lets only tenants pass that can be served. It names every state and has no default, so that the linter asks what a new one
// means here; until somebody has answered, such a tenant is not served.
func (h *handler) stateGate(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		tenant := requestFrom(c.Request().Context()).tenant
		switch tenant.State {
		case tenancy.StateReady, tenancy.StateMigrating:
			if tenant.Runs(h.cfg.Versions) {
				h.cfg.Metrics.TenantResolved(telemetry.TenantFound)
				return next(c)
			}
		case tenancy.StateSuspended:
			h.cfg.Metrics.TenantResolved(telemetry.TenantSuspended)
			return c.String(http.StatusForbidden, suspendedPage)
		case tenancy.StateArchived, tenancy.StateDeleted, tenancy.StateWarm:
			return h.nobody(c)
		case tenancy.StateProvisioning, tenancy.StateQuarantined:
		}
		h.cfg.Metrics.TenantResolved(telemetry.TenantUnavailable)
		p := newProblem(http.StatusServiceUnavailable, "This workspace is being worked on. Try again in a moment.")
		p.cause = errors.New("httpapi: tenant cannot be served: " + string(tenant.State))
		return p
	}
}

// changed says that the request may have changed something, unless it could not or was refused.
func (h *handler) changed(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		err := next(c)
		if !isRead(c.Request().Method) && c.Response().Status < http.StatusBadRequest {
			h.cfg.Changed(requestFrom(c.Request().Context()).scope.Tenant())
		}
		return err
	}
}

func isRead(method string) bool { return method == http.MethodGet || method == http.MethodHead }
