package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/httpapi"
	"github.com/rowhousehq/rowhouse/pkg/signup"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

// baseTime bounds the work on a request to the base domain, but for the progress of a sign-up.
const baseTime = 10 * time.Second

// BaseConfig is what [NewBase] needs.
type BaseConfig struct {
	// BaseDomain is the name below which tenants have their subdomains. Without a port. Required.
	BaseDomain string
	// Title is the product's. Default "Rowhouse".
	Title string
	// SignUp takes sign-ups. Nil closes the form.
	SignUp *signup.Service
	// Catalog says which tenants this process can serve by now. Required.
	Catalog interface {
		BySlug(slug string) (tenancy.Tenant, bool)
	}
}

// base are the pages of the base domain, which is nobody's. No tenant's cookie reaches it, and it holds no session.
type base struct {
	cfg    BaseConfig
	views  *views
	origin *http.CrossOriginProtection
	policy string
	// checks and forms bound what one network may ask of this process; how many sign-ups it may make is counted in the database.
	checks, forms *signup.Limiter
	streams       chan struct{}
}

// NewBase makes the handler of the base domain: the first page, and the way to a tenant of one's own. It is meant for httpapi's Config.Base, which
// gives the request its id, its log line and the client's address.
func NewBase(cfg BaseConfig) (http.Handler, error) {
	if cfg.BaseDomain == "" || cfg.Catalog == nil {
		return nil, errors.New("web: BaseConfig.BaseDomain and Catalog are required")
	}
	v, err := newViews()
	if err != nil {
		return nil, err
	}
	b := &base{
		cfg: cfg, views: v, origin: http.NewCrossOriginProtection(),
		// A form that ends at the new tenant's host: browsers hold its redirects against form-action, too.
		policy: strings.Replace(pagePolicy, "form-action 'self'", "form-action 'self' *."+cfg.BaseDomain+":*", 1),
		checks: signup.NewLimiter(4, 30), forms: signup.NewLimiter(0.5, 15), streams: make(chan struct{}, maxWatched),
	}
	e := echo.New()
	e.HTTPErrorHandler = b.fail
	e.Use(b.guard)
	get := func(path string, page echo.HandlerFunc) {
		e.GET(path, page)
		e.HEAD(path, page)
	}
	get("/", b.landing)
	get("/go", b.goTo)
	get("/assets/:file", b.asset)
	get("/favicon.ico", b.favicon)
	get("/sign-up", b.form)
	if cfg.SignUp != nil {
		e.POST("/sign-up", b.signUp)
		get("/sign-up/check", b.check)
		get("/sign-up/:id", b.progress)
		e.GET("/sign-up/:id/events", b.events)
	}
	return e, nil
}

// guard gives the answer its headers, refuses what another site caused, and bounds time and body.
func (b *base) guard(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		req := c.Request()
		header := c.Response().Header()
		secure(header, httpapi.OverTLS(req.Context()))
		header.Set(echo.HeaderContentSecurityPolicy, b.policy)
		header.Set(echo.HeaderReferrerPolicy, "no-referrer") // The address of a sign-up is nobody else's, nor is the token it ends with.
		if err := b.origin.Check(req); err != nil {
			return apperr.Wrap(err, apperr.Forbidden, "This was sent by another site, and was not done. Open the page here and try again.")
		}
		req.Body = http.MaxBytesReader(c.Response().Writer, req.Body, maxForm)
		if c.Path() != "/sign-up/:id/events" {
			ctx, cancel := context.WithTimeout(req.Context(), baseTime)
			defer cancel()
			defer c.SetRequest(req)
			c.SetRequest(req.WithContext(ctx))
		}
		return next(c)
	}
}

func (b *base) show(c echo.Context, status int, name string, p page) error {
	p.Bare = true
	p.Branding = branding{Name: cmp.Or(b.cfg.Title, "Rowhouse")}
	p.Theme = themeOf(c.Request(), httpapi.OverTLS(c.Request().Context()))
	return b.views.write(c.Response(), status, name, p)
}

// fail shows an error to a person. What it was is in the request's log line.
func (b *base) fail(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	status, title, detail := http.StatusInternalServerError, "Something went wrong", "It is not your fault. Try again in a moment."
	problem, isOurs := errors.AsType[*apperr.Error](err)
	fromEcho, isEchos := errors.AsType[*echo.HTTPError](err)
	switch {
	case isEchos && (fromEcho.Code == http.StatusNotFound || fromEcho.Code == http.StatusMethodNotAllowed),
		isOurs && problem.Code == apperr.NotFound:
		status, title, detail = http.StatusNotFound, "There is nothing here", "The address may be mistyped, or what was here has ended."
	case isOurs && problem.Code == apperr.Forbidden:
		status, title, detail = http.StatusForbidden, "Not allowed", problem.Message
	case isOurs && problem.Code == apperr.RateLimited:
		status, title, detail = http.StatusTooManyRequests, "Too many requests", problem.Message
	case isOurs && problem.Code == apperr.Unavailable, errors.Is(err, context.DeadlineExceeded):
		status, title, detail = http.StatusServiceUnavailable, "Not available right now", "Try again in a moment."
	}
	httpapi.Note(c.Request().Context(), err)
	data := failure{Status: status, Detail: detail, RequestID: httpapi.RequestID(c.Request().Context())}
	if b.show(c, status, "error/problem", page{Title: title, Data: data}) != nil {
		_ = c.String(status, title) // Fails only when the client hung up.
	}
}

// landingPage is what the first page is about.
type landingPage struct {
	Open bool
	Base string
}

func (b *base) landing(c echo.Context) error {
	return b.show(c, http.StatusOK, "base/landing", page{
		Title: "A place for each team's work", Data: landingPage{b.cfg.SignUp != nil, b.cfg.BaseDomain},
	})
}

// goTo sends somebody who knows the name of their workspace there. It says nothing about which there are.
func (b *base) goTo(c echo.Context) error {
	slug := strings.ToLower(strings.TrimSpace(c.QueryParam("workspace")))
	if _, err := tenancy.ParseSlug(slug); err != nil && !tenancy.ReservedSlug(slug) { // There may be one from before its name was reserved.
		return c.Redirect(http.StatusSeeOther, "/")
	}
	return c.Redirect(http.StatusSeeOther, b.tenantURL(c, slug)+signInPath)
}

// tenantURL gives the address of a tenant's host, reached as the base domain was.
func (b *base) tenantURL(c echo.Context, slug string) string {
	scheme, host := "http", slug+"."+b.cfg.BaseDomain
	if httpapi.OverTLS(c.Request().Context()) {
		scheme = "https"
	}
	if _, port, err := net.SplitHostPort(c.Request().Host); err == nil && port != "" {
		host = net.JoinHostPort(host, port)
	}
	return fmt.Sprintf("%s://%s", scheme, host)
}

func (b *base) asset(c echo.Context) error {
	if !b.views.assets.serve(c.Response(), c.Request(), c.Param("file")) {
		return echo.ErrNotFound
	}
	return nil
}

func (b *base) favicon(c echo.Context) error {
	path, err := b.views.assets.path("icon.svg")
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusMovedPermanently, path)
}
