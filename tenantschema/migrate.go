package tenantschema

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3/database"
)

// ErrApart is returned by [Session.MigrateTogether] when the schemas cannot be migrated in one transaction: somebody else holds one, one
// is not there, or a migration of one runs outside transactions. Nothing has been changed; each can be migrated by itself.
var ErrApart = errors.New("tenantschema: the schemas cannot be migrated together")

// Migrate brings a schema up to spec.Version, and its grants and its seal up to date. [ErrNoSchema] if there is none. A failure leaves the
// schema on the version it had, or after a NO TRANSACTION file on the last one that record was told of. The end of ctx ends the wait for
// somebody else who holds the schema, but not a migration that has begun.
func (s *Session) Migrate(ctx context.Context, spec Spec, record Record) error {
	err := s.MigrateTogether(ctx, []Spec{spec}, func(ctx context.Context, tx pgx.Tx, version []int64) error {
		return record(ctx, tx, version[0], true)
	})
	if !errors.Is(err, ErrApart) {
		return err
	}
	prepare := func(ctx context.Context, tx pgx.Tx) error {
		// With a path of only missing schemas goose would write elsewhere or fail late.
		return mustExist(ctx, tx, spec.Name)
	}
	return s.locked(ctx, spec.Name, func() error { return s.advance(context.WithoutCancel(ctx), spec, prepare, record) })
}

// standing is what a schema is before its migration.
type standing struct {
	locked, exists, fresh bool
	versions              []*database.ListMigrationsResult
}

func (st standing) version() (newest int64) {
	for _, v := range st.versions {
		newest = max(newest, v.Version)
	}
	return newest
}

// Schemas that are migrated together hold their tables for each other until the last is done. So where one is slow, each is better off alone.
const (
	// togetherMost is how long a transaction of several schemas may take before it is given up.
	togetherMost = time.Second
	// togetherLock is how long it waits for a lock on a table, if a migration may wait that long at all.
	togetherLock = 100 * time.Millisecond
)

// MigrateTogether is [Session.Migrate] for several schemas in one transaction and a few round trips, however many there are: all or none.
// record is told which version each has now. [ErrApart] if that is not possible. Several schemas fail rather than wait 100 ms for a table's
// lock, or take more than a second in all, which closes the session: nobody is kept out of any of them for longer.
func (s *Session) MigrateTogether(ctx context.Context, specs []Spec, record func(ctx context.Context, tx pgx.Tx, versions []int64) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	if len(specs) > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, togetherMost)
		defer cancel()
	}
	return pgx.BeginFunc(ctx, s.conn, func(tx pgx.Tx) error {
		defer s.script.clear()
		found, err := s.look(ctx, tx, specs)
		if err != nil {
			return err
		}
		versions := make([]int64, len(specs))
		for i, spec := range specs {
			target := s.p.target(spec)
			versions[i] = found[i].version()
			if !s.p.together(versions[i], target) {
				return ErrApart
			}
			next, ok := s.p.next(versions[i], target)
			if !ok {
				continue
			}
			s.script.open = true
			if len(specs) > 1 && len(s.script.texts) == 0 {
				s.script.add("set local lock_timeout = '" + timeoutText(min(togetherLock, s.p.cfg.LockTimeout)) + "'")
			}
			s.script.add(enterSQL(spec.Name))
			s.versions.expect(found[i].fresh, found[i].versions)
			if err = s.goose(ctx, next.end, false); err != nil {
				return err
			}
			versions[i] = next.end
		}
		if err = s.script.flush(ctx, s.conn); err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
		if err = secure(ctx, tx, specs...); err != nil {
			return err
		}
		return record(ctx, tx, versions)
	})
}

// sqlStanding locks the schemas $1 until the end of the transaction and tells whether each is there and has the table $2.
const sqlStanding = `select pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended($3 || w.name, 0)),
		pg_catalog.to_regnamespace(pg_catalog.quote_ident(w.name)) is not null,
		pg_catalog.to_regclass(pg_catalog.quote_ident(w.name) || '.' || $2) is null
	from unnest($1::text[]) with ordinality w (name, place) order by w.place`

// look locks the schemas until the end of tx and reads what each is. [ErrApart] if one is held by somebody else or is not there.
func (s *Session) look(ctx context.Context, tx pgx.Tx, specs []Spec) ([]standing, error) {
	names := make([]string, len(specs))
	for i, spec := range specs {
		if spec.Name.IsZero() {
			return nil, ErrNoTenant
		}
		names[i] = spec.Name.String()
	}
	rows, err := tx.Query(ctx, sqlStanding, names, VersionTable, schemaLockPrefix)
	if err != nil {
		return nil, fmt.Errorf("look for schema: %w", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (st standing, err error) {
		err = row.Scan(&st.locked, &st.exists, &st.fresh)
		return st, err
	})
	if err != nil {
		return nil, fmt.Errorf("look for schema: %w", err)
	}
	var tables []string
	for i, st := range found {
		if !st.locked || !st.exists {
			return nil, ErrApart
		}
		if !st.fresh {
			tables = append(tables, fmt.Sprintf("select %d, id, version_id, is_applied from %s.%s", i, specs[i].Name.Quote(), VersionTable))
		}
	}
	if len(tables) == 0 {
		return found, nil
	}
	rows, err = tx.Query(ctx, strings.Join(tables, " union all ")+" order by 1, 2 desc")
	if err != nil {
		return nil, fmt.Errorf("read schema version: %w", err)
	}
	var place, id int
	var v database.ListMigrationsResult
	_, err = pgx.ForEachRow(rows, []any{&place, &id, &v.Version, &v.IsApplied}, func() error {
		row := v
		found[place].versions = append(found[place].versions, &row)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read schema version: %w", err)
	}
	return found, nil
}

// Rollback takes migrations back, by the Down part of each, until the schema is on spec.Version: 0 takes all back. Failures and ctx are as
// in [Session.Migrate].
func (s *Session) Rollback(ctx context.Context, spec Spec, record Record) error {
	return s.locked(ctx, spec.Name, func() error { return s.retreat(context.WithoutCancel(ctx), spec, record) })
}

// retreat takes back what is too much, record in each transaction.
func (s *Session) retreat(ctx context.Context, spec Spec, record Record) error {
	for {
		var version int64
		finished := false
		err := pgx.BeginFunc(ctx, s.conn, func(tx pgx.Tx) error {
			if err := mustExist(ctx, tx, spec.Name); err != nil {
				return err
			}
			if err := enterSchema(ctx, tx, spec.Name); err != nil {
				return err
			}
			var err error
			if version, err = s.currentVersion(ctx, tx, spec.Name); err != nil {
				return err
			}
			if before, ok := s.p.previous(version, spec.Version); ok && before.tx {
				if err = s.apply(ctx, before.end, true); err != nil {
					return err
				}
				version = before.end
			}
			if err = secure(ctx, tx, spec); err != nil {
				return err
			}
			_, more := s.p.previous(version, spec.Version)
			finished = !more
			return record(ctx, tx, version, finished)
		})
		if err != nil || finished {
			return err
		}
		if before, ok := s.p.previous(version, spec.Version); ok && !before.tx {
			if err := s.stepByStep(ctx, spec.Name, before.end, true); err != nil {
				return err
			}
		}
	}
}
