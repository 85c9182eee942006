package tenancy

import (
	"cmp"
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
	// TimeZone is what its days and hours go by; empty means UTC. See [ParseTimeZone].
	TimeZone string
	// Request, if set, is a UUID of what asks for the tenant, and may ask again: it finds the tenant that was made for it, and is given none
	// that was made for another or for nobody, whatever their names.
	Request string
	// Distinct refuses a slug that people would take for that of another tenant. See [Skeleton].
	Distinct bool
}

// Create makes a tenant: catalog row, role, schema, migrations and grants in one transaction, or by [Manager.Claim] if one that was made
// ahead is ready and the tier is not pooled. created is false when it was there already: creating one again changes nothing and gives what
// is there, and finishes what a crash left unfinished.
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
func (m *Manager) Creator() *Creator {
	return &Creator{m: m, sessions: sessions{m: m, most: sessionCreates}}
}

// Close closes the connection.
func (c *Creator) Close() { c.sessions.close() }

// Create is [Manager.Create].
func (c *Creator) Create(ctx context.Context, n NewTenant) (t Tenant, created bool, err error) {
	m := c.m
	tier, err := n.check()
	if err != nil {
		return Tenant{}, false, err
	}
	t, found, err := m.living(ctx, n.Slug)
	if err != nil {
		return Tenant{}, false, err
	}
	if !found && tier != tenantschema.TierPooled { // Those made ahead are sealed.
		t, err = m.claimWarm(ctx, n)
		switch {
		case err == nil:
			return m.finish(ctx, t, tier)
		case errors.Is(err, errClaimed): // Somebody else was faster, and is done or at it.
			if t, found, err = m.living(ctx, n.Slug); err != nil {
				return Tenant{}, false, err
			}
		case !errors.Is(err, errNoWarm):
			return Tenant{}, false, explainOwner(fmt.Errorf("create tenant %s: %w", n.Slug, err))
		}
	}
	if found {
		if err = m.sameRequest(ctx, t, n); err != nil {
			return Tenant{}, false, err
		}
		if t.State != StateProvisioning {
			return alreadyThere(t, n)
		}
	}
	return c.make(ctx, t, found, n, tier)
}

// make makes all of a tenant, or what a crash has left to do of the one that was found.
func (c *Creator) make(ctx context.Context, t Tenant, found bool, n NewTenant, tier tenantschema.Tier) (_ Tenant, created bool, err error) {
	m := c.m
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
	spec, err := m.spec(t.ID, t.Cell, t.Tier)
	if err != nil {
		return Tenant{}, false, err
	}
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
		if holder, held, lookErr := m.living(ctx, n.Slug); lookErr == nil && held {
			if err = m.sameRequest(ctx, holder, n); err != nil {
				return Tenant{}, false, err
			}
			return alreadyThere(holder, n)
		}
	}
	if err != nil {
		return Tenant{}, false, explainOwner(fmt.Errorf("create tenant %s: %w", n.Slug, err))
	}
	if t, err = m.byID(ctx, t.ID); err != nil {
		return Tenant{}, false, err
	}
	return m.finish(ctx, t, tier)
}

// finish gives a tenant that has just been made sealed the login of its own that it is to have.
func (m *Manager) finish(ctx context.Context, t Tenant, tier tenantschema.Tier) (_ Tenant, created bool, err error) {
	if tier == tenantschema.TierDedicated {
		t, err = m.SetTier(ctx, t.ID, tier, 0) // Nobody has been told of the other login.
	}
	return t, err == nil, err
}

// spec says how the schema of a tenant is to stand.
func (m *Manager) spec(id string, cell int, tier tenantschema.Tier) (tenantschema.Spec, error) {
	name, err := tenantschema.ParseName("t_" + id)
	return tenantschema.Spec{Name: name, Member: m.cfg.Logins.Cell(cell), Sealed: tier != tenantschema.TierPooled}, err
}

// check puts n into its final form, and reads its tier.
func (n *NewTenant) check() (tier tenantschema.Tier, err error) {
	if n.Slug, err = ParseSlug(n.Slug); err != nil {
		return "", err
	}
	if n.Name = strings.TrimSpace(n.Name); n.Name != "" {
		if err = checkName(n.Name); err != nil {
			return "", err
		}
	}
	if n.TimeZone, err = ParseTimeZone(n.TimeZone); err != nil {
		return "", err
	}
	return ParseTier(n.Tier)
}

// newTenant gives the beginning of a tenant that is not there yet: an id whose role has been made, and its cell.
func (m *Manager) newTenant(ctx context.Context, session *tenantschema.Session, n NewTenant, tier tenantschema.Tier) (Tenant, error) {
	role, err := m.takeSpare(ctx, session)
	if tier == tenantschema.TierDedicated {
		tier = tenantschema.TierSealed // Until it has a login.
	}
	return Tenant{ID: role.ID, Cell: role.Cell, Slug: n.Slug, Tier: tier}, err
}

// sameRequest refuses a tenant that was not made for what asks.
func (m *Manager) sameRequest(ctx context.Context, t Tenant, n NewTenant) error {
	if n.Request == "" {
		return nil
	}
	var same bool
	const sql = "select request is not distinct from $2::uuid from rowhouse.tenants where id = $1"
	err := m.cfg.Pool.QueryRow(ctx, sql, t.ID, n.Request).Scan(&same)
	if err != nil {
		return fmt.Errorf("read what asked for %s: %w", t.ID, err)
	}
	if !same {
		return errSlugTaken(n.Slug)
	}
	return nil
}

func errSlugTaken(slug string) error {
	return apperr.New(apperr.Conflict, "the subdomain %q belongs to a tenant already: choose another", slug).WithField("slug", "is taken")
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
	holder, held, err := m.lockSlug(ctx, tx, n)
	if err != nil {
		return err
	}
	if held {
		if holder.ID != t.ID || holder.State != StateProvisioning {
			return errClaimed
		}
		return nil
	}
	_, err = tx.Exec(ctx, `insert into rowhouse.tenants (id, slug, name, cell, tier, state, time_zone, request)
		values ($1, $2, $3, $4, $5, $6, $7, nullif($8, '')::uuid)`,
		t.ID, n.Slug, cmp.Or(n.Name, n.Slug), t.Cell, string(t.Tier), string(StateProvisioning), n.TimeZone, n.Request)
	if err != nil {
		return fmt.Errorf("write catalog row: %w", err)
	}
	return useSpare(ctx, tx, t.ID)
}

// lockSlug keeps the slug, and what looks like it, for tx until it ends, and gives the tenant that has it. The error is [apperr.Conflict] if
// nobody may have it.
func (m *Manager) lockSlug(ctx context.Context, tx pgx.Tx, n NewTenant) (holder Tenant, held bool, err error) {
	slug := n.Slug
	// Two who want one slug take turns, so that the second sees the first one's row.
	if _, err = tx.Exec(ctx, "select pg_advisory_xact_lock(hashtextextended('rowhouse.slug:' || $1, 0))", Skeleton(slug)); err != nil {
		return holder, false, fmt.Errorf("lock slug: %w", err)
	}
	rows, err := readTenants(ctx, tx, "where slug = $1 and state <> 'deleted'", slug)
	if err != nil {
		return holder, false, err
	}
	if len(rows) > 0 {
		return rows[0], true, nil
	}
	var isID, looksTaken bool
	var freeAt *time.Time
	err = tx.QueryRow(ctx, `select exists (select from rowhouse.tenants where id = $1),
			(select max(deleted_at) + $2 from rowhouse.tenants where slug = $1 and state = 'deleted'),
			$3 and exists (select from rowhouse.tenants where slug_skeleton = $4 and (state <> 'deleted' or deleted_at > now() - $2))`,
		slug, m.cfg.SlugQuarantine, n.Distinct, Skeleton(slug)).Scan(&isID, &freeAt, &looksTaken)
	if err != nil {
		return holder, false, fmt.Errorf("look for ids and earlier owners of the slug: %w", err)
	}
	if isID { // Operators name tenants by either: one could be taken for the other.
		return holder, false, apperr.New(apperr.Conflict, "the subdomain %q is the id of a tenant: choose another", slug).
			WithField("slug", "is taken")
	}
	if freeAt != nil && time.Now().Before(*freeAt) {
		return holder, false, apperr.New(apperr.Conflict, "the subdomain %q belonged to a deleted tenant and stays unused until %s "+
			"(tenants.slug_quarantine), so that its old links and keys reach nobody else: choose another",
			slug, freeAt.UTC().Format(time.RFC3339)).WithField("slug", "is in quarantine")
	}
	if looksTaken {
		return holder, false, apperr.New(apperr.Conflict, "the subdomain %q looks like that of another tenant: choose another", slug).
			WithField("slug", "looks like another")
	}
	return holder, false, nil
}
