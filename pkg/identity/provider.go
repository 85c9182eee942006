package identity

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/net/idna"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Provider is where the tenant's people may sign in by OpenID Connect. Its client's secret is given once and never shown.
type Provider struct {
	ID       uuid.UUID `json:"id"`
	Name     string    `json:"name"`
	Issuer   string    `json:"issuer"`
	ClientID string    `json:"client_id"`
	// JoinRole is the role of who signs in for the first time. Empty lets in only who is a member already, or invited.
	JoinRole Role `json:"join_role,omitempty"`
	// JoinDomains are the domains of addresses that may join. None is all that the provider has verified.
	JoinDomains []string   `json:"join_domains"`
	DisabledAt  *time.Time `json:"disabled_at,omitempty"`
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
}

// NewProvider is what a provider is made from. Issuer and ClientID never change: who they know is linked to them.
type NewProvider struct {
	Name, Issuer, ClientID, ClientSecret string
	JoinRole                             Role
	JoinDomains                          []string
}

// ProviderPatch changes the fields that are not nil.
type ProviderPatch struct {
	Name, ClientSecret *string
	JoinRole           *Role
	JoinDomains        *[]string
	Disabled           *bool
}

const (
	maxIssuer       = 2000
	maxClient       = 500
	maxClientSecret = 1000
	maxDomains      = 100
	maxProviders    = 20
)

func providerPurpose(id uuid.UUID) string { return "oidc " + id.String() }

// issuer checks the address of a provider. Where it leads is asked by the client, at each connection.
func (c *checker) issuer(raw string, allowHTTP bool) string {
	raw = strings.TrimSpace(raw)
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || len(raw) > maxIssuer ||
		u.Scheme != "https" && (u.Scheme != "http" || !allowHTTP) {
		c.add("issuer", "Give the provider's address as it names itself, such as https://login.example.com.")
	}
	return raw
}

func (c *checker) joinRole(r Role) {
	if r != "" {
		c.role("join_role", r, RoleAdmin, RoleMember, RoleGuest)
	}
}

// domains gives domains in lower case and in their xn-- form, sorted and without doubles.
func (c *checker) domains(list []string) []string {
	out := make([]string, 0, len(list))
	for _, d := range list {
		d, err := idna.Lookup.ToASCII(strings.TrimSpace(d))
		if err != nil || !strings.Contains(d, ".") {
			c.add("join_domains", "Give domains such as example.com, without @ and what stands before it.")
			return nil
		}
		out = append(out, d)
	}
	slices.Sort(out)
	if out = slices.Compact(out); len(out) > maxDomains {
		c.add("join_domains", "Give %d domains at most.", maxDomains)
	}
	return out
}

// CreateProvider adds a provider, as p, if it can be reached and is what it says. The error is apperr.Invalid if in is wrong, Conflict if the
// client is known already.
func (s *Service) CreateProvider(ctx context.Context, scope tenantschema.Scope, p Principal, in NewProvider) (Provider, error) {
	if err := permit(p, ActionManageSettings); err != nil {
		return Provider{}, err
	}
	if s.cfg.Secrets == nil {
		return Provider{}, errNoSecrets
	}
	var c checker
	in.Name = c.line("name", in.Name, maxName)
	in.Issuer = c.issuer(in.Issuer, s.cfg.AllowHTTPIssuers)
	in.ClientID = c.line("client_id", in.ClientID, maxClient)
	in.ClientSecret = c.line("client_secret", in.ClientSecret, maxClientSecret)
	c.joinRole(in.JoinRole)
	in.JoinDomains = c.domains(in.JoinDomains)
	if err := c.err("The provider cannot be added as asked."); err != nil {
		return Provider{}, err
	}
	if _, err := s.discover(ctx, in.Issuer); err != nil {
		return Provider{}, apperr.Wrap(err, apperr.Invalid, "The provider cannot be reached, or does not speak OpenID Connect.").
			WithField("issuer", "There is no provider of that name at this address, in /.well-known/openid-configuration.")
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Provider{}, failed("create provider", err)
	}
	sealed, err := s.cfg.Secrets.Seal(scope.Tenant().Schema, providerPurpose(id), []byte(in.ClientSecret))
	if err != nil {
		return Provider{}, failed("create provider", err)
	}
	const sql = `INSERT INTO oidc_providers (id, name, issuer, client_id, client_secret, join_role, join_domains, created_at, updated_at)
SELECT $1, $2, $3, $4, $5, nullif($6, ''), $7, $8, $8 WHERE (SELECT count(*) FROM oidc_providers) < $9 RETURNING ` + providerColumns
	made, err := queryProvider(ctx, scope, sql, id, in.Name, in.Issuer, in.ClientID, sealed, string(in.JoinRole), in.JoinDomains,
		s.now(), maxProviders)
	switch {
	case isNoRows(err):
		return Provider{}, apperr.New(apperr.Conflict, "There are %d providers. Delete one before you add another.", maxProviders)
	case taken(err, "oidc_providers_issuer_key"):
		return Provider{}, apperr.Wrap(err, apperr.Conflict, "This provider and client are known already.")
	case err != nil:
		return Provider{}, failed("create provider", err)
	}
	return made, nil
}

// PatchProvider changes a provider, as p. Who is signed in by it stays so.
func (s *Service) PatchProvider(ctx context.Context, scope tenantschema.Scope, p Principal, id uuid.UUID, patch ProviderPatch) (Provider, error) {
	if err := permit(p, ActionManageSettings); err != nil {
		return Provider{}, err
	}
	var c checker
	var sealed []byte
	if patch.Name != nil {
		patch.Name = new(c.line("name", *patch.Name, maxName))
	}
	if patch.ClientSecret != nil {
		patch.ClientSecret = new(c.line("client_secret", *patch.ClientSecret, maxClientSecret))
	}
	if patch.JoinRole != nil {
		c.joinRole(*patch.JoinRole)
	}
	if patch.JoinDomains != nil {
		patch.JoinDomains = new(c.domains(*patch.JoinDomains))
	}
	err := c.err("The provider cannot be changed as asked.")
	if err == nil && patch.ClientSecret != nil {
		if s.cfg.Secrets == nil {
			return Provider{}, errNoSecrets
		}
		sealed, err = s.cfg.Secrets.Seal(scope.Tenant().Schema, providerPurpose(id), []byte(*patch.ClientSecret))
	}
	if err != nil {
		return Provider{}, failed("change provider", err)
	}
	const sql = `UPDATE oidc_providers SET name = coalesce($2, name), client_secret = coalesce($3, client_secret),
    join_role = CASE WHEN $4::text IS NULL THEN join_role ELSE nullif($4, '') END, join_domains = coalesce($5, join_domains),
    disabled_at = CASE WHEN $6::boolean IS NULL THEN disabled_at WHEN $6 THEN coalesce(disabled_at, $7) END, updated_at = $7
WHERE id = $1 RETURNING ` + providerColumns
	changed, err := queryProvider(ctx, scope, sql, id, patch.Name, sealed, (*string)(patch.JoinRole), patch.JoinDomains, patch.Disabled, s.now())
	if err != nil {
		return Provider{}, failedOn("change provider", "provider", id, err)
	}
	return changed, nil
}

// DeleteProvider removes a provider, as p, and its links to people, who then need another way in.
func (s *Service) DeleteProvider(ctx context.Context, scope tenantschema.Scope, p Principal, id uuid.UUID) error {
	if err := permit(p, ActionManageSettings); err != nil {
		return err
	}
	tag, err := scope.Exec(ctx, `DELETE FROM oidc_providers WHERE id = $1`, id)
	if err == nil && tag.RowsAffected() == 0 {
		err = pgx.ErrNoRows
	}
	if err != nil {
		return failedOn("delete provider", "provider", id, err)
	}
	return nil
}

// ListProviders gives all providers by name, the disabled ones too.
func (s *Service) ListProviders(ctx context.Context, scope tenantschema.Scope) ([]Provider, error) {
	rows, err := scope.Query(ctx, `SELECT `+providerColumns+` FROM oidc_providers ORDER BY lower(name), id`)
	if err != nil {
		return nil, failed("list providers", err)
	}
	list, err := pgx.CollectRows(rows, scanProvider)
	if err != nil {
		return nil, failed("list providers", err)
	}
	return list, nil
}

const providerColumns = `id, name, issuer, client_id, coalesce(join_role, ''), join_domains, disabled_at, created_at, updated_at`

func scanProvider(row pgx.CollectableRow) (Provider, error) {
	var p Provider
	err := row.Scan(&p.ID, &p.Name, &p.Issuer, &p.ClientID, &p.JoinRole, &p.JoinDomains, &p.DisabledAt, &p.CreatedAt, &p.UpdatedAt)
	p.DisabledAt, p.CreatedAt, p.UpdatedAt = inUTC(p.DisabledAt), p.CreatedAt.UTC(), p.UpdatedAt.UTC()
	return p, err
}

func queryProvider(ctx context.Context, db tenantschema.DBTX, sql string, args ...any) (Provider, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return Provider{}, err
	}
	return pgx.CollectOneRow(rows, scanProvider)
}
