package tenancy_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

// soon is how long a test waits for what the catalog promises within a second. It is long, because machines stall.
func soon(t *testing.T, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 20*time.Second, 5*time.Millisecond)
}

func TestCatalog_FollowsTheTable(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	before := d.Tenant("before")
	one, two := d.Catalog(), d.Catalog() // Two processes.
	for _, c := range []*tenancy.Catalog{one, two} {
		got, ok := c.BySlug("before")
		require.True(t, ok)
		require.Equal(t, before.ID, got.ID)
	}
	acme := d.Tenant("acme")
	both := func(condition func(c *tenancy.Catalog) bool) {
		t.Helper()
		soon(t, func() bool { return condition(one) && condition(two) })
	}
	both(func(c *tenancy.Catalog) bool {
		got, ok := c.BySlug("acme")
		return ok && got.ID == acme.ID && c.Len() == 2
	})

	_, err := d.Manager.Suspend(ctx, "acme", "")
	require.NoError(t, err)
	both(func(c *tenancy.Catalog) bool { got, _ := c.ByID(acme.ID); return got.State == tenancy.StateSuspended })

	_, err = d.Owner.Exec(ctx, "update rowhouse.tenants set slug = 'acme-2' where id = $1", acme.ID)
	require.NoError(t, err)
	both(func(c *tenancy.Catalog) bool {
		_, old := c.BySlug("acme")
		got, ok := c.BySlug("acme-2")
		return !old && ok && got.ID == acme.ID
	})

	_, err = d.Manager.Delete(ctx, "acme-2")
	require.NoError(t, err)
	both(func(c *tenancy.Catalog) bool { _, ok := c.ByID(acme.ID); return !ok && c.Len() == 1 })
	gone, err := one.FetchMany(ctx, []string{acme.ID, "nobody"})
	require.NoError(t, err)
	require.Len(t, gone, 1)
	require.Equal(t, tenancy.StateDeleted, gone[0].State)
}

// When the listening connection dies, nothing that happens meanwhile is missed.
func TestCatalog_ComesBack(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	c := d.Catalog()
	for _, slug := range []string{"acme", "globex"} {
		tag, err := d.Control.Exec(ctx, `select pg_terminate_backend(pid) from pg_stat_activity
			where datname = current_database() and usename = current_user and query = 'listen rowhouse_tenants'`)
		require.NoError(t, err)
		require.Positive(t, tag.RowsAffected())
		d.Tenant(slug)
		soon(t, func() bool { _, ok := c.BySlug(slug); return ok })
		soon(t, func() bool {
			var n int
			err := d.Control.QueryRow(ctx, `select count(*) from pg_stat_activity where datname = current_database()
				and query = 'listen rowhouse_tenants' and state = 'idle'`).Scan(&n)
			return err == nil && n == 1
		})
	}
}

// Anybody who may notify can only make it read.
func TestCatalog_ForgedNotifications(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	acme := d.Scope("acme")
	c := d.Catalog()
	for _, payload := range []string{"", "'; drop table rowhouse.tenants; --", "0000000000000000", acme.Tenant().ID, "x"} {
		_, err := acme.Exec(ctx, "select pg_notify('rowhouse_tenants', $1)", payload)
		require.NoError(t, err)
	}
	d.Tenant("globex")
	soon(t, func() bool { _, ok := c.BySlug("globex"); return ok })
	got, ok := c.BySlug("acme")
	require.True(t, ok)
	require.Equal(t, tenancy.StateReady, got.State)
	require.Equal(t, 2, c.Len())
}

// The control role reads the catalog and no more.
func TestControlRole(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.New(t)
	acme := d.Tenant("acme")
	for _, sql := range []string{
		"update rowhouse.tenants set state = 'ready'", "delete from rowhouse.tenants", "select 1 from " + acme.Schema.Quote() + ".projects",
		"set role " + acme.Schema.Quote(), "create role r", "create table public.t (x int)", "create temp table t (x int)",
	} {
		_, err := d.Control.Exec(ctx, sql)
		require.ErrorContains(t, err, "42501", sql)
	}
	current, target, err := tenancy.ControlVersion(ctx, d.Control)
	require.NoError(t, err)
	require.Equal(t, target, current)
	require.Positive(t, target)
}

func TestControlVersion_OfAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, pgtest.Empty(t))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(ctx)) }) // Only used by this test.
	current, _, err := tenancy.ControlVersion(ctx, conn)
	require.NoError(t, err)
	require.Zero(t, current)
}

func TestLogins(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	_, err := tenancy.NewLogins("postgres://h/d", "short", "p")
	requireCode(t, err, apperr.Invalid)
	_, err = tenancy.NewLogins("postgres://u:secret@[", pgtest.Secret, "p")
	requireCode(t, err, apperr.Invalid)
	require.NotContains(t, err.Error(), "secret@")
	none, err := tenancy.NewLogins(d.OwnerURL, "", "rowhousetest")
	require.NoError(t, err)
	_, err = none.As("rowhousetest_control")
	requireCode(t, err, apperr.Invalid)
	require.ErrorContains(t, err, "login_secret")
	// Another secret opens nothing.
	other, err := tenancy.NewLogins(d.OwnerURL, pgtest.Secret+"x", "rowhousetest")
	require.NoError(t, err)
	cfg, err := other.As(other.Control())
	require.NoError(t, err)
	_, err = pgx.ConnectConfig(t.Context(), cfg)
	require.Error(t, err)
}
