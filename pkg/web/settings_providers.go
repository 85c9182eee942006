package web

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/identity"
)

// providerRoutes are where a tenant says by whom else its people may be let in. All of it wants a recent proof, since
// who changes it decides who comes in.
func (h *Pages) providerRoutes(r routes) {
	settings := h.require(identity.ActionManageSettings)
	r.get(providersPath, h.providersPage, settings)
	r.get(providersPath+"/new", h.newProviderPage, settings, h.recent)
	r.post(providersPath, h.createProvider, settings, h.recent)
	r.get(providersPath+"/:id", h.providerPage, settings, h.recent)
	r.post(providersPath+"/:id", h.changeProvider, settings, h.recent)
	r.post(providersPath+"/:id/delete", h.deleteProvider, settings, h.recent)
}

// providerData is what the form of one provider shows.
type providerData struct {
	// New says that there is none yet.
	New      bool
	Provider identity.Provider
	// Domains is what the provider's people may join from, as it stands in the field.
	Domains     string
	RedirectURL string
	Roles       []identity.Role
}

func (h *Pages) providersPage(c echo.Context) error {
	list, err := h.cfg.Identity.ListProviders(c.Request().Context(), scopeOf(c))
	if err != nil {
		return err
	}
	return h.render(c, http.StatusOK, "settings/providers", page{Title: "Sign-in providers", Nav: "settings", Tab: "sign-in", Data: list})
}

func providerForm(c echo.Context, provider identity.Provider, isNew bool) page {
	title := "Change " + provider.Name
	if isNew {
		title = "Add a sign-in provider"
	}
	return page{Title: title, Nav: "settings", Tab: "sign-in", Data: providerData{
		New: isNew, Provider: provider, Domains: strings.Join(provider.JoinDomains, ", "), RedirectURL: redirectURL(c), Roles: identity.Roles()[1:],
	}}
}

func (h *Pages) newProviderPage(c echo.Context) error {
	return h.render(c, http.StatusOK, "settings/provider", providerForm(c, identity.Provider{}, true))
}

// domainsOf gives the names in a field, which commas or spaces part.
func domainsOf(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ';' || r == ' ' || r == '\n' || r == '\r' || r == '\t' })
}

func (h *Pages) createProvider(c echo.Context) error {
	made, err := h.cfg.Identity.CreateProvider(c.Request().Context(), scopeOf(c), caller(c), identity.NewProvider{
		Name: c.FormValue("name"), Issuer: c.FormValue("issuer"), ClientID: c.FormValue("client_id"), ClientSecret: c.FormValue("client_secret"),
		JoinRole: identity.Role(c.FormValue("join_role")), JoinDomains: domainsOf(c.FormValue("join_domains")),
	})
	if err != nil {
		return h.again(c, err, "settings/provider", providerForm(c, identity.Provider{}, true))
	}
	return see(c, providersPath, "People can now sign in with %s.", made.Name)
}

func (h *Pages) provider(c echo.Context) (identity.Provider, error) {
	id, err := workID(c)
	if err != nil {
		return identity.Provider{}, err
	}
	list, err := h.cfg.Identity.ListProviders(c.Request().Context(), scopeOf(c))
	if err != nil {
		return identity.Provider{}, err
	}
	for _, provider := range list {
		if provider.ID == id {
			return provider, nil
		}
	}
	return identity.Provider{}, echo.ErrNotFound
}

func (h *Pages) providerPage(c echo.Context) error {
	provider, err := h.provider(c)
	if err != nil {
		return err
	}
	return h.render(c, http.StatusOK, "settings/provider", providerForm(c, provider, false))
}

func (h *Pages) changeProvider(c echo.Context) error {
	provider, err := h.provider(c)
	if err != nil {
		return err
	}
	patch := identity.ProviderPatch{
		Name: new(c.FormValue("name")), JoinRole: new(identity.Role(c.FormValue("join_role"))),
		JoinDomains: new(domainsOf(c.FormValue("join_domains"))), Disabled: new(c.FormValue("enabled") == ""),
	}
	if secret := c.FormValue("client_secret"); secret != "" { // An empty field keeps what there is.
		patch.ClientSecret = &secret
	}
	changed, err := h.cfg.Identity.PatchProvider(c.Request().Context(), scopeOf(c), caller(c), provider.ID, patch)
	if err != nil {
		return h.again(c, err, "settings/provider", providerForm(c, provider, false))
	}
	return see(c, providersPath, "%s is saved.", changed.Name)
}

func (h *Pages) deleteProvider(c echo.Context) error {
	provider, err := h.provider(c)
	if err != nil {
		return err
	}
	if err = h.cfg.Identity.DeleteProvider(c.Request().Context(), scopeOf(c), caller(c), provider.ID); err != nil {
		return err
	}
	return see(c, providersPath, "%s is removed. Nobody can sign in with it any more.", provider.Name)
}
