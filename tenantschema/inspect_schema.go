package tenantschema

// The checks of what stands in tenants' schemas: who owns it, and who has which rights on it.

// inspected are the schemas that are looked into.
const inspected = `n.nspname = any(@schemas::text[]::name[])`

// ownRole is the role of the schema's tenant, where r is the grantee's row of pg_roles.
const ownRole = `coalesce(r.rolname = n.nspname, false)`

func schemaChecks() []check {
	return append(ownerChecks(), rightChecks()...)
}

func ownerChecks() []check {
	return []check{
		{true, `select 'owner', n.nspname::text, 'schema ' || n.nspname, 'is owned by ' || pg_get_userbyid(n.nspowner),
				format('alter schema %I owner to %I', n.nspname, @owner::name)
			from pg_namespace n where ` + inspected + ` and n.nspowner <> (select oid from pg_roles where rolname = @owner::name)`},
		{true, `select 'owner', n.nspname::text, ` + relationName + `, 'is owned by ' || pg_get_userbyid(c.relowner),
				format('alter ' || ` + relationKind + ` || ' %I.%I owner to %I', n.nspname, c.relname, @owner::name)
			from pg_namespace n join pg_class c on c.relnamespace = n.oid
			where ` + inspected + ` and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')
				and c.relowner <> (select oid from pg_roles where rolname = @owner::name)`},
		{true, `select 'owner', n.nspname::text, 'function ' || p.oid::regprocedure, 'is owned by ' || pg_get_userbyid(p.proowner),
				format('alter routine %s owner to %I', p.oid::regprocedure, @owner::name)
			from pg_namespace n join pg_proc p on p.pronamespace = n.oid
			where ` + inspected + ` and p.proowner <> (select oid from pg_roles where rolname = @owner::name)`},
		{true, `select 'relation-kind', n.nspname::text, ` + relationName + `,
				'has no policies: PostgreSQL knows none for its kind, so the seal does not guard it', 'keep the data in a table'
			from pg_namespace n join pg_class c on c.relnamespace = n.oid
			where n.nspname = any(@sealed::text[]::name[]) and c.relkind in ('m', 'f')`},
		{false, `select 'relation-kind', n.nspname::text, ` + relationName + `, 'is of a kind that no tier but pooled can have',
				'keep the data in a table'
			from pg_namespace n join pg_class c on c.relnamespace = n.oid
			where ` + inspected + ` and n.nspname <> all(@sealed::text[]::name[]) and c.relkind in ('m', 'f')`},
	}
}

// relationKind and relationName say what a row c of pg_class in a schema n is.
const (
	relationKind = `case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
		when 'f' then 'foreign table' else 'table' end`
	relationName = relationKind + ` || ' ' || n.nspname || '.' || c.relname`
)

func rightChecks() []check {
	return []check{
		{true, `select ` + aclKind + `, n.nspname::text, 'schema ' || n.nspname, ` + aclProblem + `,
				format('revoke %s on schema %I from %s', ` + granted + `, n.nspname, ` + grantee + `)
			from pg_namespace n, aclexplode(n.nspacl) a left join pg_roles r on r.oid = a.grantee
			where ` + inspected + ` and a.grantee <> n.nspowner and not (` + ownRole + ` and a.privilege_type = 'USAGE' and not a.is_grantable)
			group by n.nspname, a.grantee, a.is_grantable, r.rolname`},

		// Sequences and tables have different rights; goose's own are nobody's.
		{true, `select ` + aclKind + `, n.nspname::text, ` + relationName + `, ` + aclProblem + `,
				format('revoke %s on ' || case c.relkind when 'S' then 'sequence' else 'table' end || ' %I.%I from %s',
					` + granted + `, n.nspname, c.relname, ` + grantee + `)
			from pg_namespace n join pg_class c on c.relnamespace = n.oid, aclexplode(c.relacl) a left join pg_roles r on r.oid = a.grantee
			where ` + inspected + ` and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f') and a.grantee <> c.relowner
				and not (` + ownRole + ` and not a.is_grantable and c.relname not in (@goose::text, @goose::text || '_id_seq')
					and a.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE', case c.relkind when 'S' then 'USAGE' else '' end)
					and (c.relkind <> 'S' or a.privilege_type = 'USAGE'))
			group by n.nspname, c.relname, c.relkind, a.grantee, a.is_grantable, r.rolname`},
		{false, `select 'right-missing', n.nspname::text, ` + relationName + `, 'the tenant''s own role lacks rights on it',
				format('grant select, insert, update, delete on %I.%I to %I', n.nspname, c.relname, n.nspname)
			from pg_namespace n join pg_class c on c.relnamespace = n.oid join pg_roles r on r.rolname = n.nspname
			where ` + inspected + ` and c.relkind in ('r', 'p', 'v') and c.relname <> @goose and (select count(*) from aclexplode(c.relacl) a
				where a.grantee = r.oid and a.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')) < 4`},

		{true, `select case when a.grantee = 0 then 'public-right' else 'column-right' end, n.nspname::text,
				'column ' || n.nspname || '.' || c.relname || '.' || t.attname, ` + aclProblem + `,
				format('revoke %s (%I) on %I.%I from %s', ` + granted + `, t.attname, n.nspname, c.relname, ` + grantee + `)
			from pg_namespace n join pg_class c on c.relnamespace = n.oid join pg_attribute t on t.attrelid = c.oid,
				aclexplode(t.attacl) a left join pg_roles r on r.oid = a.grantee
			where ` + inspected + ` and t.attacl is not null and not t.attisdropped and a.grantee <> c.relowner
			group by n.nspname, c.relname, t.attname, a.grantee, a.is_grantable, r.rolname`},

		// A function without an ACL is everybody's. Who has no right on the schema cannot name it; that must not be all that stands between.
		{true, `select ` + aclKind + `, n.nspname::text, 'function ' || p.oid::regprocedure, ` + aclProblem + `,
				format('revoke %s on routine %s from %s', ` + granted + `, p.oid::regprocedure, ` + grantee + `)
			from pg_namespace n join pg_proc p on p.pronamespace = n.oid,
				aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a left join pg_roles r on r.oid = a.grantee
			where ` + inspected + ` and a.grantee <> p.proowner and not (` + ownRole + ` and not a.is_grantable)
			group by n.nspname, p.oid, a.grantee, a.is_grantable, r.rolname`},

		// What will be made tomorrow gets its rights from here.
		{true, `select case when a.grantee = 0 then 'public-right' else 'default-right' end, coalesce(n.nspname, '')::text,
				'default privileges of ' || pg_get_userbyid(d.defaclrole) || coalesce(' in schema ' || n.nspname, ''),
				'for ' || k.kind || ': ' || ` + aclProblem + `,
				format('alter default privileges for role %I%s revoke %s on %s from %s', pg_get_userbyid(d.defaclrole),
					coalesce(' in schema ' || quote_ident(n.nspname), ''), ` + granted + `, k.kind, ` + grantee + `)
			from pg_default_acl d left join pg_namespace n on n.oid = d.defaclnamespace, aclexplode(d.defaclacl) a
				left join pg_roles r on r.oid = a.grantee,
				lateral (select case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions'
					when 'T' then 'types' when 'n' then 'schemas' else 'large objects' end as kind) k
			where a.grantee <> d.defaclrole and d.defaclobjtype <> 'T'
				and (n.oid is null or ` + inspected + ` or n.nspname = 'public' or n.nspname = any(@platform::text[]::name[]))
			group by d.defaclrole, n.nspname, k.kind, a.grantee, a.is_grantable, r.rolname`},
	}
}
