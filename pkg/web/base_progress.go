package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/httpapi"
	"github.com/rowhousehq/rowhouse/pkg/signup"
)

const (
	// maxWatched bounds how many sign-ups are watched at the same time. Who finds no place has a page that loads itself again.
	maxWatched = 200
	// watchTime ends a stream before the server would; browsers come again by themselves.
	watchTime = 20 * time.Second
	// A sign-up is looked at every lookSoon while it is quick, which it is for lookSoonFor, and every lookLater from then on.
	lookSoon    = 30 * time.Millisecond
	lookSoonFor = 3 * time.Second
	lookLater   = 300 * time.Millisecond
	// catalogTime is how long this process may take to learn of a tenant that has been made.
	catalogTime = 2 * time.Second
)

// progressPage is what the page of a sign-up is about.
type progressPage struct {
	signup.Progress

	Address string
	Steps   []signUpStep
	Taken   bool
}

// signUpStep is a step with its state: "done", "now" or "later".
type signUpStep struct{ Key, Text, State string }

// stepsOf gives the steps of a sign-up.
func stepsOf(p signup.Progress) []signUpStep {
	steps := []signUpStep{
		{"waiting", "The name is yours", ""}, {"making", "Your workspace is made", ""},
		{"made", "You become its owner", ""}, {"done", "Off you go", ""},
	}
	at := len(steps)
	for i, step := range steps {
		if step.Key == string(p.State) {
			at = i
		}
	}
	if p.State == signup.StateWaiting { // The name is theirs, and somebody is about to begin.
		at = 1
	}
	for i := range steps {
		switch {
		case i < at || p.State == signup.StateDone:
			steps[i].State = "done"
		case i == at:
			steps[i].State = "now"
		default:
			steps[i].State = "later"
		}
	}
	return steps
}

// progress shows how the sign-up stands, and leads to the tenant when it is there.
func (b *base) progress(c echo.Context) error {
	p, err := b.mine(c)
	if err != nil {
		return err
	}
	if p.State == signup.StateDone {
		b.untilServed(c.Request().Context(), p.Slug)
		return c.Redirect(http.StatusSeeOther, b.tenantURL(c, p.Slug)+"/welcome?"+url.Values{"token": {p.Welcome}}.Encode())
	}
	data := progressPage{Progress: p, Address: p.Slug + "." + b.cfg.BaseDomain, Steps: stepsOf(p), Taken: p.Failure == signup.FailureTaken}
	return b.show(c, http.StatusOK, "base/progress", page{Title: "Your workspace is being made", Data: data})
}

// untilServed waits until this process knows of a tenant that has just been made.
func (b *base) untilServed(ctx context.Context, slug string) {
	ctx, cancel := context.WithTimeout(ctx, catalogTime)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, ok := b.cfg.Catalog.BySlug(slug); ok {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// events tells the page of a sign-up each step as it happens, until the end of it.
func (b *base) events(c echo.Context) error {
	p, err := b.mine(c)
	if err != nil {
		return err
	}
	select {
	case b.streams <- struct{}{}:
		defer func() { <-b.streams }()
	default:
		return apperr.New(apperr.Unavailable, "Too many sign-ups are being watched.")
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), watchTime)
	defer cancel()
	header := c.Response().Header()
	header.Set(echo.HeaderContentType, "text/event-stream")
	header.Set(echo.HeaderCacheControl, "no-store")
	header.Set("X-Accel-Buffering", "no") // Proxies pass it on as it comes.
	c.Response().WriteHeader(http.StatusOK)
	begun := time.Now()
	var told signup.State
	for {
		if p.State != told {
			if told = p.State; b.tell(ctx, c.Response(), p) != nil || p.Ended() {
				return nil // It is over, or nobody listens.
			}
		}
		pause := lookSoon
		if time.Since(begun) > lookSoonFor {
			pause = lookLater
		}
		select {
		case <-ctx.Done():
			return nil
		case <-httpapi.Draining(ctx):
			return nil
		case <-time.After(pause):
		}
		if p, err = b.mine(c); err != nil {
			return nil
		}
	}
}

// tell sends one event: where each step is.
func (b *base) tell(ctx context.Context, w *echo.Response, p signup.Progress) error {
	event := "step"
	if p.Ended() {
		event = "end"
	}
	if p.State == signup.StateDone {
		b.untilServed(ctx, p.Slug)
	}
	states := map[string]string{}
	for _, step := range stepsOf(p) {
		states[step.Key] = step.State
	}
	data, err := json.Marshal(states)
	if err != nil {
		return err
	}
	if _, err = fmt.Fprintf(w, "retry: 1000\nevent: %s\ndata: %s\n\n", event, data); err != nil {
		return err
	}
	return http.NewResponseController(w).Flush()
}
