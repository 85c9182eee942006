package tenantschema_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

const (
	insertProject = `insert into projects (id, name) values ($1, $2)`
	countProjects = `select count(*) from projects`
)

func TestScope_WhoAndWhere(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	scope := d.Scope("acme")
	schema := scope.Tenant().Schema.String()

	const who = "select current_user::text, session_user::text, array_to_string(current_schemas(false), ',')"
	check := func(row pgx.Row) {
		t.Helper()
		var user, session, path string
		require.NoError(t, row.Scan(&user, &session, &path))
		require.Equal(t, schema, user)
		require.Equal(t, d.Logins.Cell(1), session)
		require.Equal(t, schema, path)
	}
	check(scope.QueryRow(ctx, who))
	require.NoError(t, scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		check(tx.QueryRow(ctx, who))
		savepoint, err := tx.Begin(ctx)
		require.NoError(t, err)
		check(savepoint.QueryRow(ctx, who))
		_, err = savepoint.Exec(ctx, "select 1/0")
		requireState(t, err, "22012")
		require.NoError(t, savepoint.Rollback(ctx))
		check(tx.QueryRow(ctx, who))
		return nil
	}))
}

func TestScope_OneRoundTrip(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	acme, globex := d.Tenant("acme").Engine(), d.Tenant("globex").Engine()
	db, trips := engine(t, d, 1)
	scope := db.Tenant(acme)

	query := func(s tenantschema.Scope) {
		rows, err := s.Query(ctx, "select id, name from projects where name = $1", "x")
		require.NoError(t, err)
		rows.Close()
		require.NoError(t, rows.Err())
	}
	row := func() {
		var n int
		require.NoError(t, scope.QueryRow(ctx, countProjects).Scan(&n))
	}
	exec := func() {
		_, err := scope.Exec(ctx, insertProject, uuid.New(), "one")
		require.NoError(t, err)
	}
	batch := func() {
		b := &pgx.Batch{}
		b.Queue(insertProject, uuid.New(), "two")
		var n int
		b.Queue(countProjects).QueryRow(func(row pgx.Row) error { return row.Scan(&n) })
		require.NoError(t, scope.SendBatch(ctx, b).Close())
		require.Positive(t, n)
	}
	inTx := func() {
		require.NoError(t, scope.InTx(ctx, func(tx *tenantschema.Tx) error {
			var n int
			return tx.QueryRow(ctx, countProjects).Scan(&n)
		}))
	}
	outside := func() {
		require.NoError(t, scope.InTx(ctx, func(tx *tenantschema.Tx) error {
			_, err := tx.AsPlatform().Exec(ctx, "select 1")
			return err
		}))
	}
	for range 2 { // The first pass prepares.
		query(scope)
		row()
		exec()
		batch()
		inTx()
		outside()
	}
	require.EqualValues(t, 1, trips.during(func() { query(scope) }), "Query")
	require.EqualValues(t, 1, trips.during(row), "QueryRow")
	require.EqualValues(t, 1, trips.during(exec), "Exec")
	require.EqualValues(t, 1, trips.during(batch), "SendBatch")
	require.EqualValues(t, 2, trips.during(inTx), "InTx: one statement with begin, role and path before it; commit")
	require.EqualValues(t, 2, trips.during(outside), "InTx with one statement outside the tenant")
	require.Zero(t, trips.during(func() { require.NoError(t, scope.InTx(ctx, func(*tenantschema.Tx) error { return nil })) }), "InTx with nothing")
	require.EqualValues(t, 1, trips.during(func() { query(db.Tenant(globex)) }), "another tenant on the same connection")
}

func TestScope_ArgumentsAndResults(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	scope := pgtest.New(t).Scope("acme")

	id := uuid.New()
	tag, err := scope.Exec(ctx, `insert into projects (id, name) values (@id, @name)`, pgx.NamedArgs{"id": id, "name": "named"})
	require.NoError(t, err)
	require.EqualValues(t, 1, tag.RowsAffected())

	var text string
	require.NoError(t, scope.QueryRow(ctx, "select ($1::jsonb ->> 'a') || ($2::jsonb ->> 'b')",
		map[string]string{"a": "x"}, []byte(`{"b":"y"}`)).Scan(&text))
	require.Equal(t, "xy", text)

	rows, err := scope.Query(ctx, "select name from projects")
	require.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, []string{"named"}, names)

	require.ErrorIs(t, scope.QueryRow(ctx, "select id from projects where name = 'none'").Scan(&id), pgx.ErrNoRows)

	// One statement is one statement, with arguments and without.
	_, err = scope.Exec(ctx, "select 1; select 2")
	requireState(t, err, "42601")
	require.NoError(t, scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		savepoint, err := tx.Begin(ctx)
		require.NoError(t, err)
		_, err = savepoint.Exec(ctx, "select 1; select 2")
		requireState(t, err, "42601")
		return savepoint.Rollback(ctx)
	}))
	_, err = scope.Exec(ctx, "select 1", pgx.QueryExecModeExec)
	require.ErrorContains(t, err, "not accepted")

	// A batch is all or nothing.
	b := &pgx.Batch{}
	b.Queue(insertProject, uuid.New(), "first")
	b.Queue("select 1/0")
	requireState(t, scope.SendBatch(ctx, b).Close(), "22012")
	var n int
	require.NoError(t, scope.QueryRow(ctx, countProjects).Scan(&n))
	require.Equal(t, 1, n)

	require.NoError(t, scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		copied, err := tx.CopyFrom(ctx, pgx.Identifier{"projects"}, []string{"id", "name"}, pgx.CopyFromRows([][]any{{uuid.New(), "copied"}}))
		require.EqualValues(t, 1, copied)
		require.NoError(t, err)
		_, err = tx.CopyFrom(ctx, pgx.Identifier{"other", "projects"}, []string{"id"}, pgx.CopyFromRows(nil))
		require.Error(t, err)
		require.Error(t, tx.Commit(ctx), "InTx commits")
		require.Error(t, tx.Rollback(ctx))
		require.Nil(t, tx.Conn())
		return nil
	}))
	require.NoError(t, scope.QueryRow(ctx, countProjects).Scan(&n))
	require.Equal(t, 2, n)
}

func TestScope_ZeroTenant(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	_, err := tenantschema.Scope{}.Exec(ctx, "select 1")
	require.ErrorIs(t, err, tenantschema.ErrNoTenant)
	rows, err := d.Engine.Tenant(tenantschema.Tenant{}).Query(ctx, "select 1")
	rows.Close()
	require.ErrorIs(t, err, tenantschema.ErrNoTenant)

	missing, err := tenantschema.ParseName("t_0000000000000000")
	require.NoError(t, err)
	gone := d.Engine.Tenant(tenantschema.Tenant{Schema: missing, Cell: 1})
	_, err = gone.Exec(ctx, "select 1")
	requireState(t, err, "22023", "42704") // role does not exist
	requireState(t, gone.InTx(ctx, func(tx *tenantschema.Tx) error {
		_, err := tx.Begin(ctx)
		return err
	}), "22023", "42704")
}

func TestInTx_Ends(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	db, _ := engine(t, d, 1) // One connection: whatever is left behind meets the next call.
	scope := db.Tenant(d.Tenant("acme").Engine())
	count := func() (n int) {
		t.Helper()
		require.NoError(t, scope.QueryRow(ctx, countProjects).Scan(&n))
		return n
	}
	add := func(tx *tenantschema.Tx) {
		_, err := tx.Exec(ctx, insertProject, uuid.New(), "p")
		require.NoError(t, err)
	}

	mine := errors.New("mine")
	require.ErrorIs(t, scope.InTx(ctx, func(tx *tenantschema.Tx) error { add(tx); return mine }), mine)
	require.Zero(t, count())

	require.PanicsWithValue(t, "boom", func() {
		_ = scope.InTx(ctx, func(tx *tenantschema.Tx) error { add(tx); panic("boom") })
	})
	require.Zero(t, count())

	cancelled, cancel := context.WithCancel(ctx)
	require.Error(t, scope.InTx(cancelled, func(tx *tenantschema.Tx) error {
		add(tx)
		cancel()
		_, err := tx.Exec(cancelled, "select pg_sleep(60)")
		return err
	}))
	require.Zero(t, count())

	// The function swallowed an error: there is nothing to commit, and InTx says so.
	require.Error(t, scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		add(tx)
		_, err := tx.Exec(ctx, "select 1/0")
		require.Error(t, err)
		return nil
	}))
	require.Zero(t, count())

	// Rows left open are closed with the connection.
	require.Error(t, scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		add(tx)
		_, err := tx.Query(ctx, "select generate_series(1, 100000)") //nolint:gocritic,sqlclosecheck // Leaving it open is the point.
		return err
	}))
	require.Zero(t, count())

	require.NoError(t, scope.InTx(ctx, func(tx *tenantschema.Tx) error { add(tx); return nil }))
	require.Equal(t, 1, count())

	require.Error(t, scope.InTxWith(ctx, tenantschema.TxOptions{ReadOnly: true}, func(tx *tenantschema.Tx) error {
		_, err := tx.Exec(ctx, insertProject, uuid.New(), "p")
		requireState(t, err, "25006")
		return err
	}))
	require.Error(t, scope.InTxWith(ctx, tenantschema.TxOptions{Isolation: "nonsense"}, func(*tenantschema.Tx) error { return nil }))
}

// What a statement of one tenant does to the session does not decide what the next tenant's statement sees.
func TestScope_NothingIsInherited(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	db, _ := engine(t, d, 1)
	acme, globex := db.Tenant(d.Tenant("acme").Engine()), db.Tenant(d.Tenant("globex").Engine())
	_, err := acme.Exec(ctx, insertProject, uuid.New(), "acme's")
	require.NoError(t, err)

	for _, hostile := range []string{
		"select set_config('search_path', '" + acme.Tenant().Schema.String() + "', false)",
		"select set_config('role', '" + acme.Tenant().Schema.String() + "', false)",
		"select set_config('search_path', '', false), set_config('role', 'none', false)",
		"commit", "rollback", "begin", "set session search_path to pg_catalog", "set role none", "reset all",
		"select pg_advisory_lock(1)", "prepare x as select 1", "discard plans", "deallocate all",
		"declare c cursor with hold for select name from projects", "do $$begin execute 'set session role none'; end$$",
		"do $$begin execute 'set session default_transaction_read_only to on'; end$$", "do $$begin execute 'deallocate all'; end$$",
	} {
		_, _ = acme.Exec(ctx, hostile) // Some are refused. What counts is what comes after.
		_ = acme.InTx(ctx, func(tx *tenantschema.Tx) error {
			_, err := tx.Exec(ctx, hostile)
			return err
		})
		_, err = globex.Exec(ctx, insertProject+" on conflict do nothing", uuid.New(), "globex's") // It can write.
		require.NoError(t, err, hostile)
		_, err = globex.Exec(ctx, "delete from projects")
		require.NoError(t, err, hostile)
		var n int
		var user string
		require.NoError(t, globex.QueryRow(ctx, "select count(*), current_user::text from projects").Scan(&n, &user), hostile)
		require.Zero(t, n, hostile)
		require.Equal(t, globex.Tenant().Schema.String(), user, hostile)
		require.NoError(t, globex.InTx(ctx, func(tx *tenantschema.Tx) error {
			return tx.QueryRow(ctx, "select count(*), current_user::text from projects").Scan(&n, &user)
		}), hostile)
		require.Zero(t, n, hostile)
		require.Equal(t, globex.Tenant().Schema.String(), user, hostile)
	}
}

func TestScope_UnavailableWhenAllConnectionsAreBusy(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	db, _ := engineWith(t, d, tenantschema.Config{MaxConns: 1, AcquireTimeout: 400 * time.Millisecond})
	scope := db.Tenant(d.Tenant("acme").Engine())
	require.NoError(t, scope.InTx(ctx, func(*tenantschema.Tx) error {
		_, err := scope.Exec(ctx, "select 1")
		require.ErrorIs(t, err, tenantschema.ErrUnavailable)
		short, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		_, err = scope.Exec(short, "select 1")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, tenantschema.ErrUnavailable, "the caller's own deadline is the caller's own error")
		return nil
	}))
	_, err := scope.Exec(ctx, "select 1")
	require.NoError(t, err)
}

// A table changed under a prepared statement costs one error at most, on connections that knew the old one.
func TestScope_RecoversFromStaleStatements(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	db, _ := engine(t, d, 1)
	scope := db.Tenant(d.Tenant("acme").Engine())
	const read = "select name from projects"
	_, err := scope.Exec(ctx, read)
	require.NoError(t, err)
	alter := "alter table " + scope.Tenant().Schema.Quote() + ".projects add column extra text, alter column name type varchar(200)"
	_, err = d.Owner.Exec(ctx, alter)
	require.NoError(t, err)
	if _, err = scope.Exec(ctx, read); err != nil {
		requireState(t, err, "0A000")
	}
	_, err = scope.Exec(ctx, read)
	require.NoError(t, err)

	// Two tenants on different versions never share a plan.
	newer := scope.Tenant()
	newer.Version++
	_, err = db.Tenant(newer).Exec(ctx, read)
	require.NoError(t, err)
}

func TestScope_StatementsAreBounded(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	db, _ := engineWith(t, d, tenantschema.Config{MaxConns: 1, MaxStatements: 250})
	scope := db.Tenant(d.Tenant("acme").Engine())
	for i := range 400 {
		var n int
		require.NoError(t, scope.QueryRow(ctx, "select "+string(rune('0'+i%10))+" + $1::int /* "+uuid.NewString()+" */", i).Scan(&n))
	}
	var prepared int
	require.NoError(t, scope.QueryRow(ctx, "select count(*) from pg_prepared_statements").Scan(&prepared))
	require.LessOrEqual(t, prepared, 260)

	b := &pgx.Batch{}
	for range 300 {
		b.Queue("select 1 /* " + uuid.NewString() + " */")
	}
	require.ErrorContains(t, scope.SendBatch(ctx, b).Close(), "in parts")
}
