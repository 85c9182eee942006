package workspace

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// TaskSort is what a list of tasks is ordered by. With a "-" before it the order is turned round.
type TaskSort string

// The orders. Without one the newest come first.
const (
	SortCreated  TaskSort = "created"
	SortNewest   TaskSort = "-created"
	SortDueOn    TaskSort = "due_on" // Those without a date come last, either way.
	SortPriority TaskSort = "priority"
	SortPosition TaskSort = "position"
)

const sortNames = "created, due_on, priority, position; with - before it for the other direction"

// TaskFilter chooses tasks: those that fit all of its fields. The zero filter chooses all.
type TaskFilter struct {
	ProjectID *uuid.UUID
	// Statuses chooses those in one of them.
	Statuses   []Status
	AssigneeID *uuid.UUID
	// LabelID chooses those with that label.
	LabelID *uuid.UUID
	// Priorities chooses those with one of them.
	Priorities []int
	// Query chooses those with this text in their title, in any case of letters.
	Query string
	// DueAfter and DueBefore choose those due later than the one day and earlier than the other. Either leaves out those without a date.
	DueAfter  *Date
	DueBefore *Date
	// CreatedAfter and UpdatedAfter choose those that were made, or changed last, later than that.
	CreatedAfter *time.Time
	UpdatedAfter *time.Time
	// Sort is how they are ordered: [SortNewest] if empty.
	Sort TaskSort
}

// valid gives the filter in canonical form.
func (f TaskFilter) valid() (TaskFilter, error) {
	var check checker
	f.Query = check.search("q", f.Query)
	f.Statuses = slices.Compact(slices.Sorted(slices.Values(f.Statuses)))
	for _, status := range f.Statuses {
		if !status.known() {
			check.add("status", "Give one or more of: %s.", statusNames)
			break
		}
	}
	f.Priorities = slices.Compact(slices.Sorted(slices.Values(f.Priorities)))
	if n := len(f.Priorities); n > 0 && (f.Priorities[0] < PriorityNone || f.Priorities[n-1] > PriorityUrgent) {
		check.add("priority", "Give numbers from %d (none) to %d (urgent).", PriorityNone, PriorityUrgent)
	}
	check.date("due_after", f.DueAfter)
	check.date("due_before", f.DueBefore)
	check.moment("created_after", f.CreatedAfter)
	check.moment("updated_after", f.UpdatedAfter)
	if f.Sort == "" {
		f.Sort = SortNewest
	}
	if _, ok := f.Sort.order(); !ok {
		check.add("sort", "Give one of: %s.", sortNames)
	}
	return f, check.err("The tasks cannot be listed by this.")
}

// taskOrder is what stands before the id in the order of a list. The id then goes the same way.
type taskOrder struct {
	// by is an expression that is never null; empty for the id alone.
	by string
	// cast is its type.
	cast string
	// of gives its value as text, as it stands in a cursor; wellFormed is what such a text looks like.
	of         func(Task) string
	wellFormed *regexp.Regexp
	descending bool
}

func (s TaskSort) order() (taskOrder, bool) {
	name, descending := strings.CutPrefix(string(s), "-")
	o := taskOrder{descending: descending}
	switch TaskSort(name) {
	case SortCreated:
		o.of, o.wellFormed = func(Task) string { return "" }, regexp.MustCompile(`^$`)
	case SortDueOn:
		last := "infinity"
		if descending {
			last = "-infinity"
		}
		o.by, o.cast = `coalesce(due_on, '`+last+`'::date)`, "date"
		o.of = func(t Task) string {
			if t.DueOn == nil {
				return last
			}
			return t.DueOn.String()
		}
		o.wellFormed = regexp.MustCompile(`^(-?infinity|\d{4}-\d{2}-\d{2})$`)
	case SortPriority:
		o.by, o.cast, o.of = `priority`, "smallint", func(t Task) string { return strconv.Itoa(t.Priority) }
		o.wellFormed = regexp.MustCompile(`^[0-4]$`)
	case SortPosition:
		o.by, o.cast, o.of = `position`, "numeric", func(t Task) string { return t.Position }
		o.wellFormed = regexp.MustCompile(`^-?\d{1,40}(\.\d{1,200})?$`)
	default:
		return o, false
	}
	return o, true
}

// fits reports whether value, which came in a cursor, may be handed to the database.
func (o taskOrder) fits(value string) bool {
	if !o.wellFormed.MatchString(value) {
		return false
	}
	if o.cast == "date" && !strings.HasSuffix(value, "infinity") {
		d, err := ParseDate(value)
		return err == nil && d.valid()
	}
	return true
}

// sql gives the statement of the list. The filters that an index serves are added when they are there, so that the planner sees
// them. The others cost a look at each row anyway and stand in every statement.
func (f TaskFilter) sql(w window, o taskOrder, first bool) (string, []any) {
	sql := `SELECT ` + taskColumns + ` FROM tasks
WHERE ($2::text[] IS NULL OR status = ANY($2))
  AND ($3::text IS NULL OR title ILIKE $3)
  AND ($4::smallint[] IS NULL OR priority = ANY($4))
  AND ($5::timestamptz IS NULL OR created_at > $5)
  AND ($6::timestamptz IS NULL OR updated_at > $6)`
	var statuses []string // nil is NULL
	for _, status := range f.Statuses {
		statuses = append(statuses, string(status))
	}
	args := []any{w.fetch(), statuses, pattern(f.Query), f.Priorities, f.CreatedAfter, f.UpdatedAfter}
	next := func(arg any) string {
		args = append(args, arg)
		return "$" + strconv.Itoa(len(args))
	}
	if f.ProjectID != nil {
		sql += ` AND project_id = ` + next(*f.ProjectID)
	}
	if f.AssigneeID != nil {
		sql += ` AND assignee_id = ` + next(*f.AssigneeID)
	}
	if f.LabelID != nil {
		sql += ` AND EXISTS (SELECT FROM task_labels AS l WHERE l.task_id = tasks.id AND l.label_id = ` + next(*f.LabelID) + `)`
	}
	if f.DueAfter != nil || f.DueBefore != nil {
		sql += ` AND due_on > ` + next(dateOr(f.DueAfter, pgtype.NegativeInfinity))
		sql += ` AND due_on < ` + next(dateOr(f.DueBefore, pgtype.Infinity))
	}
	than, way := ` > `, ``
	if o.descending {
		than, way = ` < `, ` DESC`
	}
	switch {
	case first:
	case o.by == "":
		sql += ` AND id` + than + next(w.before)
	default:
		sql += ` AND (` + o.by + `, id)` + than + `(` + next(w.beyond) + `::text::` + o.cast + `, ` + next(w.before) + `)`
	}
	if o.by != "" {
		way = way + `, id` + way
	} else {
		o.by = `id`
	}
	return sql + ` ORDER BY ` + o.by + way + ` LIMIT $1`, args
}

// ListTasks gives a page of the tasks, newest first unless the filter says otherwise. The error is apperr.Invalid for a filter, limit or cursor
// that is wrong. An unknown project, assignee or label has no tasks: the page is empty.
//
// A task whose place in the order changes between two pages may be given twice or not at all; the others are given once.
func (s *Service) ListTasks(ctx context.Context, scope tenantschema.Scope, f TaskFilter, p PageRequest) (Page[Task], error) {
	f, err := f.valid()
	if err != nil {
		return Page[Task]{}, err
	}
	w, err := p.windowBy("tasks", f)
	if err != nil {
		return Page[Task]{}, err
	}
	order, _ := f.Sort.order()
	if p.Cursor != "" && !order.fits(w.beyond) {
		return Page[Task]{}, errNoCursor()
	}
	sql, args := f.sql(w, order, p.Cursor == "")
	rows, err := scope.Query(ctx, sql, args...)
	if err != nil {
		return Page[Task]{}, failed("list tasks", err)
	}
	tasks, err := pgx.CollectRows(rows, scanTask)
	if err != nil {
		return Page[Task]{}, failed("list tasks", err)
	}
	return pageBy(w, tasks, func(t Task) (uuid.UUID, string) { return t.ID, order.of(t) }), nil
}
