package main

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// newTenant says what tenant i of a set is made as.
func newTenant(s set, i int) tenancy.NewTenant {
	return tenancy.NewTenant{Slug: s.slug(i), Tier: s.tier}
}

// fleet is the tenants that have been made so far.
type fleet struct {
	place    *place
	made     map[set]int
	progress func(format string, args ...any)
}

// grow makes tenants of a set until there are count, several at a time, through the product's own manager.
func (f *fleet) grow(ctx context.Context, s set, count int) error {
	first := f.made[s]
	if first >= count {
		return nil
	}
	manager, closeManager, err := f.place.manager(ctx)
	if err != nil {
		return err
	}
	defer closeManager()
	begin := time.Now()
	var next, done atomic.Int64
	group, groupCtx := errgroup.WithContext(ctx)
	for range 2 * runtime.NumCPU() {
		group.Go(func() error {
			for {
				// A backend grows with each schema that it sees, so it is replaced now and then.
				i := first + int(next.Add(chunk)) - chunk
				if i >= count {
					return nil
				}
				err := f.makeSome(groupCtx, manager, s, i, min(i+chunk, count), func() {
					if n := done.Add(1); n%500 == 0 {
						f.progress("  %d tenants made", n)
					}
				})
				if err != nil {
					return err
				}
			}
		})
	}
	if err = group.Wait(); err != nil {
		return fmt.Errorf("make tenants: %w", err)
	}
	f.made[s] = count
	each := time.Since(begin) / time.Duration(count-first)
	f.progress("%d tenants of the set %s are there, %s each", count, s.name, each.Round(time.Millisecond/10))
	return nil
}

const chunk = 50

func (f *fleet) makeSome(ctx context.Context, manager *tenancy.Manager, s set, from, to int, done func()) error {
	cfg, err := pgx.ParseConfig(f.place.DatabaseURL)
	if err != nil {
		return err
	}
	// Each statement is used once. Foreign keys are not checked: the plans of their checks would stay in the backend.
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	cfg.RuntimeParams["session_replication_role"] = "replica"
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // Everything is committed by then.
	creator := manager.Creator()
	defer creator.Close()
	for i := from; i < to; i++ {
		t, _, err := creator.Create(ctx, newTenant(s, i))
		if err != nil {
			return err
		}
		if err = fill(ctx, conn, t.Schema, s, i); err != nil {
			return err
		}
		if s == setOf(naive) {
			if err = f.place.admitNaive(ctx, conn, t.Schema); err != nil {
				return err
			}
		}
		done()
	}
	return nil
}

// fill writes the first rows of tenant i into a schema. conn is the superuser's, whom no policy holds.
func fill(ctx context.Context, conn *pgx.Conn, schema tenantschema.Name, s set, i int) error {
	ids, titles, at := make([]string, tasksEach), make([]string, tasksEach), make([]float64, tasksEach)
	for row := range tasksEach {
		ids[row], titles[row], at[row] = s.task(i, row).String(), s.title(i, row), float64(row)
	}
	batch := &pgx.Batch{}
	batch.Queue("insert into "+schema.Quote()+".projects (id, name) values ($1, $2)", s.project(i), s.slug(i))
	batch.Queue("insert into "+schema.Quote()+".tasks (id, project_id, title, position) "+
		"select id, $1, title, position from unnest($2::uuid[], $3::text[], $4::float8[]) as r (id, title, position)",
		s.project(i), ids, titles, at)
	if err := conn.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("fill %s: %w", s.slug(i), err)
	}
	return nil
}

// tidy does for the catalog's tables what autovacuum would else do in the middle of a round, where it runs, and gives the database's size.
func (p *place) tidy(ctx context.Context) (size string, err error) {
	err = withConn(ctx, p.DatabaseURL, func(conn *pgx.Conn) error {
		for _, sql := range []string{
			"vacuum (analyze) pg_class, pg_attribute, pg_index, pg_constraint, pg_depend, pg_shdepend, pg_type, pg_namespace, " +
				"pg_trigger, pg_attrdef, pg_policy, pg_authid, pg_auth_members, pg_description, pg_statistic, pg_proc",
			"checkpoint",
		} {
			if _, err := conn.Exec(ctx, sql); err != nil {
				return fmt.Errorf("tidy: %w", err)
			}
		}
		return conn.QueryRow(ctx, "select pg_size_pretty(pg_database_size(current_database()))").Scan(&size)
	})
	return size, err
}

// takeJobs empties the queue and gives the number of jobs that were in it. Tasks that were inserted stay.
func (p *place) takeJobs(ctx context.Context) (jobs int64, err error) {
	err = withConn(ctx, p.DatabaseURL, func(conn *pgx.Conn) error {
		if err := conn.QueryRow(ctx, "select count(*) from river.river_job").Scan(&jobs); err != nil {
			return err
		}
		_, err := conn.Exec(ctx, "truncate river.river_job")
		return err
	})
	return jobs, err
}
