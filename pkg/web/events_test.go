package web_test

import (
	"bufio"
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

// heard is an open stream of events.
type heard struct {
	t     testing.TB
	lines chan string
}

// listen gives a stream of a tenant that has been read once.
func (v *visitor) listen(query string) *heard {
	v.h.t.Helper()
	s := v.stream(query)
	s.next(": alive")
	s.next(": alive")
	return s
}

func (v *visitor) stream(query string) *heard {
	v.h.t.Helper()
	ctx, cancel := context.WithCancel(v.h.t.Context())
	v.h.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.h.url+"/events"+query, nil)
	require.NoError(v.h.t, err)
	req.Host = v.host
	for name, value := range v.cookies {
		req.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req) //nolint:bodyclose // Who reads it closes it.
	require.NoError(v.h.t, err)
	require.Equal(v.h.t, http.StatusOK, resp.StatusCode)
	require.Equal(v.h.t, "text/event-stream", resp.Header.Get("Content-Type"))
	s := &heard{t: v.h.t, lines: make(chan string, 1000)}
	go func() {
		defer close(s.lines)
		defer resp.Body.Close() //nolint:errcheck // It was read.
		for r := bufio.NewScanner(resp.Body); r.Scan(); {
			s.lines <- r.Text()
		}
	}()
	s.next("retry:")
	return s
}

// next gives the next line that begins so.
func (s *heard) next(prefix string) string {
	s.t.Helper()
	for {
		select {
		case line, open := <-s.lines:
			require.True(s.t, open, "the stream ended before %q", prefix)
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				return rest
			}
		case <-time.After(10 * time.Second):
			require.FailNow(s.t, "nothing was told", prefix)
		}
	}
}

// quiet waits for two heartbeats, before which nothing is told.
func (s *heard) quiet() {
	s.t.Helper()
	for beats := 0; beats < 2; {
		select {
		case line, open := <-s.lines:
			require.True(s.t, open, "the stream ended")
			require.NotContains(s.t, line, "data:")
			if strings.HasPrefix(line, ": alive") {
				beats++
			}
		case <-time.After(10 * time.Second):
			require.FailNow(s.t, "the stream is silent")
		}
	}
}

// ended waits for the end of the stream and gives what came before.
func (s *heard) ended() string {
	s.t.Helper()
	var all strings.Builder
	for {
		select {
		case line, open := <-s.lines:
			if !open {
				return all.String()
			}
			all.WriteString(line + "\n")
		case <-time.After(10 * time.Second):
			require.FailNow(s.t, "the stream did not end")
		}
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	h := open(t)
	ada, eve := h.as(h.acme, "ada", identity.RoleOwner), h.as(h.globex, "eve", identity.RoleOwner)
	project := ada.project("Moon launch")
	task := ada.task(project, "Paint")
	mine, theirs := ada.listen(""), eve.listen("")

	require.Equal(t, http.StatusSeeOther, ada.submit(task+"/move", url.Values{"status": {"done"}}).status)
	data := mine.next("data: ")
	require.Contains(t, data, strings.TrimPrefix(task, "/tasks/"))
	require.Contains(t, data, strings.TrimPrefix(project, "/projects/"))
	require.NotContains(t, data, "Paint", "events hold ids alone")

	// A hint that somebody forges has nothing told.
	conn, err := pgx.Connect(t.Context(), h.db.OwnerURL)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	for _, payload := range []string{h.globex.Schema.String(), h.acme.Schema.String(), strings.TrimPrefix(task, "/tasks/"), `{"all":true}`} {
		_, err = conn.Exec(t.Context(), `select pg_notify('rowhouse_live', $1)`, payload)
		require.NoError(t, err)
	}
	theirs.quiet()

	// What is globex's own is the first that it hears of.
	own := eve.project("Clouds")
	require.Contains(t, theirs.next("data: "), strings.TrimPrefix(own, "/projects/"))
}

func TestEvents_MissedSomething(t *testing.T) {
	t.Parallel()
	h := open(t)
	ada := h.as(h.acme, "ada", identity.RoleOwner)
	page := ada.get("/").body
	_, since, found := strings.Cut(page, `data-since="`)
	require.True(t, found)
	since, _, _ = strings.Cut(since, `"`)
	ada.project("Moon launch")
	require.Contains(t, ada.stream("?since="+since).next("data: "), `"all":true`)
}

func TestEvents_End(t *testing.T) {
	t.Parallel()
	h := open(t)
	require.Equal(t, http.StatusSeeOther, h.visitor("acme").get("/events").status, "strangers hear nothing")

	ada, ben, eve := h.as(h.acme, "ada", identity.RoleOwner), h.as(h.acme, "ben", identity.RoleMember), h.as(h.globex, "eve", identity.RoleOwner)
	of, out, suspended := ada.listen(""), ben.listen(""), eve.listen("")
	const end = `UPDATE sessions SET revoked_at = now() WHERE user_id IN (SELECT id FROM users WHERE email LIKE 'ben@%')`
	_, err := h.scope(h.acme).Exec(t.Context(), end)
	require.NoError(t, err)
	require.Contains(t, out.ended(), "event: signed-out")

	h.street.mu.Lock()
	globex := h.street.bySlug["globex"]
	globex.State = tenancy.StateSuspended
	h.street.bySlug["globex"] = globex
	h.street.mu.Unlock()
	suspended.ended()

	begun := time.Now()
	require.NoError(t, h.stop(), "a server that stops does not wait for streams")
	require.Less(t, time.Since(begun), 10*time.Second)
	of.ended()
}
