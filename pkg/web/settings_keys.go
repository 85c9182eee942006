package web

import (
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/identity"
)

// keys is what the page of the API keys shows.
type keys struct {
	Active, Ended []identity.Key
	// Scopes are those that the caller may give.
	Scopes []string
	// Token is that of a key that has just been made: this once.
	Token string
	Made  identity.Key
	// Now is for what has expired.
	Now time.Time
	// Origin is where programs find the API.
	Origin string
}

func (h *Pages) keysForm(c echo.Context) (page, keys, error) {
	data := keys{Now: time.Now(), Origin: site(c)}
	all, err := h.cfg.Identity.ListKeys(c.Request().Context(), scopeOf(c))
	for _, key := range all {
		if key.Active(data.Now) {
			data.Active = append(data.Active, key)
		} else {
			data.Ended = append(data.Ended, key)
		}
	}
	for _, scope := range identity.KeyScopes() {
		if caller(c).Can(scope) {
			data.Scopes = append(data.Scopes, scope)
		}
	}
	return page{Title: "API keys", Nav: "settings", Tab: "keys"}, data, err
}

func (h *Pages) keysPage(c echo.Context) error {
	p, data, err := h.keysForm(c)
	if err != nil {
		return err
	}
	p.Data = data
	return h.render(c, http.StatusOK, "settings/keys", p)
}

// createKey shows the token on the page that answers: it goes neither into an address nor into a cookie, and cannot be had again.
func (h *Pages) createKey(c echo.Context) error {
	expires, err := expiryOf(c.FormValue("expires"))
	var (
		made  identity.Key
		token string
	)
	if err == nil {
		made, token, err = h.cfg.Identity.CreateKeyAs(c.Request().Context(), scopeOf(c), caller(c), identity.NewKey{
			Name: c.FormValue("name"), Scopes: []string{c.FormValue("scope")}, ExpiresAt: expires,
		})
	}
	p, data, pageErr := h.keysForm(c)
	if pageErr != nil {
		return pageErr
	}
	if err != nil {
		p.Data = data
		return h.again(c, renamed(err, map[string]string{"scopes": "scope", "expires_at": "expires"}), "settings/keys", p)
	}
	data.Token, data.Made = token, made
	p.Data = data
	return h.render(c, http.StatusOK, "settings/keys", p)
}

// expiryOf gives the time after some days, or nil for "never".
func expiryOf(days string) (*time.Time, error) {
	if days == "never" {
		return nil, nil //nolint:nilnil // No time is what never means.
	}
	n, err := strconv.Atoi(days)
	if err != nil || n < 1 || n > 3650 {
		return nil, apperr.New(apperr.Invalid, "The API key cannot be made as asked.").WithField("expires", "Choose how long the key is to work.")
	}
	return new(time.Now().AddDate(0, 0, n)), nil
}

func (h *Pages) revokeKey(c echo.Context) error {
	id, err := workID(c)
	if err != nil {
		return err
	}
	key, err := h.cfg.Identity.RevokeKey(c.Request().Context(), scopeOf(c), id)
	if err != nil {
		return err
	}
	return see(c, keysPath, "The key “%s” is revoked. It opens nothing any more.", key.Name)
}
