package tenantschema

// The checks of roles: what they may be, whom they may become, what they own.

const (
	// powers are the attributes that none of ours has, in a list that is NULL without any, for a role r.
	powers = `nullif(concat_ws(' ', case when r.rolsuper then 'superuser' end, case when r.rolcreaterole then 'createrole' end,
		case when r.rolcreatedb then 'createdb' end, case when r.rolbypassrls then 'bypassrls' end, case when r.rolreplication then 'replication' end`
	// creatorsMembership is the membership that PostgreSQL 16 and later give to who makes a role: to administer it, not to become it.
	creatorsMembership = `(coalesce((to_jsonb(m) ->> 'set_option')::boolean, false) = false and to_jsonb(m) ? 'set_option'
		and not (to_jsonb(m) ->> 'inherit_option')::boolean and o.rolname = @owner::name)`
	// plainMembership is a membership that lets its member become the role, and gives nothing before that. Before PostgreSQL 16 that is the
	// member's own attribute.
	plainMembership = `(not m.admin_option and coalesce((to_jsonb(m) ->> 'set_option')::boolean, true)
		and not coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, o.rolinherit))`
	// memberships are the rows m with the role r and its member o.
	memberships = `pg_auth_members m join pg_roles r on r.oid = m.roleid join pg_roles o on o.oid = m.member`
	// membershipExtra says what a membership lets its member do, beyond the least.
	membershipExtra = `case when m.admin_option then ', and give it to others' else '' end ||
		case when coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, o.rolinherit) then ', and has its rights without becoming it' else '' end`
	revokeRole = `format('revoke %I from %I', r.rolname, o.rolname)`
)

func roleChecks() []check { return append(tenantRoleChecks(), loginChecks()...) }

func tenantRoleChecks() []check {
	// A tenant's own login, which has or had to do with its tier, leads to nobody else.
	const ownLogin = `(o.rolname ~ @pattern and right(o.rolname::text, 19) = '_' || e.name::text and ` + plainMembership + `)`
	const expected = `unnest(@schemas::text[]::name[], @logins::text[]::name[]) e (name, login)`
	return []check{
		{true, `select 'role-attribute', r.rolname::text, 'role ' || r.rolname, 'has the attributes ' || x.powers,
				'alter role ' || quote_ident(r.rolname) || ' ' || replace(regexp_replace(x.powers, '(\w+)', 'no\1', 'g'), 'nono', 'no')
			from pg_roles r, lateral (select ` + powers + `, case when r.rolcanlogin then 'login' end, case when r.rolinherit then 'inherit' end), '')
				as powers) x
			where r.rolname = any(@schemas::text[]::name[]) and x.powers is not null`},
		{true, `select 'membership', e.name::text, 'role ' || e.name, o.rolname || ' may become it' || ` + membershipExtra + `, ` + revokeRole + `
			from ` + expected + ` join pg_roles r on r.rolname = e.name join pg_auth_members m on m.roleid = r.oid join pg_roles o on o.oid = m.member
			where not (o.rolname = e.login and ` + plainMembership + `) and not ` + creatorsMembership + ` and not ` + ownLogin},
		{false, `select 'membership', e.name::text, 'role ' || e.name, 'its own login ' || o.rolname || ' may become it, and its tier has none: ' ||
				'its tier is being changed, or that was interrupted', 'rowhouse tenant set-tier, to the tier that it has'
			from ` + expected + ` join pg_roles r on r.rolname = e.name join pg_auth_members m on m.roleid = r.oid join pg_roles o on o.oid = m.member
			where o.rolname <> e.login and ` + ownLogin},
		{false, `select 'missing', e.name::text, 'role ' || e.name, 'its login ' || e.login || ' may not become it, so nobody serves the tenant',
				format('grant %I to %I', e.name, e.login)
			from ` + expected + ` join pg_roles r on r.rolname = e.name where not exists (
				select from pg_auth_members m join pg_roles o on o.oid = m.member where m.roleid = r.oid and o.rolname = e.login)`},
		{true, `select 'membership', o.rolname::text, 'role ' || o.rolname, 'may become ' || r.rolname || ` + membershipExtra + `, ` + revokeRole + `
			from ` + memberships + ` where o.rolname = any(@schemas::text[]::name[])`},
		{true, `select 'role-setting', r.rolname::text, 'role ' || r.rolname, 'has settings of its own: ' || array_to_string(s.setconfig, ', '),
				format('alter role %I reset all', r.rolname)
			from pg_db_role_setting s join pg_roles r on r.oid = s.setrole where r.rolname = any(@schemas::text[]::name[])`},

		// What a role owns or may do is written down once for the whole server, other databases included. Rights in schemas that are looked
		// into are found there.
		{true, `select case d.deptype when 'o' then 'owner' else 'right' end, r.rolname::text, ` + dependent + `,
				r.rolname || case d.deptype when 'o' then ' owns it' when 'r' then ' is named by it' else ' has rights on it' end,
				` + dependentMend + `
			from pg_shdepend d join pg_roles r on r.oid = d.refobjid
				left join pg_database b on b.oid = d.dbid and d.dbid <> 0
				left join pg_class c on d.classid = 'pg_catalog.pg_class'::regclass and c.oid = d.objid and b.datname = current_database()
				left join pg_proc p on d.classid = 'pg_catalog.pg_proc'::regclass and p.oid = d.objid and b.datname = current_database()
				left join pg_policy q on d.classid = 'pg_catalog.pg_policy'::regclass and q.oid = d.objid and b.datname = current_database()
				left join pg_class qc on qc.oid = q.polrelid
				left join pg_namespace n on n.oid = coalesce(c.relnamespace, p.pronamespace, qc.relnamespace,
					case when d.classid = 'pg_catalog.pg_namespace'::regclass and b.datname = current_database() then d.objid end)
			where d.refclassid = 'pg_catalog.pg_authid'::regclass and r.rolname = any(@schemas::text[]::name[])
				and d.classid <> 'pg_catalog.pg_default_acl'::regclass
				and (d.deptype = 'o' or d.deptype = 'r' and n.nspname is distinct from r.rolname
					or d.deptype in ('a', 'i') and coalesce(n.nspname <> all(@schemas::text[]::name[]), true))`},
	}
}

// dependentMend gives its object to the owner, or takes the rights on it away.
const dependentMend = `case when d.deptype = 'o' then format('reassign owned by %I to %I', r.rolname, @owner::name)
	when d.deptype = 'a' and (d.dbid = 0 or b.datname = current_database()) then format('revoke all on %s from %I',
		regexp_replace(pg_describe_object(d.classid, d.objid, 0), '^(materialized view|view|foreign table) ', 'table '), r.rolname)
	else 'take its rights away there' end`

// dependent describes what a row d of pg_shdepend stands for, where b is its database.
const dependent = `coalesce(case when d.dbid = 0 or b.datname = current_database() then pg_describe_object(d.classid, d.objid, d.objsubid)
	else 'something in database ' || b.datname end, 'something dropped meanwhile')`

func loginChecks() []check {
	const all = `(r.rolname = any(@engine::text[]::name[]) or r.rolname in (@control::name, @enqueue::name))`
	return []check{
		{true, `select 'role-attribute', '', 'role ' || r.rolname, 'has the attributes ' || x.powers,
				'alter role ' || quote_ident(r.rolname) || ' ' || regexp_replace(x.powers, '(\w+)', 'no\1', 'g')
			from pg_roles r, lateral (select ` + powers + `, case when r.rolinherit and r.rolname = any(@engine::text[]::name[]) then 'inherit' end,
				case when r.rolcanlogin and r.rolname = @enqueue::name then 'login' end), '') as powers) x
			where ` + all + ` and x.powers is not null`},
		{true, `select 'membership', '', 'role ' || o.rolname, 'may become ' || r.rolname || ` + membershipExtra + `, ` + revokeRole + `
			from ` + memberships + `
			where (o.rolname = any(@engine::text[]::name[]) or o.rolname in (@control::name, @enqueue::name))
				and not (o.rolname = any(@engine::text[]::name[]) and r.rolname = @enqueue::name and ` + plainMembership + `)
				and not (o.rolname = any(@engine::text[]::name[]) and r.rolname ~ ` + tenantSchema + `)`},
		// The login of one tenant becomes that one.
		{true, `select 'membership', e.name::text, 'role ' || o.rolname, 'may become ' || r.rolname || ', which is another tenant', ` + revokeRole + `
			from ` + memberships + ` join unnest(@schemas::text[]::name[], @logins::text[]::name[]) e (name, login) on e.login = o.rolname
			where right(o.rolname::text, 18) = e.name::text and r.rolname ~ ` + tenantSchema + ` and r.rolname <> e.name`},
		{true, `select 'membership', '', 'role ' || r.rolname, o.rolname || ' may become it' || ` + membershipExtra + `, ` + revokeRole + `
			from ` + memberships + ` where ` + all + ` and not ` + creatorsMembership + ` and not (r.rolname = @enqueue::name and o.rolname ~ @pattern)`},
		{true, `select 'role-setting', '', 'role ' || r.rolname, 'sets ' || x.setting || ' when it logs in',
				format('alter role %I reset %s', r.rolname, split_part(x.setting, '=', 1))
			from pg_db_role_setting s join pg_roles r on r.oid = s.setrole, unnest(s.setconfig) x (setting)
			where ` + all + ` and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
				and x.setting ~ '^(role|session_authorization|row_security|search_path|rowhouse[.].*)=' and x.setting not in ('search_path=', 'search_path=""')`},
		{true, `select case d.deptype when 'o' then 'owner' else 'right' end, '', ` + dependent + `,
				r.rolname || case d.deptype when 'o' then ' owns it' when 'r' then ' is named by it' else ' has rights on it' end,
				` + dependentMend + `
			from pg_shdepend d join pg_roles r on r.oid = d.refobjid left join pg_database b on b.oid = d.dbid and d.dbid <> 0
				left join pg_class c on d.classid = 'pg_catalog.pg_class'::regclass and c.oid = d.objid and b.datname = current_database()
				left join pg_proc p on d.classid = 'pg_catalog.pg_proc'::regclass and p.oid = d.objid and b.datname = current_database()
				left join pg_policy q on d.classid = 'pg_catalog.pg_policy'::regclass and q.oid = d.objid and b.datname = current_database()
				left join pg_class qc on qc.oid = q.polrelid
				left join pg_namespace n on n.oid = coalesce(c.relnamespace, p.pronamespace, qc.relnamespace,
					case when d.classid = 'pg_catalog.pg_namespace'::regclass and b.datname = current_database() then d.objid end)
			where d.refclassid = 'pg_catalog.pg_authid'::regclass and ` + all + ` and (d.dbid = 0 or b.datname = current_database())
				and d.classid not in ('pg_catalog.pg_database'::regclass, 'pg_catalog.pg_default_acl'::regclass)
				and (d.deptype = 'o' or d.deptype in ('a', 'r', 'i') and not (
					r.rolname in (@control::name, @enqueue::name) and coalesce(n.nspname = any(@platform::text[]::name[]), false)))
				and coalesce(n.nspname !~ ` + tenantSchema + `, true)
				-- What PostgreSQL gives to everybody, hardening takes from everybody: the engine's logins keep set_config, control keeps all.
				and not (d.deptype = 'a' and coalesce(p.oid = 'pg_catalog.set_config(text, text, boolean)'::regprocedure
					or r.rolname = @control::name and p.pronamespace = 11 and not exists (
						select from pg_init_privs i where i.classoid = 'pg_catalog.pg_proc'::regclass and i.objoid = p.oid), false))`},
	}
}
