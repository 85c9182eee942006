package web

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/httpapi"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

const brandingPath = "/settings/branding"

// brandingRoutes are for how the pages look.
func (h *Pages) brandingRoutes(r routes) {
	r.echo.GET("/branding.css", h.brandingSheet)
	settings := h.require(identity.ActionManageSettings)
	r.get(brandingPath, func(c echo.Context) error { return h.showBranding(c, nil) }, settings)
	r.post(brandingPath, h.changeBranding, settings)
}

func (h *Pages) showBranding(c echo.Context, failed error) error {
	ctx, scope := at(c)
	chosen, err := h.cfg.Workspace.GetBranding(ctx, scope)
	if err != nil {
		return err
	}
	p := page{Title: "Branding", Nav: "settings", Tab: "branding", Data: chosen}
	if failed != nil {
		return h.renderWrong(c, failed, "settings/branding", p)
	}
	return h.render(c, http.StatusOK, "settings/branding", p)
}

func (h *Pages) changeBranding(c echo.Context) error {
	ctx, scope := at(c)
	chosen := workspace.Branding{Name: c.FormValue("name"), Accent: c.FormValue("accent")}
	if c.FormValue("own") != "1" {
		chosen.Accent = ""
	}
	if _, err := h.work(c).SetBranding(ctx, scope, chosen); err != nil {
		return h.showBranding(c, err)
	}
	return see(c, brandingPath, "Saved.")
}

// brandingOf gives how the pages of a tenant look.
func (h *Pages) brandingOf(ctx context.Context, scope tenantschema.Scope, t tenancy.Tenant) branding {
	out := branding{Name: t.Name}
	chosen, err := h.cfg.Workspace.GetBranding(ctx, scope)
	if err != nil { // A page is better without its colours than not at all; the page of an error is shown when the database is away.
		return out
	}
	if chosen.Name != "" {
		out.Name = chosen.Name
	}
	if chosen.Accent != "" {
		sum := sha256.Sum256([]byte(brandCSS(chosen.Accent)))
		out.Sheet = "/branding.css?v=" + hex.EncodeToString(sum[:6])
	}
	return out
}

// brandingSheet is the style sheet with the tenant's colours. Its address changes with them.
func (h *Pages) brandingSheet(c echo.Context) error {
	ctx := c.Request().Context()
	chosen, err := h.cfg.Workspace.GetBranding(ctx, httpapi.ScopeOf(ctx))
	if err != nil {
		return err
	}
	css := ""
	if chosen.Accent != "" {
		css = brandCSS(chosen.Accent)
	}
	c.Response().Header().Set(echo.HeaderCacheControl, "private, max-age=604800")
	return c.Blob(http.StatusOK, "text/css; charset=utf-8", []byte(css))
}

// darkSurface is --surface of the dark theme in app.css.
const darkSurface = "#1a1e25"

// brandCSS sets the accent in both themes, so that texts can be read in either: accent is dark enough for white text, as was checked.
func brandCSS(accent string) string {
	light := workspace.LighterUntil(accent, darkSurface, 5.5)
	day := "--accent: " + accent + "; --accent-hover: color-mix(in srgb, " + accent + " 85%, black); --accent-text: " + accent +
		"; --on-accent: #ffffff; --accent-soft: color-mix(in srgb, " + accent + " 8%, white);"
	night := "--accent: " + light + "; --accent-hover: color-mix(in srgb, " + light + " 85%, white); --accent-text: " + light +
		"; --on-accent: #10141a; --accent-soft: color-mix(in srgb, " + light + " 14%, " + darkSurface + ");"
	return ":root { " + day + " }\n" +
		"@media (prefers-color-scheme: dark) { :root:not([data-theme=\"light\"]) { " + night + " } }\n" +
		":root[data-theme=\"dark\"] { " + night + " }\n"
}
