package web

import (
	"encoding/base64"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/httpapi"
)

// What a browser has begun and not ended is kept in a cookie of its own, so that one does not end the other.
const (
	stepSecondFactor = "step-factor"
	stepPasskey      = "step-passkey"
	stepPasskeyAdd   = "step-passkey-add"
	stepOIDC         = "step-oidc"
)

// stepTime is how long the cookies live. The steps themselves may end sooner.
const stepTime = 10 * time.Minute

// keepStep remembers what has begun, and where to go when it has ended. Only the browser that began can go on: it alone has the token, in a
// cookie that no script reads and, over https, no other host can set.
func keepStep(c echo.Context, name, token, next string) {
	value := token + "." + base64.RawURLEncoding.EncodeToString([]byte(afterSignIn(next)))
	if len(value) > maxStep {
		value = token + "."
	}
	c.SetCookie(cookie(name, value, time.Now().Add(stepTime), httpapi.OverTLS(c.Request().Context())))
}

// maxStep bounds the cookie: browsers keep some 4 KiB.
const maxStep = 3000

// step gives what was begun, or "".
func step(c echo.Context, name string) (token, next string) {
	value := cookieValue(c.Request(), name, httpapi.OverTLS(c.Request().Context()))
	token, encoded, _ := strings.Cut(value, ".")
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return token, "/"
	}
	return token, afterSignIn(string(raw))
}

// endStep forgets what was begun.
func endStep(c echo.Context, name string) {
	c.SetCookie(cookie(name, "", time.Unix(1, 0), httpapi.OverTLS(c.Request().Context())))
}
