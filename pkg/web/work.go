package web

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// workRoutes are the pages of the work itself.
func (h *Pages) workRoutes(r routes) {
	r.get("/", h.home, h.requireUser)
}

func (h *Pages) home(c echo.Context) error {
	return h.render(c, http.StatusOK, "work/projects", page{Title: "Projects", Nav: "projects"})
}
