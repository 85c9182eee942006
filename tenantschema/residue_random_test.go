package tenantschema_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Any order of whatever tenants may do on the only connection: after each step, another tenant finds nothing of it, and in the end
// each has its own rows, those that were acknowledged and at most those whose statement was cut off.
func TestResidue_RandomOrder(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	db, _ := engine(t, d, 1)
	rapid.Check(t, upTo(40, newStreet(t, d, db).walk))
}

// The same in the only session of a pooler.
func TestPooler_ResidueRandomOrder(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	db := pooled(t, d, pgtest.PoolerOptions{Size: 1}, tenantschema.Config{Pooler: true, MaxConns: 1})
	rapid.Check(t, upTo(15, newStreet(t, d, db).walk))
}

// upTo makes an end of rapid's checks after so many that passed. Its own number of them is one for all tests.
func upTo(most int, property func(*rapid.T)) func(*rapid.T) {
	passed, failing := 0, false
	return func(t *rapid.T) {
		if passed >= most && !failing {
			return
		}
		done := false
		defer func() { failing = failing || !done }() // From then on it looks for a smaller case.
		property(t)
		done = true
		passed++
	}
}

// street is a handful of tenants on one connection.
type street struct {
	t       *testing.T
	admin   *pgxpool.Pool
	w       *watcher
	tenants []*occupant
}

// occupant is a tenant and what is known of its rows: those that must be there, and those that may be.
type occupant struct {
	scope        tenantschema.Scope
	sure, unsure map[string]bool
}

func newStreet(t *testing.T, d *pgtest.DB, db *tenantschema.DB) *street {
	t.Helper()
	admin, err := pgxpool.New(t.Context(), d.AdminURL)
	require.NoError(t, err)
	t.Cleanup(admin.Close)
	s := &street{t: t, admin: admin, w: newWatcher(t, d, db)}
	for _, slug := range []string{"acme", "globex", "initech"} {
		s.tenants = append(s.tenants, &occupant{scope: db.Tenant(d.Tenant(slug).Engine()), sure: map[string]bool{}, unsure: map[string]bool{}})
	}
	return s
}

// walk is one random order.
func (s *street) walk(t *rapid.T) {
	for range rapid.IntRange(1, 8).Draw(t, "steps") {
		i := rapid.IntRange(0, len(s.tenants)-1).Draw(t, "tenant")
		doing := rapid.SampledFrom(steps()).Draw(t, "step")
		if err := doing.run(s, t, s.tenants[i]); err != nil {
			t.Fatalf("%s: %v", doing.name, err)
		}
		next := s.tenants[(i+rapid.IntRange(1, len(s.tenants)).Draw(t, "next"))%len(s.tenants)]
		if err := s.look(next); err != nil {
			t.Fatalf("after %s: %v", doing.name, err)
		}
	}
}

// look finds only o's own things, as o.
func (s *street) look(o *occupant) error {
	ctx := s.t.Context()
	left, err := s.w.look(ctx, o.scope)
	if err != nil {
		return err
	}
	if want := nothing(o.scope); fmt.Sprint(left) != fmt.Sprint(want) {
		return fmt.Errorf("it finds\n%+v, not\n%+v", left, want)
	}
	// Through the administrator too, who sees where rows have really landed.
	for _, q := range []interface {
		Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	}{o.scope, s.admin} {
		table := "projects"
		if q == s.admin {
			table = o.scope.Tenant().Schema.Quote() + ".projects"
		}
		rows, err := q.Query(ctx, "select name from "+table)
		if err != nil {
			return err
		}
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for name := range o.sure {
			if !slices.Contains(names, name) {
				return fmt.Errorf("%s is lost", name)
			}
		}
		for _, name := range names {
			if !o.sure[name] && !o.unsure[name] {
				return fmt.Errorf("%s is not its own, or was undone", name)
			}
		}
	}
	return nil
}

// insert writes a row, and gives its name.
func insert(ctx context.Context, q tenantschema.DBTX) (string, error) {
	name := uuid.NewString()
	_, err := q.Exec(ctx, insertProject, uuid.New(), name)
	return name, err
}

type step struct {
	name string
	run  func(*street, *rapid.T, *occupant) error
}

var errUndone = errors.New("undone on purpose")

// steps are what a tenant, or fate, may do.
func steps() []step {
	return []step{
		{"write", (*street).write},
		{"batch", (*street).batch},
		{"transaction", (*street).transaction},
		{"hostile", (*street).hostile},
		{"hostile again", (*street).hostile},
		{"failure", (*street).failure},
		{"cancellation", (*street).cancellation},
		{"panic", (*street).panics},
		{"rows left open", (*street).rowsLeftOpen},
		{"killed while idle", (*street).killedIdle},
		{"killed in a transaction", (*street).killedInTx},
		{"killed at work", (*street).killedAtWork},
	}
}

func (s *street) write(_ *rapid.T, o *occupant) error {
	name, err := insert(s.t.Context(), o.scope)
	o.sure[name] = true
	return err
}

func (s *street) batch(t *rapid.T, o *occupant) error {
	b := &pgx.Batch{}
	name := uuid.NewString()
	b.Queue(insertProject, uuid.New(), name)
	fails := rapid.Bool().Draw(t, "fails")
	if fails {
		b.Queue("select 1/0")
	}
	err := o.scope.SendBatch(s.t.Context(), b).Close()
	if fails != (sqlState(err) == "22012") {
		return fmt.Errorf("a batch gives %w", err)
	}
	if !fails {
		o.sure[name] = true
	}
	return nil
}

// transaction mixes statements, savepoints and COPY, inside and outside the tenant, and ends well or badly.
func (s *street) transaction(t *rapid.T, o *occupant) error {
	ctx := s.t.Context()
	var written []string
	commits := rapid.Bool().Draw(t, "commits")
	err := o.scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		for range rapid.IntRange(0, 4).Draw(t, "statements") {
			switch rapid.SampledFrom([]string{"write", "savepoint", "platform", "local", "copy", "refused"}).Draw(t, "statement") {
			case "write":
				name, err := insert(ctx, tx)
				if err != nil {
					return err
				}
				written = append(written, name)
			case "savepoint":
				savepoint, err := tx.Begin(ctx)
				if err != nil {
					return err
				}
				name, err := insert(ctx, savepoint)
				if err != nil {
					return err
				}
				switch rapid.SampledFrom([]string{"commit", "rollback", "left", "failed"}).Draw(t, "savepoint") {
				case "commit":
					err = savepoint.Commit(ctx)
					written = append(written, name)
				case "rollback":
					err = savepoint.Rollback(ctx)
				case "failed":
					_, _ = savepoint.Exec(ctx, "insert into projects (id, name) values (null, null)") // What is wanted is its effect.
					err = savepoint.Rollback(ctx)
				case "left": // Its rows are the transaction's.
					written = append(written, name)
				}
				if err != nil {
					return err
				}
			case "platform":
				var role string
				if err := tx.AsPlatform().QueryRow(ctx, "select current_user::text").Scan(&role); err != nil || role == o.scope.Tenant().Schema.String() {
					return fmt.Errorf("outside as %s: %w", role, err)
				}
			case "local":
				if _, err := tx.Exec(ctx, "set local work_mem to '77MB'"); err != nil {
					return err
				}
			case "copy":
				name := uuid.NewString()
				_, err := tx.CopyFrom(ctx, pgx.Identifier{"projects"}, []string{"id", "name"}, pgx.CopyFromRows([][]any{{uuid.New(), name}}))
				if err != nil {
					return err
				}
				written = append(written, name)
			case "refused":
				if _, err := tx.Exec(ctx, "reset all"); err == nil || sqlState(err) != "" {
					return fmt.Errorf("RESET gives %w", err)
				}
			}
		}
		if !commits {
			return errUndone
		}
		return nil
	})
	if !commits {
		return errorsExcept(err, errUndone)
	}
	for _, name := range written {
		o.sure[name] = true
	}
	return err
}

func (s *street) hostile(t *rapid.T, o *occupant) error {
	all := hostile()
	classes := make([]string, 0, len(all))
	for class := range all {
		classes = append(classes, class)
	}
	slices.Sort(classes)
	sql := rapid.SampledFrom(all[rapid.SampledFrom(classes).Draw(t, "class")]).Draw(t, "sql")
	_ = ways()[rapid.IntRange(0, len(ways())-1).Draw(t, "way")].send(s.t.Context(), o.scope, sql) // See requireNoResidue.
	return nil
}

func (s *street) failure(t *rapid.T, o *occupant) error {
	failing := []struct{ sql, state string }{
		{"selekt", "42601"},
		{"select 1/0", "22012"},
		{"insert into projects (id, name) values (gen_random_uuid(), '')", "23514"},
		{"select 1 from rowhouse.tenants", "42501"},
		{"select nothing from projects", "42703"},
	}
	f := failing[rapid.IntRange(0, len(failing)-1).Draw(t, "failing")]
	way := ways()[rapid.SampledFrom([]int{0, 1, 2, 3}).Draw(t, "way")]
	if err := way.send(s.t.Context(), o.scope, f.sql); sqlState(err) != f.state {
		return fmt.Errorf("%s: %s gives %w", way.name, f.sql, err)
	}
	return nil
}

func (s *street) cancellation(t *rapid.T, o *occupant) error {
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	name := uuid.NewString()
	const slow = "insert into projects (id, name) select $1, $2 from (select pg_sleep(60)) s"
	var err error
	switch rapid.SampledFrom([]string{"before", "during", "at any moment", "in a transaction", "before commit", "with rows open"}).Draw(t, "moment") {
	case "before":
		cancel()
		_, err = o.scope.Exec(ctx, insertProject, uuid.New(), name)
	case "during":
		time.AfterFunc(time.Millisecond, cancel)
		_, err = o.scope.Exec(ctx, slow, uuid.New(), name)
	case "at any moment": // The server may have done it, and may even do it after the call has returned.
		o.unsure[name] = true
		time.AfterFunc(time.Duration(rapid.IntRange(0, 1000).Draw(t, "µs"))*time.Microsecond, cancel)
		_, _ = o.scope.Exec(ctx, insertProject, uuid.New(), name)
		return nil
	case "in a transaction":
		err = o.scope.InTx(ctx, func(tx *tenantschema.Tx) error {
			if _, err := tx.Exec(ctx, insertProject, uuid.New(), name); err != nil {
				return err
			}
			time.AfterFunc(time.Millisecond, cancel)
			_, err := tx.Exec(ctx, "select pg_sleep(60)")
			return err
		})
	case "before commit":
		err = o.scope.InTx(ctx, func(tx *tenantschema.Tx) error {
			_, err := tx.Exec(ctx, insertProject, uuid.New(), name)
			cancel()
			return err
		})
	case "with rows open":
		o.unsure[name] = true
		rows, _ := o.scope.Query(ctx, "insert into projects (id, name) values ($1, $2) returning id", uuid.New(), name)
		cancel()
		rows.Close()
		err = context.Canceled
	}
	if !errors.Is(err, context.Canceled) {
		return fmt.Errorf("a cancelled call gives %w", err)
	}
	return nil
}

func (s *street) panics(t *rapid.T, o *occupant) (err error) {
	ctx := s.t.Context()
	defer func() {
		if cause := recover(); cause != "bomb" {
			err = fmt.Errorf("recovered %v, and %w", cause, err)
		}
	}()
	switch rapid.SampledFrom([]string{"argument", "callback", "transaction", "argument in a transaction", "rows"}).Draw(t, "where") {
	case "argument":
		_, err = o.scope.Exec(ctx, "insert into projects (id, name) values (gen_random_uuid(), $1::text)", bomb{})
	case "callback":
		b := &pgx.Batch{}
		b.Queue("select 1").QueryRow(func(pgx.Row) error { panic("bomb") })
		o.unsure["callback"] = true
		b.Queue(insertProject, uuid.New(), "callback") // It is on its way by then, and its transaction's end with it.
		err = o.scope.SendBatch(ctx, b).Close()
	case "transaction":
		err = o.scope.InTx(ctx, func(tx *tenantschema.Tx) error {
			if _, err := insert(ctx, tx); err != nil {
				return err
			}
			panic("bomb")
		})
	case "argument in a transaction":
		err = o.scope.InTx(ctx, func(tx *tenantschema.Tx) error {
			if _, err := insert(ctx, tx); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, "select $1::text", bomb{})
			return err
		})
	case "rows":
		err = o.scope.InTx(ctx, func(tx *tenantschema.Tx) error {
			if _, err := insert(ctx, tx); err != nil {
				return err
			}
			rows, err := tx.Query(ctx, "select generate_series(1, 1000)")
			if err != nil {
				return err
			}
			defer rows.Close()
			panic("bomb")
		})
	}
	return err
}

func (s *street) rowsLeftOpen(t *rapid.T, o *occupant) error {
	ctx := s.t.Context()
	if rapid.Bool().Draw(t, "in a transaction") {
		err := o.scope.InTx(ctx, func(tx *tenantschema.Tx) error {
			if _, err := insert(ctx, tx); err != nil {
				return err
			}
			_, err := tx.Query(ctx, "select generate_series(1, 100000)") //nolint:gocritic,sqlclosecheck // Leaving it open is the point.
			return err
		})
		if err == nil {
			return errors.New("a transaction with rows left open was committed")
		}
		return nil
	}
	rows, err := o.scope.Query(ctx, "select generate_series(1, 1000)")
	if err != nil {
		return err
	}
	for range rapid.IntRange(0, 3).Draw(t, "read") {
		rows.Next()
	}
	rows.Close()
	return rows.Err()
}
