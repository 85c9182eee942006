package tenantschema_test

import "slices"

// What controls take away. A membership that is there already is granted to no effect.
var (
	// opened lets the attacker's login become the victim, whose table asks for no seal.
	opened = []string{"drop policy if exists seal on {v}.projects", "grant {v} to {login}"}
	// granted gives the attacker's own role the victim's table.
	granted = []string{
		"drop policy if exists seal on {v}.projects", "grant usage on schema {v} to {a}",
		"grant select, insert, update, delete, truncate on {v}.projects to {a}",
	}
	// openedAll is opened for all of the victim's relations.
	openedAll = []string{
		"do $$ declare r record; begin for r in select polname, polrelid::regclass as t from pg_policy where polrelid in (select oid from pg_class " +
			"where relnamespace = '{v}'::regnamespace) and polname = 'seal' loop execute format('drop policy %I on %s', r.polname, r.t); end loop; end $$",
		"create or replace view {v}.project_names as select id, name from {v}.projects", "grant {v} to {login}",
	}
	// unsecured is opened for what asks whether there are policies at all.
	unsecured = []string{"alter table {v}.projects disable row level security", "grant {v} to {login}"}
	// super makes the attacker's role a superuser.
	super = []string{"alter role {a} superuser"}
)

const (
	whyRoleRead = "A pooled tenant's SQL can become another tenant of its cell and has then all that tenant's rights. Seal every tenant whose SQL you do " +
		"not write yourself; hardening takes away the functions by which a single SELECT changes the role, and `DO`, but not a second statement."
)

// readAttacks stay in the attacker's own role.
func readAttacks() []attack {
	read := func(id string, s strength, tries, sql string, without ...string) attack {
		return attack{id: id, class: "read", strength: s, tries: tries, sql: []string{sql}, without: without, plain: "sss"}
	}
	return []attack{
		read("read-union", fragment, "append the victim's table, by its full name, to a query",
			"x' union all select id::text, name from {v}.projects --", granted...),
		read("read-blind", fragment, "have the own rows tell, by coming or not, what the victim's table holds",
			"x' or exists (select from {v}.projects where name ~ '^c') --", granted...).showing("mine|"),
		read("read-xml", fragment, "read the victim's table through a function that runs a query given as text",
			"x' union all select '', query_to_xml('select name from {v}.projects', true, false, '')::text --", granted...),
		read("read-whole", whole, "select from the victim's table by its full name", "select name from {v}.projects", granted...),
		read("read-join", whole, "join the victim's table to one's own", "select v.name from projects p right join {v}.projects v using (id)", granted...),
		read("read-copy", several, "COPY the victim's table out", "copy {v}.projects to stdout", granted...),
		read("read-view", whole, "read a view of the victim's, which reads as its owner", "select name from {v}.project_names",
			"create or replace view {v}.project_names as select id, name from {v}.projects", "grant usage on schema {v} to {a}",
			"grant select on {v}.project_names to {a}"),
		read("read-path", several, "put the victim's schema on the search path", "select name from projects",
			granted...).first("set local search_path = {v}"),
		read("read-versions", whole, "read the migrations' table of one's own schema", "select version_id from goose_db_version",
			"grant select on {a}.goose_db_version to {a}").doing(),
		read("read-catalog", whole, "read the list of all tenants", "select slug from rowhouse.tenants", "grant usage on schema rowhouse to {a}",
			"grant select on rowhouse.tenants to {a}").showing("victim-"),
		read("read-as-login", several, "read as the login role, which may become every tenant of its cell", "select name from {v}.projects",
			"drop policy if exists seal on {v}.projects", "grant usage on schema {v} to {login}", "grant select on {v}.projects to {login}").
			first("set local role none"),
		read("read-as-enqueuer", several, "read as the role that enqueues jobs", "select name from {v}.projects",
			"drop policy if exists seal on {v}.projects", "grant usage on schema {v} to {enqueue}", "grant select on {v}.projects to {enqueue}").
			first("set local role {enqueue}"),
	}
}

// The methods below say in a table's line what is not as usual.

func (a attack) showing(text string) attack { a.shows = text; return a }
func (a attack) doing() attack              { a.done = true; return a }

func (a attack) first(sql ...string) attack {
	a.sql = slices.Concat(sql, a.sql)
	return a
}

// open says on which tiers the attack succeeds, before and after hardening, and why.
func (a attack) open(plain, hard, why string) attack {
	a.plain, a.hard, a.why = plain, hard, why
	return a
}

// roleReadAttacks become the victim first.
func roleReadAttacks() []attack {
	read := func(id string, s strength, tries string, hard string, sql ...string) attack {
		a := attack{id: id, class: "read as the victim", strength: s, tries: tries, sql: sql, without: opened, plain: "oss", hard: hard, why: whyRoleRead}
		if hard == "sss" {
			a.hard = hard
		}
		return a
	}
	const (
		become = "set_config('role', '{v}', true)"
		// then runs what follows it after the role has changed: it needs its result.
		then = "from (select " + become + " as r offset 0) s"
	)
	return []attack{
		read("role-query-xml", fragment, "set_config('role', …), then query_to_xml, in one expression", "sss",
			"x' union all select "+become+", query_to_xml('select name from {v}.projects', true, false, '')::text --"),
		read("role-and-back", fragment, "the same, and back into one's own role within the expression", "sss",
			"x' union all select "+become+" || query_to_xml('select name from {v}.projects', true, false, '')::text || set_config('role', '{a}', true), '' --"),
		read("role-table-xml", fragment, "table_to_xml after the change of role", "sss",
			"x' union all select '', table_to_xml((r || '.projects')::regclass, true, false, '')::text "+then+" --"),
		read("role-schema-xml", fragment, "schema_to_xml: the victim's whole schema in one value", "sss",
			"x' union all select '', schema_to_xml(r::name, true, false, '')::text "+then+" --").dropping(openedAll...),
		read("role-database-xml", fragment, "database_to_xml: all that the victim may see", "sss",
			"x' union all select '', database_to_xml(r is not null, false, '')::text "+then+" --").dropping(openedAll...),
		read("role-ts-stat", fragment, "ts_stat, which runs a query to count its words", "sss",
			"x' union all select '', t.word "+then+", lateral ts_stat('select to_tsvector(''simple'', name) from ' || r || '.projects') t --"),
		read("role-ts-rewrite", fragment, "ts_rewrite, which takes its rules from a query", "sss",
			"x' union all select '', ts_rewrite('x'::tsquery, 'select ''x''::tsquery, plainto_tsquery(''simple'', name) from ' || r || '.projects where "+
				"name !~ ''^(p|o)'' ')::text "+then+" --"),
		read("role-error", fragment, "have a failed cast print the victim's value", "sss",
			"x' union all select '', query_to_xml('select name::int from ' || r || '.projects where name !~ ''^(p|o)''', true, false, '')::text "+then+" --"),
		read("role-unicode", whole, "the same functions, written so that no text guard finds their names", "sss",
			`select U&"set\005fconfig"('role', '{v}', true), U&"query\005fto\005fxml"('select name from {v}.projects', true, false, '')::text`),
		read("role-do", whole, "a DO block that changes the role and raises what it reads", "sss",
			"do $$ begin perform "+become+"; raise exception '%', (select string_agg(name, ' ') from {v}.projects); end $$"),
		read("role-do-set", whole, "the same with SET LOCAL ROLE, which no right on a function governs", "sss",
			"do $$ begin set local role {v}; raise exception '%', (select string_agg(name, ' ') from {v}.projects); end $$"),
		read("role-two", several, "set_config, then a SELECT", "sss", "select "+become, "select name from {v}.projects"),
		read("role-set-local", several, "SET LOCAL ROLE, then a SELECT", "oss", "set local role {v}", "select name from {v}.projects"),
		read("role-set-quoted", several, `SET LOCAL "role", which a text guard may not know`, "oss", `set local "role" = '{v}'`,
			"select name from {v}.projects"),
		read("role-set-session", several, "SET ROLE for the session", "oss", "set role {v}", "select name from {v}.projects"),
		read("role-comment", several, "hide the SET behind a comment that a text guard reads otherwise than the server", "oss",
			"--\rset role {v}", "select name from {v}.projects"),
		read("role-cursor-xml", several, "open a cursor as the victim and read it by cursor_to_xml", "sss",
			"set local role {v}", "declare c cursor for select name from {v}.projects", "select cursor_to_xml('c', 200, true, false, '')::text"),
		read("role-prepare", several, "prepare the statement in one's own role and execute it in the victim's", "oss",
			"set local role {v}", "prepare steal as select name from {v}.projects", "execute steal"),
		read("role-view", several, "read the victim's view, in which its owner reads, as the victim", "oss",
			"set local role {v}", "select name from {v}.project_names").dropping("create or replace view {v}.project_names as select id, name from {v}.projects",
			"grant {v} to {login}"),
		read("role-copy", several, "COPY the victim's table out as the victim", "oss", "set local role {v}", "copy {v}.projects to stdout"),
		read("role-row-security", several, "switch row security off before reading", "oss",
			"set local role {v}", "set local row_security = off", "select name from {v}.projects").dropping(unsecured...),
	}
}

func (a attack) dropping(without ...string) attack { a.without = without; return a }
