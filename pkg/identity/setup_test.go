package identity_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/tenantsecret"
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
	post         *post
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
	queue, err := jobqueue.New(jobqueue.Config{})
	require.NoError(t, err)
	b.post = &post{queue: queue}
	cfg.Clock, cfg.Argon2Memory, cfg.Jobs, cfg.Mailer = b.clock.Now, 64, b.post, b.post
	cfg.Secrets, err = tenantsecret.New(pgtest.Secret)
	require.NoError(t, err)
	cfg.SiteOf = func(_ context.Context, tenant tenantschema.Tenant) (identity.Site, error) {
		name := map[string]string{b.acme.Tenant().ID: "acme", b.globex.Tenant().ID: "globex"}[tenant.ID]
		return identity.Site{Origin: "https://" + name + ".example.com", Host: name + ".example.com", Name: name}, nil
	}
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

// post is the real queue, and a mailer that keeps what it is given.
type post struct {
	queue *jobqueue.Client

	mu      sync.Mutex
	due     []identity.MailDue
	letters []identity.Letter
}

func (p *post) Enqueue(ctx context.Context, tx *tenantschema.Tx, args job.Args, opts job.Opts) (job.Receipt, error) {
	receipt, err := p.queue.Enqueue(ctx, tx, args, opts)
	p.mu.Lock()
	defer p.mu.Unlock()
	if due, ok := args.(identity.MailDue); ok && err == nil {
		p.due = append(p.due, due)
	}
	return receipt, err
}

func (p *post) Send(_ context.Context, _ *tenantschema.Tx, l identity.Letter) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.letters = append(p.letters, l)
	return nil
}

// mailed works the jobs that wait, twice each, and gives the letters since the last call.
func (b *bundle) mailed(t *testing.T, scope tenantschema.Scope) []identity.Letter {
	t.Helper()
	b.post.mu.Lock()
	due := b.post.due
	b.post.due = nil
	b.post.mu.Unlock()
	for _, d := range append(due, due...) {
		require.NoError(t, b.SendMail(t.Context(), scope, d))
	}
	b.post.mu.Lock()
	defer b.post.mu.Unlock()
	letters := b.post.letters
	b.post.letters = nil
	return letters
}

// link gives the token of the one letter that is mailed.
func (b *bundle) link(t *testing.T, scope tenantschema.Scope, kind identity.LetterKind) string {
	t.Helper()
	letters := b.mailed(t, scope)
	require.Len(t, letters, 1)
	require.Equal(t, kind, letters[0].Kind)
	return letters[0].URL[strings.LastIndexByte(letters[0].URL, '/')+1:]
}
