package web

import (
	"encoding/json"
	"io"
	"net"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/httpapi"
	"github.com/rowhousehq/rowhouse/pkg/identity"
)

// challenge is what passkey.js hands to the browser; or where to go instead.
type challenge struct {
	Options  json.RawMessage `json:"options,omitempty"`
	Location string          `json:"location,omitempty"`
}

// answered is what passkey.js sends back.
type answered struct {
	Next       string          `json:"next"`
	Name       string          `json:"name"`
	Credential json.RawMessage `json:"credential"`
}

// siteOf gives what passkeys are bound to: the tenant's host.
func siteOf(c echo.Context) identity.Site {
	return identity.Site{Origin: site(c), Host: hostName(c.Request().Host), Name: httpapi.TenantOf(c.Request().Context()).Name}
}

func readAnswer(c echo.Context) (answered, error) {
	var a answered
	raw, err := io.ReadAll(c.Request().Body)
	if err != nil || json.Unmarshal(raw, &a) != nil || len(a.Credential) == 0 {
		return a, apperr.New(apperr.Invalid, "The answer of the passkey cannot be read. Try again.")
	}
	return a, nil
}

// errNoStep is for who comes back too late.
func errNoStep() error { return apperr.New(apperr.Invalid, "That took too long. Try again.") }

func (h *Pages) beginPasskeySignIn(c echo.Context) error {
	options, token, err := h.cfg.Identity.BeginPasskeySignIn(c.Request().Context(), scopeOf(c), siteOf(c))
	if err != nil {
		return err
	}
	keepStep(c, stepPasskey, token, "")
	return c.JSON(http.StatusOK, challenge{Options: options})
}

func (h *Pages) passkeySignIn(c echo.Context) error {
	token, _ := step(c, stepPasskey)
	endStep(c, stepPasskey)
	if token == "" {
		return errNoStep()
	}
	a, err := readAnswer(c)
	if err != nil {
		return err
	}
	in, err := h.cfg.Identity.FinishPasskeySignIn(c.Request().Context(), scopeOf(c), siteOf(c), token, a.Credential, clientOf(c))
	if err != nil {
		return err
	}
	signIn(c, in.Token, in.Expires)
	return c.JSON(http.StatusOK, challenge{Location: afterSignIn(a.Next)})
}

// hostName gives a Host header's name, without the port.
func hostName(host string) string {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		return host
	}
	return name
}
