package identity_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/oauth2-proxy/mockoidc"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

const callback = "https://acme.example.com/sign-in/callback"

// providerBundle is a bundle with a provider of OpenID Connect on loopback.
type providerBundle struct {
	*bundle

	remote *mockoidc.MockOIDC
	client *http.Client
}

func setupProvider(t *testing.T) *providerBundle {
	t.Helper()
	remote, err := mockoidc.Run()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, remote.Shutdown()) })
	transport := &http.Transport{DisableKeepAlives: true}
	client := &http.Client{
		Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	b := setupWith(t, identity.Config{HTTP: client, AllowHTTPIssuers: true})
	b.clock.now = time.Now() // The provider goes by it.
	return &providerBundle{bundle: b, remote: remote, client: client}
}

// provider adds the provider to a tenant.
func (b *providerBundle) provider(
	t *testing.T, scope tenantschema.Scope, p identity.Principal, role identity.Role, domains ...string,
) identity.Provider {
	t.Helper()
	made, err := b.CreateProvider(t.Context(), scope, p, identity.NewProvider{
		Name: "Login", Issuer: b.remote.Issuer(), ClientID: b.remote.ClientID, ClientSecret: b.remote.ClientSecret, JoinRole: role, JoinDomains: domains,
	})
	require.NoError(t, err)
	return made
}

// visit signs in at the provider as somebody, and gives with what the browser comes back.
func (b *providerBundle) visit(t *testing.T, authURL string, who mockoidc.MockUser) (state, code string) {
	t.Helper()
	b.remote.QueueUser(&who)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, authURL, http.NoBody)
	require.NoError(t, err)
	resp, err := b.client.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusFound, resp.StatusCode)
	back, err := url.Parse(resp.Header.Get("Location"))
	require.NoError(t, err)
	require.Equal(t, callback, back.Scheme+"://"+back.Host+back.Path)
	return back.Query().Get("state"), back.Query().Get("code")
}

// as signs in at acme by a provider.
func (b *providerBundle) as(t *testing.T, p identity.Provider, who mockoidc.MockUser) (identity.SignedIn, error) {
	t.Helper()
	authURL, step, err := b.BeginOIDC(t.Context(), b.acme, p.ID, callback)
	require.NoError(t, err)
	state, code := b.visit(t, authURL, who)
	return b.FinishOIDC(t.Context(), b.acme, step, state, code, callback, browser())
}

func person(subject, email string) mockoidc.MockUser {
	return mockoidc.MockUser{Subject: subject, Email: email, EmailVerified: true}
}

func TestOIDCMembersComeIn(t *testing.T) {
	t.Parallel()
	b := setupProvider(t)
	ctx := t.Context()
	owner, bob := b.owner(t, b.acme), b.user(t, b.acme, "bob@acme.example", identity.RoleMember)
	p := b.provider(t, b.acme, owner, "")

	_, err := b.as(t, p, mockoidc.MockUser{Subject: "bob", Email: "bob@acme.example"})
	requireCode(t, apperr.Forbidden, err) // An address that nobody has verified says nothing.
	in, err := b.as(t, p, person("bob", "BOB@acme.example"))
	require.NoError(t, err)
	require.Equal(t, bob.UserID, b.principal(t, b.acme, in.Token).UserID)
	in, err = b.as(t, p, person("bob", "robert@elsewhere.example")) // From then on the subject counts, and no address.
	require.NoError(t, err)
	require.Equal(t, bob.UserID, in.User.ID)
	_, err = b.as(t, p, person("carol", "carol@acme.example"))
	requireCode(t, apperr.Forbidden, err)

	// Who is invited joins as invited.
	_, err = b.Invite(ctx, b.acme, owner, identity.NewInvitation{Email: "dan@acme.example", Role: identity.RoleGuest})
	require.NoError(t, err)
	in, err = b.as(t, p, person("dan", "dan@acme.example"))
	require.NoError(t, err)
	require.Equal(t, identity.RoleGuest, in.User.Role)
	require.Equal(t, "dan", in.User.DisplayName)
	open, err := b.ListInvitations(ctx, b.acme)
	require.NoError(t, err)
	require.Empty(t, open)

	// Owners do not: an admin may run the provider. Nor does who becomes one.
	_, err = b.as(t, p, person("ada", "ada@acme.example"))
	requireCode(t, apperr.Forbidden, err)
	_, err = b.ChangeUser(ctx, b.acme, owner, bob.UserID, identity.UserPatch{Role: new(identity.RoleOwner)})
	require.NoError(t, err)
	_, err = b.as(t, p, person("bob", "bob@acme.example"))
	requireCode(t, apperr.Forbidden, err)
	_, err = b.ChangeUser(ctx, b.acme, owner, bob.UserID, identity.UserPatch{Role: new(identity.RoleMember), Disabled: new(true)})
	require.NoError(t, err)
	_, err = b.as(t, p, person("bob", "bob@acme.example"))
	requireCode(t, apperr.Forbidden, err)
}

func TestOIDCStrangersJoinByTheRules(t *testing.T) {
	t.Parallel()
	b := setupProvider(t)
	ctx := t.Context()
	owner := b.owner(t, b.acme)
	p := b.provider(t, b.acme, owner, identity.RoleMember, "acme.example", "Bücher.example")
	require.Equal(t, []string{"acme.example", "xn--bcher-kva.example"}, p.JoinDomains)
	in, err := b.as(t, p, person("carol", "carol@ACME.example"))
	require.NoError(t, err)
	require.Equal(t, identity.RoleMember, in.User.Role)
	require.NotNil(t, in.User.EmailVerifiedAt)
	require.False(t, in.User.HasPassword)
	_, err = b.as(t, p, person("eve", "eve@evil.example"))
	requireCode(t, apperr.Forbidden, err)
	_, err = b.as(t, p, person("eve", "eve@sub.acme.example"))
	requireCode(t, apperr.Forbidden, err)
	_, err = b.as(t, p, mockoidc.MockUser{Subject: "eve", Email: "eve@acme.example"})
	requireCode(t, apperr.Forbidden, err)

	p, err = b.PatchProvider(ctx, b.acme, owner, p.ID, identity.ProviderPatch{JoinRole: new(identity.RoleGuest), JoinDomains: new([]string{})})
	require.NoError(t, err)
	in, err = b.as(t, p, person("eve", "eve@evil.example"))
	require.NoError(t, err)
	require.Equal(t, identity.RoleGuest, in.User.Role)
	_, err = b.PatchProvider(ctx, b.acme, owner, p.ID, identity.ProviderPatch{Disabled: new(true)})
	require.NoError(t, err)
	_, _, err = b.BeginOIDC(ctx, b.acme, p.ID, callback)
	requireCode(t, apperr.NotFound, err)
}

// Step, state, code and verifier belong together, and to one tenant.
func TestOIDCAnswersCannotBeMixed(t *testing.T) {
	t.Parallel()
	b := setupProvider(t)
	ctx := t.Context()
	owner := b.owner(t, b.acme)
	p := b.provider(t, b.acme, owner, identity.RoleMember)
	theirs := b.provider(t, b.globex, b.owner(t, b.globex), identity.RoleMember)
	begin := func() (step, state, code string) {
		authURL, step, err := b.BeginOIDC(ctx, b.acme, p.ID, callback)
		require.NoError(t, err)
		require.NotContains(t, authURL, step)
		state, code = b.visit(t, authURL, person("carol", "carol@acme.example"))
		return step, state, code
	}
	finish := func(scope tenantschema.Scope, step, state, code string) error {
		_, err := b.FinishOIDC(ctx, scope, step, state, code, callback, browser())
		return err
	}
	step, state, code := begin()
	requireCode(t, apperr.Unauthenticated, finish(b.globex, step, state, code))
	_, _, err := b.BeginOIDC(ctx, b.acme, theirs.ID, callback)
	requireCode(t, apperr.NotFound, err)
	require.NoError(t, finish(b.acme, step, state, code))
	requireCode(t, apperr.Unauthenticated, finish(b.acme, step, state, code))

	step, _, code = begin()
	_, otherState, otherCode := begin()
	requireCode(t, apperr.Unauthenticated, finish(b.acme, step, otherState, code)) // Somebody else's link, in one's own browser.
	step, state, _ = begin()
	requireCode(t, apperr.Unauthenticated, finish(b.acme, step, state, otherCode)) // Somebody else's code: its verifier is another.
	step, state, code = begin()
	_, err = b.FinishOIDC(ctx, b.acme, step, state, code, "https://evil.example/", browser())
	requireCode(t, apperr.Unauthenticated, err)
	step, state, code = begin()
	b.clock.advance(10 * time.Minute)
	requireCode(t, apperr.Unauthenticated, finish(b.acme, step, state, code))
}

func TestProvidersAreManagedByWhoMay(t *testing.T) {
	t.Parallel()
	b := setupProvider(t)
	ctx := t.Context()
	owner, member := b.owner(t, b.acme), b.user(t, b.acme, "bob@acme.example", identity.RoleMember)
	in := identity.NewProvider{Name: "Login", Issuer: b.remote.Issuer(), ClientID: "id", ClientSecret: "a secret of the client"}
	_, err := b.CreateProvider(ctx, b.acme, member, in)
	requireCode(t, apperr.Forbidden, err)
	_, err = b.CreateProvider(ctx, b.acme, owner, identity.NewProvider{Issuer: "ftp://x", JoinRole: "owner", JoinDomains: []string{"@x"}})
	requireInvalid(t, err, "name", "issuer", "client_id", "client_secret", "join_role", "join_domains")
	wrong := in
	wrong.Issuer += "/elsewhere"
	_, err = b.CreateProvider(ctx, b.acme, owner, wrong)
	requireInvalid(t, err, "issuer")
	made, err := b.CreateProvider(ctx, b.acme, owner, in)
	require.NoError(t, err)
	_, err = b.CreateProvider(ctx, b.acme, owner, in)
	requireCode(t, apperr.Conflict, err)
	var row string
	require.NoError(t, b.acme.QueryRow(ctx, `SELECT p::text || encode(p.client_secret, 'escape') FROM oidc_providers p`).Scan(&row))
	require.NotContains(t, row, in.ClientSecret)

	_, err = b.PatchProvider(ctx, b.acme, member, made.ID, identity.ProviderPatch{Name: new("Mine")})
	requireCode(t, apperr.Forbidden, err)
	requireCode(t, apperr.Forbidden, b.DeleteProvider(ctx, b.acme, member, made.ID))
	_, err = b.PatchProvider(ctx, b.globex, owner, made.ID, identity.ProviderPatch{Name: new("Mine")})
	requireCode(t, apperr.NotFound, err)
	requireCode(t, apperr.NotFound, b.DeleteProvider(ctx, b.globex, owner, made.ID))
	theirs, err := b.ListProviders(ctx, b.globex)
	require.NoError(t, err)
	require.Empty(t, theirs)
	changed, err := b.PatchProvider(ctx, b.acme, owner, made.ID, identity.ProviderPatch{Name: new("Other"), ClientSecret: new("x")})
	require.NoError(t, err)
	require.Equal(t, "Other", changed.Name)
	list, err := b.ListProviders(ctx, b.acme)
	require.NoError(t, err)
	require.Equal(t, []identity.Provider{changed}, list)
	require.NoError(t, b.DeleteProvider(ctx, b.acme, owner, made.ID))
	requireCode(t, apperr.NotFound, b.DeleteProvider(ctx, b.acme, owner, made.ID))
	_, _, err = b.BeginOIDC(ctx, b.acme, uuid.Max, callback)
	requireCode(t, apperr.NotFound, err)
}
