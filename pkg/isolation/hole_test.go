package isolation_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// hole is one that somebody makes by hand. ACME, GLOBEX, POOLED and ALONE stand for the schemas of two sealed tenants, a pooled and a
// dedicated one; CELL, LOGIN, ENQUEUE, CONTROL, OWNER for roles, DB for the database.
type hole struct {
	name string
	// sql makes it: as the owner, unless super says that only the administrator can.
	sql   string
	super bool
	// kind and object of the finding, and the tenant whose it is.
	kind, object, tenant string
	// warning says that it is nothing but that.
	warning bool
	// undo closes it, where what the finding says does not.
	undo string
}

var holes = []hole{
	{name: "schema to PUBLIC", sql: "grant usage on schema ACME to public", kind: "public-right", object: "schema ACME", tenant: "acme"},
	{
		name: "table to PUBLIC", sql: "grant select on ACME.tasks to public",
		kind: "public-right", object: "table ACME.tasks", tenant: "acme",
	},
	{
		name: "table to another tenant", sql: "grant select on ACME.tasks to GLOBEX",
		kind: "right", object: "table ACME.tasks", tenant: "acme",
	},
	{name: "table to the cell", sql: "grant select on ACME.tasks to CELL", kind: "right", object: "table ACME.tasks", tenant: "acme"},
	{name: "truncate", sql: "grant truncate on ACME.tasks to ACME", kind: "right", object: "table ACME.tasks", tenant: "acme"},
	{
		name: "grant option", sql: "grant select on ACME.tasks to ACME with grant option", kind: "right", object: "table ACME.tasks", tenant: "acme",
		undo: "revoke grant option for select on ACME.tasks from ACME",
	},
	{name: "create in the schema", sql: "grant create on schema ACME to ACME", kind: "right", object: "schema ACME", tenant: "acme"},
	{
		name: "goose's table", sql: "grant select on ACME.goose_db_version to ACME",
		kind: "right", object: "ACME.goose_db_version", tenant: "acme",
	},
	{
		name: "goose's sequence", sql: "grant usage on sequence ACME.goose_db_version_id_seq to ACME", kind: "right",
		object: "sequence ACME.goose_db_version_id_seq", tenant: "acme",
	},
	{
		name: "column", sql: "grant select (id) on ACME.tasks to GLOBEX",
		kind: "column-right", object: "column ACME.tasks.id", tenant: "acme",
	},
	{
		name: "column to PUBLIC", sql: "grant update (id) on ACME.tasks to public",
		kind: "public-right", object: "column ACME.tasks.id", tenant: "acme",
	},
	{
		name: "missing right", sql: "revoke delete on ACME.tasks from ACME", kind: "right-missing", object: "table ACME.tasks", tenant: "acme",
		warning: true,
	},
	{
		name: "default privileges", sql: "alter default privileges in schema ACME grant select on tables to public", kind: "public-right",
		object: "default privileges of OWNER in schema ACME", tenant: "acme",
	},
	{
		name: "default privileges everywhere", sql: "alter default privileges grant select on tables to GLOBEX", kind: "default-right",
		object: "default privileges of OWNER",
	},
	{
		name: "function to PUBLIC", sql: "create function ACME.f() returns int language sql as 'select 1'", kind: "public-right",
		object: "function ACME.f()", tenant: "acme", undo: "drop function ACME.f()",
	},
	{
		name: "SECURITY DEFINER", sql: "create function ACME.f() returns bigint language sql security definer as 'select count(*) from GLOBEX.tasks'; " +
			"revoke all on function ACME.f() from public",
		kind: "security-definer", object: "function ACME.f()", tenant: "acme", undo: "drop function ACME.f()",
	},
	{
		name: "SECURITY DEFINER elsewhere", sql: "create function public.f() returns int language sql security definer as 'select 1'; " +
			"revoke all on function public.f() from public",
		kind: "security-definer", object: "function public.f()", undo: "drop function public.f()",
	},
	{
		name: "row level security off", sql: "alter table ACME.tasks disable row level security",
		kind: "row-security", object: "table ACME.tasks", tenant: "acme",
	},
	{name: "no policy", sql: "drop policy seal on ACME.tasks", kind: "policy", object: "table ACME.tasks", tenant: "acme"},
	{
		name: "another policy", sql: "alter policy seal on ACME.tasks using (true)",
		kind: "policy", object: "table ACME.tasks", tenant: "acme",
	},
	{
		name: "a neighbour's policy", sql: "alter policy seal on ACME.tasks using ((select seal.sealed('GLOBEX')))", kind: "policy",
		object: "table ACME.tasks", tenant: "acme",
	},
	{
		name: "policy with a check", sql: "alter policy seal on ACME.tasks with check (true)", kind: "policy", object: "table ACME.tasks",
		tenant: "acme",
	},
	{
		name: "policy for one role", sql: "alter policy seal on ACME.tasks to GLOBEX", kind: "policy", object: "table ACME.tasks", tenant: "acme",
	},
	{
		name: "permissive policy", sql: "drop policy seal on ACME.tasks; create policy seal on ACME.tasks using ((select seal.sealed('ACME')))",
		kind: "policy", object: "table ACME.tasks", tenant: "acme",
	},
	{
		name: "new table without a seal", sql: "create table ALONE.notes (id int); grant select, insert, update, delete on ALONE.notes to ALONE",
		kind: "row-security", object: "table ALONE.notes", tenant: "alone", undo: "drop table ALONE.notes",
	},
	{
		name: "view", sql: "create view ACME.v as select id from ACME.tasks; grant select, insert, update, delete on ACME.v to ACME", kind: "view",
		object: "view ACME.v", tenant: "acme", undo: "drop view ACME.v",
	},
	{
		name: "view that asks beside the point", sql: "create view ACME.v as select id from ACME.tasks union all select q.id from " +
			"(select id from ACME.tasks) q where (select seal.sealed('ACME')); grant select, insert, update, delete on ACME.v to ACME",
		kind: "view", object: "view ACME.v", tenant: "acme", undo: "drop view ACME.v",
	},
	{
		name: "view with a way round", sql: "create view ACME.v as select q.id from (select id from ACME.tasks) q where true or " +
			"(select seal.sealed('ACME')); grant select, insert, update, delete on ACME.v to ACME",
		kind: "view", object: "view ACME.v", tenant: "acme", undo: "drop view ACME.v",
	},
	{
		name: "materialized view", sql: "create materialized view ACME.m as select id from ACME.tasks", kind: "relation-kind",
		object: "materialized view ACME.m", tenant: "acme", undo: "drop materialized view ACME.m",
	},
	{
		name: "foreign key", sql: "alter table ACME.tasks add constraint x foreign key (project_id) references GLOBEX.projects (id)",
		kind: "foreign-key", object: "constraint x on table ACME.tasks", tenant: "acme",
	},
	{
		name: "inheritance", sql: "create table ACME.child () inherits (GLOBEX.labels)", kind: "reference", object: "table ACME.child",
		tenant: "acme", undo: "drop table ACME.child",
	},
	{
		name: "view of another tenant", sql: "create view POOLED.v as select id from GLOBEX.tasks", kind: "reference", object: "view POOLED.v",
		tenant: "pooled", undo: "drop view POOLED.v",
	},
	{
		name: "view from outside", sql: "create schema reports; create view reports.v as select id from GLOBEX.tasks", kind: "reference",
		object: "view reports.v", tenant: "globex", undo: "drop schema reports cascade",
	},
	{
		name: "default that calls out", sql: "create sequence GLOBEX.s; alter table POOLED.tasks alter priority set default nextval('GLOBEX.s')",
		kind: "reference", object: "default value for column priority of table POOLED.tasks", tenant: "pooled",
		undo: "alter table POOLED.tasks alter priority set default 0; drop sequence GLOBEX.s",
	},
	{
		name: "trigger that calls out", sql: "create schema tools; create function tools.f() returns trigger language plpgsql as 'begin return new; end'; " +
			"create trigger x before insert on ACME.tasks for each row execute function tools.f()",
		kind: "trigger", object: "trigger x on ACME.tasks", tenant: "acme", undo: "drop schema tools cascade",
	},
	{
		name: "owner of a schema", sql: "alter schema ACME owner to GLOBEX", super: true,
		kind: "owner", object: "schema ACME", tenant: "acme",
	},
	{
		name: "owner of a table", sql: "alter table ACME.tasks owner to GLOBEX", super: true,
		kind: "owner", object: "table ACME.tasks", tenant: "acme",
	},

	{name: "second membership", sql: "grant ACME to CONTROL", kind: "membership", object: "role ACME", tenant: "acme"},
	{name: "a tenant in a tenant", sql: "grant GLOBEX to ACME", kind: "membership", object: "role ACME", tenant: "acme"},
	{name: "dedicated by its cell", sql: "grant ALONE to CELL", kind: "membership", object: "role ALONE", tenant: "alone"},
	{
		name: "a login that its tier has not", sql: "create role PREFIX_POOLED login noinherit; grant POOLED to PREFIX_POOLED", kind: "membership",
		object: "role POOLED", tenant: "pooled", warning: true, undo: "drop role PREFIX_POOLED",
	},
	{name: "dedicated into another", sql: "grant GLOBEX to LOGIN", kind: "membership", object: "role LOGIN", tenant: "alone"},
	{
		name: "membership with admin", sql: "grant ALONE to LOGIN with admin option",
		kind: "membership", object: "role ALONE", tenant: "alone", undo: "revoke admin option for ALONE from LOGIN",
	},
	{name: "predefined role", sql: "grant pg_read_all_data to ACME", super: true, kind: "membership", object: "role ACME", tenant: "acme"},
	{name: "login that reads all", sql: "grant pg_read_all_data to LOGIN", super: true, kind: "membership", object: "role LOGIN"},
	{name: "no login", sql: "revoke ALONE from LOGIN", kind: "missing", object: "role ALONE", tenant: "alone", warning: true},
	{name: "LOGIN", sql: "alter role ACME login", kind: "role-attribute", object: "role ACME", tenant: "acme"},
	{name: "INHERIT", sql: "alter role ACME inherit", kind: "role-attribute", object: "role ACME", tenant: "acme"},
	{name: "BYPASSRLS", sql: "alter role ACME bypassrls", super: true, kind: "role-attribute", object: "role ACME", tenant: "acme"},
	{name: "powerful login", sql: "alter role LOGIN createrole inherit", kind: "role-attribute", object: "role LOGIN"},
	{name: "setting", sql: "alter role ACME set work_mem = '1GB'", kind: "role-setting", object: "role ACME", tenant: "acme"},
	{name: "setting of a login", sql: "alter role LOGIN set role = 'ALONE'", kind: "role-setting", object: "role LOGIN"},
	{
		name: "right elsewhere", sql: "grant usage on schema river to ACME",
		kind: "right", object: "schema river", tenant: "acme", undo: "revoke usage on schema river from ACME",
	},
	{
		name: "right on the database", sql: "grant temp on database DB to ACME",
		kind: "right", object: "database DB", tenant: "acme", undo: "revoke temp on database DB from ACME",
	},
	{name: "login's own right", sql: "grant select on rowhouse.tenants to LOGIN", kind: "right", object: "table rowhouse.tenants"},
	{
		name: "login's own function", sql: "grant execute on function pg_notify(text, text) to LOGIN", super: true,
		kind: "right", object: "function pg_notify(text,text)",
	},
	{name: "login may make things", sql: "grant create on database DB to LOGIN", kind: "right", object: "database DB"},

	{name: "database to PUBLIC", sql: "grant temp on database DB to public", kind: "public-right", object: "database DB"},
	{name: "public to PUBLIC", sql: "grant usage on schema public to public", super: true, kind: "public-right", object: "schema public"},
	{name: "catalog to PUBLIC", sql: "grant select on rowhouse.tenants to public", kind: "public-right", object: "table rowhouse.tenants"},
	{name: "queue to PUBLIC", sql: "grant select on river.river_job to public", kind: "public-right", object: "table river.river_job"},
	{
		name: "queue's column to PUBLIC", sql: "grant select (args) on river.river_job to public",
		kind: "public-right", object: "column river.river_job.args",
	},
	{
		name: "function of the platform to PUBLIC", sql: "create function rowhouse.f() returns int language sql as 'select 1'", kind: "public-right",
		object: "function rowhouse.f()", undo: "drop function rowhouse.f()",
	},
	{
		name: "queue without policies", sql: "alter table river.river_job disable row level security", kind: "row-security",
		object: "table river.river_job",
	},
	{
		name: "queue open to all", sql: "create policy x on river.river_job using (true)", kind: "policy",
		object: "policy x of table river.river_job", undo: "drop policy x on river.river_job",
	},

	{name: "seal's schema", sql: "grant usage on schema seal to CELL", kind: "right", object: "schema seal"},
	{
		name: "seal's keys", sql: "grant select on seal.keys to CONTROL", kind: "seal", object: "table seal.keys",
		undo: "revoke select on seal.keys from CONTROL; grant select (id, hint, created_at) on seal.keys to CONTROL",
	},
	{name: "seal's pads", sql: "grant select (inner_pad) on seal.keys to CONTROL", kind: "seal", object: "column seal.keys.inner_pad"},
	{
		name: "another seal", sql: "create or replace function seal.sealed(schema text) returns boolean language plpgsql stable security definer " +
			"parallel restricted cost 1000 set search_path = pg_catalog as 'begin return true; end'",
		kind: "seal", object: "function seal.sealed(text)", undo: "SEAL",
	},
	{
		name: "seal without rights", sql: "alter function seal.sealed(text) security invoker",
		kind: "seal", object: "function seal.sealed(text)", undo: "SEAL",
	},
	{
		name: "seal on another path", sql: "alter function seal.sealed(text) reset search_path",
		kind: "seal", object: "function seal.sealed(text)", undo: "SEAL",
	},
	{
		name: "second seal", sql: "create function seal.open() returns int language sql as 'select 1'",
		kind: "seal", object: "function seal.open()", undo: "drop function seal.open()",
	},
	{
		name: "copy of the keys", sql: "create table seal.copy as select id from seal.keys",
		kind: "seal", object: "table seal.copy", undo: "drop table seal.copy",
	},

	{
		name: "orphan schema", sql: "create schema t_aaaaaaaaaaaaaaaa", kind: "orphan", object: "schema t_aaaaaaaaaaaaaaaa", warning: true,
		undo: "drop schema t_aaaaaaaaaaaaaaaa",
	},
}

// Every hole is found, with its object; what the finding says mends it; and before and after there is nothing to find.
func TestInspect_FindsHoles(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.NewWith(t, pgtest.Options{Server: pgtest.OwnServer(t)}) // Roles belong to a server, and here some get powers.
	var words []string
	for word, tier := range map[string]tenantschema.Tier{
		"ACME": tenantschema.TierSealed, "GLOBEX": tenantschema.TierSealed, "POOLED": tenantschema.TierPooled, "ALONE": tenantschema.TierDedicated,
	} {
		made := tenant(t, d, strings.ToLower(word), tier)
		words = append(words, word, made.Schema.String())
		if tier == tenantschema.TierDedicated {
			words = append(words, "LOGIN", d.Logins.Dedicated(made.Schema))
		}
	}
	words = append(words, "CELL", d.Logins.Cell(1), "ENQUEUE", d.Logins.Enqueuer(), "CONTROL", d.Logins.Control(),
		"PREFIX", strings.TrimSuffix(d.Logins.Control(), "_control"), "OWNER", d.Owner.Config().ConnConfig.User,
		"DB", d.Owner.Config().ConnConfig.Database)
	fill := strings.NewReplacer(words...)
	super := admin(t, d)

	inspect := func() []tenantschema.Finding {
		t.Helper()
		in, err := d.Manager.Inspect(ctx, nil)
		require.NoError(t, err)
		return in.Findings
	}
	slug := map[string]string{}
	tenants, err := d.Manager.List(ctx, tenancy.ListFilter{})
	require.NoError(t, err)
	for _, made := range tenants {
		slug[made.Schema.String()] = made.Slug
	}
	require.Empty(t, inspect())
	var before []tenantschema.Finding // of the hole before
	last := ""
	for _, h := range holes {
		execute := func(sql string) {
			t.Helper()
			if sql == "SEAL" {
				require.NoError(t, pgx.BeginFunc(ctx, d.Owner, func(tx pgx.Tx) error { return tenantschema.SetUpSeal(ctx, tx) }))
				return
			}
			if h.super {
				_, err = super.Exec(ctx, fill.Replace(sql))
			} else {
				_, err = d.Owner.Exec(ctx, fill.Replace(sql))
			}
			require.NoError(t, err, "%s: %s", h.name, sql)
		}
		execute(h.sql)
		found := inspect()
		for _, f := range before { // What this hole leads to, too, shows at the end.
			if f.Kind != h.kind || !strings.Contains(f.Object, fill.Replace(h.object)) {
				require.NotContains(t, found, f, "before %s this was not mended by: %s", h.name, last)
			}
		}
		before = found
		var right []tenantschema.Finding
		for _, f := range found {
			if f.Kind == h.kind && strings.Contains(f.Object, fill.Replace(h.object)) && slug[f.Schema] == h.tenant {
				right = append(right, f)
			}
		}
		require.NotEmpty(t, right, "%s: found %+v", h.name, found)
		require.Equal(t, !h.warning, right[0].Breach, h.name)
		require.NotEmpty(t, right[0].Problem, h.name)
		if last = right[0].Mend; h.undo != "" {
			last = h.undo
		}
		execute(last)
	}
	require.Empty(t, inspect())
}
