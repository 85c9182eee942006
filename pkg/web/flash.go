package web

import (
	"encoding/base64"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/httpapi"
)

const (
	flashCookie = "flash"
	flashMost   = 600 // bytes
	flashTime   = time.Minute
)

// setFlash keeps a sentence for the next page that is shown. It is no secret and no proof: the browser holds it.
func setFlash(c echo.Context, text string) {
	value := base64.RawURLEncoding.EncodeToString([]byte(text[:min(len(text), flashMost)]))
	c.SetCookie(cookie(flashCookie, value, time.Now().Add(flashTime), httpapi.OverTLS(c.Request().Context())))
}

// takeFlash gives the sentence that was kept, once.
func takeFlash(c echo.Context) string {
	https := httpapi.OverTLS(c.Request().Context())
	value := cookieValue(c.Request(), flashCookie, https)
	if value == "" || isScripted(c) || c.Request().Method == http.MethodHead {
		return ""
	}
	c.SetCookie(cookie(flashCookie, "", time.Unix(1, 0), https))
	text, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || len(text) > flashMost || !utf8.Valid(text) {
		return ""
	}
	return string(text)
}
