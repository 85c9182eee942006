package tenantschema_test

import (
	"context"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// papers are a tenant's tables of every kind: plain, partitioned, with a policy of its own, with views on them.
func papers() fstest.MapFS {
	return fstest.MapFS{"00001_papers.sql": sqlFile(`-- +goose Up
create table papers (id int primary key, title text not null, body tsvector not null, doc jsonb not null);
create index papers_body_idx on papers using gin (body);
create index papers_doc_idx on papers using gin (doc);
create index papers_title_idx on papers (title text_pattern_ops);
create table notes (id int primary key, year int not null default 1) partition by range (id);
create table notes_low partition of notes for values from (0) to (10);
create table own (id int primary key);
alter table own enable row level security;
create policy everybody on own using (true);
create view shelf as select id, title, body, doc from papers;
create view newest as select id, title from papers order by id desc limit 10;
create view titles as select title, count(*) as papers from papers group by title;
create view all_ids as select id from papers union all select id from notes;
create view asking with (security_invoker = true) as select id from papers;
`)}
}

// later are papers and what a later release adds.
func later() fstest.MapFS {
	files := maps.Clone(papers())
	files["00002_later.sql"] = sqlFile(`-- +goose Up
create table added (id int primary key);
create table added_own (id int primary key);
create policy everybody on added_own using (true);
create table notes_high partition of notes for values from (10) to (20);
create or replace view shelf as select id, title, body, doc, title || '!' as loud from papers;
create view added_view as select id from papers;
`)
	return files
}

// scope makes the tenant of p and gives its scope.
func (p *provisioning) scope(t *testing.T) tenantschema.Scope {
	t.Helper()
	require.NoError(t, p.s.Create(t.Context(), p.spec(), nil, noRecord))
	return p.d.Engine.Tenant(tenantschema.Tenant{Schema: p.name, Cell: 1, Tier: tenantschema.TierSealed})
}

// migrate brings the tenant of p to other files.
func (p *provisioning) migrate(t *testing.T, files fstest.MapFS) error {
	t.Helper()
	cfg, err := p.d.Logins.Owner()
	require.NoError(t, err)
	next, err := tenantschema.NewProvisioner(tenantschema.ProvisionerConfig{ConnConfig: cfg, Migrations: files})
	require.NoError(t, err)
	s, err := next.Connect(t.Context())
	require.NoError(t, err)
	defer s.Close() //nolint:errcheck // Nothing is left to be done.
	return s.Migrate(t.Context(), p.spec(), noRecord)
}

func noRecord(context.Context, pgx.Tx, int64, bool) error { return nil }

// Every table and view asks for the seal: those of the first migration and of later ones, partitions, those with a policy of their own.
func TestPolicy_EveryRelation(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := newProvisioning(t, papers(), "t_policyevery00001")
	scope := p.scope(t)
	i := newIntruder(t, p.d)
	check := func(relations ...string) {
		t.Helper()
		for _, relation := range relations {
			sql := "select count(*) from " + relation
			_, err := scope.Exec(ctx, sql)
			require.NoError(t, err, relation)
			err = pgx.BeginFunc(ctx, i.conn, func(tx pgx.Tx) error {
				_, err := tx.Exec(ctx, "select set_config('role', $1, true), set_config('search_path', $1, true)", p.name.String())
				require.NoError(t, err)
				_, err = tx.Exec(ctx, sql)
				return err
			})
			requireUnsealed(t, err, relation)
		}
	}
	// Neither what is not there nor what an index could find is told apart, and no estimate is given.
	_, err := scope.Exec(ctx, "insert into papers (id, title, body, doc) values (7, 'seven', '', '{}')")
	require.NoError(t, err)
	for _, sql := range []string{
		"select id from PAPERS where id = 7", "select id from PAPERS where id = 8", "explain select id from PAPERS where id < 100", "select id from PAPERS where false",
	} {
		for _, relation := range []string{"papers", "shelf", "asking"} {
			sql := strings.ReplaceAll(sql, "PAPERS", relation)
			err = pgx.BeginFunc(ctx, i.conn, func(tx pgx.Tx) error {
				_, err := tx.Exec(ctx, "select set_config('role', $1, true), set_config('search_path', $1, true)", p.name.String())
				require.NoError(t, err)
				_, err = tx.Exec(ctx, sql)
				return err
			})
			requireUnsealed(t, err, sql)
		}
	}
	first := []string{"papers", "notes", "notes_low", "own", "shelf", "newest", "titles", "all_ids", "asking"}
	check(first...)
	require.NoError(t, p.migrate(t, papers()), "once more")
	check(first...)
	require.NoError(t, p.migrate(t, later()))
	check(append(first, "added", "added_own", "notes_high", "added_view")...)
	_, err = scope.Exec(ctx, "select loud from shelf")
	require.NoError(t, err)

	files := later()
	files["00003_materialized.sql"] = sqlFile("-- +goose Up\ncreate materialized view kept as select id from papers;\n")
	require.ErrorContains(t, p.migrate(t, files), "the materialized view kept cannot be sealed")
	var there bool
	require.NoError(t, p.d.Owner.QueryRow(ctx, "select to_regclass($1) is not null", p.name.Quote()+".kept").Scan(&there))
	require.False(t, there, "the migration is undone with it")
}

// Sealing a tenant and unsealing it loses no request.
func TestPolicy_SetSealedUnderLoad(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := newProvisioning(t, papers(), "t_policyunderload1")
	scope := p.scope(t)
	var done atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				err := scope.InTx(ctx, func(tx *tenantschema.Tx) error {
					if _, err := tx.Exec(ctx, "insert into own (id) select coalesce(max(id), 0) + 1 from own on conflict do nothing"); err != nil {
						return err
					}
					_, err := tx.Exec(ctx, "select count(*) from papers")
					return err
				})
				if err != nil {
					t.Errorf("a request is lost: %v", err)
					return
				}
				done.Add(1)
			}
		})
	}
	for i := range 6 {
		require.NoError(t, p.s.SetSealed(ctx, p.name, i%2 == 1, func(context.Context, pgx.Tx) error { return nil }))
		from := done.Load()
		require.Eventually(t, func() bool { return done.Load() > from+10 || t.Failed() }, 30*time.Second, time.Millisecond)
	}
	close(stop)
	wg.Wait()
}

func soon() time.Time { return time.Now().Add(10 * time.Second) }
