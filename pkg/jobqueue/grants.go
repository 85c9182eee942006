package jobqueue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Grants names the roles that get rights on the queue. No other role gets any, tenants' roles least of all.
type Grants struct {
	// ControlRole works jobs: it reads and writes all of River's tables but the list of migrations, which it only reads.
	ControlRole string
	// EnqueueRole enqueues: in a transaction that names a tenant and bears its seal it may insert that tenant's jobs and see them, and nothing
	// else. The engine's logins become it.
	EnqueueRole string
}

func (g Grants) validate() error {
	if g.ControlRole == "" || g.EnqueueRole == "" {
		return errors.New("jobqueue: Grants.ControlRole and EnqueueRole are required")
	}
	return nil
}

func (g Grants) control() string { return quote(g.ControlRole) }

func (g Grants) enqueue() string { return quote(g.EnqueueRole) }

func quote(role string) string { return pgx.Identifier{role}.Sanitize() }

// statements may be repeated and lock no table.
func (g Grants) statements() []string {
	control, enqueue := g.control(), g.enqueue()
	return []string{
		"revoke all on schema river from public",
		"revoke all on all functions in schema river from public",
		"revoke all on type river.river_job_state from public",
		"grant usage on schema river to " + control + ", " + enqueue,
		// River's indexes call a function of its own.
		"grant execute on all functions in schema river to " + control + ", " + enqueue,

		"grant select, insert, update, delete on all tables in schema river to " + control,
		"grant usage on all sequences in schema river to " + control,
		"revoke insert, update, delete on river.river_migration from " + control,

		// The columns of River's insert, and its RETURNING. Not among them: attempt, attempted_at, attempted_by, errors, finalized_at.
		"grant select, insert (id, args, created_at, kind, max_attempts, metadata, priority, queue, scheduled_at, state, tags, " +
			"unique_key, unique_states) on river.river_job to " + enqueue,
		// Asked for by its ON CONFLICT, which writes the kind that is there already.
		"grant update (kind) on river.river_job to " + enqueue,
		"grant usage on sequence river.river_job_id_seq to " + enqueue,
	}
}

// policy is a row level security policy on river.river_job. One whose rule changes takes a new name, by which [Grants.apply] knows it.
type policy struct {
	name  string
	roles []string
	rule  string // from FOR on; %s stands for the roles
}

func (p policy) sql() string {
	quoted := make([]string, len(p.roles))
	for i, role := range p.roles {
		quoted[i] = quote(role)
	}
	return "create policy " + p.name + " on river.river_job " + fmt.Sprintf(p.rule, strings.Join(quoted, ", "))
}

func (g Grants) policies() []policy {
	// The setting is made by tenantschema when a transaction leaves its tenant's role ([tenantschema.Tx.AsPlatform]); empty means none. The
	// seal stays in force outside the tenant: whoever only says that he is a tenant does not bear its seal.
	const tenant = "pg_catalog.current_setting('rowhouse.tenant', true)"
	// A unique key begins with whose it is: who could take another's would keep that one's jobs away.
	own := "((unique_key is null or pg_catalog.substr(unique_key, 1, pg_catalog.length(" + tenant + ") + 1) = " +
		"pg_catalog.convert_to(" + tenant + " || '/', 'UTF8')) and metadata ->> 'tenant' = nullif(" + tenant + ", '') and " +
		tenantschema.SealedSQL("'t_' || "+tenant) + ")"
	const next = "id = pg_catalog.currval('river.river_job_id_seq')"
	return []policy{
		{"rowhouse_control", []string{g.ControlRole}, "for all to %s using (true) with check (true)"},
		// River's insert names the id. Who could choose one would take numbers that the sequence has yet to give, and the insert that is
		// given such a number fails, whosever it is.
		{"rowhouse_enqueue_insert_own", []string{g.EnqueueRole}, "for insert to %s with check (" + next + " and " + own + ")"},
		{"rowhouse_enqueue_select_own", []string{g.EnqueueRole}, "for select to %s using " + own},
		{"rowhouse_enqueue_update_own", []string{g.EnqueueRole}, "for update to %s using (unique_key is not null and " + own + ") with check " + own},
	}
}

// apply makes what turns need, and gives the rights. River's owner is not subject to the policies.
func (g Grants) apply(ctx context.Context, tx pgx.Tx) error {
	for _, sql := range turnsTables() {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return fmt.Errorf("make what turns need: %w", err)
		}
	}
	for _, sql := range g.statements() {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return fmt.Errorf("grant: %w", err)
		}
	}
	var secured bool
	err := tx.QueryRow(ctx, "select relrowsecurity from pg_catalog.pg_class where oid = 'river.river_job'::regclass").Scan(&secured)
	if err != nil {
		return fmt.Errorf("read row security: %w", err)
	}
	rows, err := tx.Query(ctx, `select policyname, roles::text[] from pg_catalog.pg_policies
		where schemaname = 'river' and tablename = 'river_job'`)
	if err != nil {
		return fmt.Errorf("read policies: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct {
		Name  string
		Roles []string
	}])
	if err != nil {
		return fmt.Errorf("read policies: %w", err)
	}
	there := map[string][]string{}
	for _, p := range found {
		there[p.Name] = slices.Sorted(slices.Values(p.Roles))
	}
	// Each change locks the table for a moment, behind every transaction that has enqueued: only what is not right is changed.
	var changes []string
	if !secured {
		changes = append(changes, "alter table river.river_job enable row level security")
	}
	for _, p := range g.policies() {
		have, exists := there[p.name]
		delete(there, p.name)
		if exists && slices.Equal(have, slices.Sorted(slices.Values(p.roles))) {
			continue
		}
		changes = append(changes, "drop policy if exists "+p.name+" on river.river_job", p.sql())
	}
	for name := range there { // What an older version made, or somebody else: policies add up.
		changes = append(changes, "drop policy "+quote(name)+" on river.river_job")
	}
	for _, sql := range changes {
		if _, err = tx.Exec(ctx, sql); err != nil {
			return fmt.Errorf("set policies: %w", err)
		}
	}
	return nil
}
