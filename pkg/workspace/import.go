package workspace

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// ImportState is how far an import is.
type ImportState string

// The states. An import that has ended, done or failed, never changes again.
const (
	ImportWaiting ImportState = "waiting"
	ImportRunning ImportState = "running"
	ImportDone    ImportState = "done"
	// ImportFailed is given up: the rows up to DoneRows were taken, those behind were not.
	ImportFailed ImportState = "failed"
)

// Import is a file of tasks on its way into a project. It goes with its project.
type Import struct {
	ID        uuid.UUID   `json:"id"`
	ProjectID uuid.UUID   `json:"project_id"`
	State     ImportState `json:"state"`
	// TotalRows are those of the file without its header, DoneRows those that were taken or refused so far.
	TotalRows int `json:"total_rows"`
	DoneRows  int `json:"done_rows"`
	// CreatedCount and FailedCount are DoneRows together: the tasks made and the rows refused.
	CreatedCount int `json:"created_count"`
	FailedCount  int `json:"failed_count"`
	// Errors say what is wrong with the first hundred refused rows.
	Errors     []ImportError `json:"errors"`
	CreatedAt  time.Time     `json:"created_at"`
	FinishedAt *time.Time    `json:"finished_at,omitempty"`
}

// ImportError is what is wrong with a row.
type ImportError struct {
	// Line is where the row begins in the file, counted from 1, which is the header.
	Line int `json:"line"`
	// Field is a column's name, or [FieldRow].
	Field   string `json:"field"`
	Message string `json:"message"`
}

// ImportDue is the job that makes the tasks of an import, [Service.ImportTasks].
type ImportDue struct {
	ImportID uuid.UUID `json:"import_id"`
}

// Kind names the job.
func (ImportDue) Kind() string { return "workspace.import_tasks" }

// CreateImport stores a CSV file of tasks, and the job that takes it in: both or neither. See [columns] for what it may hold. The error is
// apperr.Invalid if it cannot be read at all or has other columns, apperr.NotFound if there is no such project. Rows are not looked at.
func (s *Service) CreateImport(ctx context.Context, scope tenantschema.Scope, projectID uuid.UUID, content []byte) (Import, error) {
	total, err := countRows(content)
	if err != nil {
		return Import{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Import{}, failed("create import", err)
	}
	var made Import
	err = scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		const sql = `INSERT INTO imports (id, project_id, total_rows, content, created_at)
SELECT $1, p.id, $3, $4, $5 FROM projects AS p WHERE p.id = $2 RETURNING ` + importColumns
		if made, err = queryImport(ctx, tx, sql, id, projectID, total, content, s.now()); err != nil {
			return err
		}
		_, err = s.jobs.Enqueue(ctx, tx, ImportDue{ImportID: id}, job.Opts{})
		return err
	})
	if err != nil {
		return Import{}, failedOn("create import", "project", projectID, err)
	}
	return made, nil
}

// GetImport gives an import. The error is apperr.NotFound if there is none with that id.
func (s *Service) GetImport(ctx context.Context, scope tenantschema.Scope, id uuid.UUID) (Import, error) {
	const sql = `SELECT ` + importColumns + ` FROM imports WHERE id = $1`
	found, err := queryImport(ctx, scope, sql, id)
	if err != nil {
		return Import{}, failedOn("get import", "import", id, err)
	}
	return found, nil
}

// ListImports gives a page of the imports into a project, newest first. The error is apperr.NotFound if there is no such project,
// apperr.Invalid for a limit or cursor that is wrong.
func (s *Service) ListImports(ctx context.Context, scope tenantschema.Scope, projectID uuid.UUID, p PageRequest) (Page[Import], error) {
	w, err := p.window("imports", projectID)
	if err != nil {
		return Page[Import]{}, err
	}
	const sql = `SELECT ` + importColumns + ` FROM imports WHERE project_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3`
	rows, err := scope.Query(ctx, sql, projectID, w.before, w.fetch())
	if err != nil {
		return Page[Import]{}, failed("list imports", err)
	}
	imports, err := pgx.CollectRows(rows, scanImport)
	if err != nil {
		return Page[Import]{}, failed("list imports", err)
	}
	if len(imports) == 0 {
		if _, err = s.GetProject(ctx, scope, projectID); err != nil {
			return Page[Import]{}, err
		}
	}
	return pageOf(w, imports, func(i Import) uuid.UUID { return i.ID }), nil
}

const importColumns = `id, project_id, state, total_rows, done_rows, created_count, failed_count, errors, created_at, finished_at`

func scanImport(row pgx.CollectableRow) (Import, error) {
	var i Import
	err := row.Scan(&i.ID, &i.ProjectID, &i.State, &i.TotalRows, &i.DoneRows, &i.CreatedCount, &i.FailedCount, &i.Errors,
		&i.CreatedAt, &i.FinishedAt)
	i.CreatedAt, i.FinishedAt = i.CreatedAt.UTC(), inUTC(i.FinishedAt)
	return i, err
}

func queryImport(ctx context.Context, db tenantschema.DBTX, sql string, args ...any) (Import, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return Import{}, err
	}
	return pgx.CollectOneRow(rows, scanImport)
}
