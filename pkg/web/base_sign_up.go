package web

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/httpapi"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/signup"
)

const (
	signUpPath   = "/sign-up"
	signUpCookie = "sign-up"
	// signUpTime is how long a browser can look at its sign-up. The way in that it ends with is open for less.
	signUpTime = time.Hour
)

// signUpPage is what the form is about.
type signUpPage struct {
	Open bool
	// Suffix is what stands behind the subdomain in the tenant's address.
	Suffix                   string
	MinPassword, MaxPassword int
}

func (b *base) form(c echo.Context) error {
	if b.cfg.SignUp == nil {
		return b.showForm(c, http.StatusNotFound, page{})
	}
	return b.showForm(c, http.StatusOK, page{})
}

func (b *base) showForm(c echo.Context, status int, p page) error {
	p.Title = "Sign up"
	p.Data = signUpPage{
		Open: b.cfg.SignUp != nil, Suffix: "." + b.cfg.BaseDomain, MinPassword: identity.MinPassword, MaxPassword: identity.MaxPassword,
	}
	return b.show(c, status, "base/sign-up", p)
}

// signUp takes the form. What cannot be taken is shown again as it was typed, but for the password.
func (b *base) signUp(c echo.Context) error {
	address := httpapi.ClientAddress(c.Request().Context())
	params, err := c.FormParams()
	if err != nil {
		return apperr.Wrap(err, apperr.Invalid, "The form could not be read. Send it again.")
	}
	if !b.forms.Allow(address) {
		return b.refuse(c, &apperr.Error{
			Code: apperr.RateLimited, Message: "That was too often. Wait a moment, then try again.", RetryAfter: 10 * time.Second,
		})
	}
	begun, err := b.cfg.SignUp.Begin(c.Request().Context(), signup.Form{
		Name: params.Get("name"), Slug: params.Get("slug"), Email: params.Get("email"), DisplayName: params.Get("display_name"),
		Password: params.Get("password"),
	}, address)
	if err != nil {
		return b.refuse(c, err)
	}
	c.SetCookie(cookie(signUpCookie, begun.Browser, time.Now().Add(signUpTime), httpapi.OverTLS(c.Request().Context())))
	return c.Redirect(http.StatusSeeOther, signUpPath+"/"+begun.ID.String())
}

// refuse shows the form again after err. Errors that no form can mend are given back.
func (b *base) refuse(c echo.Context, err error) error {
	problem, ok := errors.AsType[*apperr.Error](err)
	if !ok {
		return err
	}
	status := http.StatusUnprocessableEntity
	switch problem.Code {
	case apperr.Invalid:
	case apperr.Conflict:
		status = http.StatusConflict
	case apperr.RateLimited:
		status = http.StatusTooManyRequests
	case apperr.Unavailable:
		status = http.StatusServiceUnavailable
	case apperr.Unauthenticated, apperr.Forbidden, apperr.NotFound, apperr.Refused, apperr.Partial, apperr.Internal:
		return err
	}
	if problem.RetryAfter > 0 {
		c.Response().Header().Set(echo.HeaderRetryAfter, strconv.Itoa(int(problem.RetryAfter/time.Second)))
	}
	params, err := c.FormParams()
	if err != nil {
		return err
	}
	return b.showForm(c, status, page{Problem: problem, Form: params})
}

// checked is the answer to a script that asks whether a name is free.
type checked struct {
	Slug    string `json:"slug"`
	Free    bool   `json:"free"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message"`
}

func (b *base) check(c echo.Context) error {
	ctx := c.Request().Context()
	if !b.checks.Allow(httpapi.ClientAddress(ctx)) {
		c.Response().Header().Set(echo.HeaderRetryAfter, "5")
		return c.JSON(http.StatusTooManyRequests, checked{Reason: "later", Message: "Not checked: that was too often."})
	}
	answer, err := b.cfg.SignUp.Check(ctx, c.QueryParam("slug"))
	if err != nil {
		return err
	}
	out := checked{Slug: answer.Slug, Free: answer.Free(), Reason: string(answer.Reason), Message: "This address " + answer.Message + "."}
	if answer.Free() {
		out.Message = answer.Slug + "." + b.cfg.BaseDomain + " is free."
	}
	return c.JSON(http.StatusOK, out)
}

// mine gives the sign-up of the request, if it is that of this browser.
func (b *base) mine(c echo.Context) (signup.Progress, error) {
	id, err := uuid.Parse(c.Param("id"))
	if err != nil {
		return signup.Progress{}, echo.ErrNotFound
	}
	ctx := c.Request().Context()
	return b.cfg.SignUp.Progress(ctx, id, cookieValue(c.Request(), signUpCookie, httpapi.OverTLS(ctx)))
}
