package tenantschema_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// leftovers is what a tenant's statements may leave in a session, seen by the next tenant there.
type leftovers struct {
	Role, Path, Seal, Tenant string
	// Settings are those that differ from what they are in a fresh session; Mark is one that nobody lists, since no module knows it.
	Settings []string
	Mark     string
	// Prepared are statements of PREPARE: the scope's own are made by the protocol.
	Prepared, Cursors, Channels, Locks []string
	// Seeded says that random() goes on from where setseed had put it.
	TempSchema, InTransaction, Seeded bool
}

// settings leaves out what each transaction sets for itself, and what plpgsql brings along, in which the seal is written.
const settings = "from pg_settings where name not in ('role', 'search_path') and name not like 'plpgsql.%'"

// afterSeed is what random() gives first after setseed(0.5), in a session of the administrator's.
const seed, afterSeed = "setseed(0.5)", "select random() from (select setseed(0.5) offset 0) s"

const sqlLeftovers = `select current_user::text, current_setting('search_path'), split_part(current_setting('rowhouse.seal'), '.', 2) <> '',
	coalesce(current_setting('rowhouse.tenant', true), ''), coalesce(current_setting('residue.mark', true), ''),
	array(select name || '=' || setting ` + settings + ` except select unnest($1::text[])),
	array(select name || ': ' || statement from pg_prepared_statements where from_sql or name not like 'rh\_%'),
	array(select name from pg_cursors where name <> ''), array(select pg_listening_channels()),
	array(select classid || '/' || objid from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()),
	pg_my_temp_schema() <> 0, pg_current_xact_id_if_assigned() is not null, random() = $2`

// watcher looks for leftovers.
type watcher struct {
	fresh []string
	seed  float64
}

func newWatcher(t *testing.T, d *pgtest.DB, db *tenantschema.DB) *watcher {
	t.Helper()
	w := &watcher{}
	require.NoError(t, db.Tenant(d.Tenant("watcher").Engine()).QueryRow(t.Context(), "select array_agg(name || '=' || setting) "+settings).Scan(&w.fresh))
	admin, err := pgx.Connect(t.Context(), d.AdminURL)
	require.NoError(t, err)
	defer admin.Close(t.Context()) //nolint:errcheck // Only used here.
	require.NoError(t, admin.QueryRow(t.Context(), afterSeed).Scan(&w.seed))
	return w
}

// look asks as scope's tenant.
func (w *watcher) look(ctx context.Context, q tenantschema.DBTX) (l leftovers, err error) {
	var sealed bool
	err = q.QueryRow(ctx, sqlLeftovers, w.fresh, w.seed).Scan(&l.Role, &l.Path, &sealed, &l.Tenant, &l.Mark, &l.Settings, &l.Prepared, &l.Cursors,
		&l.Channels, &l.Locks, &l.TempSchema, &l.InTransaction, &l.Seeded)
	if sealed {
		l.Seal = "there"
	}
	return l, err
}

// nothing is what a tenant should see.
func nothing(scope tenantschema.Scope) leftovers {
	name := scope.Tenant().Schema.String()
	none := []string{}
	return leftovers{Role: name, Path: name, Seal: "there", Settings: none, Prepared: none, Cursors: none, Channels: none, Locks: none}
}

// hostile are statements that try to leave something of each kind, plainly and hidden. None is of use to an honest tenant; an honest one may
// send some of them by mistake.
func hostile() map[string][]string {
	do := func(sql string) string { return "do $x$ begin " + sql + "; end $x$" }
	return map[string][]string{
		"role": {
			"set role none", "set session role none", "reset role", "select set_config('role', 'none', false)", do("set role none"),
			`set local "role" to none`, "select query_to_xml($$select set_config('role', 'none', false)$$, true, true, '')",
		},
		"search_path": {
			"set search_path to pg_catalog", "reset search_path", "select set_config('search_path', 'pg_catalog', false)", do("set search_path to pg_catalog"),
			`select U&"set\005fconfig"('search_path', 'pg_catalog', false)`, `set local "search_path" to pg_catalog`,
		},
		"session authorization": {"set session authorization default", "reset session authorization", do("set session authorization default")},
		"seal":                  {"set rowhouse.seal to 'x'", "select set_config('rowhouse.seal', 'x', false)", "set local rowhouse.seal to 'x'"},
		"tenant":                {"select set_config('rowhouse.tenant', 'x', false)", "set local rowhouse.tenant to 'x'"},
		"setting": {
			"set statement_timeout to 77777", "set session characteristics as transaction read only", "set time zone 'Asia/Tokyo'", "set names 'latin1'",
			"select set_config('statement_timeout', '77777', false)", "select pg_catalog.SET_CONFIG('DateStyle', 'German', false)",
			`select U&"set\005fconfig"('default_transaction_read_only', 'on', false)`,
			`select u&"!0073et_config" UESCAPE '!'('default_transaction_read_only', 'on', false)`,
			"select query_to_xml('select set_' || 'config(''default_transaction_read_only'', ''on'', false)', true, true, '')",
			"select query_to_xmlschema('select set_' || 'config(''work_mem'', ''77MB'', false)', true, true, '')",
			"select ndoc from ts_stat('select to_tsvector(set_' || 'config(''work_mem'', ''77MB'', false))')",
			"select ts_rewrite('a'::tsquery, 'select ''a''::tsquery, plainto_tsquery(set_' || 'config(''work_mem'', ''77MB'', false))')",
			do("set row_security to off"), do("perform set_config('enable_seqscan', 'off', false)"), do("set default_transaction_isolation to serializable"),
			"select set_config('residue.mark', 'x', false)", do("set residue.mark to 'x'"), "set local statement_timeout to 77777",
			"set local residue.mark to 'x'", "explain analyze select set_config('residue.mark', 'x', false)",
		},
		"prepared statement": {
			"prepare p as select 1", do("execute 'prepare p as select 1'"), do("execute 'prepare rh_1 as select 1'"), "deallocate all",
			do("execute 'deallocate all'"), do("execute 'discard plans'"), "execute rh_enter", "explain execute rh_enter('x', 'x')",
		},
		"cursor": {
			"declare c cursor with hold for select 1", do("execute 'declare c cursor with hold for select name from projects'"),
			do("execute 'declare c cursor for select name from projects'"), "fetch all from c", "close all", "move c",
		},
		"listening": {"listen l", do("execute 'listen l'"), "unlisten *", "notify l"},
		"temporary": {"create temp table x (a int)", do("create temp table x (a int)"), "select 1 as a into temp x", "discard temp"},
		"advisory lock": {
			"select pg_advisory_lock(7)", "select pg_try_advisory_lock_shared(7, 8)", do("perform pg_advisory_lock(7)"), "select pg_advisory_xact_lock(7)",
			"select query_to_xml('select pg_adv' || 'isory_lock(7)', true, true, '')", `select U&"pg\005fadvisory_lock"(7)`, "select pg_advisory_unlock_all()",
		},
		"random numbers": {"select " + seed, "select query_to_xml('select set' || 'seed(0.5)', true, true, '')", `select U&"set\0073eed"(0.5)`},
		"transaction": {
			"begin", "commit", "rollback", "abort", "end", "start transaction", "savepoint s", "release s", "prepare transaction 'x'", "commit and chain",
			do("commit"), do("rollback"), "set transaction read only", "set constraints all deferred", "lock table projects",
		},
		"protocol": {
			"copy projects from stdin", "copy (select name from projects) to stdout", "copy projects (name) to stdout", "select 1; select 2", ";", "",
			"vacuum projects", "cluster", "reindex database x", "checkpoint", "load 'x'", "discard all", "select lo_create(0)", "select lo_open(1, 1)",
			"show all", "table projects", "values (1)",
		},
	}
}

// way is one to send a statement.
type way struct {
	name string
	send func(context.Context, tenantschema.Scope, string) error
}

// ways are all there are.
func ways() []way {
	errUndo := errors.New("undo")
	return []way{
		{"Exec", func(ctx context.Context, scope tenantschema.Scope, sql string) error {
			_, err := scope.Exec(ctx, sql)
			return err
		}},
		{"Query", func(ctx context.Context, scope tenantschema.Scope, sql string) error {
			rows, _ := scope.Query(ctx, sql)
			rows.Next() // One row, if any.
			rows.Close()
			return rows.Err()
		}},
		{"SendBatch", func(ctx context.Context, scope tenantschema.Scope, sql string) error {
			b := &pgx.Batch{}
			b.Queue("select 1")
			b.Queue(sql)
			b.Queue("select 2")
			return scope.SendBatch(ctx, b).Close()
		}},
		{"InTx", func(ctx context.Context, scope tenantschema.Scope, sql string) error {
			return scope.InTx(ctx, func(tx *tenantschema.Tx) error { _, err := tx.Exec(ctx, sql); return err })
		}},
		{"InTx, swallowed", func(ctx context.Context, scope tenantschema.Scope, sql string) error {
			return scope.InTx(ctx, func(tx *tenantschema.Tx) error {
				_, _ = tx.Exec(ctx, sql)
				_, _ = tx.Exec(ctx, "select 1")
				return nil
			})
		}},
		{"InTx, undone", func(ctx context.Context, scope tenantschema.Scope, sql string) error {
			return scope.InTx(ctx, func(tx *tenantschema.Tx) error { _, err := tx.Exec(ctx, sql); return errors.Join(err, errUndo) })
		}},
		{"savepoint", func(ctx context.Context, scope tenantschema.Scope, sql string) error {
			return scope.InTx(ctx, func(tx *tenantschema.Tx) error {
				savepoint, err := tx.Begin(ctx)
				if err != nil {
					return err
				}
				_, _ = savepoint.Exec(ctx, sql)
				return savepoint.Rollback(ctx)
			})
		}},
		{"AsPlatform", func(ctx context.Context, scope tenantschema.Scope, sql string) error {
			return scope.InTx(ctx, func(tx *tenantschema.Tx) error { _, err := tx.AsPlatform().Exec(ctx, sql); return err })
		}},
		{"failing", func(ctx context.Context, scope tenantschema.Scope, sql string) error {
			b := &pgx.Batch{}
			b.Queue(sql)
			b.Queue("select 1/0")
			return scope.SendBatch(ctx, b).Close()
		}},
	}
}

// Whatever a tenant sends, the next one on the only connection finds nothing of it, reads its own rows and can write.
func TestResidue(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	for class, statements := range hostile() {
		t.Run(class, func(t *testing.T) {
			t.Parallel()
			db, _ := engine(t, d, 1)
			requireNoResidue(t, d, db, class, statements, 3)
		})
	}
}

// requireNoResidue sends each statement in some ways. All for each would take half a minute, so the ways take turns.
func requireNoResidue(t *testing.T, d *pgtest.DB, db *tenantschema.DB, class string, statements []string, turns int) {
	t.Helper()
	ctx := t.Context()
	w := newWatcher(t, d, db)
	slug := fmt.Sprintf("%x", class)[:6]
	acme, globex := db.Tenant(d.Tenant("a-"+slug).Engine()), db.Tenant(d.Tenant("b-"+slug).Engine())
	_, err := acme.Exec(ctx, insertProject, uuid.New(), "acme's")
	require.NoError(t, err)
	_, err = globex.Exec(ctx, insertProject, uuid.New(), "globex's")
	require.NoError(t, err)
	all := ways()
	for i, sql := range statements {
		for turn := range turns {
			way := all[(i+turn*3)%len(all)]
			_ = way.send(ctx, acme, sql) // Many are refused. What counts is what comes after.
			left, err := w.look(ctx, globex)
			require.NoError(t, err, "%s: %s", way.name, sql)
			require.Equal(t, nothing(globex), left, "%s: %s", way.name, sql)
			require.NoError(t, globex.InTx(ctx, func(tx *tenantschema.Tx) error {
				if left, err = w.look(ctx, tx); err != nil {
					return err
				}
				_, err := tx.Exec(ctx, "update projects set updated_at = now()")
				return err
			}), "%s: %s", way.name, sql)
			left.InTransaction = false
			require.Equal(t, nothing(globex), left, "%s: %s", way.name, sql)
			for scope, want := range map[tenantschema.Scope]string{acme: "acme's", globex: "globex's"} {
				rows, err := scope.Query(ctx, "select name from projects")
				require.NoError(t, err, "%s: %s", way.name, sql)
				names, err := pgx.CollectRows(rows, pgx.RowTo[string])
				require.NoError(t, err, "%s: %s", way.name, sql)
				require.Equal(t, []string{want}, slices.Compact(names), "%s: %s", way.name, sql)
			}
		}
	}
}
