package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/httpapi"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/live"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

//go:embed templates assets
var files embed.FS

// pagePolicy lets a page load what this host serves and call this host; nothing inline, nothing from elsewhere.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'"

// secure gives an answer the headers of a page. Those that all answers have are httpapi's.
func secure(header http.Header, https bool) {
	header.Set(echo.HeaderContentSecurityPolicy, pagePolicy)
	header.Set(echo.HeaderReferrerPolicy, "same-origin") // Paths hold ids, so nobody else learns them.
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	if https {
		header.Set(echo.HeaderStrictTransportSecurity, "max-age=31536000")
	}
}

// page is what templates see. A handler sets Title, Nav and what the page is about; render sets the rest.
type page struct {
	// Title is the page's, without the tenant's name.
	Title string
	// Nav names the part of the product that the page belongs to: "projects", "tasks", "activity", "usage", "settings".
	Nav string
	// Tab names the page among those of settings or of a project.
	Tab string
	// Bare leaves the navigation out, as on the pages for those who are not signed in.
	Bare bool
	// Data is what the page is about.
	Data any
	// Problem is why what was sent was not accepted. Templates ask for the fields' by [page.Wrong].
	Problem *apperr.Error
	// Form is what was sent, so that nobody has to type it again.
	Form map[string][]string

	Tenant   tenancy.Tenant
	Caller   identity.Principal
	Flash    string
	Branding branding
	// Theme is "light", "dark" or, for what the system says, "".
	Theme string
	// Zone is what the tenant's days and hours go by.
	Zone *time.Location
	// Since is when the page was made, for what tells of later changes; "" if nothing does.
	Since string
	// Path is that of the page with its query, to come back to.
	Path string
}

// branding is what a tenant has chosen for its pages.
type branding struct {
	// Name stands on every page.
	Name string
	// Sheet is the path of a style sheet with the tenant's colours, or "".
	Sheet string
}

// Wrong says what is wrong with a field of the form, or "".
func (p page) Wrong(field string) string {
	if p.Problem == nil {
		return ""
	}
	for _, f := range p.Problem.Fields {
		if f.Path == field {
			return f.Message
		}
	}
	return ""
}

// Value gives what was sent in a field of the form, or what there is otherwise.
func (p page) Value(field string, otherwise ...string) string {
	if values, ok := p.Form[field]; ok && len(values) > 0 {
		return values[0]
	}
	return strings.Join(otherwise, "")
}

// Moment gives a time as people of the tenant read it.
func (p page) Moment(t time.Time) string { return t.In(p.zone()).Format("2 Jan 2006, 15:04") }

// Clock gives the hour and minute.
func (p page) Clock(t time.Time) string { return t.In(p.zone()).Format("15:04") }

// Day gives the day of a time.
func (p page) Day(t time.Time) string { return t.In(p.zone()).Format("2 Jan 2006") }

func (p page) zone() *time.Location {
	if p.Zone == nil {
		return time.UTC
	}
	return p.Zone
}

// zoneOf gives what the days and hours of the tenant go by.
func zoneOf(c echo.Context) *time.Location {
	zone, err := time.LoadLocation(httpapi.TenantOf(c.Request().Context()).TimeZone)
	if err != nil { // The catalog holds no other; but a machine may lack what the other knew.
		return time.UTC
	}
	return zone
}

// May reports whether who is signed in may do the action of that name: see identity's policy.
func (p page) May(action string) bool { return p.Caller.May(identity.Action(action)) }

// views are the templates: each page with the layout and all partials.
type views struct {
	pages  map[string]*template.Template
	assets *assets
}

func newViews() (*views, error) {
	a, err := newAssets()
	if err != nil {
		return nil, err
	}
	common, err := template.New("layout.html").Funcs(functions(a)).ParseFS(files, "templates/layout.html", "templates/partials/*.html")
	if err != nil {
		return nil, fmt.Errorf("web: read templates: %w", err)
	}
	v := &views{pages: map[string]*template.Template{}, assets: a}
	err = fs.WalkDir(files, "templates", func(path string, entry fs.DirEntry, err error) error {
		name, isPage := strings.CutSuffix(strings.TrimPrefix(path, "templates/"), ".html")
		if err != nil || entry.IsDir() || !isPage || name == "layout" || strings.HasPrefix(name, "partials/") {
			return err
		}
		clone, err := common.Clone()
		if err == nil {
			v.pages[name], err = clone.ParseFS(files, path)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("web: read templates: %w", err)
	}
	return v, nil
}

// write shows a page: all of it, or nothing and an error. It needs no tenant.
func (v *views) write(w http.ResponseWriter, status int, name string, p page) error {
	t, ok := v.pages[name]
	if !ok {
		return fmt.Errorf("web: there is no template %q", name)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, p); err != nil {
		return fmt.Errorf("web: page %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // Fails only when the client hung up: there is nobody to tell.
	return nil
}

// render shows a page of the tenant whose host was called, to whoever is signed in.
func (h *Pages) render(c echo.Context, status int, name string, p page) error {
	p = h.fill(c, p)
	return h.views.write(c.Response(), status, name, p)
}

// renderWrong shows a form again after err, with what was sent and what is wrong with it. Errors that no form can mend are given back.
func (h *Pages) renderWrong(c echo.Context, err error, name string, p page) error {
	problem, status, ok := wrong(err)
	if !ok {
		return err
	}
	p.Problem = problem
	if form, formErr := c.FormParams(); formErr == nil {
		p.Form = form
	}
	return h.render(c, status, name, p)
}

func (h *Pages) fill(c echo.Context, p page) page {
	ctx := c.Request().Context()
	p.Tenant, p.Caller = httpapi.TenantOf(ctx), httpapi.CallerOf(ctx)
	p.Branding = branding{Name: p.Tenant.Name}
	if ctx.Err() == nil && p.Tenant.ID != "" {
		p.Branding = h.brandingOf(ctx, httpapi.ScopeOf(ctx), p.Tenant)
	}
	p.Zone = zoneOf(c)
	p.Theme = themeOf(c.Request(), httpapi.OverTLS(ctx))
	if h.cfg.Live != nil && p.Caller.IsUser() {
		p.Since = live.Since(time.Now()).String()
	}
	p.Path = c.Request().URL.RequestURI()
	if c.Request().Method != http.MethodGet {
		p.Path = c.Request().URL.Path
	}
	p.Flash = takeFlash(c)
	p.Bare = p.Bare || !p.Caller.IsUser()
	return p
}
