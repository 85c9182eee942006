package tenantschema

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Tier says how strongly a tenant is kept apart from the others.
type Tier string

// TierPooled enters the tenant's role and path per transaction, on connections that tenants share.
const TierPooled Tier = "pooled"

// Tenant is what the engine must know to run SQL as one tenant.
type Tenant struct {
	// ID is the platform's key of the tenant. The engine only carries it, and stamps it on work that leaves the scope ([Tx.AsLogin]).
	ID string
	// Schema names the schema and the role.
	Schema Name
	// Cell is the group of tenants that share a login role, from 1.
	Cell int
	// Tier is how the tenant is kept apart; empty means [TierPooled].
	Tier Tier
	// Version is the schema version that the caller believes the tenant to be on. Prepared statements are kept apart by it, so that
	// a fleet that is half migrated never meets "cached plan must not change result type".
	Version int64
}

// ErrNoTenant is returned for a scope of the zero Tenant.
var ErrNoTenant = errors.New("tenantschema: the scope names no tenant")

// ErrUnavailable is returned when no connection could be had in time, or none at all: the same call may succeed later.
var ErrUnavailable = errors.New("tenantschema: no database connection available")

// DBTX is what features and generated code ask for: the methods that [Scope] and [*Tx] share. sqlc calls it DBTX.
type DBTX interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

var (
	_ DBTX   = Scope{}
	_ DBTX   = (*Tx)(nil)
	_ pgx.Tx = (*Tx)(nil)
	_ pgx.Tx = (*loginTx)(nil)
)
