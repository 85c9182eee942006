package job

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Backfill is a data migration: what a new column or table is to hold for the rows that were there before, where that is too much for the
// migration's own transaction. It runs once for each tenant, in batches, as a job, when the tenant's schema has come to Version.
//
// The migration that adds the column lets it be empty, and code copes with rows that were not reached yet. A later migration, of a release
// that comes when `jobs backfills` shows that all tenants are done, may take that for granted.
type Backfill struct {
	// Name says what is filled, such as "tasks.search_text". It never changes. 1 to 100 characters.
	Name string
	// Version is the tenant migration that the backfill needs.
	Version int64
	// Step does the next batch of rows, and gives where the one after it begins: any text, such as the last id. Empty says that there is
	// nothing left; the first batch begins at "". What it writes and how far it came are committed together, so a batch that was done is not
	// done again, whatever dies when. A batch should take well under a second: it holds its locks until it ends. rows is for people.
	Step func(ctx context.Context, tx *tenantschema.Tx, cursor string) (next string, rows int64, err error)
}

// Check says what is missing.
func (b Backfill) Check() error {
	if b.Name == "" || len(b.Name) > 100 || b.Version < 1 || b.Step == nil {
		return fmt.Errorf("the backfill %q needs a name of 1 to 100 characters, a Version and a Step", b.Name)
	}
	return nil
}

// Batch does the next batch. done says that there is nothing left, and rows is how many there were in all batches.
func (b Backfill) Batch(ctx context.Context, scope tenantschema.Scope) (done bool, rows int64, err error) {
	err = scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		done, rows, err = b.batch(ctx, tx)
		return err
	})
	if err != nil {
		return false, 0, fmt.Errorf("backfill %s: %w", b.Name, err)
	}
	return done, rows, nil
}

func (b Backfill) batch(ctx context.Context, tx *tenantschema.Tx) (done bool, rows int64, err error) {
	// The row is locked, so that of two runs at the same time one waits for the other's batch and goes on from there.
	const sql = "SELECT cursor, done_rows, finished_at IS NOT NULL FROM backfills WHERE name = $1 FOR UPDATE"
	var cursor string
	err = tx.QueryRow(ctx, sql, b.Name).Scan(&cursor, &rows, &done)
	if errors.Is(err, pgx.ErrNoRows) {
		if _, err = tx.Exec(ctx, "INSERT INTO backfills (name) VALUES ($1) ON CONFLICT (name) DO NOTHING", b.Name); err != nil {
			return false, 0, err
		}
		err = tx.QueryRow(ctx, sql, b.Name).Scan(&cursor, &rows, &done)
	}
	if err != nil || done {
		return done, rows, err
	}
	next, n, err := b.Step(ctx, tx, cursor)
	if err != nil {
		return false, 0, err
	}
	done, rows = next == "", rows+n
	_, err = tx.Exec(ctx, "UPDATE backfills SET cursor = $2, done_rows = $3, finished_at = CASE WHEN $4 THEN now() END WHERE name = $1",
		b.Name, next, rows, done)
	return done, rows, err
}
