package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/httpapi"
)

const (
	confirmPath = "/confirm"
	// recently is how long who has shown who they are may do what is dangerous.
	recently = 15 * time.Minute
	// confirmField is the field of the password that confirms an act.
	confirmField = "confirm_password"
)

// confirmation is what the page that asks for the password again shows.
type confirmation struct {
	// Action is where the form goes, and Fields are what was sent before, to be sent again with the password.
	Action string
	Fields [][2]string
	// Back is where to go instead, and where to come back to after signing in.
	Back        string
	HasPassword bool
}

// recent lets only those pass who have lately shown who they are. Others are asked for their password, and what they wanted is done with it.
func (h *Pages) recent(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.Request().Method != http.MethodPost {
			return h.recentPage(next)(c)
		}
		if password := c.FormValue(confirmField); password != "" {
			if err := h.confirmBy(c, password); err != nil {
				return h.askAgain(c, err)
			}
		}
		if err := h.cfg.Identity.RequireRecent(caller(c), recently); err != nil {
			return h.askAgain(c, nil)
		}
		return next(c)
	}
}

// recentPage is recent for pages that are only shown.
func (h *Pages) recentPage(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if err := h.cfg.Identity.RequireRecent(caller(c), recently); err != nil {
			return c.Redirect(http.StatusSeeOther, confirmFirst(c.Request().URL.RequestURI()))
		}
		return next(c)
	}
}

// confirmFirst gives the address of the page that asks for the password, and then goes on to next.
func confirmFirst(next string) string { return confirmPath + "?" + url.Values{"next": {next}}.Encode() }

// confirmBy notes that the caller is who signed in, also for the rest of this request.
func (h *Pages) confirmBy(c echo.Context, password string) error {
	p := caller(c)
	if err := h.cfg.Identity.Confirm(c.Request().Context(), scopeOf(c), p, password); err != nil {
		return renamed(err, map[string]string{"password": confirmField})
	}
	p.ConfirmedAt = time.Now()
	httpapi.SetCaller(c.Request().Context(), p)
	return nil
}

// askAgain shows what was sent as hidden fields beside the one for the password.
func (h *Pages) askAgain(c echo.Context, err error) error {
	form, formErr := c.FormParams()
	if formErr != nil {
		return formErr
	}
	user, userErr := h.cfg.Identity.GetUser(c.Request().Context(), scopeOf(c), caller(c).UserID)
	if userErr != nil {
		return userErr
	}
	data := confirmation{Action: c.Request().URL.Path, Back: backOf(c), HasPassword: user.HasPassword}
	for name, values := range form {
		for _, value := range values {
			if !secretField(name) {
				data.Fields = append(data.Fields, [2]string{name, value})
			}
		}
	}
	slices.SortStableFunc(data.Fields, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	p := page{Title: "Confirm that it is you", Nav: "settings", Data: data}
	if err != nil {
		return h.again(c, err, "auth/confirm", p)
	}
	return h.render(c, http.StatusForbidden, "auth/confirm", p)
}

// secretField reports whether a field never comes back in a page.
func secretField(name string) bool {
	return name == confirmField || strings.Contains(name, "password") || strings.Contains(name, "secret") || name == "code"
}

// backOf gives the page of settings that a form of it belongs to: its first two steps.
func backOf(c echo.Context) string {
	parts := strings.SplitN(c.Request().URL.Path, "/", 4)
	return strings.Join(parts[:min(len(parts), 3)], "/")
}

func (h *Pages) confirmForm(c echo.Context, next string) (page, error) {
	user, err := h.cfg.Identity.GetUser(c.Request().Context(), scopeOf(c), caller(c).UserID)
	data := confirmation{Action: confirmPath, Fields: [][2]string{{"next", next}}, Back: next, HasPassword: user.HasPassword}
	return page{Title: "Confirm that it is you", Nav: "settings", Data: data}, err
}

func (h *Pages) confirmPage(c echo.Context) error {
	p, err := h.confirmForm(c, afterSignIn(c.QueryParam("next")))
	if err != nil {
		return err
	}
	return h.render(c, http.StatusOK, "auth/confirm", p)
}

func (h *Pages) confirm(c echo.Context) error {
	next := afterSignIn(c.FormValue("next"))
	err := h.confirmBy(c, c.FormValue(confirmField))
	if err == nil {
		return c.Redirect(http.StatusSeeOther, next)
	}
	p, pageErr := h.confirmForm(c, next)
	if pageErr != nil {
		return pageErr
	}
	return h.again(c, err, "auth/confirm", p)
}
