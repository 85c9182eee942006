package isolation_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/rowhousehq/rowhouse/pkg/isolation"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func TestMain(m *testing.M) { pgtest.Main(m, func() error { return goleak.Find() }) }

// tenant makes a tenant of a tier.
func tenant(tb testing.TB, d *pgtest.DB, slug string, tier tenantschema.Tier) tenancy.Tenant {
	tb.Helper()
	t, _, err := d.Manager.Create(tb.Context(), tenancy.NewTenant{Slug: slug, Tier: string(tier)})
	require.NoError(tb, err)
	return t
}

// prove proves one tenant, or all.
func prove(tb testing.TB, d *pgtest.DB, one *tenancy.Tenant) *isolation.Report {
	tb.Helper()
	r, err := isolation.Prove(tb.Context(), config(d), one)
	require.NoError(tb, err)
	return r
}

func config(d *pgtest.DB) isolation.Config {
	return isolation.Config{Manager: d.Manager, Engine: d.Engine, EnqueueRole: d.Logins.Enqueuer(), Version: "test"}
}

// ours leaves out what other tests on the same server are the cause of: roles of tenants that they are just making.
func ours(findings []isolation.Finding) (out []isolation.Finding) {
	for _, f := range findings {
		if f.Kind != "orphan" {
			out = append(out, f)
		}
	}
	return out
}

// admin is a connection of the server's administrator.
func admin(t *testing.T, d *pgtest.DB) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), d.AdminURL)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(t.Context()) }) // Only used by this test.
	return conn
}
