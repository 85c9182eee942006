package tenantschema_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	whyRoleWrite = "As reading: a pooled tenant's SQL can become another tenant of its cell. Nothing that a single SELECT can call writes, so that it takes a whole " +
		"statement."
	insertAs = "insert into {v}.projects (id, name) values (gen_random_uuid(), 'defaced') returning name"
)

// writeAttacks change or destroy the victim's data.
func writeAttacks() []attack {
	write := func(id string, s strength, tries string, without []string, sql ...string) attack {
		return attack{id: id, class: "write", strength: s, tries: tries, sql: sql, without: without, done: true, plain: "sss"}
	}
	become := func(id, tries string, sql ...string) attack {
		return write(id, several, tries, opened, append([]string{becomeVictim}, sql...)...).open("oss", "oss", whyRoleWrite)
	}
	owner := []string{"grant {v} to {login}", "alter role {v} superuser"}
	return []attack{
		write("write-insert", whole, "insert into the victim's table by its full name", granted, insertAs),
		write("write-update", whole, "update it", granted, "update {v}.projects set name = 'defaced'"),
		write("write-delete", whole, "delete from it", granted, "delete from {v}.projects"),
		write("write-truncate", whole, "truncate it", granted, "truncate {v}.projects cascade").dropping(super...),
		write("write-with", whole, "update it in a WITH of one's own SELECT", granted,
			"with w as (update {v}.projects set name = 'defaced' returning id) select count(*) from w"),
		{
			id: "write-semicolon", class: "write", strength: fragment, tries: "end the statement by a semicolon and begin another", plain: "sss",
			custom: semicolon,
		},
		become("write-role-insert", "insert as the victim", insertAs),
		become("write-role-update", "update as the victim", "update {v}.projects set name = 'defaced' where name = 'ordinary'").shown("UPDATE 61"),
		become("write-role-delete", "delete as the victim", "delete from {v}.projects where name = 'ordinary'").shown("DELETE 61"),
		become("write-role-merge", "merge as the victim",
			"merge into {v}.projects p using (select 1) s on p.name = 'ordinary' when matched then update set name = 'defaced'").shown("MERGE 61"),
		become("write-role-truncate", "truncate as the victim", "truncate {v}.projects cascade").dropping(owner...).open("sss", "", ""),
		become("write-role-drop", "drop the victim's table as the victim", "drop table {v}.projects cascade").dropping(owner...).open("sss", "", ""),
		become("write-role-grant", "grant the attacker the victim's table, as the victim", "grant select on {v}.projects to {a}",
			"select 'granted=' || has_table_privilege('{a}', '{v}.projects', 'select')").dropping(owner...).shown("granted=true").open("sss", "", ""),
		write("write-do", whole, "a DO block that changes the role and updates", opened,
			"do $$ begin set local role {v}; update {v}.projects set name = 'defaced'; if not found then raise 'nothing'; end if; end $$").open("oss", "sss", whyRoleWrite),
	}
}

func (a attack) shown(text string) attack { a.done, a.shows = false, text; return a }

// ddlAttacks make objects that others, or the platform, might run into.
func ddlAttacks() []attack {
	ddl := func(id, tries, sql string, without ...string) attack {
		return attack{id: id, class: "objects", strength: whole, tries: tries, sql: []string{sql}, without: without, done: true, plain: "sss"}
	}
	return []attack{
		ddl("object-temp", "shadow a table by a temporary one", "create temporary table projects (id int)",
			"grant temporary on database {db} to {a}"),
		ddl("object-schema", "make a schema", "create schema evil", "grant create on database {db} to {a}"),
		ddl("object-extension", "make an extension", "create extension citext with schema {a}", "grant create on database {db} to {a}",
			"grant create on schema {a} to {a}"),
		ddl("object-table", "make a table in one's own schema", "create table {a}.evil (id int)", "grant create on schema {a} to {a}"),
		ddl("object-public", "make a table in schema public", "create table public.projects (id int)", "grant usage, create on schema public to {a}"),
		ddl("object-function", "make a function in one's own schema, to be called as somebody else",
			"create function {a}.lower(text) returns text language sql security definer as 'select $1'", "grant create on schema {a} to {a}"),
		ddl("object-operator", "make an operator that a query of the platform's might choose",
			"create operator {a}.= (leftarg = text, rightarg = text, function = texteq)", "grant create on schema {a} to {a}"),
		ddl("object-trigger", "put a trigger on one's own table",
			"create trigger evil before update on {a}.projects for each row execute function suppress_redundant_updates_trigger()", "grant trigger on {a}.projects to {a}"),
		ddl("object-rule", "put a rule on one's own table", "create rule evil as on insert to {a}.projects do also notify evil", super...),
		ddl("object-index", "make an index whose expression others would compute", "create index on {a}.projects (lower(name))", super...),
		ddl("object-victim", "make a table in the victim's schema", "create table {v}.evil (id int)", "grant usage, create on schema {v} to {a}"),
		ddl("object-queue", "make a table in the queue's schema", "create table river.evil (id int)", "grant usage, create on schema river to {a}"),
	}
}

// semicolon is about the protocol: the server parses one statement per message, unless it is asked by the simple protocol.
func semicolon(t *testing.T, f *field, defended bool) bool {
	t.Helper()
	ctx := t.Context()
	sql := f.fill("select id::text, name from projects where name = 'x'; delete from projects; --'")
	if defended {
		_, err := f.shared.Tenant(f.attacker.Engine()).Exec(ctx, sql)
		require.Error(t, err)
		return false
	}
	pg := f.admin.PgConn()
	_, err := pg.Exec(ctx, "begin; "+f.entry(pg.PID())).ReadAll()
	require.NoError(t, err)
	_, err = pg.Exec(ctx, sql).ReadAll()
	require.NoError(t, err)
	_, err = pg.Exec(ctx, "rollback").ReadAll()
	require.NoError(t, err)
	return true
}
