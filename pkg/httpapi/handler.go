package httpapi

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/labstack/echo/v4"
	"go.uber.org/zap"

	"github.com/rowhousehq/rowhouse/pkg/idempotency"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/telemetry"
	"github.com/rowhousehq/rowhouse/pkg/throttle"
	"github.com/rowhousehq/rowhouse/pkg/webhook"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Config is what [New] needs. Everything without a default is required.
type Config struct {
	// BaseDomain is the name below which tenants have their subdomains, for example "localhost". Without a port.
	BaseDomain string
	Catalog    Catalog
	DB         *tenantschema.DB
	Keys       *identity.Service
	// Workspace and Webhooks, if set, are served by the operations of the API that are theirs.
	Workspace *workspace.Service
	Webhooks  *webhook.Service
	Log       *zap.Logger
	Metrics   *telemetry.Metrics
	// Base, if set, answers the base domain itself, where people sign up. Without it there is one page that says what this is.
	Base http.Handler
	// Product, if set, adds addresses to the tenants' hosts. It is called once, after those of the API are there.
	Product func(*Edge) error
	// Changed, if set, is told of each tenant in which a request may have changed something, after it was answered. It must not wait.
	Changed func(tenantschema.Tenant)
	// Plans, if set, says what the tenants may take. Without it nothing is limited.
	Plans Plans
	// Strangers is the rate of requests without credentials from one address, over all hosts; Failures that of requests from one that are answered
	// with 401, after which its credentials are not looked at for a while. Default: no limit.
	Strangers, Failures throttle.Rate
	// TrustedProxies are the peers whose forwarding headers are believed. Default: none.
	TrustedProxies []netip.Prefix
	// CORSOrigins are those of the pages, such as https://app.example.com, whose scripts may call the API with the session of who is signed in.
	// Default: none but the tenant's own.
	CORSOrigins []string
	// MaxBodyBytes bounds a request's body; more is 413. Default 1 MiB.
	MaxBodyBytes int64
	// MaxImportBytes bounds a file that is imported, which is held in memory while it is stored; more is 413. Default 10 MiB.
	MaxImportBytes int64
	// RequestTimeout bounds the work on a request; more is 503. Default 15 s.
	RequestTimeout time.Duration
	// Versions are the schemas that this program works on. A tenant outside of them is 503.
	Versions tenantschema.Versions
	// Title is the product's, for the API's description. Default "Rowhouse".
	Title string
	// Version is the program's, for the API's description. Default "dev".
	Version string
}

// handler holds what the parts of the edge share.
type handler struct {
	cfg     Config
	log     *zap.Logger
	api     huma.API
	repeats *idempotency.Store
	origin  *http.CrossOriginProtection
	// errorPage is the product's, if it has pages.
	errorPage func(echo.Context, *Problem) error

	throttles *throttles
}

// New makes the handler of all public hosts.
func New(cfg Config) (http.Handler, error) {
	cfg, err := cfg.valid()
	if err != nil {
		return nil, err
	}
	// The stack at a log line's own place says nothing about why the request failed.
	h := &handler{cfg: cfg, log: cfg.Log.WithOptions(zap.AddStacktrace(zap.FatalLevel)), throttles: newThrottles()}
	// No request lasts longer than twice the time that it is given.
	if h.repeats, err = idempotency.New(idempotency.Config{TakeOver: max(time.Minute, 2*cfg.RequestTimeout)}); err != nil {
		return nil, err
	}
	h.origin = http.NewCrossOriginProtection()
	for _, origin := range cfg.CORSOrigins {
		if err = h.origin.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("httpapi: Config.CORSOrigins: %w", err)
		}
	}
	e := echo.New()
	e.HTTPErrorHandler = renderError
	trust := proxyTrust(cfg.TrustedProxies)
	e.IPExtractor = echo.ExtractIPFromXFFHeader(trust...)
	e.SchemeExtractor = echo.ExtractSchemeFromHeaders(trust...)
	// All before the router: what is no tenant's must not learn which routes there are.
	e.Pre(h.forwarded, h.identify, secureTransport, h.observe, h.hostGate, h.stateGate, h.crossOrigin)
	if cfg.Changed != nil {
		e.Pre(h.changed)
	}
	e.Pre(h.throttle, h.limit)
	e.OnAddRouteHandler = func(_ string, route echo.Route, handler echo.HandlerFunc, _ []echo.MiddlewareFunc) {
		if route.Method == http.MethodGet { // HEAD is GET of which net/http keeps the body back.
			e.HEAD(route.Path, handler)
		}
	}
	if err = h.routes(e); err != nil {
		return nil, err
	}
	return cfg.Metrics.CountInFlight(e), nil
}

func (cfg Config) valid() (Config, error) {
	if cfg.Catalog == nil || cfg.DB == nil || cfg.Keys == nil || cfg.Log == nil || cfg.Metrics == nil {
		return cfg, errors.New("httpapi: Config.Catalog, DB, Keys, Log and Metrics are required")
	}
	base, ok := normalHost(cfg.BaseDomain)
	if _, _, err := net.SplitHostPort(cfg.BaseDomain); !ok || err == nil {
		return cfg, fmt.Errorf("httpapi: Config.BaseDomain %q is not a domain name without a port", cfg.BaseDomain)
	}
	cfg.BaseDomain = base
	if cfg.MaxBodyBytes < 0 || cfg.MaxImportBytes < 0 || cfg.RequestTimeout < 0 || !cfg.Versions.Valid() {
		return cfg, errors.New("httpapi: Config.MaxBodyBytes, MaxImportBytes and RequestTimeout must not be negative, " +
			"and Versions must hold a version")
	}
	if cfg.MaxBodyBytes == 0 {
		cfg.MaxBodyBytes = 1 << 20
	}
	if cfg.MaxImportBytes == 0 {
		cfg.MaxImportBytes = 10 << 20
	}
	if cfg.RequestTimeout == 0 {
		cfg.RequestTimeout = 15 * time.Second
	}
	if cfg.Title == "" {
		cfg.Title = "Rowhouse"
	}
	if cfg.Version == "" {
		cfg.Version = "dev"
	}
	cfg.TrustedProxies = slices.Clone(cfg.TrustedProxies)
	for i, prefix := range cfg.TrustedProxies {
		if !prefix.IsValid() || prefix.Addr().Is4In6() {
			return cfg, fmt.Errorf("httpapi: Config.TrustedProxies: %q is not an IPv4 or IPv6 network like 10.0.0.0/8", prefix)
		}
		cfg.TrustedProxies[i] = prefix.Masked()
	}
	return cfg, nil
}

// proxyTrust gives Echo's form of the trusted proxies. Echo's own default, every private address, is nobody we know.
func proxyTrust(prefixes []netip.Prefix) []echo.TrustOption {
	trust := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, prefix := range prefixes {
		trust = append(trust, echo.TrustIPRange(&net.IPNet{
			IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen()),
		}))
	}
	return trust
}
