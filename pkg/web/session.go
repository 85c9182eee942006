package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/httpapi"
	"github.com/rowhousehq/rowhouse/pkg/identity"
)

// maxForm bounds the fields of a form; files have a bound of their own.
const maxForm = 256 << 10

// signInPath is where who has no session is sent.
const signInPath = "/sign-in"

// browser stands before every page: it gives the answer its headers, refuses what another site caused, and finds out by the cookie who calls.
// A cookie that opens nothing is as good as none.
func (h *Pages) browser(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		req := c.Request()
		ctx := req.Context()
		secure(c.Response().Header(), httpapi.OverTLS(ctx))
		if err := h.origin.Check(req); err != nil {
			return apperr.Wrap(err, apperr.Forbidden, "This was sent by another site, and was not done. Open the page here and try again.")
		}
		if !strings.HasPrefix(req.Header.Get(echo.HeaderContentType), "multipart/") {
			req.Body = http.MaxBytesReader(c.Response().Writer, req.Body, maxForm)
		}
		if token := sessionToken(req, httpapi.OverTLS(ctx)); token != "" {
			caller, err := h.cfg.Identity.AuthenticateSession(ctx, httpapi.ScopeOf(ctx), token)
			switch {
			case err == nil:
				httpapi.SetCaller(ctx, caller)
			case apperr.CodeOf(err) != apperr.Unauthenticated:
				return err
			}
		}
		return next(c)
	}
}

// requireUser sends who is not signed in to where they can, and back afterwards.
func (h *Pages) requireUser(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if caller(c).IsUser() {
			return next(c)
		}
		if isScripted(c) { // Who fetches cannot follow to a form.
			return apperr.New(apperr.Unauthenticated, "You are signed out. Sign in again.")
		}
		target := signInPath
		if req := c.Request(); req.Method == http.MethodGet && req.URL.Path != "/" {
			target += "?" + url.Values{"next": {req.URL.RequestURI()}}.Encode()
		}
		return c.Redirect(http.StatusSeeOther, target)
	}
}

// require lets only people pass who may do action.
func (h *Pages) require(action identity.Action) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return h.requireUser(func(c echo.Context) error {
			if !caller(c).May(action) {
				return apperr.New(apperr.Forbidden, "Your role does not allow this. Ask an owner or admin of this workspace.")
			}
			return next(c)
		})
	}
}

// caller gives who is signed in, or the zero Principal.
func caller(c echo.Context) identity.Principal { return httpapi.CallerOf(c.Request().Context()) }

// isScripted reports whether app.js asks, and not the browser for a whole page.
func isScripted(c echo.Context) bool { return c.Request().Header.Get("X-Requested-With") == "fetch" }

// clientOf gives what is kept of the client with a session.
func clientOf(c echo.Context) identity.Client {
	req := c.Request()
	return identity.Client{
		RemoteAddress: httpapi.ClientAddress(req.Context()), UserAgent: req.UserAgent(), Session: sessionToken(req, httpapi.OverTLS(req.Context())),
	}
}

// afterSignIn gives where to go from the parameter next: a path of this host, or the first page.
func afterSignIn(next string) string {
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") ||
		strings.HasPrefix(next, signInPath) {
		return "/"
	}
	return next
}

// cookieName gives the name of a cookie: with a prefix that binds it to this very host where the site speaks https.
func cookieName(name string, https bool) string {
	if https {
		return "__Host-" + name
	}
	return name
}

// cookie makes a cookie that no script can read. With a zero expires it ends with the browser; one in the past removes it.
func cookie(name, value string, expires time.Time, https bool) *http.Cookie {
	c := &http.Cookie{ //nolint:gosec // Without TLS, on a laptop, a secure cookie would be none.
		Name: cookieName(name, https), Value: value, Path: "/", Expires: expires, HttpOnly: true, Secure: https, SameSite: http.SameSiteLaxMode,
	}
	if !expires.IsZero() && expires.Before(time.Now()) {
		c.MaxAge = -1
	}
	return c
}

const sessionCookie = "session"

func sessionToken(req *http.Request, https bool) string {
	return cookieValue(req, sessionCookie, https)
}

func cookieValue(req *http.Request, name string, https bool) string {
	c, err := req.Cookie(cookieName(name, https))
	if err != nil {
		return ""
	}
	return c.Value
}

// signIn gives the browser its session.
func signIn(c echo.Context, token string, expires time.Time) {
	c.SetCookie(cookie(sessionCookie, token, expires, httpapi.OverTLS(c.Request().Context())))
}

// signOut takes the session's cookie away. That the session ends is the identity's work.
func signOut(c echo.Context) {
	c.SetCookie(cookie(sessionCookie, "", time.Unix(1, 0), httpapi.OverTLS(c.Request().Context())))
}

// site gives the address of the tenant's host as the browser knows it, for example "https://acme.example.com".
func site(c echo.Context) string {
	scheme := "http"
	if httpapi.OverTLS(c.Request().Context()) {
		scheme = "https"
	}
	return scheme + "://" + c.Request().Host
}

const themeCookie = "theme"

// themeOf gives the choice of light or dark that was saved, or "": then the system decides.
func themeOf(req *http.Request, https bool) string {
	switch theme := cookieValue(req, themeCookie, https); theme {
	case "light", "dark":
		return theme
	}
	return ""
}

// chooseTheme saves light, dark or auto, and goes back to the page.
func (h *Pages) chooseTheme(c echo.Context) error {
	https := httpapi.OverTLS(c.Request().Context())
	theme, expires := c.FormValue("theme"), time.Now().AddDate(1, 0, 0)
	if theme != "light" && theme != "dark" {
		theme, expires = "", time.Unix(1, 0)
	}
	c.SetCookie(cookie(themeCookie, theme, expires, https))
	if isScripted(c) {
		return c.NoContent(http.StatusNoContent)
	}
	return c.Redirect(http.StatusSeeOther, afterSignIn(c.FormValue("next")))
}

// see sends the browser to a page after something was done, which that page tells.
func see(c echo.Context, path, format string, args ...any) error {
	if format != "" {
		setFlash(c, fmt.Sprintf(format, args...))
	}
	return c.Redirect(http.StatusSeeOther, path)
}
