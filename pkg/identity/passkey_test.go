package identity_test

import (
	"testing"
	"time"

	virtual "github.com/descope/virtualwebauthn"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func acmeSite() identity.Site {
	return identity.Site{Origin: "https://acme.example.com", Host: "acme.example.com", Name: "Acme"}
}

func globexSite() identity.Site {
	return identity.Site{Origin: "https://globex.example.com", Host: "globex.example.com", Name: "Globex"}
}

// device is somebody's phone, as a browser on a page of that site sees it.
type device struct {
	party virtual.RelyingParty
	auth  virtual.Authenticator
	key   virtual.Credential
}

func newDevice(site identity.Site) *device {
	return &device{
		party: virtual.RelyingParty{ID: site.Host, Name: site.Name, Origin: site.Origin}, auth: virtual.NewAuthenticator(),
		// Not EC2: one in 128 of its keys has a coordinate that begins with a zero, which it leaves out.
		key: virtual.NewCredential(virtual.KeyTypeRSA),
	}
}

// create answers to the options of a new passkey.
func (d *device) create(t *testing.T, options []byte) []byte {
	t.Helper()
	parsed, err := virtual.ParseAttestationOptions(string(options))
	require.NoError(t, err)
	d.auth.Options.UserHandle = []byte(parsed.UserID)
	return []byte(virtual.CreateAttestationResponse(d.party, d.auth, d.key, *parsed))
}

// answer answers to the options of a sign-in.
func (d *device) answer(t *testing.T, options []byte) []byte {
	t.Helper()
	parsed, err := virtual.ParseAssertionOptions(string(options))
	require.NoError(t, err)
	d.key.Counter++
	return []byte(virtual.CreateAssertionResponse(d.party, d.auth, d.key, *parsed))
}

// passkey adds a passkey to p's account.
func (b *bundle) passkey(t *testing.T, scope tenantschema.Scope, p identity.Principal, site identity.Site) *device {
	t.Helper()
	d := newDevice(site)
	options, step, err := b.BeginPasskey(t.Context(), scope, p, site)
	require.NoError(t, err)
	made, err := b.FinishPasskey(t.Context(), scope, p, site, step, " Phone ", d.create(t, options))
	require.NoError(t, err)
	require.Equal(t, "Phone", made.Name)
	return d
}

// byPasskey signs in with a device.
func (b *bundle) byPasskey(t *testing.T, scope tenantschema.Scope, site identity.Site, d *device) (identity.SignedIn, error) {
	t.Helper()
	options, step, err := b.BeginPasskeySignIn(t.Context(), scope, site)
	require.NoError(t, err)
	return b.FinishPasskeySignIn(t.Context(), scope, site, step, d.answer(t, options), browser())
}

func TestPasskey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	p := b.owner(t, b.acme)
	d := b.passkey(t, b.acme, p, acmeSite())
	in, err := b.byPasskey(t, b.acme, acmeSite(), d)
	require.NoError(t, err)
	require.Equal(t, p.UserID, b.principal(t, b.acme, in.Token).UserID)
	require.Equal(t, 1, in.User.Passkeys)
	list, err := b.ListPasskeys(ctx, b.acme, p)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, new(b.clock.Now()), list[0].LastUsedAt)

	// It is two factors in one.
	b.twoFactor(t, b.acme, p)
	in, err = b.byPasskey(t, b.acme, acmeSite(), d)
	require.NoError(t, err)
	require.NotEmpty(t, in.Token)

	// Each answer works once, for what was asked; and a copy of the key shows itself.
	options, step, err := b.BeginPasskeySignIn(ctx, b.acme, acmeSite())
	require.NoError(t, err)
	response := d.answer(t, options)
	_, err = b.FinishPasskeySignIn(ctx, b.acme, acmeSite(), step, response, browser())
	require.NoError(t, err)
	_, err = b.FinishPasskeySignIn(ctx, b.acme, acmeSite(), step, response, browser())
	requireCode(t, apperr.Unauthenticated, err)
	_, step, err = b.BeginPasskeySignIn(ctx, b.acme, acmeSite())
	require.NoError(t, err)
	_, err = b.FinishPasskeySignIn(ctx, b.acme, acmeSite(), step, response, browser())
	requireCode(t, apperr.Unauthenticated, err)
	d.key.Counter -= 2
	_, err = b.byPasskey(t, b.acme, acmeSite(), d)
	requireCode(t, apperr.Unauthenticated, err)
	d.key.Counter += 5

	d.auth.Options.UserNotVerified = true
	_, err = b.byPasskey(t, b.acme, acmeSite(), d)
	requireCode(t, apperr.Unauthenticated, err)
	d.auth.Options.UserNotVerified = false

	for _, junk := range []string{"", "{}", "null", `{"id":"x"}`, string(make([]byte, 1<<17))} {
		_, err = b.FinishPasskeySignIn(ctx, b.acme, acmeSite(), step, []byte(junk), browser())
		requireCode(t, apperr.Unauthenticated, err)
		_, err = b.FinishPasskey(ctx, b.acme, p, acmeSite(), step, "x", []byte(junk))
		requireCode(t, apperr.Invalid, err)
	}

	_, err = b.acme.Exec(ctx, `UPDATE users SET disabled_at = now()`)
	require.NoError(t, err)
	_, err = b.byPasskey(t, b.acme, acmeSite(), d)
	requireCode(t, apperr.Unauthenticated, err)
	_, err = b.acme.Exec(ctx, `UPDATE users SET disabled_at = NULL`)
	require.NoError(t, err)
	require.NoError(t, b.RemovePasskey(ctx, b.acme, p, list[0].ID))
	_, err = b.byPasskey(t, b.acme, acmeSite(), d)
	requireCode(t, apperr.Unauthenticated, err)
}

func TestPasskeysOfTenantsDoNotMeet(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	ours, theirs := b.owner(t, b.acme), b.owner(t, b.globex)
	d := b.passkey(t, b.acme, ours, acmeSite())

	_, err := b.byPasskey(t, b.globex, globexSite(), d) // As it is; a browser would not even offer it.
	requireCode(t, apperr.Unauthenticated, err)
	forged := *d
	forged.party.ID, forged.party.Origin = globexSite().Host, globexSite().Origin
	_, err = b.byPasskey(t, b.globex, globexSite(), &forged) // The key, in a browser that lies about where it is.
	requireCode(t, apperr.Unauthenticated, err)
	forged.auth.Options.UserHandle = theirs.UserID[:]
	_, err = b.byPasskey(t, b.globex, globexSite(), &forged) // And about whose it is.
	requireCode(t, apperr.Unauthenticated, err)
	_, err = b.byPasskey(t, b.acme, acmeSite(), &forged)
	requireCode(t, apperr.Unauthenticated, err)

	options, step, err := b.BeginPasskeySignIn(ctx, b.acme, acmeSite())
	require.NoError(t, err)
	response := d.answer(t, options)
	_, err = b.FinishPasskeySignIn(ctx, b.globex, globexSite(), step, response, browser())
	requireCode(t, apperr.Unauthenticated, err)
	_, err = b.FinishPasskeySignIn(ctx, b.acme, acmeSite(), step, response, browser())
	require.NoError(t, err)

	list, err := b.ListPasskeys(ctx, b.globex, ours)
	require.NoError(t, err)
	require.Empty(t, list)
	list, err = b.ListPasskeys(ctx, b.acme, ours)
	require.NoError(t, err)
	requireCode(t, apperr.NotFound, b.RemovePasskey(ctx, b.globex, theirs, list[0].ID))
	bob := b.user(t, b.acme, "bob@acme.example", identity.RoleMember)
	requireCode(t, apperr.NotFound, b.RemovePasskey(ctx, b.acme, bob, list[0].ID)) // Nobody removes another's.
}

func TestPasskeysAreAddedByWhoHasBegun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	ada, bob := b.owner(t, b.acme), b.user(t, b.acme, "bob@acme.example", identity.RoleMember)
	d := newDevice(acmeSite())
	options, step, err := b.BeginPasskey(ctx, b.acme, ada, acmeSite())
	require.NoError(t, err)
	response := d.create(t, options)
	_, err = b.FinishPasskey(ctx, b.acme, ada, acmeSite(), step, "", response)
	requireInvalid(t, err, "name")
	_, err = b.FinishPasskey(ctx, b.acme, bob, acmeSite(), step, "x", response)
	requireCode(t, apperr.Unauthenticated, err)
	_, err = b.FinishPasskey(ctx, b.acme, ada, globexSite(), step, "x", response)
	requireCode(t, apperr.Invalid, err)
	_, err = b.FinishPasskey(ctx, b.acme, ada, acmeSite(), step, "x", response)
	require.NoError(t, err)
	_, err = b.FinishPasskey(ctx, b.acme, ada, acmeSite(), step, "x", response)
	requireCode(t, apperr.Unauthenticated, err)

	b.clock.advance(time.Hour)
	_, _, err = b.BeginPasskey(ctx, b.acme, ada, acmeSite())
	requireCode(t, apperr.Refused, err)
	_, _, err = b.BeginPasskey(ctx, b.acme, identity.Principal{KeyID: uuid.Max, Scopes: []string{"admin"}}, acmeSite())
	requireCode(t, apperr.Forbidden, err)
}
