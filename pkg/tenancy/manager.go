package tenancy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// ManagerConfig is what a [Manager] works with.
type ManagerConfig struct {
	// Pool logs in as the owner. Required.
	Pool *pgxpool.Pool
	// Provisioner makes and migrates the schemas. Required.
	Provisioner *tenantschema.Provisioner
	// Logins names the cells' login roles. Required.
	Logins *Logins
	// SlugQuarantine is how long the subdomain of a deleted tenant stays unused.
	SlugQuarantine time.Duration
	// CellSize is the most tenants that share a login role. Default 1000.
	CellSize int
	// RoleBlock is how many roles are made at once, ahead of their tenants. Default 20.
	RoleBlock int
	// Jobs, if set, is the queue. Without it a deleted tenant's jobs end when they come to be worked.
	Jobs Jobs
}

// Jobs is what a [Manager] must know of the job queue. Jobs that are being worked are left to the queue: they end as their tenant is gone.
type Jobs interface {
	// End removes a tenant's jobs in the transaction that deletes it, and gives how many.
	End(ctx context.Context, tx pgx.Tx, tenantID string) (int64, error)
	// Count counts the jobs in the queue by the ids of their tenants.
	Count(ctx context.Context, tx pgx.Tx) (map[string]int64, error)
}

// Manager changes the catalog and the schemas, with the owner's credentials. No process that serves requests holds one.
type Manager struct {
	cfg ManagerConfig
}

// NewManager validates cfg.
func NewManager(cfg ManagerConfig) (*Manager, error) {
	if cfg.Pool == nil || cfg.Provisioner == nil || cfg.Logins == nil {
		return nil, errors.New("tenancy: ManagerConfig.Pool, Provisioner and Logins are required")
	}
	if cfg.CellSize < 0 || cfg.RoleBlock < 0 {
		return nil, errors.New("tenancy: ManagerConfig.CellSize and RoleBlock must not be negative")
	}
	if cfg.CellSize == 0 {
		cfg.CellSize = 1000
	}
	if cfg.RoleBlock == 0 {
		cfg.RoleBlock = 20
	}
	return &Manager{cfg: cfg}, nil
}

// Target is the schema version that this program brings tenants to.
func (m *Manager) Target() int64 { return m.cfg.Provisioner.Target() }

// Get finds a tenant by what an operator typed: the slug of a living one, else an id, else the slug of the one deleted last.
// [apperr.NotFound] if there is none. No tenant may have the id of another as its slug, so one is never taken for the other.
func (m *Manager) Get(ctx context.Context, slugOrID string) (Tenant, error) {
	tenants, err := readTenants(ctx, m.cfg.Pool, `where slug = $1 or id = $1
		order by slug = $1 and state <> 'deleted' desc, id = $1 desc, deleted_at desc limit 1`, slugOrID)
	if err != nil {
		return Tenant{}, err
	}
	if len(tenants) == 0 {
		return Tenant{}, m.notFound(ctx, slugOrID)
	}
	return tenants[0], nil
}

// byID finds a tenant by its id alone.
func (m *Manager) byID(ctx context.Context, id string) (Tenant, error) {
	tenants, err := readTenants(ctx, m.cfg.Pool, "where id = $1", id)
	if err != nil {
		return Tenant{}, err
	}
	if len(tenants) == 0 {
		return Tenant{}, apperr.New(apperr.NotFound, "there is no tenant with the id %q", id)
	}
	return tenants[0], nil
}

// notFound names the living tenant whose slug is nearest, if one is near.
func (m *Manager) notFound(ctx context.Context, slug string) error {
	err := apperr.New(apperr.NotFound, "there is no tenant %q: see `rowhouse tenant list`", slug)
	tenants, listErr := m.List(ctx, ListFilter{})
	if listErr != nil {
		return err // The first error says more.
	}
	best, bestDistance := "", 3
	for _, t := range tenants {
		if d := distance(slug, t.Slug); d < bestDistance {
			best, bestDistance = t.Slug, d
		}
	}
	if best != "" {
		err.Message = fmt.Sprintf("there is no tenant %q: did you mean %q?", slug, best)
	}
	return err
}

// distance is the Levenshtein distance of a and b in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

// ListFilter narrows a list of tenants.
type ListFilter struct {
	// State, if set, is the only state listed. Deleted tenants and those made ahead are listed only when asked for.
	State State
	// IDs, if not nil, are the only tenants listed, whatever their state unless State is set. What is no tenant's is left out.
	IDs []string
}

// List gives the tenants in the order of their slugs.
func (m *Manager) List(ctx context.Context, f ListFilter) ([]Tenant, error) {
	if f.IDs != nil {
		return readTenants(ctx, m.cfg.Pool, "where id = any($2) and ($1 = '' or state = $1) order by slug, created_at", string(f.State), f.IDs)
	}
	return readTenants(ctx, m.cfg.Pool,
		"where case when $1 = '' then "+livingSQL+" else state = $1 end order by slug, created_at", string(f.State))
}

// Suspend stops a tenant being served and its jobs being worked. Repeating it changes the reason only.
func (m *Manager) Suspend(ctx context.Context, slug, reason string) (Tenant, error) {
	if utf8.RuneCountInString(reason) > 500 || strings.ContainsFunc(reason, unicode.IsControl) {
		return Tenant{}, apperr.New(apperr.Invalid, "the reason must have at most 500 characters, on one line").WithField("reason", "is too long")
	}
	t, err := m.Get(ctx, slug)
	if err != nil {
		return Tenant{}, err
	}
	// From migrating too: it is served, and its migration leaves a suspended tenant suspended.
	return m.change(ctx, t, StateSuspended, reason, StateReady, StateMigrating, StateSuspended)
}

// Resume lets a suspended tenant be served again. A tenant that is ready stays so. One whose migration has failed half-way is refused.
func (m *Manager) Resume(ctx context.Context, slug string) (Tenant, error) {
	t, err := m.Get(ctx, slug)
	if err != nil {
		return Tenant{}, err
	}
	var halfWay string
	if err = m.cfg.Pool.QueryRow(ctx, "select migration_error from rowhouse.tenants where id = $1", t.ID).Scan(&halfWay); err != nil {
		return Tenant{}, fmt.Errorf("read state of %s: %w", t.Slug, err)
	}
	if halfWay != "" && t.State == StateSuspended {
		return Tenant{}, apperr.New(apperr.Conflict, "the tenant %q is half-way between two schema versions (%s): run `rowhouse migrate up` first",
			t.Slug, halfWay)
	}
	return m.change(ctx, t, StateReady, "", StateSuspended, StateReady)
}

// change moves a tenant to a state if it is in one of those that lead there.
func (m *Manager) change(ctx context.Context, t Tenant, to State, reason string, from ...State) (Tenant, error) {
	allowed := make([]string, len(from))
	for i, s := range from {
		allowed[i] = string(s)
	}
	tag, err := m.cfg.Pool.Exec(ctx, "update rowhouse.tenants set state = $2, state_reason = $3 where id = $1 and state = any($4)",
		t.ID, string(to), reason, allowed)
	if err != nil {
		return Tenant{}, fmt.Errorf("set state of %s: %w", t.Slug, err)
	}
	if t, err = m.byID(ctx, t.ID); err != nil {
		return Tenant{}, err
	}
	if tag.RowsAffected() == 0 {
		return Tenant{}, apperr.New(apperr.Conflict, "the tenant %q is %s: only one that is %s can become %s",
			t.Label(), t.State, strings.Join(allowed, " or "), to)
	}
	return t, nil
}
