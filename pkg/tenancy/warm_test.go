package tenancy_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// fill makes tenants ahead until n are ready.
func fill(tb testing.TB, m *tenancy.Manager, n int) {
	tb.Helper()
	ctx, full := context.WithTimeout(tb.Context(), time.Minute)
	defer full()
	var last tenancy.WarmPool
	m.KeepWarm(ctx, tenancy.KeepWarmConfig{
		Want: n, Log: zaptest.NewLogger(tb),
		OnPool: func(p tenancy.WarmPool) {
			if last = p; p.Ready == n {
				full()
			}
		},
	})
	require.Equal(tb, n, last.Ready)
}

func requirePool(t *testing.T, m *tenancy.Manager, ready, unfinished int) {
	t.Helper()
	p, err := m.WarmPool(t.Context())
	require.NoError(t, err)
	require.Equal(t, []int{ready, unfinished}, []int{p.Ready, p.Unfinished})
}

// requireWalls inspects the tenants, those made ahead as well.
func requireWalls(t *testing.T, d *pgtest.DB, tenants int) {
	t.Helper()
	in, err := d.Manager.Inspect(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, in.Tenants, tenants)
	for _, f := range in.Findings {
		require.Equal(t, "orphan", f.Kind, "%+v", f) // Roles of tests that share the server.
		require.Contains(t, f.Object, "role ")
	}
}

// More who want a tenant at once than there are made ahead get one each, and nobody another's.
func TestClaim_ManyAtOnce(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	fill(t, d.Manager, 5)
	const many = 20
	var wg sync.WaitGroup
	made := make([]tenancy.Tenant, many)
	errs := make([]error, many)
	for i := range many {
		wg.Go(func() {
			var created bool
			made[i], created, errs[i] = d.Manager.Create(t.Context(), tenancy.NewTenant{Slug: fmt.Sprintf("tenant-%d", i)})
			if errs[i] == nil && !created {
				errs[i] = fmt.Errorf("tenant-%d was there already", i)
			}
		})
	}
	wg.Wait()
	ids := map[string]bool{}
	for i := range many {
		require.NoError(t, errs[i])
		require.Equal(t, fmt.Sprintf("tenant-%d", i), made[i].Slug)
		require.Equal(t, made[i].Slug, made[i].Name)
		require.Equal(t, tenancy.StateReady, made[i].State)
		ids[made[i].ID] = true
	}
	require.Len(t, ids, many)
	p, err := d.Manager.WarmPool(t.Context())
	require.NoError(t, err)
	require.Equal(t, tenancy.WarmPool{Claims: 5, Misses: 15}, p)
	requireWalls(t, d, many)
}

// Many who want the same subdomain at once over a pool get one tenant, and take one of it.
func TestClaim_OneSlugAtOnce(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	fill(t, d.Manager, 4)
	var wg sync.WaitGroup
	var mu sync.Mutex
	ids := map[string]int{}
	for range 6 {
		wg.Go(func() {
			tenant, created, err := d.Manager.Create(t.Context(), tenancy.NewTenant{Slug: "acme"})
			mu.Lock()
			defer mu.Unlock()
			ids[fmt.Sprint(tenant.ID, err)]++
			if created {
				ids["made"]++
			}
		})
	}
	wg.Wait()
	require.Len(t, ids, 2, "%v", ids)
	require.Equal(t, 1, ids["made"])
	requirePool(t, d.Manager, 3, 0)
}

// What cannot be claimed leaves the tenant that was made ahead to the next.
func TestClaim_FailsAndTakesNothing(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	pooled, _, err := d.Manager.Create(ctx, tenancy.NewTenant{Slug: "acme", Tier: string(tenantschema.TierPooled)})
	require.NoError(t, err)
	_, _, err = d.Manager.Create(ctx, tenancy.NewTenant{Slug: "gone", Tier: string(tenantschema.TierPooled)})
	require.NoError(t, err)
	_, err = d.Manager.Delete(ctx, "gone")
	require.NoError(t, err)
	fill(t, d.Manager, 1)
	for _, slug := range []string{"acme", "gone", pooled.ID} {
		_, _, err = d.Manager.Claim(ctx, tenancy.NewTenant{Slug: slug})
		requireCode(t, err, apperr.Conflict)
		requirePool(t, d.Manager, 1, 0)
	}
	_, _, err = d.Manager.Claim(ctx, tenancy.NewTenant{Slug: "WWW"})
	requireCode(t, err, apperr.Invalid)
	_, _, err = d.Manager.Create(ctx, tenancy.NewTenant{Slug: "gone"})
	requireCode(t, err, apperr.Conflict)
	_, created, err := d.Manager.Create(ctx, tenancy.NewTenant{Slug: "pooled", Tier: string(tenantschema.TierPooled)})
	require.NoError(t, err)
	require.True(t, created)
	requirePool(t, d.Manager, 1, 0)

	// Nor does giving up while somebody else has the subdomain in hand.
	tx, err := d.Owner.Begin(ctx)
	require.NoError(t, err)
	_, err = tx.Exec(ctx, "select pg_advisory_xact_lock(hashtextextended('rowhouse.slug:' || $1, 0))", tenancy.Skeleton("globex"))
	require.NoError(t, err)
	soonCtx, giveUp := context.WithTimeout(ctx, 50*time.Millisecond)
	t.Cleanup(giveUp)
	_, _, err = d.Manager.Claim(soonCtx, tenancy.NewTenant{Slug: "globex"})
	require.Error(t, err)
	require.NoError(t, tx.Rollback(ctx))
	soon(t, func() bool { p, err := d.Manager.WarmPool(ctx); return err == nil && p.Ready == 1 })

	// What gave up holds its row until the server has seen that it did.
	var globex tenancy.Tenant
	var found bool
	soon(t, func() bool {
		globex, found, err = d.Manager.Claim(ctx, tenancy.NewTenant{Slug: "globex", Name: "Globex Weather"})
		return err != nil || found
	})
	require.NoError(t, err)
	require.Equal(t, "Globex Weather", globex.Name)
	_, found, err = d.Manager.Claim(ctx, tenancy.NewTenant{Slug: "initech"})
	require.NoError(t, err)
	require.False(t, found)
}

// Until it is claimed, a tenant that was made ahead is nobody's: it is seen by what inspects schemas alone. Afterwards it is like any other.
func TestWarm_IsNobodys(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	c := d.Catalog()
	fill(t, d.Manager, 3)
	living, err := d.Manager.List(ctx, tenancy.ListFilter{})
	require.NoError(t, err)
	require.Empty(t, living)
	require.NoError(t, c.Refresh(ctx))
	require.Zero(t, c.Len())
	ahead, err := d.Manager.List(ctx, tenancy.ListFilter{State: tenancy.StateWarm})
	require.NoError(t, err)
	require.Len(t, ahead, 3)
	requireWalls(t, d, 3)

	_, err = d.Manager.Suspend(ctx, ahead[0].ID, "")
	requireCode(t, err, apperr.Conflict)
	_, err = d.Manager.SetTier(ctx, ahead[0].ID, tenantschema.TierPooled, 0)
	requireCode(t, err, apperr.Conflict)
	gone, err := d.Manager.Delete(ctx, ahead[0].ID)
	require.NoError(t, err)
	require.Equal(t, tenancy.StateDeleted, gone.State)

	acme, globex := d.Scope("acme"), d.Scope("globex")
	requirePool(t, d.Manager, 0, 0)
	soon(t, func() bool { _, found := c.BySlug("acme"); return found && c.Len() == 2 })
	_, err = acme.Exec(ctx, "insert into projects (id, name) values (gen_random_uuid(), 'secret')")
	require.NoError(t, err)
	var found int
	require.NoError(t, globex.QueryRow(ctx, "select count(*) from projects").Scan(&found))
	require.Zero(t, found)
	_, err = globex.Exec(ctx, "select 1 from "+d.Tenant("acme").Schema.Quote()+".projects")
	require.ErrorContains(t, err, "42501")
	requireWalls(t, d, 2)

	alone, created, err := d.Manager.Create(ctx, tenancy.NewTenant{Slug: "alone", Tier: string(tenantschema.TierDedicated)})
	require.NoError(t, err)
	require.True(t, created)
	require.Equal(t, tenantschema.TierDedicated, alone.Tier)
}

// A dedicated tenant is one of those made ahead, with a login of its own.
func TestClaim_Dedicated(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	fill(t, d.Manager, 1)
	alone, created, err := d.Manager.Create(t.Context(), tenancy.NewTenant{Slug: "alone", Tier: string(tenantschema.TierDedicated)})
	require.NoError(t, err)
	require.True(t, created)
	requirePool(t, d.Manager, 0, 0)
	_, err = d.Engine.Tenant(alone.Engine()).Exec(t.Context(), "select count(*) from projects")
	require.NoError(t, err)
	requireWalls(t, d, 1)
}

const createA = "-- +goose Up\ncreate table a (id int constraint a_pkey primary key);\n"

// Those on another version are not claimed. They are migrated, by `migrate up` or by whoever keeps them, and then they are.
func TestWarm_OfAnotherVersion(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	files := fstest.MapFS{"00001_a.sql": sqlFile(createA)}
	d := pgtest.NewWith(t, pgtest.Options{TenantFiles: files})
	fill(t, d.Manager, 2)
	files["00002_b.sql"] = sqlFile("-- +goose Up\ncreate table b (id int constraint b_pkey primary key);\n")
	second := manager(t, d, files)
	requirePool(t, second, 0, 2)
	full, created, err := second.Create(ctx, tenancy.NewTenant{Slug: "acme"})
	require.NoError(t, err)
	require.True(t, created)
	require.EqualValues(t, 2, full.SchemaVersion)
	requirePool(t, second, 0, 2)

	migrated := 0
	require.NoError(t, second.MigrateAll(ctx, "test", func(r tenancy.MigrationResult) {
		migrated++
		require.Equal(t, tenancy.StateWarm, r.Tenant.State)
	}))
	require.Equal(t, 2, migrated)
	requirePool(t, second, 2, 0)
	_, found, err := d.Manager.Claim(ctx, tenancy.NewTenant{Slug: "early"})
	require.NoError(t, err)
	require.False(t, found, "the older program knows nothing of that version")
	claimed, found, err := second.Claim(ctx, tenancy.NewTenant{Slug: "globex"})
	require.NoError(t, err)
	require.True(t, found)
	require.EqualValues(t, 2, claimed.SchemaVersion)
	_, err = d.Engine.Tenant(claimed.Engine()).Exec(ctx, "select count(*) from b")
	require.NoError(t, err)

	files["00003_c.sql"] = sqlFile("-- +goose Up\ncreate table c (id int constraint c_pkey primary key);\n")
	third := manager(t, d, files)
	requirePool(t, third, 0, 1)
	fill(t, third, 1)
	requirePool(t, third, 1, 0)
}

// Cut off between its transactions, one that is made ahead cannot be claimed, and is finished by the next to look.
func TestWarm_UnfinishedIsFinished(t *testing.T) {
	t.Parallel()
	d, _, _, open := gated(t)
	ctx, crash := context.WithCancel(t.Context())
	crashed := make(chan struct{})
	go func() {
		defer close(crashed)
		d.Manager.KeepWarm(ctx, tenancy.KeepWarmConfig{Want: 1, Log: zap.NewNop()})
	}()
	soon(t, func() bool { p, err := d.Manager.WarmPool(t.Context()); return err == nil && p.Unfinished == 1 })
	crash()
	<-crashed
	open()
	_, found, err := d.Manager.Claim(t.Context(), tenancy.NewTenant{Slug: "acme"})
	require.NoError(t, err)
	require.False(t, found)
	ahead, err := d.Manager.List(t.Context(), tenancy.ListFilter{State: tenancy.StateWarm})
	require.NoError(t, err)
	require.Len(t, ahead, 1)
	fill(t, d.Manager, 1)
	acme, found, err := d.Manager.Claim(t.Context(), tenancy.NewTenant{Slug: "acme"})
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, ahead[0].ID, acme.ID)
	require.EqualValues(t, 3, acme.SchemaVersion)
	requirePool(t, d.Manager, 0, 0)
}

// Two who keep tenants ahead make no more than one would.
func TestKeepWarm_TwoDoNotOverfill(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	const want = 4
	ctx, enough := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(enough)
	var mu sync.Mutex
	most, full, made := 0, 0, 0
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			d.Manager.KeepWarm(ctx, tenancy.KeepWarmConfig{
				Want: want, Log: zaptest.NewLogger(t),
				OnRefill: func(_ time.Duration, err error) {
					mu.Lock()
					defer mu.Unlock()
					if made++; err != nil {
						t.Error(err)
					}
				},
				OnPool: func(p tenancy.WarmPool) {
					mu.Lock()
					defer mu.Unlock()
					most = max(most, p.Ready+p.Unfinished)
					if p.Ready == want {
						full++
					}
					if full == 6 { // Each has looked at a full pool and found nothing to do.
						enough()
					}
				},
			})
		})
	}
	wg.Wait()
	require.Equal(t, want, most)
	require.Equal(t, want, made)
	requirePool(t, d.Manager, want, 0)
}

// Whoever keeps them says what fails, and goes on when it is mended.
func TestKeepWarm_GoesOnAfterFailures(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	_, err := d.Owner.Exec(t.Context(), "alter table rowhouse.tenants add constraint mend_me check (state <> 'warm')")
	require.NoError(t, err)
	ctx, done := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(done)
	failures, outcomes := 0, []bool{}
	d.Manager.KeepWarm(ctx, tenancy.KeepWarmConfig{
		Want: 1, Log: zaptest.NewLogger(t),
		OnRefill: func(_ time.Duration, err error) {
			if outcomes = append(outcomes, err == nil); err == nil {
				done()
				return
			}
			if failures++; failures == 2 {
				_, err := d.Owner.Exec(ctx, "alter table rowhouse.tenants drop constraint mend_me")
				require.NoError(t, err)
			}
		},
	})
	require.Equal(t, []bool{false, false, true}, outcomes)
	var taken int // Failures use no roles up.
	require.NoError(t, d.Owner.QueryRow(t.Context(), "select count(*) from rowhouse.spare_roles where taken_at is not null").Scan(&taken))
	require.Zero(t, taken)
}
