// Package tenancy is the control plane: which tenants there are, what state each is in, and how each is reached.
//
// The truth is the table rowhouse.tenants. A [Catalog] keeps a copy of it in every process that serves or works, fresh within a
// second; a [Manager], which holds the owner's credentials, changes it together with the schemas.
//
// A tenant is in one state, obeyed by the router, the jobs and the CLI alike:
//
//	warm, provisioning ──▶ ready ◀──▶ suspended
//	                         ▲            ▲
//	                         ▼            │
//	                     migrating ───────┘
//	                         ▲
//	                         ▼
//	                    quarantined ──▶ ready
//
//	any of these ──▶ archived ──▶ deleted
//
// A warm one was made ahead and is nobody's: it has no slug, and is seen by what makes, migrates and inspects schemas alone.
//
// Every change can be repeated after a crash at any point.
package tenancy

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// State is where a tenant stands in its life.
type State string

// The states. See the package's picture.
const (
	StateProvisioning State = "provisioning"
	StateWarm         State = "warm"
	StateReady        State = "ready"
	StateSuspended    State = "suspended"
	StateMigrating    State = "migrating"
	StateQuarantined  State = "quarantined"
	StateArchived     State = "archived"
	StateDeleted      State = "deleted"
)

// States lists all states in the order of a tenant's life.
func States() []State {
	return []State{
		StateProvisioning, StateWarm, StateReady, StateSuspended, StateMigrating, StateQuarantined, StateArchived, StateDeleted,
	}
}

// Tenant is a row of the catalog.
type Tenant struct {
	// ID is random and never changes; the schema's name is made of it.
	ID string
	// Slug is the subdomain. It may change. A tenant that was never claimed has none.
	Slug string
	// Name is for people.
	Name string
	// Schema names the schema and the role.
	Schema tenantschema.Name
	// Cell is the group of tenants that share a login role, from 1.
	Cell int
	// Placement says which PostgreSQL holds the tenant.
	Placement string
	// Tier says how strongly the tenant is kept apart.
	Tier tenantschema.Tier
	// Login is the encrypted password of a dedicated tenant's own login role.
	Login []byte
	Plan  string
	// TimeZone is what the tenant's days and hours go by. See [ParseTimeZone].
	TimeZone string
	// State and StateReason say whether the tenant may be served, and if not, why.
	State       State
	StateReason string
	// SchemaVersion is the newest migration that has been applied to the schema.
	SchemaVersion int64
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

// Label names t for people: by its slug, or by its schema if it has none.
func (t Tenant) Label() string { return cmp.Or(t.Slug, t.Schema.String()) }

// Engine gives what tenantschema must know of t.
func (t Tenant) Engine() tenantschema.Tenant {
	return tenantschema.Tenant{
		ID: t.ID, Schema: t.Schema, Cell: t.Cell, Tier: t.Tier, LoginSecret: string(t.Login), Version: t.SchemaVersion,
	}
}

// Runs reports whether requests and jobs of t may run on a program that works on the given schema versions. A tenant that is being migrated
// may: migrations expand before they contract.
func (t Tenant) Runs(on tenantschema.Versions) bool {
	return (t.State == StateReady || t.State == StateMigrating) && on.Contain(t.SchemaVersion)
}

const tenantColumns = "id, coalesce(slug, ''), name, schema_name, cell, placement, tier, login, plan, time_zone, state, state_reason, " +
	"schema_version, created_at, updated_at"

func scanTenant(row pgx.CollectableRow) (Tenant, error) {
	var t Tenant
	var schema string
	err := row.Scan(&t.ID, &t.Slug, &t.Name, &schema, &t.Cell, &t.Placement, &t.Tier, &t.Login, &t.Plan, &t.TimeZone, &t.State, &t.StateReason,
		&t.SchemaVersion, &t.CreatedAt, &t.UpdatedAt)
	if err != nil {
		return t, err
	}
	if t.Schema, err = tenantschema.ParseName(schema); err != nil {
		return t, fmt.Errorf("catalog row of tenant %s: %w", t.ID, err)
	}
	return t, nil
}

const idAlphabet = "abcdefghijklmnopqrstuvwxyz234567"

// idLen characters of a 32-letter alphabet are 80 random bits.
const idLen = 16

// newID makes a random tenant id.
func newID() string {
	var b [idLen]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails: it ends the program instead.
	for i := range b {
		b[i] = idAlphabet[b[i]%byte(len(idAlphabet))]
	}
	return string(b[:])
}

// ValidID reports whether s has the form of a tenant id.
func ValidID(s string) bool {
	return len(s) == idLen && !strings.ContainsFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
}
