package web

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/workspace"
)

// feedEntry is an entry of the feed in words.
type feedEntry struct {
	Words string
	// Who did it, if that is known.
	Who string
	// Path leads to what it tells of, if that may still be there.
	Path string
	At   time.Time
}

// feed is the page of all that happened.
type feed struct {
	Days []feedDay
	Next string
}

type feedDay struct {
	Day     string
	Entries []feedEntry
}

func (h *Pages) activity(c echo.Context) error {
	ctx, scope := at(c)
	found, err := h.work(c).ListActivity(ctx, scope, workspace.ActivityFilter{}, workspace.PageRequest{Limit: 50, Cursor: c.QueryParam("cursor")})
	if err != nil {
		return err
	}
	var view feed
	zone := zoneOf(c)
	for _, entry := range entries(found.Items) {
		day := entry.At.In(zone).Format("Monday, 2 January 2006")
		if n := len(view.Days); n == 0 || view.Days[n-1].Day != day {
			view.Days = append(view.Days, feedDay{Day: day})
		}
		last := &view.Days[len(view.Days)-1]
		last.Entries = append(last.Entries, entry)
	}
	if found.Next != "" {
		view.Next = withQuery("/activity", url.Values{"cursor": {found.Next}})
	}
	return h.render(c, http.StatusOK, "work/activity", page{Title: "Activity", Nav: "activity", Data: view})
}

// entries puts the feed into words.
func entries(feed []workspace.Activity) []feedEntry {
	out := make([]feedEntry, len(feed))
	for i, a := range feed {
		out[i] = feedEntry{Words: a.Kind, Who: a.ActorName, At: a.OccurredAt}
		switch a.Kind {
		case workspace.EventTaskCreated:
			out[i].Words, out[i].Path = "A task was made", taskPath(a.SubjectID)
		case workspace.EventTaskStatusChanged:
			out[i].Words = "A task went from " + statusName(a.Data.From) + " to " + statusName(a.Data.To)
			out[i].Path = taskPath(a.SubjectID)
		case workspace.EventTaskDeleted:
			out[i].Words = "A task was deleted"
		case workspace.EventCommentCreated:
			out[i].Words, out[i].Path = "A comment was written", taskPath(a.SubjectID)+"#comments"
		case workspace.EventImportFinished:
			out[i].Words = "An import made " + strconv.Itoa(a.Data.Created) + " tasks"
		case workspace.EventImportFailed:
			out[i].Words = "An import failed"
		}
	}
	return out
}

func taskPath(id uuid.UUID) string { return "/tasks/" + id.String() }
