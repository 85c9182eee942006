package workspace

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

const (
	// importBatch is how many rows one transaction takes. No more are in memory as tasks at a time.
	importBatch = 500
	// batchesPerTurn is how many batches one run of the job takes before it lets others have their turn.
	batchesPerTurn = 40
	// maxImportErrors is how many refused rows an import names.
	maxImportErrors = 100
	// lastWords is how long writing down that an import has failed may take.
	lastWords = 5 * time.Second
)

// errImportMoved says that another run of the job has taken rows meanwhile.
var errImportMoved = errors.New("another run of the job is at the same import")

// ImportTasks does the work of the job: it takes the file in, from where it was left. Each batch of rows and the cursor behind it are one
// transaction, so that whatever ends a run, no row is taken twice and none is left out. An import that is gone with its project is over.
// When the last attempt fails, so does the import.
func (s *Service) ImportTasks(ctx context.Context, scope tenantschema.Scope, due ImportDue) error {
	err := s.importTurn(ctx, scope, due.ImportID)
	if !lastWordIn(ctx, err) {
		return err
	}
	endCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	return errors.Join(err, s.giveUpImport(endCtx, scope, due.ImportID))
}

// lastWordIn reports whether err ends the job for good. A shutdown does not, nor does putting it off.
func lastWordIn(ctx context.Context, err error) bool {
	if _, ok := errors.AsType[*job.CancelError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*job.SnoozeError](err); ok || err == nil {
		return false
	}
	info := job.FromContext(ctx)
	return info.MaxAttempts > 0 && info.Last() && !errors.Is(ctx.Err(), context.Canceled)
}

// importing is an import while it is worked.
type importing struct {
	id, projectID      uuid.UUID
	total, done, wrong int
	sheet              *sheet
}

func (s *Service) importTurn(ctx context.Context, scope tenantschema.Scope, id uuid.UUID) error {
	const sql = `SELECT project_id, total_rows, done_rows, failed_count, content FROM imports WHERE id = $1 AND finished_at IS NULL`
	i := &importing{id: id}
	var content []byte
	err := scope.QueryRow(ctx, sql, id).Scan(&i.projectID, &i.total, &i.done, &i.wrong, &content)
	if errors.Is(err, pgx.ErrNoRows) { // It is over, or went with its project.
		return nil
	}
	if err != nil {
		return failed("import tasks", err)
	}
	if i.sheet, err = openSheet(content); err != nil {
		return job.Cancel(failed("import tasks", err))
	}
	for range i.done {
		i.sheet.skip()
	}
	for range batchesPerTurn {
		ended, err := s.importBatch(ctx, scope, i)
		switch {
		case errors.Is(err, errImportMoved):
			return job.Snooze(time.Second)
		case err != nil:
			return failed("import tasks", err)
		case ended:
			return nil
		}
	}
	return job.Snooze(0)
}

// importBatch takes the next rows. It reports whether the import is over.
func (s *Service) importBatch(ctx context.Context, scope tenantschema.Scope, i *importing) (ended bool, err error) {
	b, err := i.next(s.now())
	if err != nil {
		return false, err
	}
	last := i.done+b.rows == i.total
	err = scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		ended, err = i.advance(ctx, tx, b)
		if ended || err != nil {
			return err
		}
		if err = b.insert(ctx, tx, i.id); err != nil {
			return err
		}
		if err = note(ctx, tx, i.projectID, uuid.Nil); err != nil || !last {
			return err
		}
		ended = true
		return s.endImport(ctx, tx, i.id, ImportDone, b.at)
	})
	if err != nil {
		return false, err
	}
	i.done, i.wrong = i.done+b.rows, i.wrong+b.rows-len(b.ids)
	return ended, nil
}

// advance moves the cursor past the batch, if it is where this run has left it. It reports whether the import is gone.
func (i *importing) advance(ctx context.Context, tx *tenantschema.Tx, b *importedBatch) (gone bool, err error) {
	// Whoever deletes a project locks it before what belongs to it. So do we, or both would wait for the other.
	const lock = `SELECT id FROM projects WHERE id = $1 FOR KEY SHARE`
	var id uuid.UUID
	if err = tx.QueryRow(ctx, lock, i.projectID).Scan(&id); errors.Is(err, pgx.ErrNoRows) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	errorsText, err := json.Marshal(b.errors)
	if err != nil {
		return false, err
	}
	const sql = `UPDATE imports SET state = 'running', done_rows = done_rows + $3, created_count = created_count + $4,
    failed_count = failed_count + $3 - $4, errors = errors || $5::jsonb,
    position = coalesce(position, (SELECT greatest(max(t.position), $6::bigint) FROM tasks AS t WHERE t.project_id = $7))
WHERE id = $1 AND done_rows = $2 AND finished_at IS NULL`
	tag, err := tx.Exec(ctx, sql, i.id, i.done, b.rows, len(b.ids), string(errorsText), b.at.UnixMilli(), i.projectID)
	if err == nil && tag.RowsAffected() == 0 {
		err = errImportMoved
	}
	return false, err
}

// endImport ends the import, which lets go of the file, and tells the feed.
func (s *Service) endImport(ctx context.Context, tx *tenantschema.Tx, id uuid.UUID, state ImportState, at time.Time) error {
	const sql = `UPDATE imports SET state = $2, content = NULL, finished_at = $3 WHERE id = $1 AND finished_at IS NULL
RETURNING project_id, created_count, failed_count`
	event := ActivityRecorded{Event: EventImportFinished, ImportID: id, At: at}
	if state == ImportFailed {
		event.Event = EventImportFailed
	}
	err := tx.QueryRow(ctx, sql, id, string(state), at).Scan(&event.ProjectID, &event.Created, &event.Failed)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = s.record(ctx, tx, event)
	return err
}

// giveUpImport ends an import that cannot go on.
func (s *Service) giveUpImport(ctx context.Context, scope tenantschema.Scope, id uuid.UUID) error {
	err := scope.InTx(ctx, func(tx *tenantschema.Tx) error { return s.endImport(ctx, tx, id, ImportFailed, s.now()) })
	if err != nil {
		return failed("give up import", err)
	}
	return nil
}
