package tenancy_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// driftFiles have what can drift.
func driftFiles() fstest.MapFS {
	return fstest.MapFS{"00001_a.sql": sqlFile(`-- +goose Up
create table tasks (id int constraint tasks_pkey primary key, title text not null default 'new', done boolean not null default false);
create index tasks_title_idx on tasks (title);
-- +goose StatementBegin
create function touch() returns trigger language plpgsql as $$ begin return new; end $$;
-- +goose StatementEnd
create trigger tasks_touch before update on tasks for each row execute function touch();
create view open_tasks as select id, title from tasks where not done;
`)}
}

// drifts compares tenants, all if none is named, and gives what was found of those that are not as they should be.
func drifts(t *testing.T, m *tenancy.Manager, code apperr.Code, names ...string) map[string]tenancy.DriftResult {
	t.Helper()
	tenants, err := m.Comparable(t.Context(), names)
	require.NoError(t, err)
	found, told := map[string]tenancy.DriftResult{}, 0
	err = m.Drift(t.Context(), tenants, 3, func(r tenancy.DriftResult) {
		told++
		if r.Err != nil || len(r.Differences) > 0 {
			found[r.Tenant.Slug] = r
		}
	})
	require.Equal(t, code, apperr.CodeOf(err), "%v", err)
	require.Equal(t, len(tenants), told)
	return found
}

// Each thing that is changed by hand is shown, alone, of the tenant in which it was changed, alone.
func TestManager_Drift(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.NewWith(t, pgtest.Options{TenantFiles: driftFiles()})
	d.Tenant("clean")
	owner := d.Owner.Config().ConnConfig.User
	function := "owner " + owner + " as\ntouch()\n RETURNS trigger\n LANGUAGE plpgsql\nAS $function$ begin return %s; end $function$"
	trigger := "CREATE TRIGGER tasks_touch BEFORE UPDATE ON tasks FOR EACH ROW EXECUTE FUNCTION touch()"
	policy := "restrictive to public using ((( SELECT seal.sealed('<tenant>'::text) AS sealed) AND seal.planned('<tenant>'::text)))"
	cases := []struct {
		slug, sql string
		want      []tenantschema.Difference
	}{
		{"column", "alter table tasks add column extra integer", []tenantschema.Difference{{Object: "column tasks.extra", Have: "integer"}}},
		{"index", "drop index tasks_title_idx", []tenantschema.Difference{
			{Object: "index tasks.tasks_title_idx", Want: "CREATE INDEX tasks_title_idx ON tasks USING btree (title)"},
		}},
		{"grant", "grant select on tasks to public", []tenantschema.Difference{{Object: "grant on table tasks to public", Have: "select"}}},
		{"trigger", "alter table tasks disable trigger tasks_touch", []tenantschema.Difference{
			{Object: "trigger tasks.tasks_touch", Want: trigger, Have: trigger + " disabled"},
		}},
		{"default", "alter table tasks alter column title set default 'other'", []tenantschema.Difference{
			{Object: "column tasks.title", Want: "text not null default 'new'::text", Have: "text not null default 'other'::text"},
		}},
		{"policy", "drop policy seal on tasks", []tenantschema.Difference{{Object: "policy tasks.seal", Want: policy}}},
		{"table", "create table forgotten (id integer)", []tenantschema.Difference{
			{Object: "table forgotten", Have: "owner " + owner},
			{Object: "column forgotten.id", Have: "integer"},
			{Object: "grant on table forgotten to " + owner, Have: "delete, insert, references, select, trigger, truncate, update"},
		}},
		{
			"function", "create or replace function touch() returns trigger language plpgsql as $$ begin return old; end $$",
			[]tenantschema.Difference{{Object: "function touch()", Want: fmt.Sprintf(function, "new"), Have: fmt.Sprintf(function, "old")}},
		},
	}
	for _, c := range cases {
		conn, err := d.Owner.Acquire(ctx)
		require.NoError(t, err)
		_, err = conn.Exec(ctx, "set search_path = "+d.Tenant(c.slug).Schema.Quote())
		require.NoError(t, err)
		_, err = conn.Exec(ctx, c.sql)
		require.NoError(t, err)
		require.NoError(t, conn.Hijack().Close(ctx)) // It has a tenant's path.
	}
	found := drifts(t, d.Manager, apperr.Partial)
	for _, c := range cases {
		require.NoError(t, found[c.slug].Err)
		have := found[c.slug].Differences
		for i := range have { // From PostgreSQL 17 on, owners may maintain their tables.
			have[i].Have = strings.Replace(have[i].Have, "insert, maintain, ", "insert, ", 1)
		}
		require.Equal(t, c.want, have, c.slug)
	}
	require.Len(t, found, len(cases))
	require.Empty(t, drifts(t, d.Manager, "", "clean"))
	require.Len(t, drifts(t, d.Manager, apperr.Partial, "column", "clean"), 1)
}

// No tier drifts by itself, nor does a change of tier or a migration make a difference; a suspended tenant is compared like others.
func TestManager_Drift_Tiers(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	files := driftFiles()
	d := pgtest.NewWith(t, pgtest.Options{TenantFiles: files})
	for _, tier := range tenancy.Tiers() {
		_, _, err := d.Manager.Create(ctx, tenancy.NewTenant{Slug: string(tier), Tier: string(tier)})
		require.NoError(t, err)
	}
	_, err := d.Manager.Suspend(ctx, "sealed", "late")
	require.NoError(t, err)
	require.Empty(t, drifts(t, d.Manager, ""))
	for _, tier := range []tenantschema.Tier{tenantschema.TierDedicated, tenantschema.TierPooled, tenantschema.TierSealed} {
		for _, slug := range tenancy.Tiers() {
			_, err = d.Manager.SetTier(ctx, string(slug), tier, 0)
			require.NoError(t, err)
		}
		require.Empty(t, drifts(t, d.Manager, ""), tier)
	}

	files["00002_b.sql"] = sqlFile("-- +goose Up\nalter table tasks add column due date;\n")
	files["00003_c.sql"] = sqlFile("-- +goose NO TRANSACTION\n-- +goose Up\ncreate index concurrently tasks_due_idx on tasks (due);\n")
	newer := manager(t, d, files)
	require.Empty(t, drifts(t, newer, ""), "on the old version")
	require.NoError(t, newer.MigrateAll(ctx, "test", func(tenancy.MigrationResult) {}))
	require.Empty(t, drifts(t, newer, ""), "on the new version")
}

// What cannot be compared is said of that tenant alone.
func TestManager_Drift_Fails(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.NewWith(t, pgtest.Options{TenantFiles: driftFiles()})
	d.Tenant("clean")
	newer, gone, deleted := d.Tenant("newer"), d.Tenant("gone"), d.Tenant("deleted")
	_, err := d.Owner.Exec(ctx, "update rowhouse.tenants set schema_version = 99 where id = $1", newer.ID)
	require.NoError(t, err)
	_, err = d.Owner.Exec(ctx, "drop schema "+gone.Schema.Quote()+" cascade")
	require.NoError(t, err)
	_, err = d.Manager.Delete(ctx, deleted.Slug)
	require.NoError(t, err)
	found := drifts(t, d.Manager, apperr.Partial)
	require.Len(t, found, 2)
	require.ErrorIs(t, found["newer"].Err, tenantschema.ErrUnknownVersion)
	require.ErrorIs(t, found["gone"].Err, tenantschema.ErrNoSchema)

	_, err = d.Manager.Comparable(ctx, []string{"clean", "nobody"})
	requireCode(t, err, apperr.NotFound)
	_, err = d.Manager.Comparable(ctx, []string{deleted.ID})
	requireCode(t, err, apperr.Conflict)
	twice, err := d.Manager.Comparable(ctx, []string{"clean", "clean"})
	require.NoError(t, err)
	require.Len(t, twice, 1)

	// Interrupted, it stops between tenants.
	tenants, err := d.Manager.Comparable(ctx, nil)
	require.NoError(t, err)
	stopping, stop := context.WithCancel(ctx)
	t.Cleanup(stop)
	told := 0
	err = d.Manager.Drift(stopping, tenants, 1, func(tenancy.DriftResult) { told++; stop() })
	requireCode(t, err, apperr.Partial)
	require.ErrorContains(t, err, "stopped with 1 of 3")
	require.Equal(t, 1, told)
}
