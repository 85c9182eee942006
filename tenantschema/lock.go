package tenantschema

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// lockEvery is how often a lock that somebody else holds is tried again.
const lockEvery = 50 * time.Millisecond

// lockKey turns a name into PostgreSQL's 64-bit key of an advisory lock.
const lockKey = "pg_catalog.hashtextextended($1, 0)"

// Lock takes the session's advisory lock of that name, waiting until ctx ends. It tries again and again instead of waiting inside
// PostgreSQL: a waiting statement holds a snapshot, for which the holder's CREATE INDEX CONCURRENTLY would wait in turn.
//
// The lock ends with [Unlock] or with the connection.
func Lock(ctx context.Context, conn *pgx.Conn, name string) error {
	for {
		locked, err := TryLock(ctx, conn, name)
		if err != nil || locked {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("lock %s: %w", name, ctx.Err())
		case <-time.After(lockEvery):
		}
	}
}

// TryLock is [Lock] without waiting: false if somebody else has it.
func TryLock(ctx context.Context, conn *pgx.Conn, name string) (locked bool, err error) {
	if err = conn.QueryRow(ctx, "select pg_catalog.pg_try_advisory_lock("+lockKey+")", name).Scan(&locked); err != nil {
		return false, fmt.Errorf("lock %s: %w", name, err)
	}
	return locked, nil
}

// Unlock gives back a lock of [Lock], although ctx may have ended. If it cannot, it closes the connection, and the lock ends with it.
func Unlock(ctx context.Context, conn *pgx.Conn, name string) {
	if conn.IsClosed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if _, err := conn.Exec(ctx, "select pg_catalog.pg_advisory_unlock("+lockKey+")", name); err != nil {
		_ = conn.Close(ctx) // It is of no more use.
	}
}
