package tenancy_test

import (
	"context"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func requireCode(t *testing.T, err error, code apperr.Code) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, code, apperr.CodeOf(err), "%v", err)
}

func TestManager_Create(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	m := pgtest.New(t).Manager

	acme, created, err := m.Create(ctx, tenancy.NewTenant{Slug: "acme", Name: " Acme Rockets "})
	require.NoError(t, err)
	require.True(t, created)
	require.True(t, tenancy.ValidID(acme.ID))
	require.Equal(t, "t_"+acme.ID, acme.Schema.String())
	require.Equal(t, "Acme Rockets", acme.Name)
	require.Equal(t, tenancy.StateReady, acme.State)
	require.Equal(t, m.Target(), acme.SchemaVersion)

	again, created, err := m.Create(ctx, tenancy.NewTenant{Slug: "acme"})
	require.NoError(t, err)
	require.False(t, created)
	require.Equal(t, acme, again)

	_, _, err = m.Create(ctx, tenancy.NewTenant{Slug: "acme", Name: "Somebody else"})
	requireCode(t, err, apperr.Conflict)
	_, _, err = m.Create(ctx, tenancy.NewTenant{Slug: "WWW"})
	requireCode(t, err, apperr.Invalid)
	_, _, err = m.Create(ctx, tenancy.NewTenant{Slug: "fine", Name: "not\x00fine"})
	requireCode(t, err, apperr.Invalid)

	_, err = m.Get(ctx, "acne")
	requireCode(t, err, apperr.NotFound)
	require.ErrorContains(t, err, `did you mean "acme"?`)
	_, err = m.Get(ctx, "nothing-like-it")
	requireCode(t, err, apperr.NotFound)
}

// Many who want the same subdomain at once get one tenant, made once.
func TestManager_CreateAtOnce(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	ids, made := map[string]bool{}, 0
	for range 6 {
		wg.Go(func() {
			tenant, created, err := d.Manager.Create(ctx, tenancy.NewTenant{Slug: "acme"})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				ids[err.Error()] = true
				return
			}
			ids[tenant.ID] = true
			if created {
				made++
			}
		})
	}
	wg.Wait()
	require.Len(t, ids, 1)
	require.Equal(t, 1, made)
	var schemas int
	require.NoError(t, d.Owner.QueryRow(ctx, "select count(*) from pg_namespace where nspname ~ '^t_'").Scan(&schemas))
	require.Equal(t, 1, schemas)
}

func TestManager_SuspendAndResume(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	d.Tenant("acme")
	for _, reason := range []string{"invoice overdue", "still overdue"} {
		acme, err := d.Manager.Suspend(ctx, "acme", reason)
		require.NoError(t, err)
		require.Equal(t, tenancy.StateSuspended, acme.State)
		require.Equal(t, reason, acme.StateReason)
	}
	_, err := d.Manager.Suspend(ctx, "acme", "two\nlines")
	requireCode(t, err, apperr.Invalid)
	for range 2 {
		acme, err := d.Manager.Resume(ctx, "acme")
		require.NoError(t, err)
		require.Equal(t, tenancy.StateReady, acme.State)
		require.Empty(t, acme.StateReason)
	}
	_, err = d.Owner.Exec(ctx, "update rowhouse.tenants set state = 'quarantined'")
	require.NoError(t, err)
	_, err = d.Manager.Resume(ctx, "acme")
	requireCode(t, err, apperr.Conflict)
}

func TestManager_Delete(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	acme, globex := d.Tenant("acme"), d.Scope("globex")
	for range 2 { // Again changes nothing.
		deleted, err := d.Manager.Delete(ctx, "acme")
		require.NoError(t, err)
		require.Equal(t, tenancy.StateDeleted, deleted.State)
		require.Equal(t, acme.ID, deleted.ID)
	}
	var left int
	require.NoError(t, d.Owner.QueryRow(ctx, `select (select count(*) from pg_namespace where nspname = $1) +
		(select count(*) from pg_roles where rolname = $1)`, acme.Schema.String()).Scan(&left))
	require.Zero(t, left)
	_, err := globex.Exec(ctx, "select count(*) from projects")
	require.NoError(t, err)

	living, err := d.Manager.List(ctx, tenancy.ListFilter{})
	require.NoError(t, err)
	require.Len(t, living, 1)
	gone, err := d.Manager.List(ctx, tenancy.ListFilter{State: tenancy.StateDeleted})
	require.NoError(t, err)
	require.Len(t, gone, 1)
	both, err := d.Manager.List(ctx, tenancy.ListFilter{IDs: []string{gone[0].ID, living[0].ID, "none"}})
	require.NoError(t, err)
	require.Len(t, both, 2)
	none, err := d.Manager.List(ctx, tenancy.ListFilter{IDs: []string{}})
	require.NoError(t, err)
	require.Empty(t, none)

	// Nobody gets the subdomain at once.
	_, _, err = d.Manager.Create(ctx, tenancy.NewTenant{Slug: "acme"})
	requireCode(t, err, apperr.Conflict)
	require.ErrorContains(t, err, "slug_quarantine")
	_, err = d.Owner.Exec(ctx, "update rowhouse.tenants set deleted_at = now() - interval '2 hours' where slug = 'acme'")
	require.NoError(t, err)
	next, created, err := d.Manager.Create(ctx, tenancy.NewTenant{Slug: "acme"})
	require.NoError(t, err)
	require.True(t, created)
	require.NotEqual(t, acme.ID, next.ID)
}

// A tenant in use is archived at once and dropped when its queries have ended.
func TestManager_DeleteWhileInUse(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	scope := d.Scope("acme")
	require.NoError(t, scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		if _, err := tx.Exec(ctx, "select count(*) from projects"); err != nil {
			return err
		}
		_, err := d.Manager.Delete(ctx, "acme")
		requireCode(t, err, apperr.Unavailable)
		acme, err := d.Manager.Get(ctx, "acme")
		require.NoError(t, err)
		require.Equal(t, tenancy.StateArchived, acme.State)
		return nil
	}))
	deleted, err := d.Manager.Delete(ctx, "acme")
	require.NoError(t, err)
	require.Equal(t, tenancy.StateDeleted, deleted.State)
}

func sqlFile(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

// manager is d's manager with other tenant files.
func manager(tb testing.TB, d *pgtest.DB, files fstest.MapFS) *tenancy.Manager {
	tb.Helper()
	cfg, err := d.Logins.Owner()
	require.NoError(tb, err)
	p, err := tenantschema.NewProvisioner(tenantschema.ProvisionerConfig{ConnConfig: cfg, Migrations: files, LockTimeout: time.Second})
	require.NoError(tb, err)
	m, err := tenancy.NewManager(tenancy.ManagerConfig{Pool: d.Owner, Provisioner: p, Logins: d.Logins})
	require.NoError(tb, err)
	return m
}

// One tenant's failure leaves it whole on its old version, the others go on, and a second run mends it.
func TestManager_MigrateAll(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	files := fstest.MapFS{"00001_a.sql": sqlFile("-- +goose Up\ncreate table a (id int constraint a_pkey primary key);\n")}
	d := pgtest.NewWith(t, pgtest.Options{TenantFiles: files})
	acme, globex, initech := d.Tenant("acme"), d.Tenant("globex"), d.Tenant("initech")
	_, err := d.Manager.Suspend(ctx, "initech", "late")
	require.NoError(t, err)
	_, err = d.Owner.Exec(ctx, "insert into "+globex.Schema.Quote()+".a values (-1)")
	require.NoError(t, err)

	files["00002_b.sql"] = sqlFile("-- +goose Up\nalter table a add column b int;\nalter table a add constraint a_id_check check (id > 0);\n")
	m := manager(t, d, files)
	results := map[string]tenancy.MigrationResult{}
	migrate := func() error {
		return m.MigrateAll(ctx, "test", func(r tenancy.MigrationResult) { results[r.Tenant.Slug] = r })
	}
	requireCode(t, migrate(), apperr.Partial)
	require.Len(t, results, 3)
	require.NoError(t, results["acme"].Err)
	require.EqualValues(t, 2, results["acme"].To)
	require.Error(t, results["globex"].Err)
	require.EqualValues(t, 1, results["globex"].To)
	require.Equal(t, tenancy.StateReady, results["globex"].Tenant.State)
	require.NoError(t, results["initech"].Err)
	require.Equal(t, tenancy.StateSuspended, results["initech"].Tenant.State)
	var columns int
	require.NoError(t, d.Owner.QueryRow(ctx, "select count(*) from information_schema.columns where table_schema = $1 and table_name = 'a'",
		globex.Schema.String()).Scan(&columns))
	require.Equal(t, 1, columns, "nothing of the failed migration is left")

	_, err = d.Owner.Exec(ctx, "delete from "+globex.Schema.Quote()+".a")
	require.NoError(t, err)
	results = map[string]tenancy.MigrationResult{}
	require.NoError(t, migrate())
	require.Len(t, results, 1)
	require.NoError(t, migrate(), "nothing to do")
	counts, err := m.Versions(ctx)
	require.NoError(t, err)
	require.Equal(t, []tenancy.VersionCount{{2, tenancy.StateReady, 2}, {2, tenancy.StateSuspended, 1}}, counts)
	_, _ = acme, initech
}

// A tenant that somebody holds a lock in is passed over in time, and one whose files outside a transaction failed is quarantined.
func TestManager_MigrateLockedAndQuarantined(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	files := fstest.MapFS{"00001_a.sql": sqlFile("-- +goose Up\ncreate table a (id int constraint a_pkey primary key);\n")}
	d := pgtest.NewWith(t, pgtest.Options{TenantFiles: files})
	scope := d.Scope("acme")
	globex := d.Tenant("globex")
	_, err := d.Owner.Exec(ctx, "insert into "+globex.Schema.Quote()+".a values (1), (2)")
	require.NoError(t, err)

	files["00002_b.sql"] = sqlFile("-- +goose Up\nalter table a add column b int not null default 1;\n")
	files["00003_c.sql"] = sqlFile("-- +goose NO TRANSACTION\n-- +goose Up\ncreate unique index concurrently a_b_key on a (b);\n")
	m := manager(t, d, files)
	results := map[string]tenancy.MigrationResult{}
	require.NoError(t, scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		if _, err := tx.Exec(ctx, "insert into a values (1)"); err != nil {
			return err
		}
		_, err := m.StartRun(ctx, tenancy.RunOptions{MaxFailures: -1, LockTries: 2}, func(r tenancy.MigrationResult) { results[r.Tenant.Slug] = r })
		requireCode(t, err, apperr.Partial)
		return nil
	}))
	require.ErrorContains(t, results["acme"].Err, "55P03")
	require.Equal(t, 2, results["acme"].Attempts)
	require.Equal(t, 1, results["globex"].Attempts)
	require.Equal(t, tenancy.StateReady, results["acme"].Tenant.State)
	require.EqualValues(t, 1, results["acme"].To)
	require.ErrorContains(t, results["globex"].Err, "23505")
	require.Equal(t, tenancy.StateQuarantined, results["globex"].Tenant.State)
	require.EqualValues(t, 2, results["globex"].To)
	require.NotEmpty(t, results["globex"].Tenant.StateReason)

	// Mended by hand, it comes back.
	_, err = d.Owner.Exec(ctx, "delete from "+globex.Schema.Quote()+".a where id = 1; drop index "+globex.Schema.Quote()+".a_b_key")
	require.NoError(t, err)
	require.NoError(t, m.MigrateAll(ctx, "test", func(r tenancy.MigrationResult) { results[r.Tenant.Slug] = r }))
	require.Equal(t, tenancy.StateReady, results["globex"].Tenant.State)
	require.EqualValues(t, 3, results["globex"].To)
	require.Empty(t, results["globex"].Tenant.StateReason)
}

// Cut off between the transactions that a file outside a transaction makes necessary, a tenant is finished by the next call.
func TestManager_CreateGoesOnAfterACrash(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	files := fstest.MapFS{
		"00001_a.sql": sqlFile("-- +goose Up\ncreate table a (id int constraint a_pkey primary key);\n"),
		"00002_b.sql": sqlFile("-- +goose NO TRANSACTION\n-- +goose Up\nselect pg_sleep(60);\n"),
	}
	d := pgtest.NewWith(t, pgtest.Options{TenantFiles: files})
	done := make(chan error, 1)
	go func() {
		_, _, err := d.Manager.Create(ctx, tenancy.NewTenant{Slug: "acme", Name: "Acme"})
		done <- err
	}()
	require.Eventually(t, func() bool {
		tenants, err := d.Manager.List(t.Context(), tenancy.ListFilter{State: tenancy.StateProvisioning})
		return err == nil && len(tenants) == 1
	}, 20*time.Second, 10*time.Millisecond)
	cancel()
	require.Error(t, <-done)
	files["00002_b.sql"] = sqlFile("-- +goose NO TRANSACTION\n-- +goose Up\nselect 1;\n")
	acme, created, err := manager(t, d, files).Create(t.Context(), tenancy.NewTenant{Slug: "acme"})
	require.NoError(t, err)
	require.True(t, created)
	require.Equal(t, tenancy.StateReady, acme.State)
	require.EqualValues(t, 2, acme.SchemaVersion)
	require.Equal(t, "Acme", acme.Name)
}

// A suspended tenant whose migration failed half-way stays suspended, and cannot be resumed into service before it is mended.
func TestManager_SuspendedAndHalfMigrated(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	files := fstest.MapFS{"00001_a.sql": sqlFile("-- +goose Up\ncreate table a (id int constraint a_pkey primary key);\n")}
	d := pgtest.NewWith(t, pgtest.Options{TenantFiles: files})
	d.Tenant("acme")
	_, err := d.Manager.Suspend(ctx, "acme", "late")
	require.NoError(t, err)
	files["00002_b.sql"] = sqlFile("-- +goose NO TRANSACTION\n-- +goose Up\nselect 1/0;\n")
	requireCode(t, manager(t, d, files).MigrateAll(ctx, "test", func(tenancy.MigrationResult) {}), apperr.Partial)
	acme, err := d.Manager.Get(ctx, "acme")
	require.NoError(t, err)
	require.Equal(t, tenancy.StateSuspended, acme.State)
	require.Equal(t, "late", acme.StateReason)
	_, err = d.Manager.Resume(ctx, "acme")
	requireCode(t, err, apperr.Conflict)
	require.ErrorContains(t, err, "migrate up")

	files["00002_b.sql"] = sqlFile("-- +goose NO TRANSACTION\n-- +goose Up\nselect 1;\n")
	require.NoError(t, manager(t, d, files).MigrateAll(ctx, "test", func(tenancy.MigrationResult) {}))
	acme, err = d.Manager.Resume(ctx, "acme")
	require.NoError(t, err)
	require.Equal(t, tenancy.StateReady, acme.State)
}
