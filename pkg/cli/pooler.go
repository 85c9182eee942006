package cli

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// configuredLogins gives the logins of database.url, whose engine goes through database.pooler_url if there is one.
func configuredLogins(cfg config.Config, secret string) (*tenancy.Logins, error) {
	logins, err := tenancy.NewLogins(cfg.Database.URL.Reveal(), secret, cfg.Database.RolePrefix)
	if err != nil || !cfg.Database.PoolerURL.IsSet() {
		return logins, err
	}
	return logins.ThroughPooler(cfg.Database.PoolerURL.Reveal())
}

// checkDirect refuses a pool whose connections lead through a pooler.
func checkDirect(ctx context.Context, pool *pgxpool.Pool) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	return tenancy.CheckDirect(ctx, conn.Conn())
}

// checkEngine tries the engine's way to the database, by the login of the first cell.
func checkEngine(ctx context.Context, engine *tenantschema.DB, logins *tenancy.Logins) error {
	const first = 1 // There is always one.
	err := engine.Check(ctx, tenantschema.Login{Cell: first})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, tenantschema.ErrPoolMode):
		return apperr.Wrap(err, apperr.Refused, "the pooler of database.pooler_url spreads a transaction over sessions, so that no tenant is safe "+
			"there: set its pool_mode to transaction")
	case errors.Is(err, tenantschema.ErrPooler):
		return apperr.Wrap(err, apperr.Refused, "database.url leads through a pooler: let it lead to PostgreSQL itself, and give a PgBouncer in "+
			"transaction mode in database.pooler_url")
	case logins.Pooled():
		return apperr.Wrap(err, apperr.Unavailable, "the pooler of database.pooler_url cannot be used as %s: check that it is there and knows that "+
			"user", logins.Cell(first))
	}
	return apperr.Wrap(err, apperr.Unavailable, "the database cannot be used as %s: check database.login_secret, and that `rowhouse migrate up` has run",
		logins.Cell(first))
}
