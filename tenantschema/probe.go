package tenantschema

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Relation is a table or view of a tenant, as something to be attacked.
type Relation struct {
	Name string
	View bool
	// Column is a column that may be updated, or "".
	Column string
	// Closed says that the tenant itself has no right on it: goose's own.
	Closed bool
}

// Subject is a tenant in a probe, with what it has.
type Subject struct {
	Tenant    Tenant
	Relations []Relation
}

// Relations lists the tables and views of tenants in one query. q must be able to see them: the owner's connection.
func Relations(ctx context.Context, q interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}, names []Name,
) (map[Name][]Relation, error) {
	schemas := make([]string, len(names))
	for i, name := range names {
		schemas[i] = name.String()
	}
	rows, err := q.Query(ctx, `select n.nspname::text, c.relname::text, c.relkind = 'v', coalesce(a.attname::text, ''), c.relname = $2
		from pg_catalog.pg_namespace n
		join pg_catalog.pg_class c on c.relnamespace = n.oid
		left join lateral (select a.attname from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0
			and not a.attisdropped and a.attgenerated = '' and a.attidentity <> 'a' order by a.attnum limit 1) a on true
		where n.nspname = any($1::text[]::name[]) and c.relkind in ('r', 'p', 'v')
		order by 1, 2`, schemas, VersionTable)
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	found := make(map[Name][]Relation, len(names))
	var schema string
	var r Relation
	_, err = pgx.ForEachRow(rows, []any{&schema, &r.Name, &r.View, &r.Column, &r.Closed}, func() error {
		if !strings.ContainsAny(r.Name+r.Column, unitSeparator+recordSeparator) {
			found[Name{schema}] = append(found[Name{schema}], r)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	return found, nil
}

// Attempt is a try to reach another tenant's data that PostgreSQL did not refuse.
type Attempt struct {
	// Statements are the SQL that was carried out, one after another.
	Statements []string
	// ByDesign says that the tiers of the two do not promise more: both log in by the same role, and the victim has no seal.
	ByDesign bool
	// Result is what came of it.
	Result string
}

// ProbeResult counts what was tried.
type ProbeResult struct {
	Tried, Refused int
	// Undecided are attempts that were carried out and touched no row, or that met a lock: a policy that is asked about rows refuses nothing
	// where there are none. To insert one is tried on every table, which always decides.
	Undecided int
	// Open are the attempts that were not refused (by SQLSTATE 42501).
	Open []Attempt
	// Gone says that the victim was deleted meanwhile.
	Gone bool
}

// Probe attacks a tenant from inside the scope of another, with its role and on its connection. Each of the victim's relations is read,
// written, locked, altered and dropped by its full name. Then the role is changed: to the victim's, with the attacker's own seal, with a
// forged one and with none; and to the login's own. Every attempt is undone, and so is the transaction around all. Each of more is one more
// attempt: statements of which at least one must be refused.
//
// An error means that the probe itself failed; whether the walls hold stands in the result.
func (db *DB) Probe(ctx context.Context, attacker, victim Subject, more ...[]string) (ProbeResult, error) {
	a, v := attacker.Tenant.Schema, victim.Tenant.Schema
	switch {
	case a.IsZero() || v.IsZero() || a == v:
		return ProbeResult{}, errors.New("tenantschema: a probe needs a victim other than the attacker")
	case len(attacker.Relations) == 0:
		return ProbeResult{}, fmt.Errorf("%w: %s has no tables", ErrNoSchema, a)
	case len(victim.Relations) == 0:
		return ProbeResult{}, fmt.Errorf("%w: %s has no tables", ErrNoSchema, v)
	}
	attacks := attacks(attacker, victim)
	for _, steps := range more {
		attacks = append(attacks, attack{steps: steps, rows: true})
	}
	answers, err := db.attempt(ctx, attacker, victim, attacks)
	if err != nil {
		return ProbeResult{}, fmt.Errorf("probe %s from %s: %w", v, a, err)
	}
	if !strings.HasPrefix(answers[0], carriedOut) {
		return ProbeResult{}, fmt.Errorf("probe %s from %s: the attacker cannot work even in its own schema: %s", v, a, answers[0])
	}
	result := ProbeResult{Tried: len(attacks) - 1}
	for i, answer := range answers[1:] {
		state, message, _ := strings.Cut(answer, " ")
		switch state {
		case "42501":
			result.Refused++
			continue
		case "3F000", "42P01", "42704", "22023": // no such schema, table or role
			result.Gone = true
			continue
		case carriedOut:
			if message == "0" && attacks[i+1].rows && !attacks[i+1].byDesign {
				result.Undecided++
				continue
			}
			message = "it was carried out"
		case "55P03", "40P01", "40001", "XX000": // a lock, a deadlock, something dropped or changed at this moment
			result.Undecided++
			continue
		default: // It got further than to the question whether it may.
			message = state + ": " + message
		}
		a := attacks[i+1]
		result.Open = append(result.Open, Attempt{Statements: a.steps, ByDesign: a.byDesign, Result: message})
	}
	return result, nil
}

// attack is some statements that must not all be carried out.
type attack struct {
	steps    []string
	byDesign bool
	// rows says that it reaches something only if the last statement does something with a row.
	rows bool
}

// attacks gives what is tried. The first is no attack but the attacker's own right: without it all refusals would prove nothing.
func attacks(attacker, victim Subject) []attack {
	a, v := attacker.Tenant, victim.Tenant
	// On one login, roles can be changed; whether that leads anywhere is up to the seal.
	shared := a.login() == v.login()
	byDesign := shared && (v.Tier == TierPooled || v.Tier == "")
	own := attacker.Relations[0]
	for _, r := range attacker.Relations {
		if !r.Closed {
			own = r
			break
		}
	}
	attacks := []attack{{steps: []string{"select 1 from " + pgx.Identifier{a.Schema.s, own.Name}.Sanitize() + " limit 1"}}}
	direct := func(sql string) { attacks = append(attacks, attack{steps: []string{sql}}) }
	become := func(sql string, before ...string) {
		attacks = append(attacks, attack{append(before, sql), byDesign, true})
	}
	const set = "select pg_catalog.set_config("
	role := set + "'role', '" + v.Schema.s + "', true)"
	direct("create table " + v.Schema.Quote() + ".probe (x int)")
	direct("create function " + v.Schema.Quote() + ".probe() returns int language sql as 'select 1'")
	for _, r := range victim.Relations {
		table := pgx.Identifier{v.Schema.s, r.Name}.Sanitize()
		read := "select 1 from " + table + " limit 1"
		writes := []string{"insert into " + table + " default values", "delete from " + table}
		if column := (pgx.Identifier{r.Column}).Sanitize(); r.Column != "" {
			writes = append(writes, "update "+table+" set "+column+" = "+column)
		}
		direct(read)
		if r.View {
			writes = nil // Whether a view can be written at all is asked before who may.
			direct("drop view " + table)
		} else {
			for _, sql := range append(writes, "truncate "+table, "lock table "+table+" in access share mode",
				"alter table "+table+" add column probe int", "drop table "+table, "create policy probe on "+table) {
				direct(sql)
			}
		}
		attacks = append(attacks, attack{steps: []string{set + "'role', 'none', true)", read}})
		if r.Closed {
			attacks = append(attacks, attack{steps: []string{role, read}})
			continue
		}
		if !shared { // The change of role is what is refused. To insert always asks, where there is no row to be read, too.
			become(read, role)
			if !r.View {
				become(writes[0], role)
			}
			continue
		}
		for _, sql := range append(writes, read) {
			become(sql, role)
		}
		become(read, role, set+"'"+sealSetting+"', pg_catalog.regexp_replace(pg_catalog.current_setting('"+sealSetting+"'), '[0-9a-f]{64}$', "+
			"pg_catalog.repeat('0', 64)), true)")
		become(read, role, set+"'"+sealSetting+"', '', true)")
		const found = " where pg_catalog.strpos(x::pg_catalog.text, '<row') > 0"
		xml := "pg_catalog.query_to_xml('" + strings.ReplaceAll(read, "'", "''") + "', true, false, '')"
		become("select 1 from (select "+xml+" as x offset 0) t"+found, role)
		// What an injected fragment of a SELECT can do, in one statement.
		become("select 1 from (" + role + " as r, " + xml + " as x offset 0) t" + found + " and r <> ''")
	}
	return attacks
}

// carriedOut is the answer to an attempt that nobody refused: a SQLSTATE of no meaning.
const carriedOut = "RH000"

// Separators of attempts and of their statements. A relation that has them in its name is left out of probes.
const (
	unitSeparator   = "\x1f"
	recordSeparator = "\x1e"
)

// probeSetting carries the attempts to the server, and the answers back.
const probeSetting = "rowhouse.probe"

// sqlProbe carries out each attempt in a subtransaction of its own and undoes it, so that hundreds take one round trip. It runs as the
// attacker.
const sqlProbe = `do $probe$
declare
	attempt text;
	step    text;
	touched bigint;
	answers text := '';
begin
	foreach attempt in array pg_catalog.string_to_array(pg_catalog.current_setting('` + probeSetting + `'), e'\x1e') loop
		begin
			foreach step in array pg_catalog.string_to_array(attempt, e'\x1f') loop
				execute step;
				get diagnostics touched = row_count;
			end loop;
			raise sqlstate '` + carriedOut + `';
		exception
			when insufficient_privilege then answers := answers || e'\x1e42501';
			when sqlstate '` + carriedOut + `' then answers := answers || e'\x1e` + carriedOut + ` ' || touched;
			when others then answers := answers || e'\x1e' || sqlstate || ' ' || sqlerrm;
		end;
	end loop;
	perform pg_catalog.set_config('` + probeSetting + `', pg_catalog.substr(answers, 2), true);
end
$probe$`

// attempt carries the attacks out on one connection and gives an answer for each.
func (db *DB) attempt(ctx context.Context, attacker, victim Subject, attacks []attack) (answers []string, err error) {
	texts := make([]string, len(attacks))
	for i, a := range attacks {
		texts[i] = strings.Join(a.steps, unitSeparator)
	}
	l, err := db.acquire(ctx, attacker.Tenant)
	if err != nil {
		return nil, err
	}
	finished := false
	defer l.releaseUnless(&finished)
	// Nothing outlives the rollback: what the attempts set is local to the transaction, so that the connection may serve others. inspect,
	// which would doubt that, is not asked.
	if answers, err = l.attemptTogether(ctx, texts); refused(err) { // A hardened server has neither set_config nor DO for tenants.
		answers, err = l.attemptEach(ctx, attacks)
	}
	if attacker.Tenant.login() == victim.Tenant.login() { // The backend has loaded them.
		names := make([]string, len(victim.Relations))
		for i, r := range victim.Relations {
			names[i] = r.Name
		}
		l.c.touch(victim.Tenant.Schema, db.descriptions.relationNumbers(names))
	}
	finished = true
	l.release(err)
	if err != nil {
		return nil, err
	}
	if len(answers) != len(attacks) {
		return nil, fmt.Errorf("%d answers to %d attempts", len(answers), len(attacks))
	}
	return answers, nil
}

// attemptTogether carries out all attempts in a few round trips.
func (l *lease) attemptTogether(ctx context.Context, texts []string) (answers []string, err error) {
	answer := ""
	tx := &Tx{l: l, begin: TxOptions{}.begin()}
	if err = tx.open(ctx); err == nil {
		_, err = l.c.pg.Exec(ctx, "select pg_catalog.set_config('"+probeSetting+"', $1, true)", strings.Join(texts, recordSeparator))
	}
	if err == nil {
		_, err = l.c.pg.Exec(ctx, sqlProbe)
	}
	if err == nil {
		err = l.c.pg.QueryRow(ctx, "select pg_catalog.current_setting('"+probeSetting+"')").Scan(&answer)
	}
	if undoErr := l.undo(ctx); err == nil {
		err = undoErr
	}
	return strings.Split(answer, recordSeparator), err
}

// attemptEach carries out each attempt in a transaction of its own.
func (l *lease) attemptEach(ctx context.Context, attacks []attack) (answers []string, err error) {
	for _, a := range attacks {
		tx := &Tx{l: l, begin: TxOptions{}.begin()}
		if err = tx.open(ctx); err != nil {
			return nil, errors.Join(err, l.undo(ctx))
		}
		answer := ""
		for _, step := range a.steps {
			tag, err := l.c.pg.Exec(ctx, step)
			answer = carriedOut + " " + strconv.FormatInt(tag.RowsAffected(), 10)
			if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code == "42501" {
				answer = pgErr.Code
			} else if ok {
				answer = pgErr.Code + " " + pgErr.Message
			}
			if err != nil && answer[:5] == carriedOut {
				return nil, errors.Join(err, l.undo(ctx))
			}
			if err != nil {
				break
			}
		}
		if err = l.undo(ctx); err != nil {
			return nil, err
		}
		answers = append(answers, answer)
	}
	return answers, nil
}

// refused reports whether err is PostgreSQL's refusal for want of a right.
func refused(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == "42501"
}

// undo rolls the transaction back.
func (l *lease) undo(ctx context.Context) error {
	if !l.begun {
		return nil
	}
	l.begun, l.entered = false, false
	err := l.simple(ctx, "rollback")
	if err != nil {
		l.kill()
	}
	return err
}
