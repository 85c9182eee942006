package tenancy_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

// An id has the form of a slug. Nobody gets one that is another tenant's id, and where there is one all the same, each name still means
// the tenant whose slug it is.
func TestManager_SlugThatIsAnotherTenantsID(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	victim, attacker := d.Tenant("victim"), d.Tenant("attacker")
	_, _, err := d.Manager.Create(ctx, tenancy.NewTenant{Slug: victim.ID})
	requireCode(t, err, apperr.Conflict)

	_, err = d.Owner.Exec(ctx, "update rowhouse.tenants set slug = $2 where id = $1", attacker.ID, victim.ID)
	require.NoError(t, err)
	suspended, err := d.Manager.Suspend(ctx, victim.ID, "abuse")
	require.NoError(t, err)
	require.Equal(t, attacker.ID, suspended.ID)
	deleted, err := d.Manager.Delete(ctx, "victim")
	require.NoError(t, err)
	require.Equal(t, victim.ID, deleted.ID)
	survivor, err := d.Manager.Get(ctx, attacker.ID)
	require.NoError(t, err)
	require.Equal(t, tenancy.StateSuspended, survivor.State)
}

// A role that may notify floods the channel with ids and junk; what is committed meanwhile is still seen.
func TestCatalog_FloodOfForgedNotifications(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	acme := d.Scope("acme")
	victim := d.Tenant("globex")
	c := d.Catalog()
	ctx, stop := context.WithCancel(t.Context())
	var flood sync.WaitGroup
	for range 2 {
		flood.Go(func() {
			for ctx.Err() == nil { // Until the test has seen what it waits for.
				_, _ = acme.Exec(ctx, `select count(pg_notify('rowhouse_tenants', 'aaaaaaaaaaaaaaaa')),
					count(pg_notify('rowhouse_tenants', 'junk' || g)),
					count(pg_notify('rowhouse_tenants', 'a' || lpad(g::text, 15, '0'))) from generate_series(1, 3000) g`)
			}
		})
	}
	for _, change := range []struct {
		verb func(context.Context) error
		want tenancy.State
	}{
		{func(ctx context.Context) error { _, err := d.Manager.Suspend(ctx, "globex", ""); return err }, tenancy.StateSuspended},
		{func(ctx context.Context) error { _, err := d.Manager.Resume(ctx, "globex"); return err }, tenancy.StateReady},
		{func(ctx context.Context) error { _, err := d.Manager.Suspend(ctx, "globex", ""); return err }, tenancy.StateSuspended},
	} {
		require.NoError(t, change.verb(t.Context()))
		soon(t, func() bool { got, _ := c.ByID(victim.ID); return got.State == change.want })
	}
	stop()
	flood.Wait()
	require.Equal(t, 2, c.Len())
}

// pause stops the query that carries its key after it has been read and before it is shown.
type pause struct {
	reached, resume chan struct{}
	once            *sync.Once
}

type pauseKey struct{}

func (pause) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

func (p pause) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryEndData) {
	if ctx.Value(pauseKey{}) != nil {
		p.once.Do(func() { close(p.reached) })
		<-p.resume
	}
}

// A slow reading of the table does not overwrite what a later one has shown.
func TestCatalog_OlderReadDoesNotWin(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	acme := d.Tenant("acme")
	listen, err := d.Logins.As(d.Logins.Control())
	require.NoError(t, err)
	p := pause{make(chan struct{}), make(chan struct{}), new(sync.Once)}
	poolConfig, err := pgxpool.ParseConfig("")
	require.NoError(t, err)
	poolConfig.ConnConfig = listen.Copy()
	poolConfig.ConnConfig.Tracer = p
	pool, err := pgxpool.NewWithConfig(t.Context(), poolConfig)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	c, err := tenancy.OpenCatalog(t.Context(), tenancy.CatalogConfig{Pool: pool, Logins: d.Logins, Listen: listen, Log: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	done := make(chan error)
	go func() { done <- c.Refresh(context.WithValue(t.Context(), pauseKey{}, true)) }()
	<-p.reached
	_, err = d.Manager.Suspend(t.Context(), "acme", "")
	require.NoError(t, err)
	close(p.resume)
	require.NoError(t, <-done)
	soon(t, func() bool { got, _ := c.ByID(acme.ID); return got.State == tenancy.StateSuspended })
	for range 100 {
		got, _ := c.ByID(acme.ID)
		require.Equal(t, tenancy.StateSuspended, got.State)
	}
}

// gate is an advisory lock at which a migration of the tests waits, so that a test can act in the middle of it.
const gate = "1234"

func gated(t *testing.T) (d *pgtest.DB, old, files fstest.MapFS, open func()) {
	t.Helper()
	old = fstest.MapFS{"00001_a.sql": sqlFile("-- +goose Up\ncreate table a (id int constraint a_pkey primary key);\n")}
	files = fstest.MapFS{
		"00001_a.sql": old["00001_a.sql"],
		"00002_b.sql": sqlFile("-- +goose NO TRANSACTION\n-- +goose Up\nselect pg_advisory_lock_shared(" + gate + ");\n"),
		"00003_c.sql": sqlFile("-- +goose Up\ncreate table c (id int constraint c_pkey primary key);\n"),
	}
	d = pgtest.NewWith(t, pgtest.Options{TenantFiles: files})
	conn, err := d.Owner.Acquire(t.Context())
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "select pg_advisory_lock("+gate+")")
	require.NoError(t, err)
	return d, old, files, func() {
		_, err := conn.Exec(t.Context(), "select pg_advisory_unlock("+gate+")")
		require.NoError(t, err)
		conn.Release()
	}
}

// A tenant that is deleted while it is made stays archived, and the creator is told.
func TestManager_CreateDoesNotReviveTheArchived(t *testing.T) {
	t.Parallel()
	d, _, _, open := gated(t)
	created := make(chan error)
	go func() {
		_, _, err := d.Manager.Create(t.Context(), tenancy.NewTenant{Slug: "acme"})
		created <- err
	}()
	soon(t, func() bool { _, err := d.Manager.Get(t.Context(), "acme"); return err == nil })
	// The delete is given up while it waits for the schema's lock, after it has archived.
	ctx, giveUp := context.WithCancel(t.Context())
	deleted := make(chan error)
	go func() { _, err := d.Manager.Delete(ctx, "acme"); deleted <- err }()
	soon(t, func() bool {
		acme, err := d.Manager.Get(t.Context(), "acme")
		return err == nil && acme.State == tenancy.StateArchived
	})
	giveUp()
	require.Error(t, <-deleted)
	open()
	requireCode(t, <-created, apperr.Conflict)
	_, _, err := d.Manager.Create(t.Context(), tenancy.NewTenant{Slug: "acme"})
	requireCode(t, err, apperr.Conflict)
	gone, err := d.Manager.Delete(t.Context(), "acme")
	require.NoError(t, err)
	require.Equal(t, tenancy.StateDeleted, gone.State)
}

// A second operator is told who migrates, and changes nothing of that; a tenant may be suspended meanwhile, and stays so.
func TestManager_SecondMigratorIsTold(t *testing.T) {
	t.Parallel()
	d, old, files, open := gated(t)
	first := manager(t, d, old)
	acme, _, err := first.Create(t.Context(), tenancy.NewTenant{Slug: "acme"})
	require.NoError(t, err)
	m := manager(t, d, files)
	done := make(chan error)
	go func() { done <- m.MigrateAll(t.Context(), "ann@ship", func(tenancy.MigrationResult) {}) }()
	state := func() tenancy.State {
		got, err := m.Get(t.Context(), acme.ID)
		require.NoError(t, err)
		return got.State
	}
	soon(t, func() bool { return state() == tenancy.StateMigrating })
	err = m.MigrateAll(t.Context(), "bob@shore", func(tenancy.MigrationResult) {})
	requireCode(t, err, apperr.Conflict)
	require.ErrorContains(t, err, "ann@ship runs over the fleet since 20")
	require.Equal(t, tenancy.StateMigrating, state())
	_, err = m.Suspend(t.Context(), "acme", "late")
	require.NoError(t, err)
	open()
	require.NoError(t, <-done)
	require.Equal(t, tenancy.StateSuspended, state())
}

// Another login secret does not lock out the processes that run with the right one, unless it is asked to.
func TestMigrateControl_OtherSecret(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	prefix := d.RolePrefix()
	nothing := func(context.Context) error { return nil }
	logins := func(secret string) *tenancy.Logins {
		l, err := tenancy.NewLogins(d.OwnerURL, secret, prefix)
		require.NoError(t, err)
		return l
	}
	works := func(l *tenancy.Logins) bool {
		cfg, err := l.As(l.Control())
		require.NoError(t, err)
		conn, err := pgx.ConnectConfig(t.Context(), cfg)
		return err == nil && conn.Close(t.Context()) == nil
	}
	right, other := logins(pgtest.Secret), logins("another secret, of 32 characters and more")
	for range 2 {
		require.NoError(t, tenancy.MigrateControl(t.Context(), tenancy.ControlMigration{Logins: right, Then: nothing}))
		require.True(t, works(right))
	}
	requireCode(t, tenancy.MigrateControl(t.Context(), tenancy.ControlMigration{Logins: other, Then: nothing}), apperr.Refused)
	require.True(t, works(right))
	require.NoError(t, tenancy.MigrateControl(t.Context(), tenancy.ControlMigration{Logins: other, ResetLogins: true, Then: nothing}))
	require.True(t, works(other))
	require.False(t, works(right))
	mine := errors.New("mine")
	require.ErrorIs(t, tenancy.MigrateControl(t.Context(),
		tenancy.ControlMigration{Logins: other, Then: func(context.Context) error { return mine }}), mine)
	none, err := tenancy.NewLogins(d.OwnerURL, "", prefix)
	require.NoError(t, err)
	requireCode(t, tenancy.MigrateControl(t.Context(), tenancy.ControlMigration{Logins: none, Then: nothing}), apperr.Invalid)
}
