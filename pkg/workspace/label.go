package workspace

import (
	"context"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// How long the name of a label is, and how many a task has.
const (
	maxLabelName  = 50
	maxTaskLabels = 20
)

const defaultColor = "#808080"

// Label sorts tasks across projects.
type Label struct {
	ID   uuid.UUID `json:"id"`
	Name string    `json:"name"`
	// Color is like #1e90ff, in lower case.
	Color     string    `json:"color"`
	CreatedAt time.Time `json:"created_at"`
}

// NewLabel is what a label is made from.
type NewLabel struct {
	// Name has 1 to 50 characters. No two labels have the same, in any case of letters.
	Name string
	// Color is grey if empty.
	Color string
}

// LabelPatch changes the fields that are not nil.
type LabelPatch struct {
	Name  *string
	Color *string
}

// ListLabels gives a page of the labels, newest first. The error is apperr.Invalid for a limit or cursor that is wrong.
func (s *Service) ListLabels(ctx context.Context, scope tenantschema.Scope, p PageRequest) (Page[Label], error) {
	w, err := p.window("labels", nil)
	if err != nil {
		return Page[Label]{}, err
	}
	const sql = `SELECT ` + labelColumns + ` FROM labels WHERE id < $1 ORDER BY id DESC LIMIT $2`
	rows, err := scope.Query(ctx, sql, w.before, w.fetch())
	if err != nil {
		return Page[Label]{}, failed("list labels", err)
	}
	labels, err := pgx.CollectRows(rows, scanLabel)
	if err != nil {
		return Page[Label]{}, failed("list labels", err)
	}
	return pageOf(w, labels, func(l Label) uuid.UUID { return l.ID }), nil
}

// GetLabel gives a label. The error is apperr.NotFound if there is none with that id.
func (s *Service) GetLabel(ctx context.Context, scope tenantschema.Scope, id uuid.UUID) (Label, error) {
	label, err := queryLabel(ctx, scope, `SELECT `+labelColumns+` FROM labels WHERE id = $1`, id)
	if err != nil {
		return Label{}, failedOn("get label", "label", id, err)
	}
	return label, nil
}

// CreateLabel makes a label. The error is apperr.Invalid if in is wrong, which a name that another has is too.
func (s *Service) CreateLabel(ctx context.Context, scope tenantschema.Scope, in NewLabel) (Label, error) {
	if in.Color == "" {
		in.Color = defaultColor
	}
	var check checker
	in.Name, in.Color = check.line("name", in.Name, maxLabelName), check.color("color", in.Color)
	if err := check.err("The label cannot be made as asked."); err != nil {
		return Label{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Label{}, failed("create label", err)
	}
	const sql = `INSERT INTO labels (id, name, color, created_at) VALUES ($1, $2, $3, $4) RETURNING ` + labelColumns
	label, err := queryLabel(ctx, scope, sql, id, in.Name, in.Color, s.now())
	if err != nil {
		return Label{}, failed("create label", err)
	}
	return label, nil
}

// PatchLabel changes a label and gives it as it is now. The error is apperr.NotFound if there is none with that id, apperr.Invalid if the patch
// is wrong.
func (s *Service) PatchLabel(ctx context.Context, scope tenantschema.Scope, id uuid.UUID, patch LabelPatch) (Label, error) {
	var check checker
	if patch.Name != nil {
		name := check.line("name", *patch.Name, maxLabelName)
		patch.Name = &name
	}
	if patch.Color != nil {
		color := check.color("color", *patch.Color)
		patch.Color = &color
	}
	if err := check.err("The label cannot be changed as asked."); err != nil {
		return Label{}, err
	}
	const sql = `UPDATE labels SET name = coalesce($2, name), color = coalesce($3, color) WHERE id = $1 RETURNING ` + labelColumns
	change, err := uuid.NewV7()
	if err != nil {
		return Label{}, failed("patch label", err)
	}
	label, err := queryLabel(ctx, scope, noted(sql, "$4", labelNote, labelColumns), id, patch.Name, patch.Color, change)
	if err != nil {
		return Label{}, failedOn("patch label", "label", id, err)
	}
	return label, nil
}

// DeleteLabel deletes a label, and takes it from all tasks. The error is apperr.NotFound if there is none with that id.
func (s *Service) DeleteLabel(ctx context.Context, scope tenantschema.Scope, id uuid.UUID) error {
	change, err := uuid.NewV7()
	if err != nil {
		return failed("delete label", err)
	}
	const sql = `DELETE FROM labels WHERE id = $1 RETURNING ` + labelColumns
	if _, err = queryLabel(ctx, scope, noted(sql, "$2", labelNote, labelColumns), id, change); err != nil {
		return failedOn("delete label", "label", id, err)
	}
	return nil
}

// setLabels gives a task exactly these labels.
func setLabels(ctx context.Context, tx *tenantschema.Tx, taskID uuid.UUID, ids []uuid.UUID, now time.Time) error {
	if _, err := tx.Exec(ctx, `DELETE FROM task_labels WHERE task_id = $1 AND label_id <> ALL($2)`, taskID, ids); err != nil {
		return err
	}
	if len(ids) == 0 {
		return nil
	}
	const sql = `INSERT INTO task_labels (task_id, label_id, created_at) SELECT $1, l.id, $3 FROM unnest($2::uuid[]) AS l (id)
ON CONFLICT (task_id, label_id) DO NOTHING`
	_, err := tx.Exec(ctx, sql, taskID, ids, now)
	return err
}

// color gives text if it is a colour like #1e90ff, in lower case.
func (c *checker) color(path, text string) string {
	text = strings.ToLower(text)
	if !regexp.MustCompile(`^#[0-9a-f]{6}$`).MatchString(text) {
		c.add(path, "Give a colour like #1e90ff.")
	}
	return text
}

const labelColumns = `id, name, color, created_at`

func scanLabel(row pgx.CollectableRow) (Label, error) {
	var l Label
	err := row.Scan(&l.ID, &l.Name, &l.Color, &l.CreatedAt)
	l.CreatedAt = l.CreatedAt.UTC()
	return l, err
}

func queryLabel(ctx context.Context, db tenantschema.DBTX, sql string, args ...any) (Label, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return Label{}, err
	}
	return pgx.CollectOneRow(rows, scanLabel)
}
