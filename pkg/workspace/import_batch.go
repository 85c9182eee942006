package workspace

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// importedBatch is what comes of some rows: the tasks to be made, column by column as the statement takes them, and what is wrong with the rest.
type importedBatch struct {
	at   time.Time
	rows int
	// errors are those of the rows that the import still names.
	errors []ImportError

	ids                            []uuid.UUID
	titles, descriptions, statuses []string
	priorities                     []int
	dueOns                         []*Date
	// numbers are those of the rows in the file.
	numbers []int
}

// next reads the next rows of the file, which has as many as it had when they were counted.
func (i *importing) next(at time.Time) (*importedBatch, error) {
	b := &importedBatch{at: at, rows: min(importBatch, i.total-i.done), errors: []ImportError{}}
	for n := range b.rows {
		row, ok := i.sheet.next()
		if !ok {
			return nil, fmt.Errorf("the file ends after %d rows and had %d", i.done+n, i.total)
		}
		if len(row.bad) == 0 {
			if err := b.add(row.task, i.done+n+1); err != nil {
				return nil, err
			}
			continue
		}
		if wrong := i.wrong + n - len(b.ids); wrong < maxImportErrors {
			for _, field := range row.bad {
				b.errors = append(b.errors, ImportError{Line: row.line, Field: field.Path, Message: field.Message})
			}
		}
	}
	return b, nil
}

// add puts a task behind those that are there.
func (b *importedBatch) add(t Task, number int) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	b.ids = append(b.ids, id)
	b.titles, b.descriptions = append(b.titles, t.Title), append(b.descriptions, t.Description)
	b.statuses, b.priorities = append(b.statuses, string(t.Status)), append(b.priorities, t.Priority)
	b.dueOns, b.numbers = append(b.dueOns, t.DueOn), append(b.numbers, number)
	return nil
}

// insert makes the tasks. They stand on the board in the order of the file, behind the task that was last when the import began, and
// before the one that is made a millisecond later: see insertTask.
func (b *importedBatch) insert(ctx context.Context, tx *tenantschema.Tx, importID uuid.UUID) error {
	if len(b.ids) == 0 {
		return nil
	}
	const sql = `INSERT INTO tasks (id, project_id, title, description, status, priority, due_on, created_at, updated_at, completed_at, position)
SELECT t.id, i.project_id, t.title, t.description, t.status, t.priority, t.due_on, $2, $2,
    CASE WHEN t.status = 'done' THEN $2::timestamptz END, i.position + t.number * 0.000001
FROM imports AS i
CROSS JOIN unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::smallint[], $8::date[], $9::integer[])
    AS t (id, title, description, status, priority, due_on, number)
WHERE i.id = $1`
	tag, err := tx.Exec(ctx, sql, importID, b.at, b.ids, b.titles, b.descriptions, b.statuses, b.priorities, b.dueOns, b.numbers)
	if err == nil && tag.RowsAffected() != int64(len(b.ids)) {
		err = fmt.Errorf("%d tasks were made instead of %d", tag.RowsAffected(), len(b.ids))
	}
	return err
}
