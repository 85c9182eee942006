package tenantschema

// The checks of the seal: its functions, its keys, its policies and the gates of views.

// sealFunctions are the functions that tenants' policies and views call.
const sealFunctions = `(coalesce(to_regprocedure('seal.sealed(text)'), 0), coalesce(to_regprocedure('seal.planned(text)'), 0))`

func policyChecks() []check {
	return []check{
		{true, `select 'row-security', n.nspname::text, ` + relationName + `, 'row level security is off, so the seal is not asked for',
				format('alter table %I.%I enable row level security', n.nspname, c.relname)
			from pg_namespace n join pg_class c on c.relnamespace = n.oid
			where n.nspname = any(@sealed::text[]::name[]) and c.relkind in ('r', 'p') and not c.relrowsecurity and c.relname <> @goose`},

		// Each table has a policy of its own, and printing one makes PostgreSQL load its table. So their parse trees are put into groups of
		// equal ones, where the schema's own name stands for itself, and one of each group is printed.
		{true, `with sealed as materialized (
				select n.oid, n.nspname, string_agg(get_byte(convert_to(n.nspname::text, 'UTF8'), i)::text, ' ' order by i) as bytes
				from pg_namespace n, generate_series(0, length(n.nspname::text) - 1) i
				where n.nspname = any(@sealed::text[]::name[]) group by n.oid, n.nspname
			), policies as materialized (
				select p.oid, p.polrelid, s.nspname, p.polpermissive, p.polcmd, p.polwithcheck, p.polroles, p.polqual,
					md5(replace(regexp_replace(p.polqual::text, ':(location|stmt_location|stmt_len) -?[0-9]+', '', 'g'), s.bytes, 'own')) as form
				from sealed s join pg_class c on c.relnamespace = s.oid join pg_policy p on p.polrelid = c.oid
				where p.polname = '` + policySeal + `'
			), forms as materialized (
				select distinct on (form) form, pg_get_expr(polqual, polrelid) =
					'(( SELECT seal.sealed(''' || nspname || '''::text) AS sealed) AND seal.planned(''' || nspname || '''::text))' as good
				from policies order by form
			)
			select 'policy', n.nspname::text, ` + relationName + `,
				case when p.oid is null then 'has no policy "` + policySeal + `"' else 'its policy "` + policySeal + `" is not the one that the seal makes' end,
				format(case when p.oid is null then '' else 'drop policy ` + policySeal + ` on %1$I.%2$I; ' end ||
					'create policy ` + policySeal + ` on %1$I.%2$I as restrictive using ((select seal.sealed(%1$L)) and seal.planned(%1$L))', n.nspname, c.relname)
			from sealed n join pg_class c on c.relnamespace = n.oid left join policies p on p.polrelid = c.oid left join forms f on f.form = p.form
			where c.relkind in ('r', 'p') and c.relname <> @goose
				and not coalesce(f.good and not p.polpermissive and p.polcmd = '*' and p.polwithcheck is null and p.polroles = '{0}', false)`},

		// The gate is the condition of the whole view: behind the last of its subqueries, and of no arm of a UNION.
		{true, `select 'view', n.nspname::text, ` + relationName + `, 'reads as its owner and does not ask for the seal',
				'make it again by a migration, or: alter view ' || quote_ident(n.nspname) || '.' || quote_ident(c.relname) ||
				' set (security_invoker = true)'
			from pg_namespace n join pg_class c on c.relnamespace = n.oid join pg_rewrite w on w.ev_class = c.oid and w.rulename = '_RETURN'
			where n.nspname = any(@sealed::text[]::name[]) and c.relkind = 'v'
				and not coalesce(c.reloptions && array['security_invoker=true', 'security_invoker=on', 'security_invoker=1', 'security_invoker=yes'], false)
				and not (pg_get_viewdef(c.oid) ~ ('\) q,\s+\( SELECT\s+OFFSET 0\) gate\s+WHERE \( SELECT seal\.sealed\(''' || n.nspname ||
					'''::text\) AS sealed\) AND seal\.planned\(''' || n.nspname || '''::text\);$')
					and substring(w.ev_action::text from '.*:setOperations (..)') = '<>')`},

		// Of the queue's table, which all tenants share, each transaction sees its own tenant's rows.
		{true, `select 'row-security', '', ` + relationName + `, 'can be reached by ' || @enqueue || ' and has no row level security',
				format('alter table %I.%I enable row level security', n.nspname, c.relname)
			from pg_namespace n join pg_class c on c.relnamespace = n.oid
			where n.nspname = any(@platform::text[]::name[]) and c.relkind in ('r', 'p') and not c.relrowsecurity and (exists (
				select from aclexplode(c.relacl) a join pg_roles r on r.oid = a.grantee where r.rolname = @enqueue::name) or exists (
				select from pg_attribute t, aclexplode(t.attacl) a join pg_roles r on r.oid = a.grantee
				where t.attrelid = c.oid and r.rolname = @enqueue::name))`},
		{true, `select 'policy', '', 'policy ' || p.polname || ' of ' || ` + relationName + `,
				'lets ' || case when p.polroles = '{0}' then 'everybody' else @enqueue end || ' in without the seal',
				format('drop policy %I on %I.%I, then rowhouse migrate up', p.polname, n.nspname, c.relname)
			from pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace
			where n.nspname = any(@platform::text[]::name[]) and p.polpermissive
				and p.polroles && array[0::oid, (select oid from pg_roles where rolname = @enqueue::name)]
				and (coalesce(pg_get_expr(p.polqual, p.polrelid), 'seal.sealed(') !~ 'seal\.sealed\('
					or coalesce(pg_get_expr(p.polwithcheck, p.polrelid), 'seal.sealed(') !~ 'seal\.sealed\('
					or p.polqual is null and p.polwithcheck is null)`},

		{true, `select 'seal', '', 'function seal.' || one.name || '(text)', x.problem, 'rowhouse migrate up'
			from (values ('sealed'::name, @body::text, 's'::"char"), ('planned', '` + plannedBody + `', 'i')) one (name, body, volatility)
			left join pg_namespace n on n.nspname = 'seal' left join pg_proc p on p.pronamespace = n.oid and p.proname = one.name,
				lateral (values
				(p.oid is null, 'does not exist'),
				(p.prosrc <> one.body, 'is not the function that this program makes'),
				(p.prolang <> (select oid from pg_language where lanname = 'plpgsql') or p.prokind <> 'f' or p.prorettype <> 'boolean'::regtype
					or p.proargtypes <> '25'::oidvector, 'is not the kind of function that this program makes'),
				(not p.prosecdef or p.provolatile <> one.volatility or p.proparallel <> 'r' or p.proisstrict
					or p.proconfig is distinct from array['search_path=pg_catalog'], 'has other attributes than this program gives it'),
				(p.proowner <> (select oid from pg_roles where rolname = @owner::name), 'is owned by ' || pg_get_userbyid(p.proowner))
				) x (wrong, problem)
			where x.wrong`},
		{true, `select 'seal', '', 'function ' || p.oid::regprocedure, 'stands in the schema seal, where nothing else should', 'drop it'
			from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = 'seal' and p.proname not in ('sealed', 'planned')`},
		{true, `select 'seal', '', ` + relationName + `, 'stands in the schema seal, where nothing else should', 'drop it'
			from pg_class c join pg_namespace n on n.oid = c.relnamespace
			where n.nspname = 'seal' and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f') and c.relname <> 'keys'`},
		{true, `select 'seal', '', 'table seal.keys', ` + aclProblem + `, format('revoke all on seal.keys from %s, then rowhouse migrate up', ` + grantee + `)
			from pg_class c, aclexplode(c.relacl) a left join pg_roles r on r.oid = a.grantee
			where c.oid = to_regclass('seal.keys') and a.grantee <> c.relowner group by a.grantee, a.is_grantable, r.rolname`},
		{true, `select 'seal', '', 'column seal.keys.' || t.attname, ` + aclProblem + `,
				format('revoke all (%I) on seal.keys from %s', t.attname, ` + grantee + `)
			from pg_class c join pg_attribute t on t.attrelid = c.oid, aclexplode(t.attacl) a left join pg_roles r on r.oid = a.grantee
			where c.oid = to_regclass('seal.keys') and t.attacl is not null and a.grantee <> c.relowner
				and not (coalesce(r.rolname = @control::name, false) and t.attname in ('id', 'hint', 'created_at')
					and a.privilege_type = 'SELECT' and not a.is_grantable)
			group by t.attname, a.grantee, a.is_grantable, r.rolname`},
	}
}
