package web

// settingsRoutes are the pages of a person's own settings and of the tenant's people and keys.
func (h *Pages) settingsRoutes(routes) {}
