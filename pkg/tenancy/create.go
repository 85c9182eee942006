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

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// NewTenant describes a tenant to be created.
type NewTenant struct {
	// Slug is the subdomain. See [ParseSlug].
	Slug string
	// Name is for people; empty means the slug.
	Name string
	// Tier is how strongly the tenant is kept apart; empty means sealed. See [ParseTier].
	Tier string
}

// Create makes a tenant: catalog row, role, schema, migrations and grants in one transaction. created is false when it was there
// already: creating one again changes nothing and gives what is there, and finishes what a crash left unfinished.
func (m *Manager) Create(ctx context.Context, n NewTenant) (t Tenant, created bool, err error) {
	c := m.Creator()
	defer c.Close()
	return c.Create(ctx, n)
}

// Creator makes one tenant after another over a connection that it keeps: opening one, whose backend must first load the catalog's
// caches, takes longer than making a tenant. It is for one goroutine.
type Creator struct {
	m        *Manager
	sessions sessions
}

// Creator gives a Creator, which connects on first use.
func (m *Manager) Creator() *Creator { return &Creator{m: m, sessions: sessions{m: m}} }

// Close closes the connection.
func (c *Creator) Close() { c.sessions.close() }

// Create is [Manager.Create].
func (c *Creator) Create(ctx context.Context, n NewTenant) (t Tenant, created bool, err error) {
	m := c.m
	if n.Slug, err = ParseSlug(n.Slug); err != nil {
		return Tenant{}, false, err
	}
	if n.Name = strings.TrimSpace(n.Name); n.Name != "" {
		if err = checkName(n.Name); err != nil {
			return Tenant{}, false, err
		}
	}
	tier, err := ParseTier(n.Tier)
	if err != nil {
		return Tenant{}, false, err
	}
	t, found, err := m.living(ctx, n.Slug)
	if err != nil {
		return Tenant{}, false, err
	}
	if found && t.State != StateProvisioning {
		return alreadyThere(t, n)
	}
	session, err := c.sessions.get(ctx, 1)
	if err != nil {
		return Tenant{}, false, apperr.Wrap(err, apperr.Unavailable, "the database cannot be reached as its owner")
	}
	defer func() {
		if err != nil {
			c.sessions.close() // Whatever state it is in.
		}
	}()
	if !found {
		if t, err = m.newTenant(ctx, session, n, tier); err != nil {
			return Tenant{}, false, explainOwner(err)
		}
		role := spare{t.ID, t.Cell}
		defer func() {
			if err != nil || !created {
				m.returnSpare(ctx, role)
			}
		}()
	}
	schema, err := tenantschema.ParseName("t_" + t.ID)
	if err != nil {
		return Tenant{}, false, err
	}
	spec := tenantschema.Spec{Name: schema, Member: m.cfg.Logins.Cell(t.Cell), Sealed: t.Tier != tenantschema.TierPooled}
	err = session.Create(ctx, spec,
		func(ctx context.Context, tx pgx.Tx) error { return m.claim(ctx, tx, t, n) },
		func(ctx context.Context, tx pgx.Tx, version int64, done bool) error {
			tag, err := tx.Exec(ctx, `update rowhouse.tenants set schema_version = $2, state = case when $3 then 'ready' else state end
				where id = $1 and state = 'provisioning'`, t.ID, version, done)
			if err == nil && tag.RowsAffected() == 0 {
				err = apperr.New(apperr.Conflict, "the tenant %q was changed by somebody else while it was made: see `rowhouse tenant show %s`",
					n.Slug, n.Slug)
			}
			return err
		})
	if errors.Is(err, errClaimed) { // Somebody else was faster, and is done.
		if t, found, err = m.living(ctx, n.Slug); err == nil && found {
			return alreadyThere(t, n)
		}
	}
	if err != nil {
		return Tenant{}, false, explainOwner(fmt.Errorf("create tenant %s: %w", n.Slug, err))
	}
	if tier == tenantschema.TierDedicated { // Nobody has been told of the other login.
		t, err = m.SetTier(ctx, t.ID, tier, 0)
		return t, err == nil, err
	}
	t, err = m.byID(ctx, t.ID)
	return t, err == nil, err
}

// newTenant gives the beginning of a tenant that is not there yet: an id whose role has been made, and its cell.
func (m *Manager) newTenant(ctx context.Context, session *tenantschema.Session, n NewTenant, tier tenantschema.Tier) (Tenant, error) {
	role, err := m.takeSpare(ctx, session)
	if tier == tenantschema.TierDedicated {
		tier = tenantschema.TierSealed // Until it has a login.
	}
	return Tenant{ID: role.ID, Cell: role.Cell, Slug: n.Slug, Tier: tier}, err
}

func alreadyThere(t Tenant, n NewTenant) (Tenant, bool, error) {
	if n.Name != "" && n.Name != t.Name {
		return Tenant{}, false, apperr.New(apperr.Conflict, "the subdomain %q belongs to the tenant %q already: choose another", n.Slug, t.Name).
			WithField("slug", "is taken")
	}
	if t.State == StateArchived || t.State == StateQuarantined {
		return Tenant{}, false, apperr.New(apperr.Conflict, "the tenant %q is there already, and %s: see `rowhouse tenant show %s`", n.Slug, t.State, n.Slug)
	}
	return t, false, nil
}

func checkName(name string) error {
	if n := utf8.RuneCountInString(name); !utf8.ValidString(name) || n > 200 || strings.ContainsFunc(name, unicode.IsControl) {
		return apperr.New(apperr.Invalid, "the name must have 1 to 200 characters and no control characters").
			WithField("name", "must have 1 to 200 characters and no control characters")
	}
	return nil
}

func (m *Manager) living(ctx context.Context, slug string) (Tenant, bool, error) {
	tenants, err := readTenants(ctx, m.cfg.Pool, "where slug = $1 and state <> 'deleted'", slug)
	if err != nil || len(tenants) == 0 {
		return Tenant{}, false, err
	}
	return tenants[0], true, nil
}

// errClaimed is returned by claim when the slug belongs to another tenant.
var errClaimed = errors.New("the slug is claimed")

// claim writes the catalog row of a tenant in the making, or finds it there.
func (m *Manager) claim(ctx context.Context, tx pgx.Tx, t Tenant, n NewTenant) error {
	// Two who want one slug take turns, so that the second sees the first one's row.
	if _, err := tx.Exec(ctx, "select pg_advisory_xact_lock(hashtextextended('rowhouse.slug:' || $1, 0))", n.Slug); err != nil {
		return fmt.Errorf("lock slug: %w", err)
	}
	rows, err := readTenants(ctx, tx, "where slug = $1 and state <> 'deleted'", n.Slug)
	if err != nil {
		return err
	}
	if len(rows) > 0 {
		if rows[0].ID != t.ID || rows[0].State != StateProvisioning {
			return errClaimed
		}
		return nil
	}
	var isID bool
	if err = tx.QueryRow(ctx, "select exists (select from rowhouse.tenants where id = $1)", n.Slug).Scan(&isID); err != nil {
		return fmt.Errorf("compare slug with ids: %w", err)
	}
	if isID { // Operators name tenants by either: one could be taken for the other.
		return apperr.New(apperr.Conflict, "the subdomain %q is the id of a tenant: choose another", n.Slug).WithField("slug", "is taken")
	}
	var freeAt *time.Time
	err = tx.QueryRow(ctx, `select max(deleted_at) + $2 from rowhouse.tenants where slug = $1 and state = 'deleted'`,
		n.Slug, m.cfg.SlugQuarantine).Scan(&freeAt)
	if err != nil {
		return fmt.Errorf("look for earlier owners of the slug: %w", err)
	}
	if freeAt != nil && time.Now().Before(*freeAt) {
		return apperr.New(apperr.Conflict, "the subdomain %q belonged to a deleted tenant and stays unused until %s "+
			"(tenants.slug_quarantine), so that its old links and keys reach nobody else: choose another",
			n.Slug, freeAt.UTC().Format(time.RFC3339)).WithField("slug", "is in quarantine")
	}
	name := n.Name
	if name == "" {
		name = n.Slug
	}
	_, err = tx.Exec(ctx, "insert into rowhouse.tenants (id, slug, name, cell, tier, state) values ($1, $2, $3, $4, $5, $6)",
		t.ID, n.Slug, name, t.Cell, string(t.Tier), string(StateProvisioning))
	if err != nil {
		return fmt.Errorf("write catalog row: %w", err)
	}
	if _, err = tx.Exec(ctx, "delete from rowhouse.spare_roles where id = $1", t.ID); err != nil {
		return fmt.Errorf("use up role: %w", err)
	}
	return nil
}
