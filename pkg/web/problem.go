package web

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/httpapi"
)

// wrong gives err if whoever filled the form in can mend it, and the status to answer with.
func wrong(err error) (*apperr.Error, int, bool) {
	problem, ok := errors.AsType[*apperr.Error](err)
	if !ok {
		return nil, 0, false
	}
	switch problem.Code {
	case apperr.Invalid:
		return problem, http.StatusUnprocessableEntity, true
	case apperr.Conflict, apperr.Refused:
		return problem, http.StatusConflict, true
	case apperr.Unauthenticated, apperr.Forbidden, apperr.NotFound, apperr.Partial, apperr.RateLimited, apperr.Unavailable, apperr.Internal:
	}
	return nil, 0, false
}

// failure is what the page of an error shows.
type failure struct {
	Status    int
	Detail    string
	RequestID string
}

// errorPage shows a problem to a person.
func (h *Pages) errorPage(c echo.Context, p *httpapi.Problem) error {
	secure(c.Response().Header(), httpapi.OverTLS(c.Request().Context()))
	title, detail := p.Title, p.Detail
	switch p.Status {
	case http.StatusUnauthorized:
		title = "You are signed out"
	case http.StatusForbidden:
		title = "Not allowed"
	case http.StatusNotFound:
		title, detail = "There is nothing here", "The address may be mistyped, or what was here has been deleted."
	case http.StatusServiceUnavailable:
		title = "Not available right now"
	case http.StatusInternalServerError:
		title = "Something went wrong"
	}
	return h.render(c, p.Status, "error/problem", page{
		Title: title, Data: failure{Status: p.Status, Detail: detail, RequestID: httpapi.RequestID(c.Request().Context())},
	})
}

// invalid makes the error of a form with one wrong field.
func invalid(message, field, what string) error {
	return apperr.New(apperr.Invalid, "%s", message).WithField(field, what)
}
