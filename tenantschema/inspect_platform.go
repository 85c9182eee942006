package tenantschema

// The checks of what belongs to nobody in particular: the database, the platform's schemas, what nobody knows.

func platformChecks() []check { return append(sharedChecks(), strayChecks()...) }

func sharedChecks() []check {
	const platform = `n.nspname = any(@platform::text[]::name[])`
	// Rights of others than the owner and the two roles that work there.
	const foreign = `a.grantee <> (select oid from pg_roles where rolname = @owner::name)
		and (a.grantee = 0 or ` + platform + ` and coalesce(r.rolname not in (@control::name, @enqueue::name), true))`
	const closed = `(` + platform + ` or n.nspname = 'public')`
	return []check{
		{true, `select ` + aclKind + `, '', 'database ' || b.datname, ` + aclProblem + `,
				format('revoke %s on database %I from %s', ` + granted + `, b.datname, ` + grantee + `)
			from pg_database b, aclexplode(coalesce(b.datacl, acldefault('d', b.datdba))) a left join pg_roles r on r.oid = a.grantee
			where b.datname = current_database() and (a.grantee = 0 or (a.privilege_type <> 'CONNECT' or a.is_grantable)
				and (r.rolname = any(@engine::text[]::name[]) or r.rolname in (@control::name, @enqueue::name)))
			group by b.datname, a.grantee, a.is_grantable, r.rolname`},
		{true, `select ` + aclKind + `, '', 'schema ' || n.nspname, ` + aclProblem + `,
				format('revoke %s on schema %I from %s', ` + granted + `, n.nspname, ` + grantee + `)
			from pg_namespace n, aclexplode(n.nspacl) a left join pg_roles r on r.oid = a.grantee
			where ` + closed + ` and (` + foreign + ` or ` + platform + ` and r.rolname in (@control::name, @enqueue::name)
				and (a.privilege_type <> 'USAGE' or a.is_grantable or n.nspname = 'seal' and r.rolname <> @control::name))
			group by n.nspname, a.grantee, a.is_grantable, r.rolname`},
		{true, `select ` + aclKind + `, '', ` + relationName + `, ` + aclProblem + `,
				format('revoke %s on ' || case c.relkind when 'S' then 'sequence' else 'table' end || ' %I.%I from %s',
					` + granted + `, n.nspname, c.relname, ` + grantee + `)
			from pg_namespace n join pg_class c on c.relnamespace = n.oid, aclexplode(c.relacl) a left join pg_roles r on r.oid = a.grantee
			where ` + closed + ` and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f') and c.oid <> coalesce(to_regclass('seal.keys'), 0)
				and ` + foreign + ` and ` + notExtension(`'pg_catalog.pg_class'::regclass`, `c.oid`) + `
			group by n.nspname, c.relname, c.relkind, a.grantee, a.is_grantable, r.rolname`},
		{true, `select case when a.grantee = 0 then 'public-right' else 'column-right' end, '',
				'column ' || n.nspname || '.' || c.relname || '.' || t.attname, ` + aclProblem + `,
				format('revoke %s (%I) on %I.%I from %s', ` + granted + `, t.attname, n.nspname, c.relname, ` + grantee + `)
			from pg_namespace n join pg_class c on c.relnamespace = n.oid join pg_attribute t on t.attrelid = c.oid,
				aclexplode(t.attacl) a left join pg_roles r on r.oid = a.grantee
			where ` + closed + ` and t.attacl is not null and c.oid <> coalesce(to_regclass('seal.keys'), 0) and ` + foreign + `
			group by n.nspname, c.relname, t.attname, a.grantee, a.is_grantable, r.rolname`},
		{true, `select ` + aclKind + `, '', 'function ' || p.oid::regprocedure, ` + aclProblem + `,
				format('revoke %s on routine %s from %s', ` + granted + `, p.oid::regprocedure, ` + grantee + `)
			from pg_namespace n join pg_proc p on p.pronamespace = n.oid,
				aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a left join pg_roles r on r.oid = a.grantee
			where ` + closed + ` and p.oid not in ` + sealFunctions + ` and ` + foreign + `
				and ` + notExtension(`'pg_catalog.pg_proc'::regclass`, `p.oid`) + `
			group by p.oid, a.grantee, a.is_grantable, r.rolname`},
		{true, `select 'owner', '', x.object, 'is owned by ' || pg_get_userbyid(x.owner), 'give it to ' || @owner
			from (select 'schema ' || n.nspname, n.nspowner from pg_namespace n where ` + platform + `
				union all select ` + relationName + `, c.relowner from pg_class c join pg_namespace n on n.oid = c.relnamespace
					where ` + platform + ` and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')
				union all select 'function ' || p.oid::regprocedure, p.proowner from pg_proc p join pg_namespace n on n.oid = p.pronamespace
					where ` + platform + ` and n.nspname <> 'seal') x (object, owner)
			where x.owner <> (select oid from pg_roles where rolname = @owner::name)`},
		{true, `select 'public-right', '', 'large object ' || l.oid, ` + aclProblem + `, format('revoke all on large object %s from public', l.oid)
			from pg_largeobject_metadata l, aclexplode(l.lomacl) a left join pg_roles r on r.oid = a.grantee
			where a.grantee = 0 group by l.oid, a.grantee, a.is_grantable, r.rolname`},
	}
}

// notExtension leaves out what an extension made, which has the rights that its author gave it.
func notExtension(class, oid string) string {
	return `not exists (select from pg_depend e where e.classid = ` + class + ` and e.objid = ` + oid + ` and e.deptype = 'e')`
}

// strayChecks find what is no hole by itself.
func strayChecks() []check {
	return []check{
		{false, `select 'orphan', '', 'schema ' || n.nspname, 'has a tenant''s name, and the catalog knows no such tenant',
				format('look what it holds, then: drop schema %I cascade', n.nspname)
			from pg_namespace n where n.nspname ~ ` + tenantSchema + ` and n.nspname <> all(@known::text[]::name[])`},
		// Of other databases' tenants the roles are there, too: they have rights there.
		{false, `select 'orphan', '', 'role ' || r.rolname, 'has a tenant''s name, and the catalog knows no such tenant',
				format('if no other database of this server uses it: drop role %I', r.rolname)
			from pg_roles r where r.rolname ~ ` + tenantSchema + ` and r.rolname <> all(@known::text[]::name[]) and not exists (
				select from pg_shdepend d join pg_database b on b.oid = d.dbid
				where d.refclassid = 'pg_catalog.pg_authid'::regclass and d.refobjid = r.oid and b.datname <> current_database())
				and (not exists (select from pg_auth_members m where m.roleid = r.oid) or exists (
					select from pg_auth_members m join pg_roles o on o.oid = m.member where m.roleid = r.oid and o.rolname = any(@engine::text[]::name[])))`},
		{false, `select 'missing', e.name::text, x.kind || ' ' || e.name, 'the catalog has the tenant, the database has no such ' || x.kind,
				'restore it, or delete the tenant'
			from unnest(@schemas::text[]::name[]) e (name), lateral (
				select 'schema' where not exists (select from pg_namespace n where n.nspname = e.name)
				union all select 'role' where not exists (select from pg_roles r where r.rolname = e.name)) x (kind)`},
		{false, `select 'reader', '', 'role ' || o.rolname, 'may become ' || r.rolname || ', and so reach all tenants', ` + revokeRole + `
			from ` + memberships + ` where (r.rolname = @owner::name or r.rolname in ('pg_read_all_data', 'pg_write_all_data'))
				and not o.rolsuper and o.rolname <> @owner::name`},
		{false, `select 'reader', '', 'role ' || r.rolname, 'is bound by no policy (BYPASSRLS)', format('alter role %I nobypassrls', r.rolname)
			from pg_roles r where r.rolbypassrls and not r.rolsuper`},
	}
}
