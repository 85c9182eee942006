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

// relation is a table or view of a tenant's schema, as far as its seal goes.
type relation struct {
	name    string
	view    bool
	secured bool // row level security is on
	// sealed is the expression of the seal's policy, nil without one.
	sealed *string
	// opened says that a permissive policy lets the tenant in; own, that it is not the seal's.
	opened, own bool
	// definition and columns of a view that is not gated yet, or "".
	definition string
	columns    []string
	// barrier says that it is a security barrier.
	barrier bool
	matview bool
}

// sealedPolicy is how PostgreSQL prints the policy's expression.
func sealedPolicy(name Name) string {
	return "(( SELECT seal.sealed('" + name.s + "'::text) AS sealed) AND seal.planned('" + name.s + "'::text))"
}

// sqlRelations lists the tables and views of the schema $1, without goose's own table $2. $3 and $4 are the policies' names. It sets
// the search_path to the schema, by which expressions are printed: a kept plan is good only under the path that it was made under, see
// [sqlPlans].
const sqlRelations = `select c.relname::text, c.relkind = 'v', c.relkind = 'm', c.relrowsecurity,
		(select pg_catalog.pg_get_expr(p.polqual, p.polrelid) from pg_catalog.pg_policy p
			where p.polrelid = c.oid and p.polname = $3 and not p.polpermissive and p.polcmd = '*' and p.polwithcheck is null
				and p.polroles = '{0}'),
		exists (select from pg_catalog.pg_policy p where p.polrelid = c.oid and p.polpermissive),
		exists (select from pg_catalog.pg_policy p where p.polrelid = c.oid and p.polpermissive and p.polname <> $4),
		case when c.relkind = 'v' and not coalesce(c.reloptions @> '{security_invoker=true}' or c.reloptions @> '{security_invoker=on}', false)
			then pg_catalog.pg_get_viewdef(c.oid) else '' end,
		array(select a.attname::text from pg_catalog.pg_attribute a
			where c.relkind = 'v' and a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum),
	coalesce(c.reloptions && '{security_barrier=true,security_barrier=on}', false)
	from (select pg_catalog.set_config('search_path', $1, true) as path offset 0) as entered
	join pg_catalog.pg_namespace n on n.nspname = entered.path
	join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_namespace'::regclass and d.refobjid = n.oid
		and d.classid = 'pg_catalog.pg_class'::regclass
	join pg_catalog.pg_class c on c.oid = d.objid
	where c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relname <> $2
	order by c.relname`

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

// listRelations queues [sqlRelations].
func listRelations(batch *pgx.Batch, statement string, name Name, found *[]relation) {
	batch.Queue(sqlPlans)
	batch.Queue(statement, name.String(), VersionTable, policySeal, policyOpen).Query(func(rows pgx.Rows) (err error) {
		*found, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r relation, err error) {
			err = row.Scan(&r.name, &r.view, &r.matview, &r.secured, &r.sealed, &r.opened, &r.own, &r.definition, &r.columns, &r.barrier)
			return r, err
		})
		if err != nil {
			return fmt.Errorf("list policies: %w", err)
		}
		return nil
	})
}

// relations is [listRelations] alone.
func relations(ctx context.Context, tx pgx.Tx, name Name) (found []relation, err error) {
	batch := &pgx.Batch{}
	listRelations(batch, sqlRelations, name, &found)
	return found, tx.SendBatch(ctx, batch).Close()
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

// lacking gives the statements that [secure] has to run.
func lacking(ctx context.Context, tx pgx.Tx, specs ...Spec) (statements []string, err error) {
	if _, err = tx.Exec(ctx, sqlPlans); err != nil {
		return nil, fmt.Errorf("set search_path: %w", err)
	}
	entry, err := keep(ctx, tx, "rowhouse_entry", sqlEntry)
	if err != nil {
		return nil, err
	}
	tables, err := keep(ctx, tx, "rowhouse_tables", sqlTables)
	if err != nil {
		return nil, err
	}
	policies, err := keep(ctx, tx, "rowhouse_relations", sqlRelations)
	if err != nil {
		return nil, err
	}
	found, missing := make([][]relation, len(specs)), make([][]string, len(specs))
	batch := &pgx.Batch{}
	for i, spec := range specs {
		name := spec.Name
		batch.Queue(entry, name.String()).QueryRow(func(row pgx.Row) error {
			var lacking bool
			err := row.Scan(&lacking)
			if lacking {
				missing[i] = append(missing[i], "grant usage on schema "+name.Quote()+" to "+name.Quote())
			}
			return err
		})
		batch.Queue(tables, name.String(), VersionTable).Query(func(rows pgx.Rows) error {
			some, err := grants(rows, name)
			missing[i] = append(missing[i], some...)
			return err
		})
		if spec.Sealed {
			listRelations(batch, policies, name, &found[i])
			batch.Queue(sqlPlans)
		}
	}
	if err = tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, err
	}
	for i, spec := range specs {
		some, err := seals(found[i], spec.Name)
		if err != nil {
			return nil, err
		}
		if some = append(missing[i], some...); len(some) > 0 {
			// A view's definition names tables as its own path lets it.
			statements = append(append(statements, enterSQL(spec.Name)), some...)
		}
	}
	return statements, nil
}

// enterSQL is [sqlPath] without an argument.
func enterSQL(name Name) string {
	return "select pg_catalog.set_config('search_path', '" + name.Quote() + "', true)" // A Name has no quotes in it.
}

// sealTables is the part of [secure] that seals.
func sealTables(ctx context.Context, tx pgx.Tx, name Name) error {
	found, err := relations(ctx, tx, name)
	if err != nil {
		return err
	}
	statements, err := seals(found, name)
	if err != nil {
		return err
	}
	return sendDDL(ctx, tx, statements, "seal tables")
}

// seals gives what is missing on the relations of name.
func seals(found []relation, name Name) (statements []string, err error) {
	for _, r := range found {
		if r.matview {
			return nil, fmt.Errorf("tenantschema: the materialized view %s cannot be sealed: PostgreSQL has no policies on those; use a table", r.name)
		}
		statements = append(statements, r.seal(name)...)
	}
	return statements, nil
}

// seal gives the statements that are missing.
func (r relation) seal(name Name) (statements []string) {
	table := pgx.Identifier{name.s, r.name}.Sanitize()
	if r.view {
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
	found, err := relations(ctx, tx, name)
	if err != nil {
		return err
	}
	var statements []string
	for _, r := range found {
		if r.view || r.matview || r.sealed == nil && !r.secured {
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
