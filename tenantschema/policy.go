package tenantschema

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// The seal's two policies on each table. The first is restrictive, so that no policy of a migration's own can open what it closes; since
// restrictive policies alone let nobody in, the second opens the table where a migration has none of its own.
const (
	policySeal = "seal"
	policyOpen = "seal_open"
)

// relation is a table, view or sequence of a tenant's schema, as far as its rights and its seal go.
type relation struct {
	name string
	kind rune // as in pg_class
	// ungranted says that the tenant's role lacks a right that it is to have.
	ungranted bool
	secured   bool // row level security is on
	// sealed is the expression of the seal's policy, nil without one.
	sealed *string
	// opened says that a permissive policy lets the tenant in; own, that it is not the seal's.
	opened, own bool
	// definition and columns of a view that is not gated yet, or "".
	definition string
	columns    []string
	// barrier says that it is a security barrier.
	barrier bool
}

const (
	kindView         = 'v'
	kindMaterialized = 'm'
	kindSequence     = 'S'
)

// sealedPolicy is how PostgreSQL prints the policy's expression.
func sealedPolicy(name Name) string {
	return "(( SELECT seal.sealed('" + name.s + "'::text) AS sealed) AND seal.planned('" + name.s + "'::text))"
}

// sqlRelations lists the tables, views and sequences of the schemas $1, each with its schema's place among them, without goose's own table $2.
// $3 and $4 are the policies' names. What is in a schema is found by pg_depend: all else reads all of pg_class, which grows with every
// tenant. For the same reason each "offset" keeps a step a look-up by index, whatever the planner thinks of tables that have grown since
// they were analyzed. Expressions are printed under an empty path, see [sqlPlans], so that they name the schema of whatever they mean.
const sqlRelations = `select w.place - 1, c.relname::text, c.relkind::text,
		t.role is not null and c.relkind in ('r', 'p', 'v', 'S') and (select count(distinct a.privilege_type)
			from pg_catalog.aclexplode(c.relacl) a where a.grantee = t.role
			and a.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'USAGE')) < case c.relkind when 'S' then 1 else 4 end,
		c.relrowsecurity, p.sealed, coalesce(p.opened, false), coalesce(p.own, false),
		case when c.relkind = 'v' and not coalesce(c.reloptions @> '{security_invoker=true}' or c.reloptions @> '{security_invoker=on}', false)
			then pg_catalog.pg_get_viewdef(c.oid) else '' end,
		array(select a.attname::text from pg_catalog.pg_attribute a
			where c.relkind = 'v' and a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum),
		coalesce(c.reloptions && '{security_barrier=true,security_barrier=on}', false)
	from unnest($1::text[]) with ordinality w (name, place)
	cross join lateral (select pg_catalog.to_regnamespace(pg_catalog.quote_ident(w.name))::oid as schema,
		pg_catalog.to_regrole(pg_catalog.quote_ident(w.name))::oid as role offset 0) t
	cross join lateral (select d.objid from pg_catalog.pg_depend d where d.refclassid = 'pg_catalog.pg_namespace'::regclass
		and d.refobjid = t.schema and d.classid = 'pg_catalog.pg_class'::regclass offset 0) d
	cross join lateral (select c.oid, c.relname, c.relkind, c.relacl, c.relrowsecurity, c.reloptions from pg_catalog.pg_class c
		where c.oid = d.objid and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and c.relname not in ($2::text, $2::text || '_id_seq') offset 0) c
	cross join lateral (select bool_or(p.polpermissive) as opened, bool_or(p.polpermissive and p.polname <> $4) as own,
		max(pg_catalog.pg_get_expr(p.polqual, p.polrelid)) filter (where p.polname = $3 and not p.polpermissive and p.polcmd = '*'
			and p.polwithcheck is null and p.polroles = '{0}') as sealed
		from pg_catalog.pg_policy p where p.polrelid = c.oid) p
	order by w.place, c.relname`

// sqlPlans goes before the statements that a session keeps: it puts the path back under which their plans were made, and has PostgreSQL plan
// them once and not five times. To plan them takes ten times as long as to run them.
const sqlPlans = "select pg_catalog.set_config('search_path', '', true), pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', true)"

// keep prepares a statement that a session asks of many schemas, once, and gives its name.
func keep(ctx context.Context, tx pgx.Tx, name, sql string) (string, error) {
	if _, err := tx.Prepare(ctx, name, sql); err != nil {
		return "", fmt.Errorf("prepare %s: %w", name, err)
	}
	return name, nil
}

// relations lists what is in the schemas.
func relations(ctx context.Context, tx pgx.Tx, names ...string) ([][]relation, error) {
	if _, err := tx.Exec(ctx, sqlPlans); err != nil {
		return nil, fmt.Errorf("set search_path: %w", err)
	}
	statement, err := keep(ctx, tx, "rowhouse_relations", sqlRelations)
	if err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, statement, names, VersionTable, policySeal, policyOpen)
	if err != nil {
		return nil, fmt.Errorf("list policies: %w", err)
	}
	found := make([][]relation, len(names))
	var r relation
	var place int
	var kind string
	_, err = pgx.ForEachRow(rows, []any{&place, &r.name, &kind, &r.ungranted, &r.secured, &r.sealed, &r.opened, &r.own, &r.definition, &r.columns,
		&r.barrier}, func() error {
		r.kind = rune(kind[0])
		found[place] = append(found[place], r)
		r = relation{}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list policies: %w", err)
	}
	return found, nil
}

// secure gives each tenant's role the rights that it lacks on what is in the schema, and puts the seal on every table that is to have it
// and lacks it, and on every view. It changes nothing that is right, so that it locks nothing then.
func secure(ctx context.Context, tx pgx.Tx, specs ...Spec) error {
	statements, err := lacking(ctx, tx, specs...)
	if err != nil {
		return err
	}
	return sendDDL(ctx, tx, statements, "grant rights and seal tables")
}

// lacking gives the statements that [secure] has to run. It looks at all of the schemas in one go, and not only at what a migration has made:
// one may have taken a right or a policy away.
func lacking(ctx context.Context, tx pgx.Tx, specs ...Spec) (statements []string, err error) {
	names := make([]string, len(specs))
	for i, spec := range specs {
		names[i] = spec.Name.String()
	}
	found, err := relations(ctx, tx, names...)
	if err != nil {
		return nil, err
	}
	if statements, err = entries(ctx, tx, names); err != nil {
		return nil, err
	}
	for i, spec := range specs {
		statements = append(statements, grants(found[i], spec.Name)...)
		if !spec.Sealed {
			continue
		}
		some, err := seals(found[i], spec.Name)
		if err != nil {
			return nil, err
		}
		statements = append(statements, some...)
	}
	return statements, nil
}

// enterSQL is [sqlPath] without an argument.
func enterSQL(name Name) string {
	return "select pg_catalog.set_config('search_path', '" + name.Quote() + "', true)" // A Name has no quotes in it.
}

// sealTables is the part of [secure] that seals.
func sealTables(ctx context.Context, tx pgx.Tx, name Name) error {
	found, err := relations(ctx, tx, name.String())
	if err != nil {
		return err
	}
	statements, err := seals(found[0], name)
	if err != nil {
		return err
	}
	return sendDDL(ctx, tx, statements, "seal tables")
}

// seals gives what is missing on the relations of name.
func seals(found []relation, name Name) (statements []string, err error) {
	for _, r := range found {
		switch r.kind {
		case kindSequence:
			continue
		case kindMaterialized:
			return nil, fmt.Errorf("tenantschema: the materialized view %s cannot be sealed: PostgreSQL has no policies on those; use a table", r.name)
		}
		statements = append(statements, r.seal(name)...)
	}
	return statements, nil
}

// seal gives the statements that are missing.
func (r relation) seal(name Name) (statements []string) {
	table := pgx.Identifier{name.s, r.name}.Sanitize()
	if r.kind == kindView {
		if gate := gateSQL(name); r.definition != "" && !strings.Contains(r.definition, "seal.planned(") {
			// A view reads as its owner, whom policies do not bind, so it has the condition in itself. It is no security barrier, and need not
			// be one: a condition without columns gates the whole plan below it, and the tenant's own conditions, leakproof or not, may use
			// indexes. That holds for a FROM of two. From PostgreSQL 16 on, one of a single member is flattened under an outer join, and the
			// condition with it into the join's ON, where it is asked after the rows have been read. "offset" keeps the gate a member.
			quoted := make([]string, len(r.columns))
			for i, column := range r.columns {
				quoted[i] = "q." + pgx.Identifier{column}.Sanitize()
			}
			options := ""
			if r.barrier { // What is not repeated is lost.
				options = " with (security_barrier)"
			}
			statements = append(statements, "create or replace view "+table+options+" as select "+strings.Join(quoted, ", ")+
				" from ("+strings.TrimSuffix(strings.TrimSpace(r.definition), ";")+") as q, (select offset 0) as gate where "+gate)
		}
		return statements
	}
	if r.sealed == nil || *r.sealed != sealedPolicy(name) {
		statements = append(statements,
			"drop policy if exists "+policySeal+" on "+table,
			"create policy "+policySeal+" on "+table+" as restrictive using ("+gateSQL(name)+")")
	}
	switch {
	case !r.opened:
		statements = append(statements, "create policy "+policyOpen+" on "+table+" using (true)")
	case r.own:
		statements = append(statements, "drop policy if exists "+policyOpen+" on "+table)
	}
	if !r.secured {
		statements = append(statements, "alter table "+table+" enable row level security")
	}
	return statements
}

// unsealTables takes the seal's policies away. Views keep their gate: scopes bear a seal in every tier.
func unsealTables(ctx context.Context, tx pgx.Tx, name Name) error {
	found, err := relations(ctx, tx, name.String())
	if err != nil {
		return err
	}
	var statements []string
	for _, r := range found[0] {
		if r.kind == kindView || r.kind == kindMaterialized || r.kind == kindSequence || r.sealed == nil && !r.secured {
			continue
		}
		table := pgx.Identifier{name.s, r.name}.Sanitize()
		statements = append(statements, "drop policy if exists "+policySeal+" on "+table, "drop policy if exists "+policyOpen+" on "+table)
		if !r.own {
			statements = append(statements, "alter table "+table+" disable row level security")
		}
	}
	return sendDDL(ctx, tx, statements, "unseal tables")
}

// sendDDL sends statements without arguments in one round trip.
func sendDDL(ctx context.Context, tx pgx.Tx, statements []string, what string) error {
	if len(statements) == 0 {
		return nil
	}
	if _, err := tx.Conn().PgConn().Exec(ctx, strings.Join(statements, ";\n")).ReadAll(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
