package web

// authRoutes are the pages by which people come in, and out again.
func (h *Pages) authRoutes(routes) {}
