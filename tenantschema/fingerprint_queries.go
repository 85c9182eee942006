package tenantschema

import (
	"fmt"
	"strings"
)

// fingerprintSQL gives a row for each object of the schema $1: the number of its kind, the name of what it belongs to, its place there, the
// object and how it is.
//
// Nothing is looked for in pg_class by its schema, for which there is no index: what stands in a schema is found by pg_depend, and
// what belongs to a table by the table. The search_path is set by the query itself, before it reads anything else: names in the schema are
// then printed without it, and those outside with theirs. Set before the query, each new path would have it planned anew.
func fingerprintSQL() string {
	kinds := []string{
		`'', 0, 'schema', 'owner ' || ` + roleName("s.nspowner") + ` from scope s`,
		relationLines(), columnLines(), constraintLines(), domainConstraintLines(), indexLines(), sequenceLines(), functionLines(),
		triggerLines(), policyLines(), ruleLines(), typeLines(), statisticsLines(), otherLines,
		grantLines("'schema'", "s.nspacl", "'n'", "s.nspowner", `from scope s`),
		grantLines(relationWord+` || ' ' || r.name`, "r.relacl", `case r.relkind when 'S' then 's'::"char" else 'r' end`, "r.relowner",
			`from scope s, relations r`, `r.relkind <> 'c'`),
		grantLines(`'column ' || r.name || '.' || quote_ident(t.attname)`, "t.attacl", "'c'", "r.relowner",
			`from scope s, relations r join pg_attribute t on t.attrelid = r.oid`, `t.attacl is not null and not t.attisdropped`),
		grantLines(functionName, "p.proacl", "'f'", "p.proowner",
			`from scope s, members m join pg_proc p on p.oid = m.objid`, `m.classid = 'pg_proc'::regclass`),
		grantLines(typeName, "t.typacl", "'T'", "t.typowner",
			`from scope s, members m join pg_type t on t.oid = m.objid`, typeFilter),
		defaultLines(),
	}
	for i, sql := range kinds {
		kinds[i] = fmt.Sprintf("select %d, %s", i, sql)
	}
	return fingerprintScope + strings.Join(kinds, "\nunion all ")
}

// fingerprintScope finds the schema and what stands in it.
const fingerprintScope = `with scope as materialized (
		select n.oid, n.nspowner, n.nspacl, quote_ident(n.nspname) as name, to_regrole(quote_ident(n.nspname))::oid as role,
			set_config('search_path', quote_ident(n.nspname), true) as path
		from pg_namespace n where n.nspname = $1::text::name
	), members as materialized (
		select distinct d.classid, d.objid from scope s join pg_depend d on d.refclassid = 'pg_namespace'::regclass and d.refobjid = s.oid
	), relations as materialized (
		select c.oid, c.relname::text as relname, quote_ident(c.relname) as name, c.relkind, c.relowner, c.relacl, c.relpersistence,
			c.relrowsecurity, c.relforcerowsecurity, c.reloptions, c.reltoastrelid, c.relam, c.reltablespace, c.relreplident, c.relispartition,
			c.relpartbound, c.reloftype
		from members m left join pg_type t on m.classid = 'pg_type'::regclass and t.oid = m.objid and t.typtype = 'c'
			join pg_class c on c.oid = case when m.classid = 'pg_class'::regclass then m.objid else t.typrelid end
	)
	`

// roleName names the role of an oid; the tenant's own is the [Placeholder].
func roleName(oid string) string {
	return `case ` + oid + ` when 0 then 'public' when s.role then '` + Placeholder + `' else quote_ident(pg_get_userbyid(` + oid + `)) end`
}

// orNothing makes the empty text of a null, as a piece that is not there.
func orNothing(sql string) string { return `coalesce(` + sql + `, '')` }

// when gives a text where a condition holds.
func when(condition, text string) string {
	return `case when ` + condition + ` then ` + text + ` else '' end`
}

// tablespace of an oid, if it is not the database's own.
func tablespace(oid string) string {
	return orNothing(`(select ' tablespace ' || quote_ident(x.spcname) from pg_tablespace x where x.oid = ` + oid + `)`)
}

// parents of a relation: what it inherits from, or is a partition of.
func parents(oid, isPartition string) string {
	return orNothing(`(select case when ` + isPartition + ` then ' partition of ' else ' inherits ' end ||
		string_agg(x.inhparent::regclass::text, ', ' order by x.inhseqno) from pg_inherits x where x.inhrelid = ` + oid + `)`)
}

// collation of a column or domain, if it is not its type's.
func collation(own, types string) string {
	return when(own+" <> 0 and "+own+" <> "+types, `' collate ' || `+own+`::regcollation::text`)
}

const relationWord = `case r.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence' when 'f' then 'foreign table'
	else 'table' end`

// The kinds of objects follow. Each gives what follows "select" and the number of the kind; s is the row of scope, r one of relations.

func relationLines() string {
	return `r.relname, 0, ` + relationWord + ` || ' ' || r.name, 'owner ' || ` + roleName("r.relowner") + `
		|| case r.relpersistence when 'u' then ' unlogged' when 't' then ' temporary' else '' end
		|| ` + when("r.relrowsecurity", "' row security'") + ` || ` + when("r.relforcerowsecurity", "' forced'") + `
		|| ` + orNothing(`' with (' || array_to_string(r.reloptions, ', ') || ')'`) + `
		|| ` + orNothing(`(select ' toast (' || array_to_string(x.reloptions, ', ') || ')' from pg_class x where x.oid = r.reltoastrelid)`) + `
		|| ` + orNothing(`(select ' using ' || x.amname from pg_am x where x.oid = r.relam and x.amname <> 'heap')`) + `
		|| ` + tablespace("r.reltablespace") + `
		|| ` + when("r.relkind in ('r', 'p') and r.relreplident <> 'd'", "' replica identity ' || r.relreplident::text") + `
		|| ` + when("r.relkind = 'p'", "' partition by ' || pg_get_partkeydef(r.oid)") + `
		|| ` + parents("r.oid", "r.relispartition") + ` || ` + when("r.relispartition", "' ' || pg_get_expr(r.relpartbound, r.oid)") + `
		|| ` + when("r.reloftype <> 0", "' of ' || format_type(r.reloftype, null)") + `
		|| ` + when("r.relkind = 'f'", orNothing(`(select ' server ' || quote_ident(x.srvname) || coalesce(' options ' || f.ftoptions::text, '')
			from pg_foreign_table f join pg_foreign_server x on x.oid = f.ftserver where f.ftrelid = r.oid)`)) + `
		|| ` + when("r.relkind in ('v', 'm')", "E' as\\n' || pg_get_viewdef(r.oid)") + `
		from scope s, relations r where r.relkind in ('r', 'p', 'f', 'v', 'm')`
}

func columnLines() string {
	return `r.relname, a.attnum, 'column ' || r.name || '.' || quote_ident(a.attname), format_type(a.atttypid, a.atttypmod)
		|| ` + collation("a.attcollation", "t.typcollation") + ` || ` + when("a.attnotnull", "' not null'") + `
		|| case a.attidentity when 'a' then ' generated always as identity' when 'd' then ' generated by default as identity' else '' end
		|| ` + when("a.atthasdef", orNothing(`(select case a.attgenerated when '' then ' default ' || pg_get_expr(d.adbin, d.adrelid)
			when 's' then ' generated always as (' || pg_get_expr(d.adbin, d.adrelid) || ') stored'
			else ' generated always as (' || pg_get_expr(d.adbin, d.adrelid) || ') virtual' end
			from pg_attrdef d where d.adrelid = a.attrelid and d.adnum = a.attnum)`)) + `
		|| ` + when("a.attstorage <> t.typstorage", "' storage ' || a.attstorage::text") + `
		|| ` + when("a.attcompression <> ''", "' compression ' || a.attcompression::text") + ` || ` + when("not a.attislocal", "' inherited'") + `
		|| ` + orNothing(`' options ' || a.attfdwoptions::text`) + `
		from relations r join pg_attribute a on a.attrelid = r.oid join pg_type t on t.oid = a.atttypid
		where r.relkind in ('r', 'p', 'f', 'v', 'm', 'c') and a.attnum > 0 and not a.attisdropped`
}

// From PostgreSQL 18 on, NOT NULL is a constraint as well: its column tells already. Triggers of constraints are named by numbers.
func constraintLines() string {
	return `r.relname, 0, 'constraint ' || r.name || '.' || quote_ident(c.conname), pg_get_constraintdef(c.oid)
		|| ` + when("not c.conislocal", "' inherited'") + `
		|| ` + when(`(c.contype = 'f' or c.condeferrable) and exists (select from pg_trigger t where t.tgconstraint = c.oid and t.tgenabled <> 'O')`,
		"', triggers of its own disabled or changed'") + `
		from relations r join pg_constraint c on c.conrelid = r.oid
		where r.relkind in ('r', 'p', 'f') and c.contype <> 't' and (c.contype <> 'n' or c.connoinherit or not c.convalidated)`
}

func domainConstraintLines() string {
	return `t.typname::text, 0, 'constraint ' || quote_ident(t.typname) || '.' || quote_ident(c.conname), pg_get_constraintdef(c.oid)
		from members m join pg_type t on t.oid = m.objid join pg_constraint c on c.contypid = t.oid
		where m.classid = 'pg_type'::regclass and c.contype <> 'n'`
}

// The index of a constraint has its name, and says no more than it, unless something is wrong with the index.
func indexLines() string {
	return `r.relname, 0, 'index ' || r.name || '.' || quote_ident(c.relname), pg_get_indexdef(i.indexrelid, 0, true)
		|| ` + when("not i.indisvalid", "' invalid'") + ` || ` + when("not i.indisready", "' not ready'") + `
		|| ` + when("i.indisclustered", "' clustered'") + ` || ` + when("i.indisreplident", "' replica identity'") + `
		|| ` + tablespace("c.reltablespace") + ` || ` + parents("c.oid", "true") + `
		from relations r join pg_index i on i.indrelid = r.oid join pg_class c on c.oid = i.indexrelid
		where r.relkind in ('r', 'p', 'm') and (not i.indisvalid or not i.indisready or i.indisclustered or i.indisreplident or not exists (
			select from pg_constraint x where x.conrelid = r.oid and x.contypid = 0 and x.conname = c.relname and x.contype in ('p', 'u', 'x')))`
}

func sequenceLines() string {
	return `r.relname, 0, 'sequence ' || r.name, 'owner ' || ` + roleName("r.relowner") + `
		|| ` + when("r.relpersistence = 'u'", "' unlogged'") + `
		|| format(' as %s start %s increment %s minvalue %s maxvalue %s cache %s', format_type(q.seqtypid, null), q.seqstart, q.seqincrement,
			q.seqmin, q.seqmax, q.seqcache) || ` + when("q.seqcycle", "' cycle'") + `
		|| ` + orNothing(`(select ' owned by ' || d.refobjid::regclass::text || '.' || quote_ident(a.attname)
			from pg_depend d join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
			where d.classid = 'pg_class'::regclass and d.objid = r.oid and d.refclassid = 'pg_class'::regclass and d.refobjsubid > 0
				and d.deptype in ('a', 'i'))`) + `
		from scope s, relations r join pg_sequence q on q.seqrelid = r.oid where r.relkind = 'S'`
}

func functionLines() string {
	return `p.proname::text, 0, ` + functionName + `, 'owner ' || ` + roleName("p.proowner") + ` || E' as\n' || case p.prokind
			when 'a' then ` + orNothing(`(select format('returns %s sfunc %s stype %s finalfunc %s combinefunc %s initcond %L sortop %s %s %s',
				format_type(p.prorettype, null), x.aggtransfn, format_type(x.aggtranstype, null), x.aggfinalfn, x.aggcombinefn, x.agginitval,
				x.aggsortop::regoperator, p.provolatile, p.proparallel) from pg_aggregate x where x.aggfnoid = p.oid)`) + `
			else rtrim(substr(pg_get_functiondef(p.oid), length(case p.prokind when 'p' then 'CREATE OR REPLACE PROCEDURE .'
				else 'CREATE OR REPLACE FUNCTION .' end || s.name) + 1), E'\n') end
		from scope s, members m join pg_proc p on p.oid = m.objid where m.classid = 'pg_proc'::regclass`
}

func triggerLines() string {
	return `r.relname, 0, 'trigger ' || r.name || '.' || quote_ident(t.tgname), pg_get_triggerdef(t.oid, true)
		|| ` + firing("t.tgenabled") + `
		from relations r join pg_trigger t on t.tgrelid = r.oid where not t.tgisinternal`
}

func policyLines() string {
	return `r.relname, 0, 'policy ' || r.name || '.' || quote_ident(p.polname),
		case when p.polpermissive then 'permissive' else 'restrictive' end
		|| case p.polcmd when 'r' then ' for select' when 'a' then ' for insert' when 'w' then ' for update' when 'd' then ' for delete' else '' end
		|| ' to ' || (select string_agg(y.name, ', ' order by y.name)
			from (select (` + roleName("x.role") + `) collate "C" from unnest(p.polroles) x (role)) y (name))
		|| ` + orNothing(`' using (' || pg_get_expr(p.polqual, p.polrelid) || ')'`) + `
		|| ` + orNothing(`' with check (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')'`) + `
		from scope s, relations r join pg_policy p on p.polrelid = r.oid`
}

func ruleLines() string {
	return `r.relname, 0, 'rule ' || r.name || '.' || quote_ident(w.rulename), pg_get_ruledef(w.oid, true) || ` + firing("w.ev_enabled") + `
		from relations r join pg_rewrite w on w.ev_class = r.oid where w.rulename <> '_RETURN'`
}

func typeLines() string {
	return `t.typname::text, 0, ` + typeName + `, 'owner ' || ` + roleName("t.typowner") + ` || case t.typtype
			when 'e' then ' enum (' || ` + orNothing(`(select string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder)
				from pg_enum e where e.enumtypid = t.oid)`) + ` || ')'
			when 'd' then ' over ' || format_type(t.typbasetype, t.typtypmod) || case when t.typcollation = 0 then ''
					else ' collate ' || t.typcollation::regcollation::text end
				|| ` + when("t.typnotnull", "' not null'") + ` || ` + orNothing(`' default ' || pg_get_expr(t.typdefaultbin, 0)`) + `
			when 'r' then ` + orNothing(`(select format(' range over %s opclass %s collation %s canonical %s subtype_diff %s',
				format_type(x.rngsubtype, null), (select o.opcname from pg_opclass o where o.oid = x.rngsubopc),
				x.rngcollation::regcollation, x.rngcanonical, x.rngsubdiff)
				from pg_range x where x.rngtypid = t.oid)`) + `
			when 'c' then ' composite' else ' base' end
		from scope s, members m join pg_type t on t.oid = m.objid where ` + typeFilter
}

func statisticsLines() string {
	return `x.stxname::text, 0, 'statistics ' || quote_ident(x.stxname), 'owner ' || ` + roleName("x.stxowner") + ` || ' as '
			|| substr(pg_get_statisticsobjdef(x.oid), length('CREATE STATISTICS .' || s.name) + 1)
		from scope s, members m join pg_statistic_ext x on x.oid = m.objid where m.classid = 'pg_statistic_ext'::regclass`
}

// Default privileges for what is made in the schema, and those of the tenant's role anywhere.
func defaultLines() string {
	return `'', 0, 'default privileges of ' || ` + roleName("d.defaclrole") + ` || ' on ' || case d.defaclobjtype when 'r' then 'tables'
			when 'S' then 'sequences' when 'f' then 'functions' when 'T' then 'types' when 'n' then 'schemas' else 'large objects' end
			|| ` + when("d.defaclnamespace = 0", "' of any schema'") + `
			|| ' to ' || ` + roleName("a.grantee") + `, ` + rights + `
		from scope s, (select m.objid from members m where m.classid = 'pg_default_acl'::regclass
			union select d.oid from scope s join pg_default_acl d on d.defaclrole = s.role) x
			join pg_default_acl d on d.oid = x.objid, aclexplode(d.defaclacl) a
		group by s.role, d.defaclrole, d.defaclobjtype, d.defaclnamespace, a.grantee`
}

const (
	functionName = `case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end || ' ' || quote_ident(p.proname)
		|| '(' || pg_get_function_identity_arguments(p.oid) || ')'`
	typeName = `case t.typtype when 'd' then 'domain' else 'type' end || ' ' || quote_ident(t.typname)`
	// A multirange belongs to its range.
	typeFilter = `m.classid = 'pg_type'::regclass and t.typtype <> 'm'`

	// otherLines are of kinds that are rare in a schema, such as collations, operators and extensions: that they are there is all that is said.
	otherLines = `'', 0, pg_describe_object(m.classid, m.objid, 0), 'exists' from members m where m.classid not in ('pg_class'::regclass,
		'pg_proc'::regclass, 'pg_type'::regclass, 'pg_statistic_ext'::regclass, 'pg_default_acl'::regclass)`

	// rights lists those of one grantee.
	rights = `string_agg(distinct (lower(a.privilege_type) || case when a.is_grantable then ' with grant option' else '' end) collate "C", ', ')`
)

// firing says when a trigger or rule does not fire as most do.
func firing(enabled string) string {
	return `case ` + enabled + ` when 'D' then ' disabled' when 'R' then ' on replicas only' when 'A' then ' on replicas too' else '' end`
}

// grantLines are the rights on an object: those of its ACL, or of its kind where it has none.
func grantLines(object, acl, kind, owner, from string, where ...string) string {
	condition := ""
	if len(where) > 0 {
		condition = " where " + strings.Join(where, " and ")
	}
	return `'', 0, 'grant on ' || ` + object + ` || ' to ' || ` + roleName("g.grantee") + `, g.rights
		` + from + ` cross join lateral (select a.grantee, ` + rights + ` as rights
			from aclexplode(coalesce(` + acl + `, acldefault(` + kind + `, ` + owner + `))) a group by a.grantee) g` + condition
}
