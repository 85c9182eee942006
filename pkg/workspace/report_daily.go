package workspace

import (
	"bytes"
	"context"
	"encoding/csv"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

const (
	// seriesDays is how many days back a report tells what was created and finished.
	seriesDays = 30
	// shownProjects is how many projects the page has, those with the most open tasks. The table has all.
	shownProjects = 50
)

// daily is the report of a day while it is made. Its size grows with the projects, by a line each, and not with the tasks.
type daily struct {
	day  Date
	zone *time.Location
	at   time.Time
	days []Date

	total    figures
	shown    []projectFigures
	projects int
	csv      bytes.Buffer
}

// figures are what a report tells of a project, or of all.
type figures struct {
	Todo, Doing, Overdue int
	// Created and Finished are those of each day.
	Created, Finished []int
}

type projectFigures struct {
	id   uuid.UUID
	name string
	figures
}

func newDaily(day Date, zone *time.Location, at time.Time) *daily {
	return &daily{day: day, zone: zone, at: at, days: daysUntil(day, seriesDays), total: newFigures()}
}

func newFigures() figures {
	return figures{Created: make([]int, seriesDays), Finished: make([]int, seriesDays)}
}

// CreatedThatDay and FinishedThatDay are the last of the series.
func (f figures) CreatedThatDay() int  { return f.Created[seriesDays-1] }
func (f figures) FinishedThatDay() int { return f.Finished[seriesDays-1] }

// addTo adds f to the total.
func (f figures) addTo(total *figures) {
	total.Todo, total.Doing, total.Overdue = total.Todo+f.Todo, total.Doing+f.Doing, total.Overdue+f.Overdue
	for i := range seriesDays {
		total.Created[i] += f.Created[i]
		total.Finished[i] += f.Finished[i]
	}
}

// dailySQL gives a line for each project in use. Days are numbered from 1, as they lie between the bounds in $1; the database knows nothing
// of the time zone.
const dailySQL = `WITH open AS (
    SELECT project_id, count(*) FILTER (WHERE status = 'todo') AS todo, count(*) FILTER (WHERE status = 'doing') AS doing,
        count(*) FILTER (WHERE due_on < $4) AS overdue
    FROM tasks WHERE status IN ('todo', 'doing') GROUP BY project_id
), created AS (
    SELECT project_id, array_agg(day) AS days, array_agg(tasks) AS tasks FROM (
        SELECT project_id, width_bucket(created_at, $1::timestamptz[]) AS day, count(*) AS tasks
        FROM tasks WHERE created_at >= $2 AND created_at < $3 GROUP BY 1, 2
    ) AS by_day GROUP BY project_id
), finished AS (
    SELECT project_id, array_agg(day) AS days, array_agg(tasks) AS tasks FROM (
        SELECT project_id, width_bucket(completed_at, $1::timestamptz[]) AS day, count(*) AS tasks
        FROM tasks WHERE completed_at >= $2 AND completed_at < $3 GROUP BY 1, 2
    ) AS by_day GROUP BY project_id
)
SELECT p.id, p.name, coalesce(open.todo, 0), coalesce(open.doing, 0), coalesce(open.overdue, 0),
    created.days, created.tasks, finished.days, finished.tasks
FROM projects AS p
LEFT JOIN open ON open.project_id = p.id
LEFT JOIN created ON created.project_id = p.id
LEFT JOIN finished ON finished.project_id = p.id
WHERE p.archived_at IS NULL
ORDER BY coalesce(open.todo, 0) + coalesce(open.doing, 0) DESC, p.id DESC`

// read takes the figures from the database and writes the table.
func (d *daily) read(ctx context.Context, tx *tenantschema.Tx) error {
	table := csv.NewWriter(&d.csv)
	if err := table.Write(d.header()); err != nil {
		return err
	}
	starts := bounds(d.days, d.zone)
	rows, err := tx.Query(ctx, dailySQL, starts, starts[0], starts[seriesDays], d.overdueBefore())
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		p := projectFigures{figures: newFigures()}
		var createdDays, created, finishedDays, finished []int
		err = rows.Scan(&p.id, &p.name, &p.Todo, &p.Doing, &p.Overdue, &createdDays, &created, &finishedDays, &finished)
		if err != nil {
			return err
		}
		fill(p.Created, createdDays, created)
		fill(p.Finished, finishedDays, finished)
		if err = table.Write(p.record()); err != nil {
			return err
		}
		p.addTo(&d.total)
		if d.projects++; d.projects <= shownProjects {
			d.shown = append(d.shown, p)
		}
	}
	if err = rows.Err(); err != nil {
		return err
	}
	table.Flush()
	return table.Error()
}

// overdueBefore is the day before which an open task had to be done: the one after the report's, but not later than today, since
// what is due today is not overdue yet.
func (d *daily) overdueBefore() Date {
	next, today := d.day.AddDays(1), dateOf(d.at, d.zone)
	if today.Before(next) {
		return today
	}
	return next
}

// fill puts counts at their days, which are numbered from 1.
func fill(series, days, counts []int) {
	for i, day := range days {
		series[day-1] = counts[i]
	}
}

func (d *daily) header() []string {
	header := []string{"project_id", "project", "todo", "doing", "overdue", "created", "finished"}
	for _, series := range []string{"created ", "finished "} {
		for _, day := range d.days {
			header = append(header, series+day.String())
		}
	}
	return header
}

func (p projectFigures) record() []string {
	record := []string{p.id.String(), defuse(p.name)}
	for _, n := range []int{p.Todo, p.Doing, p.Overdue, p.CreatedThatDay(), p.FinishedThatDay()} {
		record = append(record, strconv.Itoa(n))
	}
	for _, series := range [][]int{p.Created, p.Finished} {
		for _, n := range series {
			record = append(record, strconv.Itoa(n))
		}
	}
	return record
}

// defuse makes sure that no spreadsheet takes a text for a formula: an apostrophe in front makes it a text.
func defuse(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}
