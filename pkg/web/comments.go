package web

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
)

// commentRoutes are for what is said of tasks, and the labels that they bear.
func (h *Pages) commentRoutes(r routes) {
	comment, write := h.require(identity.ActionComment), h.require(identity.ActionWrite)
	r.post("/tasks/:id/comments", h.createComment, comment)
	r.post("/comments/:id", h.editComment, comment)
	r.post("/comments/:id/delete", h.deleteComment, comment)
	r.post("/tasks/:id/labels", h.labelTask, write)
}

// commentView is a comment, and what who looks at it may do with it.
type commentView struct {
	workspace.Comment

	MayEdit, MayDelete bool
}

// readComments gives a page of what was said of a task, the earliest first, and the address of what was said before.
func (h *Pages) readComments(c echo.Context, task uuid.UUID) (list []commentView, before string, err error) {
	ctx, scope := at(c)
	found, err := h.work(c).ListComments(ctx, scope, task, workspace.PageRequest{Limit: 50, Cursor: c.QueryParam("comments")})
	if err != nil {
		return nil, "", err
	}
	p := caller(c)
	for _, comment := range found.Items {
		own := comment.AuthorID != nil && *comment.AuthorID == p.UserID
		list = append(list, commentView{
			Comment: comment, MayEdit: own && p.May(identity.ActionComment),
			MayDelete: p.May(identity.ActionComment) && (own || p.May(identity.ActionManageMembers)),
		})
	}
	slices.Reverse(list)
	if found.Next != "" {
		before = withQuery(taskPath(task), url.Values{"comments": {found.Next}}) + "#comments"
	}
	return list, before, nil
}

func (h *Pages) createComment(c echo.Context) error {
	ctx, scope := at(c)
	id, err := workID(c)
	if err != nil {
		return err
	}
	made, err := h.work(c).CreateComment(ctx, scope, id, c.FormValue("body"))
	if err != nil {
		return h.showTask(c, err)
	}
	return back(c, taskPath(id)+"#comment-"+made.ID.String(), "")
}

func (h *Pages) editComment(c echo.Context) error {
	ctx, scope := at(c)
	id, err := workID(c)
	if err != nil {
		return err
	}
	changed, err := h.work(c).EditComment(ctx, scope, id, c.FormValue("text"))
	if problem, _, ok := wrong(err); ok && len(problem.Fields) > 0 {
		comment, findErr := h.work(c).GetComment(ctx, scope, id)
		if findErr != nil {
			return findErr
		}
		return see(c, taskPath(comment.TaskID)+"#comment-"+id.String(), "%s %s", problem.Message, problem.Fields[0].Message)
	}
	if err != nil {
		return err
	}
	return back(c, taskPath(changed.TaskID)+"#comment-"+id.String(), "The comment was changed.")
}

func (h *Pages) deleteComment(c echo.Context) error {
	ctx, scope := at(c)
	id, err := workID(c)
	if err != nil {
		return err
	}
	comment, err := h.work(c).GetComment(ctx, scope, id)
	if err != nil {
		return err
	}
	if err = h.work(c).DeleteComment(ctx, scope, id); err != nil {
		return err
	}
	return back(c, taskPath(comment.TaskID)+"#comments", "The comment was deleted.")
}

// labelMost is how many labels may be chosen from.
const labelMost = 100

func (h *Pages) labels(c echo.Context) ([]workspace.Label, error) {
	ctx, scope := at(c)
	found, err := h.work(c).ListLabels(ctx, scope, workspace.PageRequest{Limit: labelMost})
	return found.Items, err
}

// labelled gives those of the labels that have these ids.
func labelled(all []workspace.Label, ids []uuid.UUID) []workspace.Label {
	var out []workspace.Label
	for _, l := range all {
		if slices.Contains(ids, l.ID) {
			out = append(out, l)
		}
	}
	return out
}

// labelTask saves which labels a task bears, one of which may be made for it.
func (h *Pages) labelTask(c echo.Context) error {
	ctx, scope := at(c)
	id, err := workID(c)
	if err != nil {
		return err
	}
	form, err := c.FormParams()
	if err != nil {
		return err
	}
	ids := []uuid.UUID{}
	for _, text := range form["label"] {
		label, err := uuid.Parse(text)
		if err != nil {
			return h.showTask(c, invalid("The labels were not changed.", "label", "Choose from the list."))
		}
		ids = append(ids, label)
	}
	if name := form.Get("new_label"); name != "" {
		label, err := h.work(c).CreateLabel(ctx, scope, workspace.NewLabel{Name: name, Color: form.Get("color")})
		if err != nil {
			return h.showTask(c, err)
		}
		ids = append(ids, label.ID)
	}
	if _, err = h.work(c).PatchTask(ctx, scope, id, workspace.TaskPatch{LabelIDs: &ids}); err != nil {
		return h.showTask(c, err)
	}
	return back(c, taskPath(id), "Saved.")
}

// searchPage shows what was found.
type searchPage struct {
	Query string
	Found []hit
}

// hit is something that was found; its excerpt is in parts, of which those that were searched for are marked.
type hit struct {
	workspace.Found

	Path  string
	Parts []excerptPart
}

type excerptPart struct {
	Text string
	Hit  bool
}

func (h *Pages) search(c echo.Context) error {
	ctx, scope := at(c)
	view := searchPage{Query: c.QueryParam("q")}
	p := page{Title: "Search", Data: &view}
	if view.Query == "" {
		return h.render(c, http.StatusOK, "work/search", p)
	}
	found, err := h.work(c).Search(ctx, scope, view.Query, 50)
	if err != nil {
		return h.renderWrong(c, err, "work/search", p)
	}
	for _, f := range found {
		one := hit{Found: f, Path: "/projects/" + f.ProjectID.String(), Parts: excerpt(f.Excerpt)}
		if f.TaskID != nil {
			one.Path = taskPath(*f.TaskID)
		}
		if f.Type == "comment" {
			one.Path += "#comment-" + f.ID.String()
		}
		view.Found = append(view.Found, one)
	}
	return h.render(c, http.StatusOK, "work/search", p)
}
