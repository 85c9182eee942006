package tenancy

// The queries of CheckRights. Each asks about the role that the connection has logged in as, whose search_path is pg_catalog. Its first
// argument says whether that role is a cell's, the second is the form of tenants' names, the third the role that a cell becomes to enqueue.
//
// They read who owns and who was granted what, all of which every role may read, and follow PostgreSQL's index of it by role (pg_shdepend):
// asking the functions has_…_privilege about each object of each tenant would take minutes in a large fleet.

// sqlAttributes finds attributes of the login, and of the tenants that it may become. Rows: as [ofRole].
const sqlAttributes = `
select quote_ident(r.rolname), r.rolname <> session_user, a.words, format('ALTER ROLE %I %s', r.rolname, a.remedy)
from pg_roles r cross join lateral (values
	(1, r.rolsuper, 'is a superuser', 'NOSUPERUSER'),
	(2, r.rolcreaterole, 'may create roles', 'NOCREATEROLE'),
	(3, r.rolcreatedb, 'may create databases', 'NOCREATEDB'),
	(4, r.rolreplication, 'may copy the whole server by replication', 'NOREPLICATION'),
	(5, r.rolbypassrls, 'may bypass row level security', 'NOBYPASSRLS'),
	(6, r.rolcanlogin and r.rolname <> session_user, 'may log in', 'NOLOGIN'),
	-- Since PostgreSQL 16 each membership says for itself whether it is inherited.
	(7, r.rolinherit and r.rolname = session_user and $1 and current_setting('server_version_num')::int < 160000,
		'has the rights of its tenants without becoming one', 'NOINHERIT')
) a (place, has, words, remedy)
where a.has and (r.rolname = session_user or $1 and (r.rolname ~ $2 or r.rolname = $3) and r.oid in (
	select m.roleid from pg_auth_members m join pg_roles login on login.oid = m.member where login.rolname = session_user))
order by r.rolname <> session_user, r.rolname, a.place`

// sqlMemberships finds memberships of the login, and of the tenants that it may become, except a cell's plain ones in tenants. Rows:
// as [ofRole].
const sqlMemberships = `
with recursive edge as (
	select m.roleid, m.member, m.grantor, m.admin_option, coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, false) as inherited
	from pg_auth_members m join pg_roles login on login.oid = m.member where login.rolname = session_user
	union
	select m.roleid, m.member, m.grantor, m.admin_option, coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, false)
	from edge e join pg_roles r on r.oid = e.roleid and (r.rolname ~ $2 or r.rolname = $3) join pg_auth_members m on m.member = r.oid
), bad as materialized (
	select r.oid, r.rolname, r.rolsuper, member.rolname as member, e.admin_option, e.inherited,
		$1 and member.rolname = session_user and (r.rolname ~ $2 or r.rolname = $3) as tenant,
		case when current_setting('server_version_num')::int >= 160000 then format(' GRANTED BY %I', pg_get_userbyid(e.grantor)) else '' end as by
	from edge e join pg_roles r on r.oid = e.roleid join pg_roles member on member.oid = e.member
	where e.admin_option or e.inherited or not ($1 and member.rolname = session_user and (r.rolname ~ $2 or r.rolname = $3))
), owner as (
	select datdba as oid, 'the owner of the database' as what from pg_database where datname = current_database()
	union all
	select nspowner, 'the owner of schema rowhouse' from pg_namespace where nspname = 'rowhouse'
)
select quote_ident(b.member), b.member <> session_user,
	case when b.tenant then f.words || ' ' || quote_ident(b.rolname)
		else format('is a member of %I', b.rolname) || coalesce(' (' || power.what || ')',
			case when b.rolname ~ $2 and b.member ~ $2 then ' (another tenant)' when $1 then ' (no tenant''s role)' else '' end) end,
	format('REVOKE %s%I FROM %I%s', f.option, b.rolname, b.member, b.by)
from bad b
cross join lateral (values
	(not b.tenant, '', ''),
	(b.tenant and b.admin_option, 'ADMIN OPTION FOR ', 'may give others membership in'),
	(b.tenant and b.inherited, 'INHERIT OPTION FOR ', 'has, without becoming it, the rights of')
) f (applies, option, words)
left join lateral (
	select string_agg(case when p.oid = b.oid then '' else format('itself a member of %I, ', p.rolname) end ||
		concat_ws(', ', case when p.rolsuper then 'a superuser' end, (select string_agg(o.what, ', ') from owner o where o.oid = p.oid),
			case when p.rolname ~ '^pg_' then 'a predefined role' end, case when p.rolcreaterole then 'which may create roles' end,
			case when p.rolbypassrls and not p.rolsuper then 'which may bypass row level security' end),
		'; ' order by p.oid <> b.oid, p.rolname) as what
	from pg_roles p
	where (p.rolsuper or p.rolcreaterole or p.rolbypassrls or p.rolname ~ '^pg_' or p.oid in (select o.oid from owner o))
		and p.rolname <> 'pg_database_owner'
		and (p.oid = b.oid or not b.rolsuper and pg_has_role(b.oid, p.oid, 'MEMBER'))
) power on not b.tenant
where f.applies
order by b.member <> session_user, b.member, b.rolname`

// sqlOwned finds what the login owns, and what it was granted on kinds of objects of which it needs none. Rows: as [ofRole].
const sqlOwned = `
with login as (
	select r.oid, r.rolname, d.oid as db, d.datdba from pg_roles r, pg_database d
	where (r.rolname = session_user or $1 and r.rolname = $3) and d.datname = current_database()
), tenant as (
	select r.oid, r.rolname from pg_auth_members m join login on login.oid = m.member join pg_roles r on r.oid = m.roleid where $1 and r.rolname ~ $2
), noted as (
	select d.deptype = 'o' as owned, d.classid, d.objid, d.objsubid, login.oid as holder
	from login join pg_shdepend d on d.refclassid = 'pg_authid'::regclass and d.refobjid = login.oid and d.dbid in (0, login.db)
	where d.deptype = 'o' or d.deptype = 'a' and d.classid not in ('pg_database'::regclass, 'pg_namespace'::regclass, 'pg_class'::regclass,
		'pg_proc'::regclass, 'pg_type'::regclass, 'pg_auth_members'::regclass)
	union all
	select true, 'pg_namespace'::regclass, n.oid, 0, tenant.oid from tenant join pg_namespace n on n.nspowner = tenant.oid
	union all
	select true, 'pg_database'::regclass, login.db, 0, tenant.oid from tenant join login on login.datdba = tenant.oid
), first as (
	select n.owned, n.holder, i.type, i.identity
	from (select owned, classid, objid, objsubid, holder from noted order by owned, classid, objid limit 1000) n
	cross join lateral pg_identify_object(n.classid, n.objid, n.objsubid) i
)
select quote_ident(r.rolname), r.rolname <> session_user,
	case when f.owned then 'owns ' else 'has rights on ' end || f.type || ' ' || f.identity,
	case when f.owned then format('REASSIGN OWNED BY %I TO %I', r.rolname, coalesce(
			(select pg_get_userbyid(n.nspowner) from pg_namespace n where n.nspname = 'rowhouse' and n.nspowner <> r.oid),
			(select pg_get_userbyid(login.datdba) from login where login.datdba <> r.oid limit 1), pg_get_userbyid(10)))
		when f.type = 'default acl' then
			format('ALTER DEFAULT PRIVILEGES %s FROM %I', regexp_replace(f.identity, ' on (\w+)$', ' REVOKE ALL ON \1'), r.rolname)
		else format('REVOKE ALL ON %s %s FROM %I', case f.type when 'server' then 'FOREIGN SERVER' when 'parameter ACL' then 'PARAMETER'
			else upper(f.type) end, f.identity, r.rolname) end
from first f join pg_roles r on r.oid = f.holder
where f.type is not null -- It may have been dropped meanwhile.
order by r.rolname <> session_user, f.owned, f.type, f.identity`

// sqlGrants lists what the login holds by grants to itself and to PUBLIC: on databases, schemas, relations, routines and types, and what the
// tenants that it may become hold on the database and on schemas that are not theirs. What PUBLIC has is looked at where it matters:
// on this database, on schemas, and on relations of the platform. Rows: as [grant].
const sqlGrants = `
with login as (
	select r.oid, r.rolname, d.oid as db from pg_roles r, pg_database d
	where (r.rolname = session_user or $1 and r.rolname = $3) and d.datname = current_database()
), tenant as (
	select r.oid, r.rolname from pg_auth_members m join login on login.oid = m.member join pg_roles r on r.oid = m.roleid where $1 and r.rolname ~ $2
), noted as (
	select distinct d.classid, d.objid from login
	join pg_shdepend d on d.refclassid = 'pg_authid'::regclass and d.refobjid = login.oid and d.deptype = 'a' and d.dbid in (0, login.db)
), relation as (
	select objid as oid from noted where classid = 'pg_class'::regclass
	union
	select d.objid from pg_namespace n
	join pg_depend d on d.refclassid = 'pg_namespace'::regclass and d.refobjid = n.oid and d.classid = 'pg_class'::regclass
	where n.nspname in ('rowhouse', 'river', 'seal')
), held as (
	select 'DATABASE' as kind, '' as schema, d.datname as name, quote_ident(d.datname) as object, d.datdba as owner,
		a.grantee, a.privilege_type as privilege, a.is_grantable
	from pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
	where d.datname = current_database() or a.grantee in (select oid from login)
	union all
	select 'SCHEMA', '', n.nspname, quote_ident(n.nspname), n.nspowner, a.grantee, a.privilege_type, a.is_grantable
	from pg_namespace n, aclexplode(n.nspacl) a
	union all
	select case c.relkind when 'S' then 'SEQUENCE' else 'TABLE' end, n.nspname, c.relname, format('%I.%I', n.nspname, c.relname), c.relowner,
		a.grantee, a.privilege_type, a.is_grantable
	from relation join pg_class c on c.oid = relation.oid join pg_namespace n on n.oid = c.relnamespace, aclexplode(c.relacl) a
	union all
	select 'TABLE', n.nspname, c.relname, format('%I.%I', n.nspname, c.relname), c.relowner,
		a.grantee, format('%s (%I)', a.privilege_type, t.attname), a.is_grantable
	from relation join pg_class c on c.oid = relation.oid join pg_namespace n on n.oid = c.relnamespace
	join pg_attribute t on t.attrelid = c.oid and not t.attisdropped, aclexplode(t.attacl) a
	union all
	select 'ROUTINE', n.nspname, p.proname, p.oid::regprocedure::text, p.proowner, a.grantee, a.privilege_type, a.is_grantable
	from noted join pg_proc p on noted.classid = 'pg_proc'::regclass and p.oid = noted.objid join pg_namespace n on n.oid = p.pronamespace
	cross join lateral aclexplode(p.proacl) a
	-- What PostgreSQL gives to everybody may be taken from everybody and given to the logins alone.
	where a.grantee <> 0 and (n.nspname <> 'pg_catalog' or a.is_grantable
		or exists (select from pg_init_privs i where i.classoid = 'pg_proc'::regclass and i.objoid = p.oid))
	union all
	select 'TYPE', n.nspname, t.typname, format('%I.%I', n.nspname, t.typname), t.typowner, a.grantee, a.privilege_type, a.is_grantable
	from noted join pg_type t on noted.classid = 'pg_type'::regclass and t.oid = noted.objid join pg_namespace n on n.oid = t.typnamespace
	cross join lateral aclexplode(t.typacl) a
	where a.grantee <> 0
)
select h.kind, h.schema::text, h.name::text, h.object, h.privilege, h.is_grantable,
	case when h.grantee = 0 then 'PUBLIC' else quote_ident(coalesce(tenant.rolname, login.rolname)) end, tenant.oid is not null
from held h left join login on login.oid = h.grantee left join tenant on tenant.oid = h.grantee and h.kind in ('DATABASE', 'SCHEMA')
where (h.grantee = 0 or login.oid is not null or tenant.oid is not null)
	and h.grantee <> h.owner
	and not (h.kind = 'SCHEMA' and h.name is not distinct from tenant.rolname and h.privilege = 'USAGE' and not h.is_grantable)
order by h.grantee = 0, tenant.oid is not null, 7, h.kind, h.object, h.privilege`
