package identity_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/identity"
)

func TestCreateOwner(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	u, err := b.CreateOwner(ctx, b.acme, identity.NewUser{Email: " Ada@Bücher.example ", DisplayName: " Ada "})
	require.NoError(t, err)
	require.Equal(t, identity.User{
		ID: u.ID, Email: "Ada@xn--bcher-kva.example", DisplayName: "Ada", Role: identity.RoleOwner, CreatedAt: b.clock.Now(),
	}, u)
	_, err = b.CreateOwner(ctx, b.acme, identity.NewUser{Email: "ada@bücher.example", DisplayName: "Ada"})
	requireCode(t, apperr.Conflict, err)
	_, err = b.CreateOwner(ctx, b.globex, identity.NewUser{Email: "ada@bücher.example", DisplayName: "Ada"})
	require.NoError(t, err, "elsewhere she is another")
	_, err = b.CreateOwner(ctx, b.acme, identity.NewUser{})
	requireInvalid(t, err, "email", "display_name")
	for _, email := range []string{
		"ada", "@acme.example", "ada@", "a b@acme.example", "ada@acme.example\r\nBcc: all", "ada@acme", "Ada <ada@acme.example>",
		"\"a\"@acme.example",
		"ada@acme.example, bob@acme.example", strings.Repeat("a", 250) + "@acme.example", "ada@acme.example\x00", "äda@acme.example",
	} {
		_, err = b.CreateOwner(ctx, b.acme, identity.NewUser{Email: email, DisplayName: "Ada"})
		require.Error(t, err, email)
		requireInvalid(t, err, "email")
	}
	found, err := b.UserByEmail(ctx, b.acme, "ADA@bücher.example")
	require.NoError(t, err)
	require.Equal(t, u, found)
}

func TestCreateUser(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	admin := b.user(t, b.acme, "admin@acme.example", identity.RoleAdmin)
	in := identity.NewUser{Email: "bob@acme.example", DisplayName: "Bob"}
	_, err := b.CreateUser(ctx, b.acme, b.user(t, b.acme, "mia@acme.example", identity.RoleMember), in, identity.RoleGuest)
	requireCode(t, apperr.Forbidden, err)
	_, err = b.CreateUser(ctx, b.acme, admin, in, identity.RoleOwner)
	requireCode(t, apperr.Forbidden, err)
	_, err = b.CreateUser(ctx, b.acme, admin, in, "king")
	requireInvalid(t, err, "role")
	u, err := b.CreateUser(ctx, b.acme, identity.Operator(), in, identity.RoleOwner)
	require.NoError(t, err)
	require.Equal(t, identity.RoleOwner, u.Role)
	_, err = b.CreateUser(ctx, b.acme, admin, in, identity.RoleGuest)
	requireCode(t, apperr.Conflict, err)
	list, err := b.ListUsers(ctx, b.globex, identity.UserFilter{}, identity.PageRequest{})
	require.NoError(t, err)
	require.Empty(t, list.Items)

	// The operator hands over a link by which the person chooses a password.
	link, err := b.ResetLink(ctx, b.acme, u.ID, acmeSite())
	require.NoError(t, err)
	token, ok := strings.CutPrefix(link, "https://acme.example.com/reset/")
	require.True(t, ok)
	_, err = b.ResetPassword(ctx, b.acme, token, another, browser())
	require.NoError(t, err)
}

func TestListUsers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.owner(t, b.acme)
	b.user(t, b.globex, "eve@globex.example", identity.RoleOwner)
	for _, email := range []string{"b@acme.example", "c_d@acme.example"} {
		b.user(t, b.acme, email, identity.RoleGuest)
	}
	var seen []string
	page := identity.PageRequest{Limit: 2}
	for {
		users, err := b.ListUsers(ctx, b.acme, identity.UserFilter{}, page)
		require.NoError(t, err)
		for _, u := range users.Items {
			seen = append(seen, u.Email)
		}
		if page.Cursor = users.Next; page.Cursor == "" {
			break
		}
	}
	require.Equal(t, []string{"c_d@acme.example", "b@acme.example", "ada@acme.example"}, seen)
	found, err := b.ListUsers(ctx, b.acme, identity.UserFilter{Search: "C_"}, identity.PageRequest{})
	require.NoError(t, err)
	require.Len(t, found.Items, 1)
	_, err = b.ListUsers(ctx, b.acme, identity.UserFilter{}, identity.PageRequest{Limit: 101})
	requireInvalid(t, err, "limit")
	_, err = b.ListUsers(ctx, b.acme, identity.UserFilter{}, identity.PageRequest{Cursor: "x"})
	requireInvalid(t, err, "cursor")
}

func TestChangeUser(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	owner := b.owner(t, b.acme)
	admin := b.user(t, b.acme, "admin@acme.example", identity.RoleAdmin)
	member := b.user(t, b.acme, "member@acme.example", identity.RoleMember)
	key := identity.Principal{KeyID: uuid.Max, Scopes: []string{identity.ScopeAdmin}}
	token := b.signIn(t, b.acme, "member@acme.example").Token
	to := func(r identity.Role) identity.UserPatch { return identity.UserPatch{Role: &r} }
	change := func(p identity.Principal, id uuid.UUID, patch identity.UserPatch) error {
		_, err := b.ChangeUser(ctx, b.acme, p, id, patch)
		return err
	}

	requireCode(t, apperr.Forbidden, change(member, member.UserID, to(identity.RoleAdmin)))
	requireCode(t, apperr.Forbidden, change(admin, member.UserID, to(identity.RoleOwner)))
	requireCode(t, apperr.Forbidden, change(key, member.UserID, to(identity.RoleOwner)))
	requireCode(t, apperr.Forbidden, change(admin, owner.UserID, to(identity.RoleMember)))
	requireCode(t, apperr.Forbidden, change(key, owner.UserID, identity.UserPatch{Disabled: new(true)}))
	requireCode(t, apperr.Forbidden, change(admin, owner.UserID, identity.UserPatch{DisplayName: new("X")}))
	requireCode(t, apperr.Forbidden, b.RemoveUser(ctx, b.acme, admin, owner.UserID))
	requireCode(t, apperr.Forbidden, b.RemoveUser(ctx, b.acme, member, admin.UserID))
	requireCode(t, apperr.Conflict, change(admin, admin.UserID, identity.UserPatch{Disabled: new(true)}))
	requireCode(t, apperr.NotFound, change(owner, uuid.Max, to(identity.RoleGuest)))
	requireCode(t, apperr.NotFound, b.RemoveUser(ctx, b.acme, owner, uuid.Max))
	wrong := identity.UserPatch{DisplayName: new(" "), Role: new(identity.Role("king"))}
	requireInvalid(t, change(owner, member.UserID, wrong), "display_name", "role")

	// A change of role keeps the session, which is another's from then on.
	require.NoError(t, change(key, member.UserID, to(identity.RoleGuest)))
	require.Equal(t, identity.RoleGuest, b.principal(t, b.acme, token).Role)
	at := b.clock.advance(time.Second)
	u, err := b.ChangeUser(ctx, b.acme, admin, member.UserID, identity.UserPatch{Disabled: new(true), DisplayName: new("Gone")})
	require.NoError(t, err)
	require.Equal(t, &at, u.DisabledAt)
	require.Equal(t, "Gone", u.DisplayName)
	_, err = b.AuthenticateSession(ctx, b.acme, token)
	requireCode(t, apperr.Unauthenticated, err)
	require.NoError(t, change(owner, member.UserID, identity.UserPatch{Disabled: new(false)}))
	_, err = b.AuthenticateSession(ctx, b.acme, token)
	requireCode(t, apperr.Unauthenticated, err)
	b.signIn(t, b.acme, "member@acme.example")

	require.NoError(t, b.RemoveUser(ctx, b.acme, admin, member.UserID))
	_, err = b.GetUser(ctx, b.acme, member.UserID)
	requireCode(t, apperr.NotFound, err)

	_, err = b.ChangeUser(ctx, b.globex, owner, owner.UserID, to(identity.RoleOwner))
	requireCode(t, apperr.NotFound, err)
	requireCode(t, apperr.NotFound, b.RemoveUser(ctx, b.globex, owner, admin.UserID))
}

func TestTheLastOwnerStays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	one := b.owner(t, b.acme)
	change := func(id uuid.UUID, patch identity.UserPatch) error {
		_, err := b.ChangeUser(ctx, b.acme, one, id, patch)
		return err
	}
	requireCode(t, apperr.Conflict, change(one.UserID, identity.UserPatch{Role: new(identity.RoleAdmin)}))
	requireCode(t, apperr.Conflict, b.RemoveUser(ctx, b.acme, one, one.UserID))
	two := b.user(t, b.acme, "two@acme.example", identity.RoleOwner)
	require.NoError(t, change(two.UserID, identity.UserPatch{Disabled: new(true)}))
	requireCode(t, apperr.Conflict, change(one.UserID, identity.UserPatch{Role: new(identity.RoleGuest)})) // Who is disabled does not count.
	require.NoError(t, change(one.UserID, identity.UserPatch{DisplayName: new("Ada")}))
}

// Two owners make each other members at the same time; twenty times, with each of the ways.
func TestTwoOwnersLeaveAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	one, two := b.owner(t, b.acme), b.user(t, b.acme, "two@acme.example", identity.RoleOwner)
	ways := []func(by, of identity.Principal) error{
		func(by, of identity.Principal) error {
			_, err := b.ChangeUser(ctx, b.acme, by, of.UserID, identity.UserPatch{Role: new(identity.RoleMember)})
			return err
		},
		func(by, of identity.Principal) error {
			_, err := b.ChangeUser(ctx, b.acme, by, of.UserID, identity.UserPatch{Disabled: new(true)})
			return err
		},
	}
	for i := range 20 {
		var wg sync.WaitGroup
		errs := make([]error, 2)
		wg.Go(func() { errs[0] = ways[i%2](one, two) })
		wg.Go(func() { errs[1] = ways[i/2%2](two, one) })
		wg.Wait()
		var owners int
		require.NoError(t, b.acme.QueryRow(ctx, `SELECT count(*) FROM users WHERE role = 'owner' AND disabled_at IS NULL`).Scan(&owners))
		require.Equal(t, 1, owners, "%v", errs)
		_, err := b.acme.Exec(ctx, `UPDATE users SET role = 'owner', disabled_at = NULL`)
		require.NoError(t, err)
	}
}
