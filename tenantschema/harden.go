package tenantschema

import (
	"strings"

	"github.com/jackc/pgx/v5"
)

// HardenRoles names the roles that keep what [HardenSQL] takes from everybody else.
type HardenRoles struct {
	// Owner owns the database and the tenants' schemas.
	Owner string
	// Control is a role of the platform that no tenant's SQL can enter.
	Control string
	// Platform is [Config.PlatformRole]; the members of that role are the engine's logins.
	Platform string
}

// hardened says which functions of PostgreSQL [HardenSQL] takes away, as regular expressions on their names, and what tenants' SQL could do
// with them. See docs/isolation.md.
func hardened() []struct{ why, names string } {
	return []struct{ why, names string }{
		{"change the role or a setting within a SELECT", "set_config"},
		{"run a query that is given as text", "(query|cursor|table|schema|database)_to_xml.*|ts_stat"},
		{"wake the platform's listeners for nothing", "pg_notify"},
		{"hold a lock of the platform's by its number", "pg_(try_)?advisory_.*"},
		{"leave objects that belong to no schema, or read those of others", "lo_.*|loread|lowrite"},
		{"end or cancel what others of the same login do", "pg_(terminate|cancel)_backend"},
		{"read what others of the same login or connection have said", "pg_prepared_statement"},
		{"watch what others do, and how much they have", "pg_stat_get_.*|pg_(relation|table|indexes|total_relation|database|tablespace)_size"},
		{"hold a connection without doing anything", "pg_sleep.*"},
		{"write into the server's log of changes", "pg_logical_emit_message"},
	}
}

// HardenSQL gives what a superuser can add to the walls, as one statement for the database that it is run in. It takes functions that an
// attacker could use, and the language of DO, from PUBLIC, and gives them to the platform's roles. It may be repeated. Logins that the
// owner makes later get their share from him: see [LoginSQL].
func HardenSQL(roles HardenRoles) string {
	var names strings.Builder
	for i, n := range hardened() {
		end := "|' ||"
		if i == len(hardened())-1 {
			end = "' ||"
		}
		names.WriteString("\t\t-- " + n.why + "\n\t\t'" + n.names + end + "\n")
	}
	owner := pgx.Identifier{roles.Owner}.Sanitize()
	platform := quoteLiteral(pgx.Identifier{roles.Platform}.Sanitize())
	return `do $harden$
declare
	f     regprocedure;
	login name;
	names constant text := '^(' ||
` + names.String() + `	')$';
begin
	for f in select p.oid from pg_catalog.pg_proc p
		where p.pronamespace = 'pg_catalog'::regnamespace and (p.proname ~ names or p.oid = 'ts_rewrite(tsquery, text)'::regprocedure)
			-- What PostgreSQL itself does not give to everybody stays as it is.
			and not exists (select from pg_catalog.pg_init_privs i where i.classoid = 'pg_proc'::regclass and i.objoid = p.oid)
	loop
		execute format('revoke execute on function %s from public', f);
		execute format('grant execute on function %s to %I with grant option', f, ` + quoteLiteral(roles.Owner) + `);
		execute format('grant execute on function %s to %I, pg_monitor', f, ` + quoteLiteral(roles.Control) + `);
	end loop;
	-- DO blocks are written in it; functions that are there run as before.
	revoke usage on language plpgsql from public;
	grant usage on language plpgsql to ` + owner + `;
	-- A scope begins by set_config, in the login's role. The owner gives it, so that the owner can take it back when the login goes.
	set local role ` + owner + `;
	for login in select distinct r.rolname from pg_catalog.pg_auth_members m join pg_catalog.pg_roles r on r.oid = m.member
		where m.roleid = ` + platform + `::regrole and r.rolcanlogin and r.oid <> current_user::regrole
	loop
		execute format('grant execute on function pg_catalog.set_config(text, text, boolean) to %I', login);
	end loop;
	reset role;
end
$harden$`
}

// LoginSQL gives the statements by which the owner lets a new login of the engine, or one that goes (revoke), have what scopes need in a hardened
// database. They change nothing in one that is not.
func LoginSQL(login string, revoke bool) string {
	verb, preposition := "grant", "to"
	if revoke {
		verb, preposition = "revoke", "from"
	}
	const signature = "pg_catalog.set_config(text, text, boolean)"
	return "do $login$ begin if has_function_privilege('" + signature + "', 'execute with grant option') then " +
		verb + " execute on function " + signature + " " + preposition + " " + pgx.Identifier{login}.Sanitize() + "; end if; end $login$"
}

func quoteLiteral(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
