package tenancy_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// fault is something that is planted by SQL of the owner, in which words in capitals are names of the test.
type fault struct {
	name, sql string
	// kind and object of the trouble that is found.
	kind, object string
	// undo takes away what is not mended by itself; "" means that it is.
	undo string
}

func faults() []fault {
	const drop = "grant ACME to current_user; drop owned by ACME; drop role ACME"
	return []fault{
		{
			name: "empty schema", sql: "create schema t_aaaaaaaaaaaaaaaa; create table t_aaaaaaaaaaaaaaaa.x (id int)",
			kind: "orphan-schema", object: "schema t_aaaaaaaaaaaaaaaa",
		},
		{
			name: "schema with a row", sql: "create schema t_aaaaaaaaaaaaaaaa; create table t_aaaaaaaaaaaaaaaa.x as select 1 as one",
			kind: "orphan-schema", object: "schema t_aaaaaaaaaaaaaaaa", undo: "drop schema t_aaaaaaaaaaaaaaaa cascade",
		},
		{name: "role", sql: "create role t_aaaaaaaaaaaaaaaa; grant t_aaaaaaaaaaaaaaaa to CELL", kind: "orphan-role", object: "role t_aaaaaaaaaaaaaaaa"},
		{
			name: "role of somebody", sql: "create role t_aaaaaaaaaaaaaaaa", kind: "orphan-role", object: "role t_aaaaaaaaaaaaaaaa",
			undo: "drop role t_aaaaaaaaaaaaaaaa",
		},
		{name: "login", sql: "create role PREFIX_t_aaaaaaaaaaaaaaaa", kind: "orphan-role", object: "role PREFIX_t_aaaaaaaaaaaaaaaa"},
		{
			name: "creation cut off", sql: `insert into rowhouse.tenants (id, slug, name, state, updated_at)
				values ('aaaaaaaaaaaaaaaa', 'unfinished', 'x', 'provisioning', now() - interval '2 hours')`,
			kind: "unfinished", object: "tenant unfinished",
		},
		{
			name: "deletion cut off", sql: `insert into rowhouse.tenants (id, slug, name, state, updated_at)
				values ('bbbbbbbbbbbbbbbb', 'leaving', 'x', 'archived', now() - interval '2 hours')`,
			kind: "half-deleted", object: "tenant leaving", undo: "delete from rowhouse.tenants where slug = 'leaving'",
		},
		{name: "schema gone that was nobody's", sql: "drop schema WARM cascade", kind: "schema-missing", object: "tenant WARM"},
		{
			name: "schema gone", sql: `insert into rowhouse.tenants (id, slug, name, state) values ('bbbbbbbbbbbbbbbb', 'lost', 'x', 'ready')`,
			kind: "schema-missing", object: "tenant lost", undo: "delete from rowhouse.tenants where slug = 'lost'",
		},
		{name: "role gone", sql: drop, kind: "role-missing", object: "role ACME"},
		{name: "membership gone", sql: "revoke ACME from CELL", kind: "membership-missing", object: "role ACME"},
		{name: "another's membership", sql: "grant ACME to LOGIN", kind: "membership", object: "role ACME"},
		{name: "login gone", sql: "grant LOGIN to current_user; drop owned by LOGIN; drop role LOGIN", kind: "login-missing", object: "role LOGIN"},
		{name: "login left", sql: "create role PREFIX_ACME login", kind: "login-left", object: "role PREFIX_ACME"},
		{
			name: "role taken", sql: "update rowhouse.spare_roles set taken_at = now() - interval '2 hours'", kind: "spare-taken", object: "role SPARE",
		},
		{name: "membership of a spare gone", sql: "revoke SPARE from CELL", kind: "membership-missing", object: "role SPARE"},
		{
			name: "role of a spare gone", sql: "insert into rowhouse.spare_roles (id, cell) values ('cccccccccccccccc', 1)",
			kind: "spare-missing", object: "role t_cccccccccccccccc",
		},
		{name: "no usage", sql: "revoke usage on schema ACME from ACME", kind: "right-missing", object: "schema ACME"},
		{name: "no rights on a table", sql: "revoke select on ACME.projects from ACME", kind: "right-missing", object: "table ACME.projects"},
		{name: "no policy", sql: "drop policy seal on ACME.projects", kind: "policy", object: "table ACME.projects"},
		{name: "no row security", sql: "alter table ACME.projects disable row level security", kind: "row-security", object: "table ACME.projects"},
		{name: "version", sql: "update rowhouse.tenants set schema_version = 1 where slug = 'acme'", kind: "version", object: "tenant acme"},
		{
			name: "no versions", sql: "create schema hidden; alter table ACME.goose_db_version set schema hidden", kind: "version",
			object: "tenant acme", undo: "alter table hidden.goose_db_version set schema ACME; drop schema hidden",
		},
		{
			name: "jobs", sql: `insert into river.river_job (args, kind, max_attempts, metadata) values ('{}', 'x', 1, '{"tenant": "dddddddddddddddd"}')`,
			kind: "jobs-left", object: "tenant dddddddddddddddd",
		},
	}
}

// Each fault is found where it is, and mended if that loses nothing; before and after there is none.
func TestDoctor_FindsAndMends(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.NewWith(t, pgtest.Options{Server: pgtest.OwnServer(t)}) // All its roles are ours.
	for slug, tier := range map[string]tenantschema.Tier{"acme": "", "pooled": tenantschema.TierPooled, "alone": tenantschema.TierDedicated} {
		_, _, err := d.Manager.Create(ctx, tenancy.NewTenant{Slug: slug, Tier: string(tier)})
		require.NoError(t, err)
	}
	words := func() *strings.Replacer {
		fill(t, d.Manager, 1)
		ahead, err := d.Manager.List(ctx, tenancy.ListFilter{State: tenancy.StateWarm})
		require.NoError(t, err)
		var spare string
		require.NoError(t, d.Owner.QueryRow(ctx, "select 't_' || min(id) from rowhouse.spare_roles").Scan(&spare))
		return strings.NewReplacer("ACME", d.Tenant("acme").Schema.String(), "WARM", ahead[0].Schema.String(), "SPARE", spare,
			"LOGIN", d.Logins.Dedicated(d.Tenant("alone").Schema), "CELL", d.Logins.Cell(1),
			"PREFIX", strings.TrimSuffix(d.Logins.Control(), "_control"))
	}
	exec := func(sql string) {
		t.Helper()
		_, err := d.Owner.Exec(ctx, sql)
		require.NoError(t, err, sql)
	}
	doctor := func(fix bool) []tenancy.Trouble {
		t.Helper()
		found, err := d.Manager.Doctor(ctx, fix)
		require.NoError(t, err)
		return found
	}
	// A role that nobody has used, and tenants that nobody is at work on.
	exec("create role t_eeeeeeeeeeeeeeee; grant t_eeeeeeeeeeeeeeee to " + d.Logins.Cell(1) +
		"; insert into rowhouse.spare_roles (id, cell, taken_at) values ('eeeeeeeeeeeeeeee', 1, now())")
	settle := func() {
		t.Helper()
		exec("alter table rowhouse.tenants disable trigger tenants_changed; update rowhouse.tenants set updated_at = now() - interval '2 hours'" +
			" where state = 'ready'; alter table rowhouse.tenants enable trigger tenants_changed")
	}
	settle()
	require.Empty(t, doctor(true))

	for _, f := range faults() {
		in := words()
		exec(in.Replace(f.sql))
		if f.kind != "version" {
			settle()
		}
		// One that was not mended would be found with the next, too.
		found := doctor(true)
		require.Len(t, found, 1, f.name)
		require.Equal(t, []string{f.kind, in.Replace(f.object)}, []string{found[0].Kind, found[0].Object}, f.name)
		require.NotEmpty(t, found[0].Problem)
		require.NotEmpty(t, found[0].Fix)
		require.Empty(t, found[0].Error, f.name)
		require.Equal(t, f.undo == "", found[0].Safe, f.name)
		require.Equal(t, f.undo == "", found[0].Fixed, f.name)
		if f.undo != "" {
			exec(in.Replace(f.undo))
		}
	}
	require.Empty(t, doctor(false))

	// Without fix nothing is changed.
	exec("revoke usage on schema " + d.Tenant("acme").Schema.Quote() + " from " + d.Tenant("acme").Schema.Quote())
	for range 2 {
		found := doctor(false)
		require.Len(t, found, 1)
		require.True(t, found[0].Safe)
		require.False(t, found[0].Fixed)
	}
	require.Len(t, doctor(true), 1)
	in, err := d.Manager.Inspect(ctx, nil)
	require.NoError(t, err)
	require.Empty(t, in.Findings)
	for _, slug := range []string{"acme", "pooled", "alone", "unfinished"} {
		_, err = d.Scope(slug).Exec(ctx, "select count(*) from projects")
		require.NoError(t, err, slug)
	}
}
