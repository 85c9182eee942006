package tenantschema_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

const (
	whyNames = "PostgreSQL's catalogs can be read by every role: names of schemas (random ids, never slugs), tables and roles, how many there are, and how large. They hold no " +
		"row of anybody's. Hardening takes away the counters of activity and the functions that measure tables; the catalogs themselves must stay readable."
	whyLocks     = "pg_locks tells everybody which table is in use at this moment. The engine reads it too, so hardening leaves it."
	whyActivity  = "As the login role one sees what the other sessions of that login run. Parameters are not shown: SQL with values in its text is. Harden, or use a dedicated login."
	whyTexts     = "Tenants of a cell share connections, and the texts of prepared statements belong to the connection. Parameters are not shown. Harden, or use a dedicated login."
	whyTerminate = "A login may end the sessions of the same login, so that requests of its cell fail; the engine connects again. Harden, or use a dedicated login."
	whyAdvisory  = "Advisory locks belong to the whole database, and their numbers can be computed: who holds a tenant's keeps it from being migrated or deleted while his transaction lasts. " +
		"Hardening takes the functions away."
	whyNotify = "Everybody may notify. Nothing that comes in is believed: a notification of the catalog's has a row read again, at a bounded rate, and River polls. Hardening takes " +
		"the function away, and the statement NOTIFY stays."
	whyBusy = "A tenant may use the server's time. A request's deadline ends it, and no tenant has more than three quarters of the connections; a neighbour who is always busy wants a " +
		"database of his own."
)

// metadataAttacks learn of the victim what is not in its rows.
func metadataAttacks() []attack {
	see := func(id string, s strength, tries, shows, why, hard string, sql ...string) attack {
		return attack{id: id, class: "metadata", strength: s, tries: tries, sql: sql, shows: shows, plain: "ooo", hard: hard, why: why}
	}
	const size = "from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = '{v}' and c.relname = 'projects'"
	activity := see("seen-queries", fragment, "read what other sessions of the login run, values in the text included", "", whyActivity, "sss",
		"x' union all select set_config('role', 'none', true), query_to_xml('select query from pg_stat_activity', true, false, '')::text --").
		open("oos", "sss", whyActivity).dropping("alter role {login} superuser")
	activity.victim = []string{"select '{marker}'::text"}
	own := see("seen-queries-as-self", fragment, "the same without leaving the own role", "", "", "",
		"x' union all select '', query from pg_stat_activity --").dropping("alter role {a} superuser").open("sss", "", "")
	own.victim = activity.victim
	texts := see("seen-statements", fragment, "read the statements that others have prepared on the shared connection", "", whyTexts, "sss",
		"x' union all select '', statement from pg_prepared_statements --").open("oos", "sss", whyTexts).dropping("prepare x as select '{marker}'")
	texts.before = []string{"select '{marker}'::text"}
	use := see("seen-locks", fragment, "see which tables are in use", "{v}.tasks", whyLocks, "ooo",
		"x' union all select '', n.nspname || '.' || c.relname from pg_locks l join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace --")
	use.victim = []string{"select count(*) from tasks"}
	return []attack{
		see("seen-schemas", fragment, "list the schemas", "{v}|", whyNames, "ooo", "x' union all select nspname, '' from pg_namespace --"),
		see("seen-roles", fragment, "list which tenants share a cell", "{v}", whyNames, "ooo",
			"x' union all select '', pg_get_userbyid(roleid) || ' ' || pg_get_userbyid(member) from pg_auth_members --"),
		see("seen-rows", fragment, "read roughly how many rows a table has", "rows=123", whyNames, "ooo",
			"x' union all select 'rows=' || reltuples, '' "+size+" --"),
		see("seen-size", fragment, "read how large a table is", "large=true", whyNames, "sss", "x' union all select 'large=' || (pg_relation_size(c.oid) > 8192), '' "+size+" --"),
		see("seen-writes", fragment, "read how many rows a table has been given", "live=true", whyNames, "sss",
			"x' union all select 'live=' || (pg_stat_get_live_tuples(c.oid) > 0), '' "+size+" --"),
		see("seen-values", fragment, "read the commonest values of a table in pg_stats", "ordinary", "", "",
			"x' union all select '', most_common_vals::text from pg_stats where schemaname = '{v}' --").dropping(append(slices.Clone(granted), unsecured...)...).open("sss", "", ""),
		activity, own, texts, use,
	}
}

// denialAttacks keep others from working.
func denialAttacks() []attack {
	deny := func(id string, s strength, tries, why, plain, hard string, sql ...string) attack {
		return attack{id: id, class: "denial", strength: s, tries: tries, sql: sql, done: true, plain: plain, hard: hard, why: why}
	}
	kill := deny("deny-terminate", fragment, "end the victim's session", whyTerminate, "oos", "sss",
		"x' union all select set_config('role', 'none', true), 'killed ' || pg_terminate_backend({vpid}) --").
		shown("killed true").dropping("alter role {login} superuser")
	kill.victim = []string{"select 1"}
	cancel := deny("deny-cancel", fragment, "cancel the victim's statement", whyTerminate, "oos", "sss",
		"x' union all select set_config('role', 'none', true), 'cancelled ' || pg_cancel_backend({vpid}) --").
		shown("cancelled true").dropping("alter role {login} superuser")
	cancel.victim = kill.victim
	gate := deny("deny-migration", fragment, "hold the lock under which the victim is migrated", whyAdvisory, "ooo", "sss",
		"x' union all select '', pg_advisory_xact_lock(hashtextextended('rowhouse.tenant:{v}', 0))::text --")
	gate.during = "select not pg_try_advisory_xact_lock(hashtextextended('rowhouse.tenant:{v}', 0))"
	lasting := deny("deny-migration-session", whole, "the same for the session, under a name that no text guard finds", whyAdvisory, "ooo", "sss",
		`select U&"pg\005fadvisory\005flock"(hashtextextended('rowhouse.tenant:{v}', 0))::text`)
	lasting.during = gate.during
	return []attack{
		kill, cancel, gate, lasting,
		deny("deny-lock-by-name", whole, "lock the victim's table by its full name", "", "sss", "",
			"lock table {v}.projects in access exclusive mode").dropping(granted...),
		deny("deny-catalog-lock", whole, "lock the catalog", "", "sss", "",
			"lock table rowhouse.tenants in access exclusive mode").dropping(super...),
		deny("deny-notify", fragment, "flood the catalog's processes by pg_notify", whyNotify, "ooo", "sss", "x' union all select pg_notify('rowhouse_tenants', 'x')::text, '' --"),
		deny("deny-notify-statement", whole, "the same by NOTIFY", whyNotify, "ooo", "ooo", "notify rowhouse_tenants, 'x'"),
		deny("deny-busy", fragment, "keep the server busy", whyBusy, "ooo", "ooo", "x' union all select '', count(*)::text from generate_series(1, 10000) --"),
		deny("deny-sleep", fragment, "hold a connection and do nothing", whyBusy, "ooo", "sss", "x' union all select pg_sleep(0.001)::text, '' --"),
		debris("debris-large-object", fragment, "make a large object, which no schema's end takes away, so that the tenant cannot be deleted",
			"x' union all select lo_create(0)::text, '' --"),
		debris("debris-defaults", whole, "set default privileges, which keep a role from being dropped, with the same aim",
			"alter default privileges grant select on tables to public"),
		debris("debris-login", whole, "the same as the login role, which goes with a dedicated tenant",
			"do $$ begin set local role none; alter default privileges grant select on tables to public; end $$"),
	}
}

// debris is an attack that succeeds when a tenant cannot be deleted after it.
func debris(id string, s strength, tries, sql string) attack {
	a := attack{id: id, class: "denial", strength: s, tries: tries, sql: []string{sql}, plain: "sss"}
	a.custom = func(t *testing.T, f *field, defended bool) bool {
		t.Helper()
		ctx := t.Context()
		tenant, _, err := f.Manager.Create(ctx, tenancy.NewTenant{Slug: fmt.Sprintf("%s-%s-%t", id, f.tier, defended), Tier: string(f.tier)})
		require.NoError(t, err)
		_, err = f.shared.Tenant(tenant.Engine()).Exec(ctx, f.statements(&a)[0])
		if !f.hard {
			require.NoError(t, err)
		}
		if defended {
			_, err = f.Manager.Delete(ctx, tenant.ID)
			return err != nil
		}
		// What the schema and the role hold is all that is taken away.
		drop := "begin; drop schema " + tenant.Schema.Quote() + " cascade; drop role " + tenant.Schema.Quote()
		if id == "debris-login" {
			drop = f.fill("begin; revoke all on database {db} from ") + f.loginOf(tenant) + "; drop role " + f.loginOf(tenant)
		}
		_, err = f.admin.PgConn().Exec(ctx, drop).ReadAll()
		_, undone := f.admin.PgConn().Exec(ctx, "rollback").ReadAll()
		require.NoError(t, undone)
		_, deleted := f.Manager.Delete(ctx, tenant.ID)
		require.NoError(t, deleted)
		return err != nil
	}
	return a
}
