package tenantschema_test

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

func done(context.Context, pgx.Tx, int64, bool) error { return nil }

// richFiles have one of everything that a migration may make.
func richFiles() fstest.MapFS {
	return fstest.MapFS{
		"00001_everything.sql": sqlFile(`-- Ünïcode before the first statement
-- +goose Up
create type mood as enum ('sad', 'ok', 'happy');
create domain positive as integer constraint positive_check check (value > 0);
create type pair as (a integer, b text);
create table people (
	id bigint generated always as identity constraint people_pkey primary key,
	name text collate "C" not null default 'näme',
	feeling mood not null default 'ok',
	age positive,
	shout text generated always as (upper(name)) stored,
	boss bigint constraint people_boss_fkey references people (id) deferrable initially deferred,
	constraint people_name_key unique (name) deferrable
); -- a comment behind a statement
alter table people add constraint people_boss_check check (boss <> id) not valid;
create index people_name_idx on people (lower(name) desc) where age is not null;
-- +goose StatementBegin
create function touch() returns trigger language plpgsql set search_path from current as $$
begin
	-- ; is not the end
	new.name := coalesce(new.name, 'x');
	return new;
end
$$;
-- +goose StatementEnd
create trigger people_touch before insert or update on people for each row execute function touch();
create view adults as select id, name from people where age >= 18;
create view mine with (security_invoker = true) as select 1 as one;
create sequence numbers as smallint increment by 2 minvalue 2 cycle owned by people.age;
create statistics people_stats (dependencies) on name, age from people;
create collation plain from "C";
create table events (id integer not null, at date not null, constraint events_pkey primary key (id, at)) partition by range (at);
create table events_2026 partition of events for values from ('2026-01-01') to ('2027-01-01');
create rule events_keep as on delete to events do instead nothing;
-- the end, without a newline`),
		"00002_concurrent.sql": sqlFile("-- +goose NO TRANSACTION\n-- +goose Up\ncreate index concurrently people_feeling_idx on people (feeling);\n"),
		"00005_last.sql":       sqlFile("-- +goose Up\nalter table people add column note text; -- no newline either"),
	}
}

// richGo are two migrations in Go for richFiles, in a transaction and outside.
func richGo() []*goose.Migration {
	inside := func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "create table made_in_go (id integer constraint made_in_go_pkey primary key)"); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "insert into made_in_go (id) values ($1)", 7); err != nil {
			return err
		}
		var n int
		if err := tx.QueryRowContext(ctx, "select id from made_in_go").Scan(&n); err != nil || n != 7 {
			return fmt.Errorf("found %d: %w", n, err)
		}
		_, err := tx.ExecContext(ctx, "alter table made_in_go add column name text")
		return err
	}
	outside := func(ctx context.Context, db *sql.DB) error {
		_, err := db.ExecContext(ctx, "create index concurrently made_in_go_name_idx on made_in_go (name)")
		return err
	}
	return []*goose.Migration{
		goose.NewGoMigration(3, &goose.GoFunc{RunTx: inside}, nil),
		goose.NewGoMigration(4, &goose.GoFunc{RunDB: outside}, nil),
	}
}

// session opens a session of a provisioner with these migrations.
func (p *provisioning) session(t *testing.T, fsys fstest.MapFS, code ...*goose.Migration) *tenantschema.Session {
	t.Helper()
	cfg, err := p.d.Logins.Owner()
	require.NoError(t, err)
	provisioner, err := tenantschema.NewProvisioner(tenantschema.ProvisionerConfig{ConnConfig: cfg, Migrations: fsys, GoMigrations: code})
	require.NoError(t, err)
	s, err := provisioner.Connect(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() }) // Some tests break it.
	return s
}

// leftovers are the references that have been left behind.
func (p *provisioning) leftovers(t *testing.T) (n int) {
	t.Helper()
	require.NoError(t, p.d.Owner.QueryRow(t.Context(), `select (select count(*) from pg_namespace where starts_with(nspname::text, $1)) + (
		select count(*) from pg_shdepend d join pg_roles r on r.oid = d.refobjid and d.refclassid = 'pg_authid'::regclass
		where starts_with(r.rolname::text, $1) and d.dbid = (select oid from pg_database where datname = current_database()))`,
		tenantschema.ReferencePrefix).Scan(&n))
	return n
}

func lines(f tenantschema.Fingerprint) (all []string) {
	for _, l := range f.Lines {
		all = append(all, l.String())
	}
	return all
}

// What a fingerprint says of one of everything: a kind that is not printed could drift unseen.
func TestFingerprint(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := newProvisioning(t, files(), "t_finger")
	s := p.session(t, richFiles(), richGo()...)
	require.NoError(t, s.Create(ctx, p.spec(), nil, done))
	f, err := s.Fingerprint(ctx, p.name)
	require.NoError(t, err)
	got := lines(f)
	require.NotContains(t, strings.Join(got, "\n"), p.name.String())
	owner := p.d.Owner.Config().ConnConfig.User
	for _, want := range []string{
		"schema owner " + owner,
		"table people owner " + owner + " row security",
		"table events owner " + owner + " row security partition by RANGE (at)",
		"table events_2026 owner " + owner + " row security partition of events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
		"table goose_db_version owner " + owner,
		"column people.id bigint not null generated always as identity",
		`column people.name text collate "C" not null default 'näme'::text`,
		"column people.feeling mood not null default 'ok'::mood",
		"column people.age positive",
		"column people.shout text generated always as (upper(name)) stored",
		"column events_2026.id integer not null inherited",
		"column pair.b text",
		"constraint people.people_pkey PRIMARY KEY (id)",
		"constraint people.people_boss_fkey FOREIGN KEY (boss) REFERENCES people(id) DEFERRABLE INITIALLY DEFERRED",
		"constraint people.people_boss_check CHECK ((boss <> id)) NOT VALID",
		"constraint people.people_name_key UNIQUE (name) DEFERRABLE",
		"constraint positive.positive_check CHECK ((VALUE > 0))",
		"index people.people_name_idx CREATE INDEX people_name_idx ON people USING btree (lower(name) DESC) WHERE age IS NOT NULL",
		"index people.people_feeling_idx CREATE INDEX people_feeling_idx ON people USING btree (feeling)",
		"index made_in_go.made_in_go_name_idx CREATE INDEX made_in_go_name_idx ON made_in_go USING btree (name)",
		"sequence numbers owner " + owner + " as smallint start 2 increment 2 minvalue 2 maxvalue 32767 cache 1 cycle owned by people.age",
		"trigger people.people_touch CREATE TRIGGER people_touch BEFORE INSERT OR UPDATE ON people FOR EACH ROW EXECUTE FUNCTION touch()",
		"policy people.seal restrictive to public using ((( SELECT seal.sealed('<tenant>'::text) AS sealed) AND seal.planned('<tenant>'::text)))",
		"policy people.seal_open permissive to public using (true)",
		"type mood owner " + owner + " enum ('sad', 'ok', 'happy')",
		"domain positive owner " + owner + " over integer",
		"type pair owner " + owner + " composite",
		"statistics people_stats owner " + owner + " as people_stats (dependencies) ON name, age FROM people",
		"collation plain exists",
		"grant on schema to <tenant> usage",
		"grant on table people to <tenant> delete, insert, select, update",
		"grant on sequence numbers to <tenant> usage",
		"grant on function touch() to public execute",
	} {
		require.Contains(t, got, want)
	}
	all := strings.Join(got, "\n")
	for _, pattern := range []string{
		`(?m)^function touch\(\) owner \w+ as\ntouch\(\)\n RETURNS trigger\n LANGUAGE plpgsql\n SET search_path TO '<tenant>'\nAS`,
		`(?m)^view adults owner \w+ as\n SELECT q\.id,`,
		`(?m)^view mine owner \w+ with \(security_invoker=true\) as\n SELECT 1 AS one;`,
		`(?m)^rule events\.events_keep CREATE RULE events_keep AS\s+ON DELETE TO events DO INSTEAD NOTHING;`,
	} {
		require.Regexp(t, pattern, all)
	}
	require.Len(t, f.Sum(), 64)

	gone, err := tenantschema.ParseName("t_nobody")
	require.NoError(t, err)
	_, err = s.Fingerprint(ctx, gone)
	require.ErrorIs(t, err, tenantschema.ErrNoSchema)
}

// The catalogs are entered by their indexes only: a scan of one takes longer with every tenant there is.
func TestFingerprint_ScansNothing(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := newProvisioning(t, files(), "t_finger_plan")
	var plan []string
	require.NoError(t, pgx.BeginFunc(ctx, p.d.Owner, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, tenantschema.FingerprintSettings, "1s"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "prepare fingerprint (text) as "+strings.ReplaceAll(tenantschema.FingerprintSQL(), "$1::text", "$1")); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, "explain (costs off) execute fingerprint ('t_finger_plan')")
		if err != nil {
			return err
		}
		plan, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	}))
	// These are small in a database that has just been made. The planner may read one whole as long as it is.
	small := regexp.MustCompile(`on pg_(am|tablespace|opclass|foreign_server|foreign_table|statistic_ext|default_acl|range|enum|aggregate) `)
	scan := regexp.MustCompile(`(Seq|Index|Index Only|Bitmap Index) Scan`)
	for i, line := range plan {
		if !scan.MatchString(line) || small.MatchString(line) {
			continue
		}
		require.NotContains(t, line, "Seq Scan", strings.Join(plan, "\n"))
		require.Contains(t, plan[i+1], "Index Cond", "%s\n%s", line, strings.Join(plan, "\n"))
	}
}

func TestFingerprint_Diff(t *testing.T) {
	t.Parallel()
	of := func(lines ...string) (f tenantschema.Fingerprint) {
		for _, l := range lines {
			object, is, _ := strings.Cut(l, "|")
			f.Lines = append(f.Lines, tenantschema.Line{Object: object, Is: is})
		}
		return f
	}
	want := of("table a|x", "column a.one|text", "column a.two|integer", "index a.i|on one\nwhere two")
	require.Empty(t, want.Diff(want))
	var text []string
	for _, d := range of("table a|x", "column a.one|integer", "column a.three|text", "column a.two|integer").Diff(want) {
		text = append(text, d.String())
	}
	require.Equal(t, []string{
		"- column a.one text\n+ column a.one integer", "- index a.i on one\n-   where two", "+ column a.three text",
	}, text)
	moved := of("table a|x", "column a.two|integer", "column a.one|text", "index a.i|on one\nwhere two")
	require.Equal(t, []tenantschema.Difference{
		{Object: "order of", Want: "column a.one, column a.two", Have: "column a.two, column a.one"},
	}, moved.Diff(want))
	require.NotEqual(t, want.Sum(), moved.Sum())
}

// The reference of each version is the schema of a tenant that was created on it, and leaves nothing behind.
func TestReference(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := newProvisioning(t, files(), "t_reference")
	all := richFiles()
	s := p.session(t, all, richGo()...)
	first := p.session(t, fstest.MapFS{"00001_everything.sql": all["00001_everything.sql"]})
	for _, sealed := range []bool{true, false} {
		spec := p.spec()
		spec.Sealed = sealed
		like := func(version int64) {
			want, err := s.Reference(ctx, version, sealed)
			require.NoError(t, err)
			have, err := s.Fingerprint(ctx, p.name)
			require.NoError(t, err)
			require.Equal(t, lines(want), lines(have))
			require.Equal(t, want.Sum(), have.Sum())
		}
		require.NoError(t, first.Create(ctx, spec, nil, done))
		like(1)
		require.NoError(t, s.Migrate(ctx, spec, done))
		like(5)
		require.NoError(t, s.Drop(ctx, p.name, func(context.Context, pgx.Tx) error { return nil }))
		require.NoError(t, s.Create(ctx, spec, nil, done))
		like(5)
		require.NoError(t, s.Drop(ctx, p.name, func(context.Context, pgx.Tx) error { return nil }))
	}
	require.Zero(t, p.leftovers(t))
	_, err := s.Reference(ctx, 6, true)
	require.ErrorIs(t, err, tenantschema.ErrUnknownVersion)
}

// References that are made outside a transaction are dropped although making them fails, or the connection breaks.
func TestReference_Fails(t *testing.T) {
	t.Parallel()
	p := newProvisioning(t, files(), "t_reference_fails")
	fsys := files()
	fsys["00004_bad.sql"] = sqlFile("-- +goose Up\nselect 1/0;\n")
	s := p.session(t, fsys)
	_, err := s.Reference(t.Context(), 4, true)
	requireState(t, err, "22012")
	_, err = s.Reference(t.Context(), 3, true)
	require.NoError(t, err, "the session goes on")

	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	slow := func(ctx context.Context, db *sql.DB) error {
		time.AfterFunc(20*time.Millisecond, cancel)
		_, err := db.ExecContext(ctx, "select pg_sleep(60)")
		return err
	}
	s = p.session(t, files(), goose.NewGoMigration(9, &goose.GoFunc{RunDB: slow}, nil))
	_, err = s.Reference(ctx, 9, true)
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, p.leftovers(t))
}
