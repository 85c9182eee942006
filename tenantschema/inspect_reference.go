package tenantschema

// The checks of what reaches from one schema into another.

// tenantSchema is the form of tenants' names.
const tenantSchema = `'^t_[a-z0-9]{16}$'`

func referenceChecks() []check {
	return []check{
		// A dependency says who refers to whom: foreign keys, views, rules, defaults, policies, triggers, inheritance, partitions, bodies of
		// SQL functions. Objects of the system are not written down there. place says in which schema each stands.
		{true, `with place (classid, objid, namespace) as materialized (
				select 'pg_catalog.pg_class'::regclass::oid, oid, relnamespace from pg_class where relkind not in ('t', 'i', 'I')
				union all select 'pg_catalog.pg_proc'::regclass, oid, pronamespace from pg_proc where pronamespace <> 11
				union all select 'pg_catalog.pg_type'::regclass, oid, typnamespace from pg_type where typnamespace <> 11
				union all select 'pg_catalog.pg_constraint'::regclass, oid, connamespace from pg_constraint
				union all select 'pg_catalog.pg_rewrite'::regclass, w.oid, c.relnamespace from pg_rewrite w join pg_class c on c.oid = w.ev_class
				union all select 'pg_catalog.pg_attrdef'::regclass, d.oid, c.relnamespace from pg_attrdef d join pg_class c on c.oid = d.adrelid
				union all select 'pg_catalog.pg_trigger'::regclass, t.oid, c.relnamespace from pg_trigger t join pg_class c on c.oid = t.tgrelid
					where not t.tgisinternal
				union all select 'pg_catalog.pg_policy'::regclass, p.oid, c.relnamespace from pg_policy p join pg_class c on c.oid = p.polrelid
			), crossing as (
				select d.classid, d.objid, d.refclassid, d.refobjid, d.refobjsubid, o.namespace as from_oid, r.namespace as to_oid
				from pg_depend d join place o on o.classid = d.classid and o.objid = d.objid
					join place r on r.classid = d.refclassid and r.objid = d.refobjid
				where o.namespace <> r.namespace and d.deptype in ('n', 'a', 'i', 'P', 'S') and o.namespace <> 99
			)
			select distinct case d.classid when 'pg_catalog.pg_constraint'::regclass then 'foreign-key' else 'reference' end,
				case when fn.nspname = any(@schemas::text[]::name[]) then fn.nspname::text else tn.nspname::text end,
				coalesce(pg_describe_object(d.classid, d.objid, 0), 'something dropped meanwhile'),
				'in schema ' || fn.nspname || ', reaches into schema ' || tn.nspname || ': ' ||
					coalesce(pg_describe_object(d.refclassid, d.refobjid, 0), 'something dropped meanwhile'),
				coalesce((select format('alter table %s drop constraint %I', c.conrelid::regclass, c.conname) from pg_constraint c
					where d.classid = 'pg_catalog.pg_constraint'::regclass and c.oid = d.objid and c.conrelid <> 0),
					'drop it: no schema of a tenant may refer to another, or be referred to from outside')
			from crossing d join pg_namespace fn on fn.oid = d.from_oid join pg_namespace tn on tn.oid = d.to_oid
			where (fn.nspname = any(@schemas::text[]::name[]) or tn.nspname = any(@schemas::text[]::name[])) and (
				tn.nspname ~ ` + tenantSchema + `
				or d.refclassid = 'pg_catalog.pg_class'::regclass and tn.nspname not in ('pg_catalog', 'information_schema')
				or tn.nspname = any(@platform::text[]::name[]) and d.refobjid not in ` + sealFunctions + `)`},

		{true, `select 'trigger', n.nspname::text, 'trigger ' || t.tgname || ' on ' || n.nspname || '.' || c.relname,
				'calls ' || p.oid::regprocedure || ', which stands outside the tenant''s schema',
				format('drop trigger %I on %I.%I', t.tgname, n.nspname, c.relname)
			from pg_namespace n join pg_class c on c.relnamespace = n.oid join pg_trigger t on t.tgrelid = c.oid and not t.tgisinternal
				join pg_proc p on p.oid = t.tgfoid
			where ` + inspected + ` and p.pronamespace not in (n.oid, 11)`},

		// It runs with its owner's rights, and the owner may do everything.
		{true, `select 'security-definer', case when ` + inspected + ` then n.nspname::text else '' end, 'function ' || p.oid::regprocedure,
				'runs with the rights of ' || pg_get_userbyid(p.proowner) || ' (SECURITY DEFINER)',
				format('alter routine %s security invoker', p.oid::regprocedure)
			from pg_proc p join pg_namespace n on n.oid = p.pronamespace
			where p.prosecdef and n.nspname not in ('pg_catalog', 'information_schema')
				and p.oid not in ` + sealFunctions + `
				and (n.nspname !~ ` + tenantSchema + ` or ` + inspected + ` or n.nspname <> all(@known::text[]::name[]))`},
	}
}
