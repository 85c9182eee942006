package workspace_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Whatever ends a run, before, in or behind a batch, the next one takes each row that is left, and none again.
func TestImportGoesOnWhereItWasCut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t, b.acme, "Attic")
	file, titles := numbered(1700)
	made := b.upload(t, b.acme, project.ID, file)
	due := workspace.ImportDue{ImportID: made.ID}

	// The service asks for the time once at the beginning of each batch.
	cutAt := func(batch int) error {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		asked := 0
		service, err := workspace.New(workspace.Config{Jobs: b.jobs, Files: b.files, Clock: func() time.Time {
			if asked++; asked == batch {
				cancel()
			}
			return b.clock.Now()
		}})
		require.NoError(t, err)
		return service.ImportTasks(ctx, b.acme, due)
	}
	require.ErrorIs(t, cutAt(1), context.Canceled)
	require.Equal(t, workspace.ImportWaiting, b.getImport(t, b.acme, made.ID).State)
	require.ErrorIs(t, cutAt(2), context.Canceled)
	require.Equal(t, titles[:500], b.board(t, b.acme, project.ID))
	require.ErrorIs(t, cutAt(3), context.Canceled)
	got := b.getImport(t, b.acme, made.ID)
	require.Equal(t, []int{1500, 1500, 0}, []int{got.DoneRows, got.CreatedCount, got.FailedCount})
	require.Equal(t, workspace.ImportRunning, got.State)

	// Behind the tasks of the last batch, when the feed is told.
	b.jobs.take()
	tooLate := errors.New("failed after the job was enqueued")
	b.jobs.failWith(tooLate)
	require.ErrorIs(t, b.ImportTasks(t.Context(), b.acme, due), tooLate)
	require.Equal(t, got, b.getImport(t, b.acme, made.ID))
	require.Equal(t, titles[:1500], b.board(t, b.acme, project.ID))
	b.jobs.failWith(nil)
	b.jobs.take()

	require.NoError(t, b.ImportTasks(t.Context(), b.acme, due))
	require.NoError(t, b.ImportTasks(t.Context(), b.acme, due))
	require.Equal(t, titles, b.board(t, b.acme, project.ID))
	events := b.jobs.take()
	require.Len(t, events, 1)
	require.Equal(t, []int{1700, 0}, []int{events[0].Created, events[0].Failed})
	require.True(t, letGo(t, b.acme, made.ID))
}

// letGo reports whether the file of an import is gone.
func letGo(t *testing.T, scope tenantschema.Scope, id uuid.UUID) (gone bool) {
	t.Helper()
	require.NoError(t, scope.QueryRow(t.Context(), `SELECT content IS NULL FROM imports WHERE id = $1`, id).Scan(&gone))
	return gone
}

func TestImportByManyAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t, b.acme, "Attic")
	file, titles := numbered(2000)
	made := b.upload(t, b.acme, project.ID, file)
	var wg sync.WaitGroup
	errs := make(chan error, 3)
	for range cap(errs) {
		wg.Go(func() {
			for {
				err := b.ImportTasks(t.Context(), b.acme, workspace.ImportDue{ImportID: made.ID})
				if _, moved := errors.AsType[*job.SnoozeError](err); !moved {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	for range cap(errs) {
		require.NoError(t, <-errs)
	}
	require.Equal(t, titles, b.board(t, b.acme, project.ID))
	require.Len(t, b.jobs.take(), 1)
}

// A big file is taken in turns, and never more of it at once than a batch.
func TestImportTakesTurns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t, b.acme, "Attic")
	file, titles := numbered(20_100)
	made := b.upload(t, b.acme, project.ID, file)
	ended := b.work(t, b.Service)
	require.Zero(t, next(t, ended, "workspace.import_tasks snoozed"))
	require.Zero(t, next(t, ended, "workspace.import_tasks completed"))
	require.Equal(t, titles, b.board(t, b.acme, project.ID))
	require.Equal(t, workspace.ImportDone, b.getImport(t, b.acme, made.ID).State)
	var transactions, most int
	const sql = `SELECT count(*), max(tasks) FROM (SELECT count(*) AS tasks FROM tasks GROUP BY xmin) AS by_transaction`
	require.NoError(t, b.acme.QueryRow(t.Context(), sql).Scan(&transactions, &most))
	require.Equal(t, []int{41, 500}, []int{transactions, most})
}

func TestImportEndsWithItsProject(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t, b.acme, "Attic")
	file, _ := numbered(1200)
	made := b.upload(t, b.acme, project.ID, file)
	batch := 0
	service, err := workspace.New(workspace.Config{Jobs: b.jobs, Files: b.files, Clock: func() time.Time {
		if batch++; batch == 2 {
			require.Len(t, b.board(t, b.acme, project.ID), 500)
			require.NoError(t, b.DeleteProject(t.Context(), b.acme, project.ID))
		}
		return b.clock.Now()
	}})
	require.NoError(t, err)
	require.NoError(t, service.ImportTasks(t.Context(), b.acme, workspace.ImportDue{ImportID: made.ID}))
	require.Equal(t, 2, batch)
	require.Empty(t, b.board(t, b.acme, project.ID))
	_, err = b.GetImport(t.Context(), b.acme, made.ID)
	requireNotFound(t, err)
	_, err = b.ListImports(t.Context(), b.acme, project.ID, workspace.PageRequest{})
	requireNotFound(t, err)
	require.NoError(t, b.ImportTasks(t.Context(), b.acme, workspace.ImportDue{ImportID: made.ID}), "and again")
	require.Empty(t, b.jobs.take())
}

// When the last attempt fails, the import says so, and lets go of the file.
func TestImportIsGivenUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t, b.acme, "Attic")
	file, titles := numbered(700)
	made := b.upload(t, b.acme, project.ID, file)
	due := workspace.ImportDue{ImportID: made.ID}
	_, err := b.acme.Exec(t.Context(), `UPDATE imports SET total_rows = 701 WHERE id = $1`, made.ID)
	require.NoError(t, err)

	attempt := func(ctx context.Context, n int) error {
		return b.ImportTasks(job.NewContext(ctx, job.Info{Attempt: n, MaxAttempts: 2}), b.acme, due)
	}
	require.ErrorContains(t, attempt(t.Context(), 1), "ends after 700 rows")
	require.Equal(t, workspace.ImportRunning, b.getImport(t, b.acme, made.ID).State)
	shutdown, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, attempt(shutdown, 2), context.Canceled)
	require.Equal(t, workspace.ImportRunning, b.getImport(t, b.acme, made.ID).State, "a shutdown uses up no attempt")

	require.ErrorContains(t, attempt(t.Context(), 2), "ends after 700 rows")
	got := b.getImport(t, b.acme, made.ID)
	require.Equal(t, workspace.ImportFailed, got.State)
	require.Equal(t, 500, got.DoneRows)
	require.NotNil(t, got.FinishedAt)
	require.Equal(t, titles[:500], b.board(t, b.acme, project.ID))
	require.True(t, letGo(t, b.acme, made.ID))
	events := b.jobs.take()
	require.Len(t, events, 1)
	require.Equal(t, workspace.EventImportFailed, events[0].Event)
	require.NoError(t, attempt(t.Context(), 2))
}

// Who deletes a project while its file is taken in waits for the batch, or the batch for him, but never each for the other.
func TestImportAndDeletionDoNotDeadlock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t, b.acme, "Attic")
	made := b.upload(t, b.acme, project.ID, "title\nSweep\n")
	ended := make(chan error, 1)
	err := b.acme.InTx(t.Context(), func(tx *tenantschema.Tx) error {
		// The first lock of a deletion.
		if _, err := tx.Exec(t.Context(), `SELECT id FROM projects WHERE id = $1 FOR UPDATE`, project.ID); err != nil {
			return err
		}
		go func() { ended <- b.ImportTasks(t.Context(), b.acme, workspace.ImportDue{ImportID: made.ID}) }()
		const waits = `SELECT count(*) FROM pg_locks WHERE NOT granted`
		require.Eventually(t, func() bool {
			var waiting int
			return b.db.Owner.QueryRow(t.Context(), waits).Scan(&waiting) == nil && waiting > 0
		}, time.Minute, 5*time.Millisecond)
		_, err := tx.Exec(t.Context(), `DELETE FROM projects WHERE id = $1`, project.ID)
		return err
	})
	require.NoError(t, err)
	if err = <-ended; err != nil { // A slow machine may let it wait for too long.
		var pgErr *pgconn.PgError
		require.ErrorAs(t, err, &pgErr)
		require.Equal(t, "55P03", pgErr.Code)
	}
	require.Empty(t, b.board(t, b.acme, project.ID))
}
