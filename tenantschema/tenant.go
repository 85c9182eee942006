package tenantschema

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Tier says how strongly a tenant is kept apart from the others.
type Tier string

// The tiers. What each withstands stands in docs/isolation.md.
const (
	// TierPooled enters the tenant's role and path per transaction, on connections that the tenants of a cell share.
	TierPooled Tier = "pooled"
	// TierSealed adds the seal: every table asks for proof that the transaction is the tenant's.
	TierSealed Tier = "sealed"
	// TierDedicated adds a login role of the tenant's own, which may become no other tenant, and connections that nobody shares.
	TierDedicated Tier = "dedicated"
)

// Versions is the range of schema versions that a program's code works on, the bounds included. Whoever migrates expands first and contracts
// later, so that old and new code both work in between: Min rises one release after the migration that the code needs, and Max keeps code
// off a schema that has lost what it uses.
type Versions struct {
	Min int64
	// Max 0 is no bound: migrations that only add disturb nobody.
	Max int64
}

// Contain reports whether code works on a schema of that version.
func (v Versions) Contain(version int64) bool {
	return version >= v.Min && (v.Max == 0 || version <= v.Max)
}

// Valid reports whether there is any version in the range.
func (v Versions) Valid() bool { return v.Min >= 0 && (v.Max == 0 || v.Max >= v.Min) }

// Login says whose connections are wanted: those of a cell, or those of one tenant.
type Login struct {
	// Cell is the number of a cell, from 1; 0 for the login of a dedicated tenant.
	Cell int
	// Tenant is the dedicated tenant.
	Tenant Name
	// Secret is the dedicated tenant's [Tenant.LoginSecret].
	Secret string
}

// Tenant is what the engine must know to run SQL as one tenant.
type Tenant struct {
	// ID is the platform's key of the tenant. The engine only carries it, and stamps it on work that leaves the scope ([Tx.AsPlatform]).
	ID string
	// Schema names the schema and the role.
	Schema Name
	// Cell is the group of tenants that share a login role, from 1.
	Cell int
	// Tier is how the tenant is kept apart; empty means [TierPooled].
	Tier Tier
	// LoginSecret is handed to [Config.Connect] for a tenant of [TierDedicated], for example its encrypted password.
	LoginSecret string
	// Version is the schema version that the caller believes the tenant to be on. Prepared statements are kept apart by it, so that
	// a fleet that is half migrated never meets "cached plan must not change result type".
	Version int64
	// StatementTimeout is how long a statement of the scope may take, in whole milliseconds; it fails with SQLSTATE 57014 then. 0 leaves the
	// server's own setting. It travels with the entry and costs no round trip. The tenant's own SQL may change it for its transaction: it
	// bounds what is slow, not what is hostile.
	StatementTimeout time.Duration
}

// ErrNoTenant is returned for a scope of the zero Tenant.
var ErrNoTenant = errors.New("tenantschema: the scope names no tenant")

// ErrUnavailable is returned when no connection could be had in time, or none at all: the same call may succeed later.
var ErrUnavailable = errors.New("tenantschema: no database connection available")

// ErrPooler is returned where a connection turns out to lead through a pooler that nobody has declared.
var ErrPooler = errors.New("tenantschema: the connection leads through a pooler, which hands sessions on: connect directly, " +
	"or declare it by Config.Pooler")

// ErrPoolMode is returned where a pooler does not keep a transaction on one session. No scope is safe there.
var ErrPoolMode = errors.New("tenantschema: the pooler must keep a transaction on one session (pool_mode transaction or session)")

// login gives whose connections serve t.
func (t Tenant) login() Login {
	if t.Tier == TierDedicated {
		return Login{Tenant: t.Schema, Secret: t.LoginSecret}
	}
	return Login{Cell: t.Cell}
}

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
)
