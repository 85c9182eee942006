package jobqueue_test

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// doubling fills the description of projects in batches of 10, by name. Each row is to be written once: it appends.
func doubling(version int64, before func(cursor string) error) job.Backfill {
	return job.Backfill{
		Name: "projects.description", Version: version,
		Step: func(ctx context.Context, tx *tenantschema.Tx, cursor string) (string, int64, error) {
			if err := before(cursor); err != nil {
				return "", 0, err
			}
			rows, err := tx.Query(ctx, `UPDATE projects SET description = description || name WHERE id IN
				(SELECT id FROM projects WHERE name > $1 ORDER BY name LIMIT 10) RETURNING name`, cursor)
			if err != nil {
				return "", 0, err
			}
			names, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil || len(names) == 0 {
				return "", 0, err
			}
			next := cursor
			for _, name := range names {
				next = max(next, name)
			}
			return next, int64(len(names)), nil
		},
	}
}

type backfillBundle struct {
	*bundle

	operator *jobqueue.Operator
}

// setupBackfill makes tenants on the product's schema with that many projects each.
func setupBackfill(t *testing.T, projects map[string]int) *backfillBundle {
	t.Helper()
	b := &backfillBundle{bundle: setupOn(t, pgtest.New(t))}
	for slug, n := range projects {
		_, err := b.Scope(slug).Exec(t.Context(), `INSERT INTO projects (id, name, description)
			SELECT gen_random_uuid(), lpad(i::text, 4, '0'), '' FROM generate_series(1, $1) i`, n)
		require.NoError(t, err)
	}
	var err error
	b.operator, err = jobqueue.NewOperator(b.Owner)
	require.NoError(t, err)
	return b
}

// run starts workers of the backfill, and enqueues the search for tenants at once.
func (b *backfillBundle) run(t *testing.T, fill job.Backfill) {
	t.Helper()
	w := jobqueue.NewWorkers()
	require.NoError(t, jobqueue.HandleBackfills(w, fill))
	cfg := b.config(w)
	cfg.Metrics = nil
	b.start(t, cfg)
	b.find(t)
}

func (b *backfillBundle) find(t *testing.T) {
	t.Helper()
	require.NoError(t, pgx.BeginFunc(t.Context(), b.Control, func(tx pgx.Tx) error {
		_, err := b.enqueuer.EnqueuePlatform(t.Context(), tx, jobqueue.FindBackfills{}, job.Opts{})
		return err
	}))
}

// reaches waits for the backfill to stand like this.
func (b *backfillBundle) reaches(t *testing.T, tenants, finished, failed, rows int64) {
	t.Helper()
	var last []jobqueue.BackfillStatus
	require.Eventually(t, func() bool {
		var err error
		last, err = b.operator.Backfills(t.Context())
		require.NoError(t, err)
		return len(last) == 1 && last[0].Tenants == tenants && last[0].Finished == finished && last[0].Failed == failed && last[0].Rows == rows
	}, patience, poll, "%+v", &last)
}

// filled counts the projects that were written once.
func (b *backfillBundle) filled(t *testing.T, slug string) (n int) {
	t.Helper()
	require.NoError(t, b.Scope(slug).QueryRow(t.Context(), "SELECT count(*) FROM projects WHERE description = name").Scan(&n))
	return n
}

func TestBackfill(t *testing.T) {
	t.Parallel()
	b := setupBackfill(t, map[string]int{"acme": 95, "globex": 3})
	version := b.Tenant("acme").SchemaVersion
	// Globex is a wave behind, and comes later.
	b.behind(t, "globex", version)
	broken := errors.New("broken in the middle")
	failures := make(chan error, 1)
	failures <- broken
	b.run(t, doubling(version, func(cursor string) error {
		if cursor != "0050" {
			return nil
		}
		select {
		case err := <-failures:
			return err
		default:
			return nil
		}
	}))
	// The fifth batch fails once; what was done before it is kept, and not done again.
	require.Eventually(t, func() bool { return b.filled(t, "acme") >= 50 }, patience, poll)
	b.reaches(t, 1, 1, 0, 95)
	require.Equal(t, 95, b.filled(t, "acme"))
	require.Zero(t, b.filled(t, "globex"))

	_, err := b.Owner.Exec(t.Context(), "update rowhouse.tenants set schema_version = $1 where slug = 'globex'", version)
	require.NoError(t, err)
	b.find(t)
	b.reaches(t, 2, 2, 0, 98)
	b.find(t) // It gives nobody a second one.
	require.Equal(t, 3, b.filled(t, "globex"))
	require.Equal(t, 95, b.filled(t, "acme"))
	var jobs int
	require.NoError(t, b.Owner.QueryRow(t.Context(), "select count(*) from river.river_job where kind = 'jobs.backfill'").Scan(&jobs))
	require.Equal(t, 2, jobs)

	_, err = b.Manager.Delete(t.Context(), "globex")
	require.NoError(t, err)
	b.reaches(t, 1, 1, 0, 95)
}

// behind puts a tenant a version behind.
func (b *backfillBundle) behind(t *testing.T, slug string, version int64) {
	t.Helper()
	_, err := b.Owner.Exec(t.Context(), "update rowhouse.tenants set schema_version = $1 where slug = $2", version-1, slug)
	require.NoError(t, err)
}

// A backfill whose job was given up, and is forgotten by the queue, gets another.
func TestBackfill_Lost(t *testing.T) {
	t.Parallel()
	b := setupBackfill(t, map[string]int{"acme": 5})
	version := b.Tenant("acme").SchemaVersion
	b.behind(t, "globex", version)
	first := true
	b.run(t, doubling(version, func(string) error {
		if first {
			first = false
			return job.Cancel(errors.New("never"))
		}
		return nil
	}))
	b.reaches(t, 1, 0, 1, 0)
	_, err := b.Owner.Exec(t.Context(), "delete from river.river_job where state = 'cancelled'")
	require.NoError(t, err)
	b.find(t)
	b.reaches(t, 1, 1, 0, 5)
}

func TestHandleBackfills_Refuses(t *testing.T) {
	t.Parallel()
	step := func(context.Context, *tenantschema.Tx, string) (string, int64, error) { return "", 0, nil }
	good := job.Backfill{Name: "a", Version: 1, Step: step}
	for i, list := range [][]job.Backfill{
		{{Version: 1, Step: step}}, {{Name: "a", Step: step}}, {{Name: "a", Version: 1}}, {good, good},
	} {
		require.Error(t, jobqueue.HandleBackfills(jobqueue.NewWorkers(), list...), strconv.Itoa(i))
	}
	require.NoError(t, jobqueue.HandleBackfills(jobqueue.NewWorkers()))
}
