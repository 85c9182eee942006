package tenantschema_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

const (
	hiddenSetting = `U&"set\005fconfig"('rowhouse.residue', 'evil', false)`
	readResidue   = "select coalesce(current_setting('rowhouse.residue', true), '')"
	currentUser   = "select current_user::text"
)

// sessionAttacks leave something in a session that the next tenant's statements would meet.
func sessionAttacks() []attack {
	residue := func(id string, s strength, tries, want, look string, sql ...string) attack {
		return attack{
			id: id, class: "session", strength: s, tries: tries, sql: sql, plain: "sss",
			custom: func(t *testing.T, f *field, defended bool) bool {
				t.Helper()
				return f.left(sql, look, defended) == f.fill(want)
			},
		}
	}
	const trojan = `prepare rh_enter (text, text) as select U&"set\005fconfig"('role', '{a}', true), ` +
		`U&"set\005fconfig"('search_path', '{a}', true), U&"set\005fconfig"('rowhouse.seal', $2, true)`
	return []attack{
		residue("left-setting", whole, "set something for the session, by set_config", "evil", readResidue,
			"select set_config('rowhouse.residue', 'evil', false)"),
		residue("left-unicode", whole, "the same under a name that a text guard may not find", "evil", readResidue, "select "+hiddenSetting),
		residue("left-xml", whole, "the same in a text that a function runs", "evil", readResidue,
			"select query_to_xml('select set' || '_config(''rowhouse.residue'', ''evil'', false)', true, false, '')::text"),
		residue("left-ts-stat", whole, "the same in ts_stat", "evil", readResidue,
			"select word from ts_stat('select to_tsvector(set' || '_config(''rowhouse.residue'', ''evil'', false))')"),
		residue("left-do", whole, "the same in a DO block", "evil", readResidue, "do $$ begin execute 'set rowhouse.residue = evil'; end $$"),
		residue("left-set", whole, "SET, behind a comment that a text guard reads otherwise than the server", "evil", readResidue, "--\rset rowhouse.residue = 'evil'"),
		residue("left-trojan", several, "put another statement in the place of the one by which every scope enters its tenant, so that the victim's next query runs as the attacker, "+
			"or leaves its seal", "{a}", currentUser, "--\rdeallocate rh_enter", "--\r"+trojan),
		residue("left-trojan-do", several, "the same in a DO block", "{a}", currentUser,
			"do $$ begin execute 'deallocate rh_enter'; execute '"+strings.ReplaceAll(trojan, "'", "''")+"'; end $$"),
		residue("left-listen", whole, "LISTEN on the session", "evil", "select coalesce(min(c), '') from pg_listening_channels() c",
			"do $$ begin listen evil; end $$"),
		residue("left-lock", whole, "keep an advisory lock", "true", "select (count(*) > 0)::text from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()",
			`select U&"pg\005fadvisory\005flock"(4711)::text`),
		residue("left-cursor", whole, "leave a cursor WITH HOLD", "evil", "select coalesce(min(name), '') from pg_cursors where name <> ''",
			"do $$ begin execute 'declare evil cursor with hold for select 1'; end $$"),
	}
}

// left sends the attacker's statements, in one transaction of his, and gives what the victim's look finds on a connection that the two share.
func (f *field) left(sql []string, look string, defended bool) (found string) {
	ctx := f.t.Context()
	if defended {
		_ = f.shared.Tenant(f.attacker.Engine()).InTx(ctx, func(tx *tenantschema.Tx) error {
			for _, s := range sql {
				if _, err := tx.Exec(ctx, f.fill(s)); err != nil {
					return err
				}
			}
			return nil
		})
		require.NoError(f.t, f.shared.Tenant(f.victim.Engine()).QueryRow(ctx, look).Scan(&found), "the victim's own statement fails")
		return found
	}
	// A session that serves the attacker, then the victim, with nothing in between.
	pg := f.admin.PgConn()
	run := func(statements ...string) {
		for _, s := range statements {
			_, err := pg.Exec(ctx, s).ReadAll()
			require.NoError(f.t, err, s)
		}
	}
	defer run("rollback", "discard all", "set lock_timeout = '5s'")
	run("prepare rh_enter (text, text) as select set_config('role', $1, true), set_config('search_path', $1, true), set_config('rowhouse.seal', $2, true)")
	run("begin", "set local session authorization "+f.login, f.entry(pg.PID()))
	for _, s := range sql {
		run(f.fill(s))
	}
	run("commit")
	run("begin", f.fill("grant {v} to {login}"), "set local session authorization "+f.login, f.fill("execute rh_enter ('{v}', '')"))
	require.NoError(f.t, f.admin.QueryRow(ctx, look, pgx.QueryExecModeExec).Scan(&found))
	return found
}
