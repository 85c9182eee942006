package tenantschema_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// filled is a tenant with ten thousand papers.
func filled(t *testing.T, name string) (*provisioning, tenantschema.Scope) {
	t.Helper()
	p := newProvisioning(t, papers(), name)
	scope := p.scope(t)
	_, err := scope.Exec(t.Context(), `insert into papers (id, title, body, doc)
		select i, 'title ' || i, to_tsvector('simple', 'word' || i), jsonb_build_object('k', i) from generate_series(1, 10000) i`)
	require.NoError(t, err)
	_, err = p.d.Owner.Exec(t.Context(), "analyze "+p.name.Quote()+".papers")
	require.NoError(t, err)
	return p, scope
}

func explain(t *testing.T, scope tenantschema.Scope, sql string) string {
	t.Helper()
	rows, err := scope.Query(t.Context(), "explain (costs off) "+sql)
	require.NoError(t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return strings.Join(lines, "\n")
}

// What the seal costs: behind policies, PostgreSQL gives an index only what cannot tell of a row that it was not to see (leakproof
// functions), so that full text, jsonb and LIKE read every row. Through a view, whose gate stands before all of its rows, they use it.
func TestGate_IndexesOfOperatorsThatAreNotLeakproof(t *testing.T) {
	t.Parallel()
	_, scope := filled(t, "t_gateindexes00001")
	for _, where := range []string{`body @@ to_tsquery('simple', 'word77')`, `doc @> '{"k": 77}'`, `title like 'title 77%'`} {
		table, view := explain(t, scope, "select id from papers where "+where), explain(t, scope, "select id from shelf where "+where)
		t.Logf("%s\n\nof the table:\n%s\n\nof the view:\n%s", where, table, view)
		require.Contains(t, table, "Seq Scan on papers", where)
		require.NotContains(t, table, "Index", where)
		require.Regexp(t, `Index (Only )?(Scan|Cond)`, view, where)
		require.Contains(t, view, "One-Time Filter", where)
		for _, from := range []string{"papers", "shelf"} {
			var n int
			require.NoError(t, scope.QueryRow(t.Context(), "select count(*) from "+from+" where "+where).Scan(&n))
			require.Positive(t, n, from)
		}
	}
	// What is leakproof uses its index behind policies as well.
	require.Contains(t, explain(t, scope, "select title from papers where id = 77"), "Index Scan")
	require.Contains(t, explain(t, scope, "select title from shelf order by id limit 5"), "Index Scan")
}

// No condition of a query sees a row of a table or of a gated view before the seal was asked for, however the query is shaped.
func TestGate_BeforeAnyRow(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p, _ := filled(t, "t_gatebeforerows01")
	_, err := p.d.Owner.Exec(ctx, `
		create function `+p.name.Quote()+`.leaks(anyelement) returns boolean language plpgsql stable cost 0.0000001
			as $$ begin raise notice 'leaked %', $1; return true; end $$;
		create table `+p.name.Quote()+`.mine (x int, y text);
		insert into `+p.name.Quote()+`.mine select i, 'title ' || i from generate_series(1, 3) i;
		grant select, insert, update, delete on `+p.name.Quote()+`.mine to `+p.name.Quote())
	require.NoError(t, err)
	cfg, err := p.d.Logins.As(p.d.Logins.Cell(1))
	require.NoError(t, err)
	var leaked atomic.Int64
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if strings.HasPrefix(n.Message, "leaked") {
			leaked.Add(1)
		}
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(ctx)) }) // Only used by this test.
	key, err := p.d.Manager.SealKey(ctx)
	require.NoError(t, err)

	// run runs statements in a transaction of the tenant, under a seal or none.
	run := func(seal, planner string, statements ...string) error {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "select set_config('role', $1, true), set_config('search_path', $1, true), set_config('rowhouse.seal', $2, true)",
				p.name.String(), seal)
			require.NoError(t, err)
			_, err = tx.Exec(ctx, strings.Join(append([]string{planner, "set local plan_cache_mode to force_generic_plan"}, statements...), ";"))
			return err
		})
	}
	for _, relation := range []string{"papers", "shelf", "newest", "asking"} {
		column := map[string]string{"asking": "id"}[relation]
		if column == "" {
			column = "title"
		}
		for _, planner := range []string{"", "set local enable_nestloop to off"} {
			for _, shape := range shapes() {
				sql := strings.NewReplacer("REL", relation, "LEAKS", "leaks(v."+column+")", "COLUMN", column).Replace(shape)
				requireUnsealed(t, run("", planner, sql), sql)
				// What was planned under the seal and is executed without it has been past the planner's question.
				how, query := "", sql
				if text, found := strings.CutPrefix(sql, "explain analyze "); found {
					how, query = "explain analyze ", text
				}
				seal := key.Seal(p.name, conn.PgConn().PID(), soon())
				require.NoError(t, run(seal, planner, "prepare q as "+query, "explain execute q"), sql)
				requireUnsealed(t, run("", planner, how+"execute q"), sql)
				require.NoError(t, run("", "", "deallocate q"))
				require.Zero(t, leaked.Swap(0), "it saw rows before it was refused, with %q: %s", planner, sql)
			}
		}
	}
	// The condition would have told.
	seal := key.Seal(p.name, conn.PgConn().PID(), soon())
	require.NoError(t, run(seal, "", "select 1 from mine left join shelf v on leaks(v.title)"))
	require.Positive(t, leaked.Load())
}

// shapes are queries that might come to a row by another way than through the gate.
func shapes() []string {
	return []string{
		"select 1 from REL v where LEAKS",
		"select 1 from REL v where LEAKS limit 1",
		"select 1 from REL v where LEAKS order by v.COLUMN limit 1",
		"select LEAKS from REL v",
		"select 1 from REL v group by LEAKS",
		"select max(v.COLUMN) from REL v where LEAKS",
		"select count(*) filter (where LEAKS) from REL v",
		"select row_number() over (order by LEAKS) from REL v",
		"select 1 from mine join REL v on LEAKS",
		"select 1 from mine left join REL v on LEAKS",
		"select 1 from (values (1)) one left join REL v on LEAKS",
		"select 1 from (select 1) one left join REL v on LEAKS",
		"select 1 from generate_series(1, 2) g left join REL v on LEAKS",
		"select 1 from mine left join REL v on v.COLUMN::text = mine.y and LEAKS",
		"select 1 from REL v right join mine on LEAKS",
		"select 1 from REL v full join mine on v.COLUMN::text = mine.y and LEAKS",
		"select 1 from REL v left join mine on LEAKS",
		"select 1 from mine left join (REL v left join mine m on LEAKS) on v.COLUMN::text = mine.y",
		"select 1 from mine left join (mine m left join REL v on LEAKS) on mine.x = m.x",
		"select 1 from mine left join (REL v join mine m on LEAKS) on true",
		"select 1 from mine left join REL v on LEAKS where v.COLUMN is null",
		"select 1 from mine left join REL v on case when LEAKS then true end",
		"select 1 from mine where exists (select 1 from REL v where LEAKS)",
		"select 1 from mine where not exists (select 1 from REL v where v.COLUMN::text = mine.y and LEAKS)",
		"select 1 from mine where mine.y in (select v.COLUMN::text from REL v where LEAKS)",
		"select 1 from mine where mine.y not in (select v.COLUMN::text from REL v where LEAKS)",
		"select (select v.COLUMN from REL v where LEAKS limit 1)",
		"select 1 from mine, lateral (select 1 from REL v where v.COLUMN::text = mine.y and LEAKS) z",
		"select 1 from mine left join lateral (select 1 from REL v where v.COLUMN::text = mine.y and LEAKS) z on true",
		"select 1 from mine left join (select v.COLUMN, LEAKS as l from REL v) z on z.l",
		"with z as materialized (select v.COLUMN from REL v where LEAKS) select 1 from z",
		"with z as not materialized (select v.COLUMN from REL v) select 1 from mine left join z v on LEAKS",
		"select 1 from (select v.COLUMN from REL v union all select v.COLUMN from REL v) v where LEAKS",
		"select 1 from mine left join (select v.COLUMN from REL v union all select v.COLUMN from REL v) v on LEAKS",
		"explain analyze select 1 from REL v where LEAKS",
		"explain analyze select 1 from mine left join REL v on LEAKS",
		"update mine set y = y from REL v where LEAKS",
		"delete from mine using REL v where LEAKS",
		"insert into mine (x) select 1 from REL v where LEAKS",
		"merge into mine using REL v on LEAKS when matched then delete",
	}
}
