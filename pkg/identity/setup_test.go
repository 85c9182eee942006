package identity_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func TestMain(m *testing.M) {
	pgtest.Main(m, func() error { return goleak.Find() })
}

// password is everybody's.
const password = "rows of houses, wall to wall"

// bundle is what a test works with: the service and two tenants.
type bundle struct {
	*identity.Service

	db           *pgtest.DB
	acme, globex tenantschema.Scope
	clock        *clock
}

func setup(t *testing.T) *bundle {
	t.Helper()
	return setupWith(t, identity.Config{})
}

// setupWith is setup with a Config whose clock and costs are the test's.
func setupWith(t *testing.T, cfg identity.Config) *bundle {
	t.Helper()
	db := pgtest.New(t)
	b := &bundle{
		db: db, acme: db.Scope("acme"), globex: db.Scope("globex"), clock: &clock{now: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)},
	}
	cfg.Clock, cfg.Argon2Memory = b.clock.Now, 64
	var err error
	b.Service, err = identity.New(cfg)
	require.NoError(t, err)
	return b
}

// key makes a key that may write.
func (b *bundle) key(t *testing.T, scope tenantschema.Scope) (identity.Key, string) {
	t.Helper()
	key, token, err := b.CreateKey(t.Context(), scope, identity.NewKey{Name: "ci", Scopes: []string{identity.ScopeWrite}})
	require.NoError(t, err)
	return key, token
}

// owner makes the tenant's owner Ada and signs her in.
func (b *bundle) owner(t *testing.T, scope tenantschema.Scope) identity.Principal {
	t.Helper()
	return b.user(t, scope, "ada@acme.example", identity.RoleOwner)
}

// user makes somebody with a role and signs them in.
func (b *bundle) user(t *testing.T, scope tenantschema.Scope, email string, role identity.Role) identity.Principal {
	t.Helper()
	hash, err := b.HashPassword(t.Context(), password)
	require.NoError(t, err)
	u, err := b.CreateOwner(t.Context(), scope, identity.NewUser{Email: email, DisplayName: "Somebody", PasswordHash: hash})
	require.NoError(t, err)
	_, err = scope.Exec(t.Context(), `UPDATE users SET role = $2 WHERE id = $1`, u.ID, role)
	require.NoError(t, err)
	return b.principal(t, scope, b.signIn(t, scope, email).Token)
}

// signIn signs somebody in.
func (b *bundle) signIn(t *testing.T, scope tenantschema.Scope, email string) identity.SignedIn {
	t.Helper()
	in, err := b.SignIn(t.Context(), scope, email, password, browser())
	require.NoError(t, err)
	return in
}

// principal gives whose session it is.
func (b *bundle) principal(t *testing.T, scope tenantschema.Scope, token string) identity.Principal {
	t.Helper()
	p, err := b.AuthenticateSession(t.Context(), scope, token)
	require.NoError(t, err)
	return p
}

func browser() identity.Client {
	return identity.Client{RemoteAddress: "203.0.113.7", UserAgent: "Firefox"}
}

// requireCode wants an error of that code.
func requireCode(t *testing.T, want apperr.Code, err error) {
	t.Helper()
	require.Equal(t, want, apperr.CodeOf(err), "%v", err)
}

// requireInvalid wants an error about those fields.
func requireInvalid(t *testing.T, err error, fields ...string) {
	t.Helper()
	requireCode(t, apperr.Invalid, err)
	var wrong *apperr.Error
	require.ErrorAs(t, err, &wrong)
	var got []string
	for _, f := range wrong.Fields {
		got = append(got, f.Path)
	}
	require.Equal(t, fields, got)
}

// clock is a time that stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now
}
