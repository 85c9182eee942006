package tenantschema_test

import (
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// A tenant's statement_timeout holds for its scope alone: in one trip, in a transaction, outside the tenant within it, and never for whoever has
// the connection next.
func TestScope_StatementTimeout(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := pgtest.NewWith(t, pgtest.Options{MaxConns: 1}) // Both tenants on one connection.
	acme := d.Tenant("acme").Engine()
	acme.StatementTimeout = 70 * time.Millisecond
	limited, free := d.Engine.Tenant(acme), d.Scope("globex")
	show := func(db tenantschema.DBTX) (setting string) {
		t.Helper()
		require.NoError(t, db.QueryRow(ctx, "select current_setting('statement_timeout')").Scan(&setting))
		return setting
	}
	before := show(free)
	require.NotEqual(t, "70ms", before)
	for range 2 { // The first use of a statement takes another way than the next.
		require.Equal(t, "70ms", show(limited))
		require.Equal(t, before, show(free))
	}
	require.NoError(t, limited.InTx(ctx, func(tx *tenantschema.Tx) error {
		require.Equal(t, "70ms", show(tx))
		var outside string
		require.NoError(t, tx.AsPlatform().QueryRow(ctx, "select current_setting('statement_timeout')").Scan(&outside))
		require.Equal(t, "70ms", outside)
		require.Equal(t, "70ms", show(tx))
		return nil
	}))
	batch := &pgx.Batch{}
	batch.Queue("select pg_sleep(10)")
	for name, run := range map[string]func() error{
		"one":   func() error { _, err := limited.Exec(ctx, "select pg_sleep(10)"); return err },
		"batch": func() error { return limited.SendBatch(ctx, batch).Close() },
		"tx": func() error {
			return limited.InTx(ctx, func(tx *tenantschema.Tx) error { _, err := tx.Exec(ctx, "select pg_sleep(10)"); return err })
		},
	} {
		pgErr, ok := errors.AsType[*pgconn.PgError](run())
		require.True(t, ok, name)
		require.Equal(t, "57014", pgErr.Code, name)
		require.Equal(t, before, show(free), name)
	}
}
