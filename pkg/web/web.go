// Package web is what people see: the pages of a tenant's host, rendered on the server, and those of the base domain.
//
// All of it works without JavaScript, by links and forms; app.js makes some of it quicker to use. Nothing is built: templates, the one style
// sheet and the one script are embedded as they are written.
//
//	request ─▶ httpapi's gates (host, state, limits) ─▶ browser: headers, same origin, session ─▶ guards ─▶ page ─▶ feature ─▶ Scope
//
// Guarantees:
//
//   - A page reads and changes data through the scope of the tenant whose host was called, as whoever the session of that tenant says.
//   - What changes something is a POST, and is refused if another site caused it ([http.CrossOriginProtection]).
//   - No page holds or allows inline script or style, and none loads anything from elsewhere.
//   - What is private is not stored by caches: only assets are, whose addresses change with their content.
package web

import (
	"cmp"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/zap"

	"github.com/rowhousehq/rowhouse/pkg/httpapi"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/live"
	"github.com/rowhousehq/rowhouse/pkg/webhook"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
)

// Config is what [New] needs. Everything without a default is required.
type Config struct {
	// BaseDomain is the name below which tenants have their subdomains. Without a port.
	BaseDomain string
	Identity   *identity.Service
	Workspace  *workspace.Service
	Webhooks   *webhook.Service
	// Live, if set, tells pages of what changes while they are shown.
	Live *live.Hub
	// Heartbeat is how often that tells that it is alive, and asks whether who listens is still signed in. Default 20 s.
	Heartbeat time.Duration
	Log       *zap.Logger
}

// Pages are the pages of all tenants. They hold no connection and no tenant.
type Pages struct {
	cfg       Config
	views     *views
	origin    *http.CrossOriginProtection
	heartbeat time.Duration
}

// New validates cfg, reads the templates and makes the Pages.
func New(cfg Config) (*Pages, error) {
	if cfg.BaseDomain == "" || cfg.Identity == nil || cfg.Workspace == nil || cfg.Webhooks == nil || cfg.Log == nil {
		return nil, errors.New("web: Config.BaseDomain, Identity, Workspace, Webhooks and Log are required")
	}
	v, err := newViews()
	if err != nil {
		return nil, err
	}
	return &Pages{cfg: cfg, views: v, origin: http.NewCrossOriginProtection(), heartbeat: cmp.Or(cfg.Heartbeat, heartbeat)}, nil
}

// Routes adds the pages to the tenants' hosts. It is meant for httpapi's Config.Product.
func (h *Pages) Routes(e *httpapi.Edge) error {
	e.ErrorPage = h.errorPage
	r := routes{h: h, echo: e.Echo}
	e.Echo.GET("/assets/:file", h.asset)
	e.Echo.GET("/favicon.ico", h.favicon)
	r.post("/theme", h.chooseTheme)
	h.authRoutes(r)
	h.settingsRoutes(r)
	h.workRoutes(r)
	return nil
}

// routes adds pages: each is behind browser, and then behind its guards, such as requireUser or require.
type routes struct {
	h    *Pages
	echo *echo.Echo
}

func (r routes) get(path string, page echo.HandlerFunc, guards ...echo.MiddlewareFunc) {
	r.echo.GET(path, page, append([]echo.MiddlewareFunc{r.h.browser}, guards...)...)
}

func (r routes) post(path string, page echo.HandlerFunc, guards ...echo.MiddlewareFunc) {
	r.echo.POST(path, page, append([]echo.MiddlewareFunc{r.h.browser}, guards...)...)
}
