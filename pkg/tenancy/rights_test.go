package tenancy_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/migrations"
	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// rights is a database with two tenants, whose login roles are the test's own and may be given rights.
type rights struct {
	t        *testing.T
	admin    *pgx.Conn
	logins   *tenancy.Logins
	replacer *strings.Replacer // of {cell}, {control}, {other}, {owner}, {db}, {acme}, {globex} by their names
	modern   bool              // PostgreSQL 16 or newer: a membership says whether it is inherited
}

func newRights(t *testing.T) *rights {
	t.Helper()
	d := pgtest.New(t)
	prefix := d.RolePrefix()
	r := &rights{t: t}
	var err error
	r.logins, err = tenancy.NewLogins(d.OwnerURL, pgtest.Secret, prefix)
	require.NoError(t, err)
	r.migrate()
	r.admin, err = pgx.Connect(t.Context(), d.AdminURL)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.admin.Close(context.WithoutCancel(t.Context()))) })
	require.NoError(t, r.admin.QueryRow(t.Context(), "select current_setting('server_version_num')::int >= 160000").Scan(&r.modern))

	owner, err := r.logins.Owner()
	require.NoError(t, err)
	provisioner, err := tenantschema.NewProvisioner(tenantschema.ProvisionerConfig{ConnConfig: owner, Migrations: migrations.Tenant()})
	require.NoError(t, err)
	m, err := tenancy.NewManager(tenancy.ManagerConfig{Pool: d.Owner, Provisioner: provisioner, Logins: r.logins})
	require.NoError(t, err)
	schema := func(slug string) string {
		tenant, _, err := m.Create(t.Context(), tenancy.NewTenant{Slug: slug})
		require.NoError(t, err)
		return tenant.Schema.String()
	}
	r.replacer = strings.NewReplacer("{cell}", r.logins.Cell(1), "{control}", r.logins.Control(), "{other}", prefix+"_other", "{owner}", owner.User,
		"{db}", owner.Database, "{acme}", schema("acme"), "{globex}", schema("globex"))
	r.exec("create role {other}")
	t.Cleanup(func() { r.exec("drop owned by {other}; drop role {other}") })
	return r
}

func (r *rights) migrate() {
	r.t.Helper()
	require.NoError(r.t, tenancy.MigrateControl(r.t.Context(), tenancy.ControlMigration{
		Logins: r.logins, Then: func(ctx context.Context) error { return jobqueue.MigrateAs(ctx, r.logins) },
	}))
}

func (r *rights) exec(sql string) {
	r.t.Helper()
	_, err := r.admin.Exec(context.WithoutCancel(r.t.Context()), r.replacer.Replace(sql))
	require.NoError(r.t, err, sql)
}

// found gives what the check finds, each as the role, its right, and the SQL that takes it away.
func (r *rights) found() (found, remedies []string) {
	r.t.Helper()
	err := tenancy.CheckRights(r.t.Context(), r.logins, r.logins.Cell(1))
	if err == nil {
		return nil, nil
	}
	requireCode(r.t, err, apperr.Refused)
	refusal, _ := errors.AsType[*apperr.Error](err)
	for _, field := range refusal.Fields {
		words, remedy, _ := strings.Cut(field.Message, ": ")
		found = append(found, field.Path+": "+words)
		remedies = append(remedies, remedy)
	}
	return found, remedies
}

// wrong is a right too many.
type wrong struct {
	give string   // SQL
	want []string // what the check finds; nothing where the right is harmless
}

// check gives all the wrong rights, wants each found, takes them away as the check says, and wants nothing found any more.
func (r *rights) check(cases ...wrong) {
	r.t.Helper()
	var want []string
	for _, c := range cases {
		r.exec(c.give)
		for _, line := range c.want {
			want = append(want, r.replacer.Replace(line))
		}
	}
	found, remedies := r.found()
	require.ElementsMatch(r.t, want, found)
	for _, remedy := range remedies {
		r.exec(remedy)
	}
	r.exec("grant connect on database {db} to {cell}") // It is lost by owning the database for a while; migrating would do this.
	found, _ = r.found()
	require.Empty(r.t, found, "after %v", remedies)
}

func TestCheckRights_Attributes(t *testing.T) {
	t.Parallel()
	r := newRights(t)
	found, _ := r.found()
	require.Empty(t, found, "after migrating")
	r.check(
		wrong{"alter role {cell} createrole createdb", []string{"{cell}: may create roles", "{cell}: may create databases"}},
		wrong{"alter role {cell} replication", []string{"{cell}: may copy the whole server by replication"}},
		wrong{"alter role {cell} bypassrls", []string{"{cell}: may bypass row level security"}},
		wrong{"alter role {control} superuser", []string{"{control}: is a superuser"}},
		wrong{"alter role {acme} login createdb", []string{"{acme}: a tenant, may create databases", "{acme}: a tenant, may log in"}},
		wrong{"alter role {cell} set search_path = 'public'", nil},
	)
	inherits := wrong{"alter role {cell} inherit", []string{"{cell}: has the rights of its tenants without becoming one"}}
	if r.modern {
		inherits.want = nil
	}
	r.check(inherits)

	// Migrating takes away what its owner can, who may not create databases.
	r.exec("alter role {cell} createrole createdb")
	r.migrate()
	found, _ = r.found()
	if r.modern {
		require.Equal(t, []string{r.logins.Cell(1) + ": may create databases"}, found)
	} else {
		require.Empty(t, found)
	}
}

func TestCheckRights_Memberships(t *testing.T) {
	t.Parallel()
	r := newRights(t)
	// A role's maker is its member since PostgreSQL 16, and there are no circles.
	r.exec("revoke {cell} from {owner}; create role {other}_super superuser; create role {other}_strong createrole bypassrls; create role {other}_reader")
	t.Cleanup(func() { r.exec("drop role {other}_super, {other}_strong, {other}_reader") })
	r.exec("grant pg_read_all_data to {other}_reader")
	cases := []wrong{
		{"grant {other} to {cell}", []string{"{cell}: is a member of {other} (no tenant's role)"}},
		{"grant pg_execute_server_program to {cell}", []string{"{cell}: is a member of pg_execute_server_program (a predefined role)"}},
		{"grant {other}_reader to {cell}", []string{
			"{cell}: is a member of {other}_reader (itself a member of pg_read_all_data, a predefined role)",
		}},
		{"grant {other}_strong to {cell}", []string{
			"{cell}: is a member of {other}_strong (which may create roles, which may bypass row level security)",
		}},
		{"grant {other}_super to {cell}", []string{"{cell}: is a member of {other}_super (a superuser)"}},
		{"grant {globex} to {acme}", []string{"{acme}: a tenant, is a member of {globex} (another tenant)"}},
		{"grant pg_read_all_data to {acme}", []string{"{acme}: a tenant, is a member of pg_read_all_data (a predefined role)"}},
		{"grant {globex} to {cell} with admin option", []string{"{cell}: may give others membership in {globex}"}},
		{"grant {other} to {control}", []string{"{control}: is a member of {other}"}},
		{"grant pg_read_all_data to {control}", []string{"{control}: is a member of pg_read_all_data (a predefined role)"}},
	}
	if r.modern {
		cases = append(cases, wrong{
			"grant {acme} to {cell} with inherit true", []string{"{cell}: has, without becoming it, the rights of {acme}"},
		})
	}
	r.check(cases...)
	r.check(
		wrong{"grant {acme} to {control}", []string{"{control}: is a member of {acme}"}},
		wrong{"grant {owner} to {cell}", []string{
			"{cell}: is a member of {owner} (the owner of the database, the owner of schema rowhouse, which may create roles)",
		}},
	)
}

func TestCheckRights_Ownership(t *testing.T) {
	t.Parallel()
	r := newRights(t)
	r.check(
		wrong{"create schema mine authorization {control}", []string{"{control}: owns schema mine"}},
		wrong{"create table rowhouse.mine (id int); alter table rowhouse.mine owner to {control}", []string{"{control}: owns table rowhouse.mine"}},
		wrong{"create table {acme}.mine (id int); alter table {acme}.mine owner to {cell}", []string{"{cell}: owns table {acme}.mine"}},
		wrong{"alter function rowhouse.tenants_changed() owner to {cell}", []string{"{cell}: owns function rowhouse.tenants_changed()"}},
		wrong{"alter database {db} owner to {cell}", []string{"{cell}: owns database {db}"}},
		wrong{"alter schema {acme} owner to {acme}", []string{"{acme}: a tenant, owns schema {acme}"}},
		wrong{"select lo_create(4711); grant select on large object 4711 to {cell}", []string{"{cell}: has rights on large object 4711"}},
		wrong{"grant usage on language plpgsql to {cell}", []string{"{cell}: has rights on language plpgsql"}},
		wrong{"alter default privileges for role {owner} in schema rowhouse grant select on tables to {cell}", []string{
			"{cell}: has rights on default acl for role {owner} in schema rowhouse on tables",
		}},
		wrong{"grant set on parameter log_statement to {cell}", []string{"{cell}: has rights on parameter ACL log_statement"}},
	)
}

func TestCheckRights_Grants(t *testing.T) {
	t.Parallel()
	r := newRights(t)
	r.check(
		wrong{"grant create, temp on database {db} to {cell}", []string{"{cell}: has CREATE, TEMPORARY on database {db}"}},
		wrong{"grant temp, connect on database {db} to public", []string{"everybody: has TEMPORARY on database {db}"}},
		wrong{"grant temp, connect on database {db} to {acme}", []string{"{acme}: a tenant, has TEMPORARY on database {db}"}},
		wrong{"grant all on schema public to {control}", []string{"{control}: has CREATE, USAGE on schema public"}},
		wrong{"grant usage on schema public to public", []string{"everybody: has USAGE on schema public"}},
		wrong{"grant create on schema river to {control}", []string{"{control}: has CREATE on schema river"}},
		wrong{"create schema extensions; grant usage, create on schema extensions to public", []string{"everybody: has CREATE on schema extensions"}},
		wrong{"grant usage on schema river to {cell} with grant option", []string{
			"{cell}: has USAGE on schema river, and may give it to others",
		}},
		wrong{"grant usage on schema rowhouse to {cell}", []string{"{cell}: has USAGE on schema rowhouse"}},
	)
	r.check(
		wrong{"grant usage on schema {acme} to {cell}, {control}, public", []string{
			"{control}: has USAGE on schema {acme}", "everybody: has USAGE on schema {acme}", "{cell}: has USAGE on schema {acme}",
		}},
		wrong{"grant create on schema {acme} to {acme}", []string{"{acme}: a tenant, has CREATE on schema {acme}"}},
		wrong{"grant usage on schema {globex} to {acme}", []string{"{acme}: a tenant, has USAGE on schema {globex}"}},
		wrong{"grant select on rowhouse.tenants to {cell}", []string{"{cell}: has SELECT on table rowhouse.tenants"}},
		wrong{"grant select (slug) on rowhouse.tenants to public", []string{"everybody: has SELECT (slug) on table rowhouse.tenants"}},
		wrong{"create table rowhouse.open (id int); grant select on rowhouse.open to public", []string{"everybody: has SELECT on table rowhouse.open"}},
		wrong{"grant insert, update, delete, truncate on rowhouse.tenants to {control}", []string{
			"{control}: has DELETE, INSERT, TRUNCATE, UPDATE on table rowhouse.tenants",
		}},
		wrong{"grant update (version_id) on rowhouse.goose_db_version to {control}", []string{
			"{control}: has UPDATE (version_id) on table rowhouse.goose_db_version",
		}},
		wrong{"grant insert, update (args), delete on river.river_job to {cell}", []string{
			"{cell}: has DELETE, INSERT, UPDATE (args) on table river.river_job",
		}},
		wrong{"grant truncate, trigger on river.river_job to {control}", []string{"{control}: has TRIGGER, TRUNCATE on table river.river_job"}},
	)
	r.check(
		wrong{"alter database {db} owner to {globex}", []string{"{globex}: a tenant, owns database {db}"}},
		wrong{"grant insert on river.river_migration to {control}", []string{"{control}: has INSERT on table river.river_migration"}},
		wrong{"grant select on river.river_queue to {cell}", []string{"{cell}: has SELECT on table river.river_queue"}},
		wrong{"grant update on sequence river.river_job_id_seq to {cell}", []string{"{cell}: has UPDATE on sequence river.river_job_id_seq"}},
		wrong{"grant select, insert on {acme}.tasks to {cell}", []string{"{cell}: has INSERT, SELECT on table {acme}.tasks"}},
		wrong{"grant select on {acme}.tasks to {control}", []string{"{control}: has SELECT on table {acme}.tasks"}},
		wrong{"grant execute on function pg_read_file(text) to {cell}", []string{"{cell}: has EXECUTE on routine pg_read_file(text)"}},
		wrong{"grant execute on function set_config(text, text, boolean) to {cell}", nil},
		wrong{"create domain rowhouse.money as int; grant usage on type rowhouse.money to {cell}", []string{
			"{cell}: has USAGE on type rowhouse.money",
		}},
	)
}

// What is wrong with the whole fleet is not listed tenant by tenant.
func TestCheckRights_Many(t *testing.T) {
	t.Parallel()
	r := newRights(t)
	r.exec("do $$ begin for n in 100 .. 119 loop execute 'create schema s' || n || ' authorization {control}'; end loop; end $$")
	found, _ := r.found()
	require.Len(t, found, 11)
	require.Equal(t, r.replacer.Replace("{control}: owns schema s100"), found[0])
	require.Equal(t, r.replacer.Replace("{control}: and 10 more like these"), found[10])
}
