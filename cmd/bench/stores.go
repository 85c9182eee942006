package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// ceilingStore is the best that pgx does without tenants: prepared statements with kept plans, one schema in the login's path.
type ceilingStore struct {
	pool *pgxpool.Pool
	jobs *plainQueue
}

func (s ceilingStore) get(ctx context.Context, _ tenantschema.Tenant, id uuid.UUID) (task, error) {
	return queryTask(ctx, s.pool, id)
}

func (s ceilingStore) list(ctx context.Context, _ tenantschema.Tenant, project uuid.UUID) ([]task, error) {
	return queryTasks(ctx, s.pool, project)
}

func (s ceilingStore) insert(ctx context.Context, t tenantschema.Tenant, row task) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, sqlInsert, row.insertArgs()...); err != nil {
			return err
		}
		return s.jobs.insert(ctx, tx, t, row)
	})
}

// naiveStore takes a connection, makes it the tenant's, works, and takes that back: what many programs do, a round trip each. It uses
// pgx's default mode: PostgreSQL analyses a prepared statement again when search_path has changed, so its rows are the right ones.
type naiveStore struct {
	pool *pgxpool.Pool
	jobs *plainQueue
}

// within runs f on a connection that has the tenant's role and path. One that may not have been reset serves nobody else.
func (s naiveStore) within(ctx context.Context, t tenantschema.Tenant, f func(*pgxpool.Conn) error) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	if _, err = conn.Exec(ctx, "SET ROLE "+t.Schema.Quote()); err == nil {
		if _, err = conn.Exec(ctx, "SET search_path TO "+t.Schema.Quote()); err == nil {
			err = f(conn)
		}
	}
	if _, resetErr := conn.Exec(ctx, "RESET ROLE; RESET search_path"); resetErr != nil {
		_ = conn.Conn().Close(context.WithoutCancel(ctx)) // It is being thrown away.
		if err == nil {
			err = resetErr
		}
	}
	return err
}

func (s naiveStore) get(ctx context.Context, t tenantschema.Tenant, id uuid.UUID) (found task, err error) {
	err = s.within(ctx, t, func(conn *pgxpool.Conn) error {
		found, err = queryTask(ctx, conn, id)
		return err
	})
	return found, err
}

func (s naiveStore) list(ctx context.Context, t tenantschema.Tenant, project uuid.UUID) (found []task, err error) {
	err = s.within(ctx, t, func(conn *pgxpool.Conn) error {
		found, err = queryTasks(ctx, conn, project)
		return err
	})
	return found, err
}

// insert leaves the role for the job: a tenant's role has no right on the queue, the login has.
func (s naiveStore) insert(ctx context.Context, t tenantschema.Tenant, row task) error {
	return s.within(ctx, t, func(conn *pgxpool.Conn) error {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, sqlInsert, row.insertArgs()...); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, "RESET ROLE"); err != nil {
				return err
			}
			return s.jobs.insert(ctx, tx, t, row)
		})
	})
}

// scopedStore is what Rowhouse does, in every tier.
type scopedStore struct {
	db   *tenantschema.DB
	jobs *jobqueue.Client
}

func (s scopedStore) get(ctx context.Context, t tenantschema.Tenant, id uuid.UUID) (task, error) {
	return queryTask(ctx, s.db.Tenant(t), id)
}

func (s scopedStore) list(ctx context.Context, t tenantschema.Tenant, project uuid.UUID) ([]task, error) {
	return queryTasks(ctx, s.db.Tenant(t), project)
}

func (s scopedStore) insert(ctx context.Context, t tenantschema.Tenant, row task) error {
	return s.db.Tenant(t).InTx(ctx, func(tx *tenantschema.Tx) error {
		if _, err := tx.Exec(ctx, sqlInsert, row.insertArgs()...); err != nil {
			return err
		}
		_, err := s.jobs.Enqueue(ctx, tx, created(row), job.Opts{})
		return err
	})
}

// plainQueue inserts jobs as [jobqueue.Client] does, without a scope: the same client of River, settings and metadata.
type plainQueue struct {
	river *river.Client[pgx.Tx]
}

func newPlainQueue() (*plainQueue, error) {
	client, err := river.NewClient(silentDriver{riverpgxv5.New(nil)}, &river.Config{
		Schema: "river", Logger: slog.New(slog.DiscardHandler),
	})
	return &plainQueue{client}, err
}

func (q *plainQueue) insert(ctx context.Context, tx pgx.Tx, t tenantschema.Tenant, row task) error {
	metadata, err := json.Marshal(map[string]string{"tenant": t.ID})
	if err != nil {
		return err
	}
	_, err = q.river.InsertTx(ctx, tx, created(row), &river.InsertOpts{Metadata: metadata})
	return err
}

// silentDriver sends no notifications, as that of jobqueue.
type silentDriver struct{ *riverpgxv5.Driver }

// SupportsListener says that nobody listens.
func (silentDriver) SupportsListener() bool { return false }

// SupportsListenNotify says that nobody is notified.
func (silentDriver) SupportsListenNotify() bool { return false }

// newTask makes the row that a request to insert asks for.
func newTask(project uuid.UUID, title string) (task, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return task{}, err
	}
	now := time.Now().UTC()
	return task{
		ID: id, ProjectID: project, Title: title, Status: "todo", Position: float64(now.UnixMilli()), CreatedAt: now, UpdatedAt: now,
	}, nil
}
