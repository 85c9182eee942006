package tenancy

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

// CheckDirect refuses a connection that leads through a pooler: locks, notifications and prepared statements belong to a session, and a pooler
// hands sessions on. One shows by the process id that it makes up: it is not the one that the server's process has.
func CheckDirect(ctx context.Context, conn *pgx.Conn) error {
	var pid uint32
	// By the simple protocol, since a pooler may send whatever comes next to another session.
	if err := conn.QueryRow(ctx, "select pg_catalog.pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&pid); err != nil {
		return fmt.Errorf("ask for the session: %w", err)
	}
	if pid != conn.PgConn().PID() {
		return apperr.New(apperr.Refused, "database.url leads through a pooler, which hands sessions on to others: let it lead to PostgreSQL itself, "+
			"and give a PgBouncer in transaction mode in database.pooler_url")
	}
	return nil
}
