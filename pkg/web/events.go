package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/httpapi"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/live"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

const (
	// heartbeat is the default of Config.Heartbeat.
	heartbeat = 20 * time.Second
	// streamTime ends a stream whose page then opens another, so that they spread anew over the processes.
	streamTime = 15 * time.Minute
	// streamWrite is how long the client may take to receive what is written.
	streamWrite = 10 * time.Second
)

// ReadChanges gives what a live.Hub reads: the workspace's changes.
func ReadChanges(work *workspace.Service) live.Read {
	return func(ctx context.Context, scope tenantschema.Scope, after uuid.UUID, limit int) ([]live.Change, error) {
		found, err := work.ListChanges(ctx, scope, after, limit)
		if err != nil {
			return nil, err
		}
		out := make([]live.Change, len(found))
		for i, c := range found {
			out[i] = live.Change{ID: c.ID, ProjectID: orNil(c.ProjectID), TaskID: orNil(c.TaskID)}
		}
		return out, nil
	}
}

func orNil(id *uuid.UUID) uuid.UUID {
	if id == nil {
		return uuid.Nil
	}
	return *id
}

// liveEvent is an event as app.js gets it.
type liveEvent struct {
	All      bool        `json:"all,omitempty"`
	Projects []uuid.UUID `json:"projects,omitempty"`
	Tasks    []uuid.UUID `json:"tasks,omitempty"`
}

// events tells of what changes, by server-sent events, until the client goes, the session ends, the tenant is served no more or the server stops.
func (h *Pages) events(c echo.Context) error {
	since := c.Request().Header.Get("Last-Event-ID")
	if since == "" {
		since = c.QueryParam("since")
	}
	id, err := uuid.Parse(since)
	if err != nil {
		id = uuid.Nil
	}
	if err = httpapi.Lasting(c.Request().Context()); err != nil {
		return err
	}
	ctx, scope := httpapi.Unbounded(c.Request().Context()), httpapi.ScopeOf(c.Request().Context())
	subscription, err := h.cfg.Live.Subscribe(scope, id)
	if err != nil {
		return err
	}
	defer subscription.Close()
	s := stream{w: c.Response(), control: http.NewResponseController(c.Response())}
	if err = s.open(); err != nil {
		return nil // The client has gone.
	}
	beat, end := time.NewTicker(h.heartbeat), time.NewTimer(streamTime)
	defer beat.Stop()
	defer end.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-end.C:
			return nil
		case <-httpapi.Draining(ctx):
			return nil
		case <-subscription.Ready():
			if e := subscription.Take(); !e.Empty() {
				err = s.send(e)
			}
		case <-beat.C:
			if !httpapi.StillServed(ctx) {
				return nil
			}
			if !h.stillSignedIn(ctx, c) {
				_ = s.write("event: signed-out\ndata: {}\n\n") // Whether it arrives or not, that is the end.
				return nil
			}
			err = s.write(": alive\n\n")
		}
		if err != nil {
			return nil // The client has gone.
		}
	}
}

// stillSignedIn reports whether the session that opened the stream may read on.
func (h *Pages) stillSignedIn(ctx context.Context, c echo.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, streamWrite)
	defer cancel()
	p, err := h.cfg.Identity.CheckSession(ctx, httpapi.ScopeOf(ctx), caller(c))
	return err == nil && p.May(identity.ActionRead)
}

// stream is a response of server-sent events.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// open lifts the server's time limits, which are for answers that end, and says how long to wait before a new try.
func (s stream) open() error {
	if err := s.control.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	header := s.w.Header()
	header.Set(echo.HeaderContentType, "text/event-stream")
	header.Set(echo.HeaderCacheControl, "no-store")
	header.Set("X-Accel-Buffering", "no") // Proxies that gather answers must not.
	s.w.WriteHeader(http.StatusOK)
	return s.write("retry: 3000\n\n")
}

func (s stream) send(e live.Event) error {
	data, err := json.Marshal(liveEvent{All: e.All, Projects: e.Projects, Tasks: e.Tasks})
	if err != nil {
		return err
	}
	return s.write(fmt.Sprintf("id: %s\nevent: change\ndata: %s\n\n", e.ID, data))
}

func (s stream) write(text string) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(streamWrite)); err != nil {
		return err
	}
	if _, err := s.w.Write([]byte(text)); err != nil {
		return err
	}
	return s.control.Flush()
}
