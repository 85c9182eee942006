package tenantschema

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// CopyPrefix begins the names of the schemas and roles that [Session.Rehearse] makes. What a crash leaves of one is removed by the next
// rehearsal. No tenant can have such a name: their ids hold no zero.
const CopyPrefix = "t_0copy"

// Rehearsal is what migrations have done to a copy of a tenant.
type Rehearsal struct {
	// Copied is how long the copy took, and Before and After how large it was, in bytes with indexes.
	Copied time.Duration
	Before int64
	After  int64
	Steps  []RehearsedStep
}

// RehearsedStep is what one migration has done.
type RehearsedStep struct {
	Migration

	Took time.Duration
	// Locks are the strongest locks on tables that were there before, held to the end of the transaction. Those of a migration outside a
	// transaction cannot be seen.
	Locks []HeldLock
	// Rewritten are the tables whose files were written anew.
	Rewritten []string
	// Err is why it failed; then no further one has been tried.
	Err error
}

// HeldLock is a lock that a migration held on a table.
type HeldLock struct {
	Table string `json:"table"`
	// Mode is PostgreSQL's name, such as AccessExclusiveLock, which keeps even readers out.
	Mode string `json:"mode"`
}

// Rehearse copies the schema of a tenant, which is on from.Version, with all its data, as of one moment, brings the copy to the version
// target, and removes it. The tenant is only read. It takes the disk space of the tenant once more.
//
// A migration that fails is reported in its step. The error says that the rehearsal itself was not possible.
func (s *Session) Rehearse(ctx context.Context, from Spec, target int64) (r Rehearsal, err error) {
	if err = s.dropCopies(ctx); err != nil {
		return r, err
	}
	name, err := ParseName(CopyPrefix + strings.ToLower(rand.Text()[:11])) // As long as a tenant's.
	if err != nil {
		return r, err
	}
	spec := Spec{Name: name, Sealed: from.Sealed, Version: from.Version}
	nothing := func(context.Context, pgx.Tx) error { return nil }
	err = s.locked(ctx, name, func() error {
		defer func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
			defer cancel()
			if dropErr := s.drop(ctx, name, nothing); err == nil {
				err = dropErr
			}
		}()
		prepare := func(ctx context.Context, tx pgx.Tx) error { return s.prepare(ctx, tx, spec) }
		if err := s.advance(ctx, spec, prepare, func(context.Context, pgx.Tx, int64, bool) error { return nil }); err != nil {
			return fmt.Errorf("make the copy: %w", err)
		}
		began := time.Now()
		if err := s.copyRows(ctx, from.Name, name); err != nil {
			return fmt.Errorf("copy the rows: %w", err)
		}
		r.Copied = time.Since(began)
		if r.Before, err = s.size(ctx, name); err != nil {
			return err
		}
		for _, m := range s.p.Way(from.Version, target) {
			step := s.rehearseStep(ctx, name, m)
			r.Steps = append(r.Steps, step)
			if step.Err != nil {
				break
			}
		}
		r.After, err = s.size(ctx, name)
		return err
	})
	return r, err
}

// dropCopies removes the copies that crashed rehearsals have left.
func (s *Session) dropCopies(ctx context.Context) error {
	rows, err := s.conn.Query(ctx, "select rolname::text from pg_catalog.pg_roles where rolname like $1", strings.ReplaceAll(CopyPrefix, "_", `\_`)+"%")
	if err != nil {
		return fmt.Errorf("look for copies: %w", err)
	}
	left, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("look for copies: %w", err)
	}
	for _, text := range left {
		name, err := ParseName(text)
		if err != nil {
			continue // It is not ours.
		}
		free, err := TryLock(ctx, s.conn, schemaLock(name))
		if err != nil {
			return err
		}
		if !free {
			continue // Somebody rehearses.
		}
		err = s.drop(ctx, name, func(context.Context, pgx.Tx) error { return nil })
		Unlock(ctx, s.conn, schemaLock(name))
		if err != nil { // Another database's, perhaps: roles belong to the server.
			return fmt.Errorf("drop what is left of an earlier rehearsal, %s: %w", name, err)
		}
	}
	return nil
}

// copyRows fills the tables of to, which is empty and has the same tables, with the rows of from. Foreign keys are taken away meanwhile and put
// back, which checks them; triggers of the migrations' own do not run.
func (s *Session) copyRows(ctx context.Context, from, to Name) error {
	return pgx.BeginTxFunc(ctx, s.conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
		if err := enterSchema(ctx, tx, to); err != nil {
			return err
		}
		var tables, drops, restores, sequences []string
		batch := &pgx.Batch{}
		collect := func(into ...*[]string) func(pgx.Rows) error {
			return func(rows pgx.Rows) error {
				texts := make([]string, len(into))
				scans := make([]any, len(into))
				for i := range texts {
					scans[i] = &texts[i]
				}
				_, err := pgx.ForEachRow(rows, scans, func() error {
					for i := range into {
						*into[i] = append(*into[i], texts[i])
					}
					return nil
				})
				return err
			}
		}
		batch.Queue(`select format('alter table %s drop constraint %I', c.conrelid::regclass, c.conname),
				format('alter table %s add constraint %I %s', c.conrelid::regclass, c.conname, pg_catalog.pg_get_constraintdef(c.oid))
			from pg_catalog.pg_constraint c where c.contype = 'f' and c.conparentid = 0 and c.connamespace = $1::regnamespace`,
			to.Quote()).Query(collect(&drops, &restores))
		batch.Queue(`select format('alter table %s disable trigger user; insert into %1$s (%s) overriding system value select %2$s from %s.%I;
				alter table %1$s enable trigger user; analyze %1$s', c.oid::regclass,
				(select string_agg(quote_ident(a.attname), ', ' order by a.attnum) from pg_catalog.pg_attribute a
					where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''), $2::text, c.relname)
			from pg_catalog.pg_class c
			where c.relnamespace = $1::regnamespace and c.relkind in ('r', 'p') and not c.relispartition and c.relname <> $3
			order by c.oid`, to.Quote(), from.Quote(), VersionTable).Query(collect(&tables))
		batch.Queue(`select format('select pg_catalog.setval(%L, last_value, is_called) from %s.%I', c.oid::regclass, $2::text, c.relname)
			from pg_catalog.pg_class c where c.relnamespace = $1::regnamespace and c.relkind = 'S' and c.relname <> $3 || '_id_seq'`,
			to.Quote(), from.Quote(), VersionTable).Query(collect(&sequences))
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return err
		}
		return sendDDL(ctx, tx, slices.Concat(drops, tables, sequences, restores), "copy")
	})
}

// size gives how much the tables of a schema take, with their indexes.
func (s *Session) size(ctx context.Context, name Name) (bytes int64, err error) {
	err = s.conn.QueryRow(ctx, `select coalesce(sum(pg_catalog.pg_total_relation_size(oid)), 0)::bigint from pg_catalog.pg_class
		where relnamespace = $1::regnamespace and relkind in ('r', 'm')`, name.Quote()).Scan(&bytes)
	if err != nil {
		return 0, fmt.Errorf("measure the copy: %w", err)
	}
	return bytes, nil
}

// rehearseStep runs one migration on a copy.
func (s *Session) rehearseStep(ctx context.Context, name Name, m Migration) (step RehearsedStep) {
	step.Migration = m
	began := time.Now()
	if !m.Tx {
		s.versions.expect(false, nil)
		step.Err = s.stepByStep(ctx, name, m.Version, false)
		step.Took = time.Since(began)
		return step
	}
	step.Err = pgx.BeginFunc(ctx, s.conn, func(tx pgx.Tx) error {
		if err := enterSchema(ctx, tx, name); err != nil {
			return err
		}
		before, err := files(ctx, tx, name)
		if err != nil {
			return err
		}
		began = time.Now()
		s.versions.expect(false, nil)
		if err = s.apply(ctx, m.Version, false); err != nil {
			return err
		}
		step.Took = time.Since(began)
		after, err := files(ctx, tx, name)
		if err != nil {
			return err
		}
		for table, file := range before {
			if now, there := after[table]; there && now != file {
				step.Rewritten = append(step.Rewritten, table)
			}
		}
		slices.Sort(step.Rewritten)
		rows, err := tx.Query(ctx, `select distinct on (c.relname) c.relname::text, l.mode
			from pg_catalog.pg_locks l join pg_catalog.pg_class c on c.oid = l.relation
			where l.pid = pg_catalog.pg_backend_pid() and l.locktype = 'relation' and c.relnamespace = $1::regnamespace and c.relkind in ('r', 'p')
				and c.relname = any($2) and l.mode <> 'AccessShareLock'
			order by c.relname, array_position(array['RowShareLock', 'RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareLock',
				'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'], l.mode) desc`, name.Quote(), keys(before))
		if err != nil {
			return err
		}
		step.Locks, err = pgx.CollectRows(rows, pgx.RowToStructByPos[HeldLock])
		return err
	})
	if step.Err != nil && step.Took == 0 {
		step.Took = time.Since(began)
	}
	return step
}

// files gives the files of the tables of a schema, but of goose's.
func files(ctx context.Context, tx pgx.Tx, name Name) (map[string]uint32, error) {
	rows, err := tx.Query(ctx, `select relname::text, pg_catalog.pg_relation_filenode(oid) from pg_catalog.pg_class
		where relnamespace = $1::regnamespace and relkind = 'r' and relname <> $2`, name.Quote(), VersionTable)
	if err != nil {
		return nil, fmt.Errorf("list files: %w", err)
	}
	found := map[string]uint32{}
	var table string
	var file uint32
	if _, err = pgx.ForEachRow(rows, []any{&table, &file}, func() error {
		found[table] = file
		return nil
	}); err != nil {
		return nil, fmt.Errorf("list files: %w", err)
	}
	return found, nil
}

func keys(of map[string]uint32) (names []string) {
	for name := range of {
		names = append(names, name)
	}
	return names
}

// Largest gives the schema whose tables are the largest of those named.
func (s *Session) Largest(ctx context.Context, names []Name) (largest Name, err error) {
	texts := make([]string, len(names))
	for i, name := range names {
		texts[i] = name.String()
	}
	var text string
	err = s.conn.QueryRow(ctx, `select n.nspname::text from pg_catalog.pg_namespace n join pg_catalog.pg_class c on c.relnamespace = n.oid
		where n.nspname = any($1) and c.relkind = 'r' group by n.nspname order by sum(pg_catalog.pg_relation_size(c.oid)) desc, n.nspname limit 1`,
		texts).Scan(&text)
	if errors.Is(err, pgx.ErrNoRows) {
		return Name{}, ErrNoSchema
	}
	if err != nil {
		return Name{}, fmt.Errorf("look for the largest tenant: %w", err)
	}
	return ParseName(text)
}
