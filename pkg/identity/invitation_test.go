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

func TestInvitation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	owner := b.owner(t, b.acme)
	made, err := b.Invite(ctx, b.acme, owner, identity.NewInvitation{Email: "Bob@acme.example", Role: identity.RoleAdmin})
	require.NoError(t, err)
	require.Equal(t, identity.Invitation{
		ID: made.ID, Email: "Bob@acme.example", Role: identity.RoleAdmin, InvitedBy: &owner.UserID, InviterName: "Somebody",
		CreatedAt: b.clock.Now(), ExpiresAt: b.clock.Now().Add(7 * 24 * time.Hour),
	}, made)
	letters := b.mailed(t, b.acme)
	require.Len(t, letters, 1, "once, although the job ran twice")
	url := letters[0].URL
	letters[0].URL = ""
	require.Equal(t, identity.Letter{
		Kind: identity.LetterInvitation, Address: "Bob@acme.example", Workspace: "acme", By: "Somebody", ValidFor: 7 * 24 * time.Hour,
	}, letters[0])
	token, ok := strings.CutPrefix(url, "https://acme.example.com/invitations/")
	require.True(t, ok, url)

	found, err := b.InvitationByToken(ctx, b.acme, token)
	require.NoError(t, err)
	require.Equal(t, made, found)
	_, err = b.InvitationByToken(ctx, b.globex, token)
	requireCode(t, apperr.NotFound, err)
	_, err = b.AcceptInvitation(ctx, b.globex, token, identity.AcceptInvitation{DisplayName: "Bob", Password: password}, browser())
	requireCode(t, apperr.NotFound, err)
	_, err = b.AcceptInvitation(ctx, b.acme, token, identity.AcceptInvitation{DisplayName: "Bob", Password: "short"}, browser())
	requireInvalid(t, err, "password")
	_, err = b.Invite(ctx, b.acme, owner, identity.NewInvitation{Email: "bob@ACME.example", Role: identity.RoleGuest})
	requireCode(t, apperr.Conflict, err)

	// Two who follow the link at the same time are one.
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = b.AcceptInvitation(ctx, b.acme, token, identity.AcceptInvitation{DisplayName: "Bob", Password: password}, browser())
		})
	}
	wg.Wait()
	require.NotEqual(t, errs[0] == nil, errs[1] == nil, "%v", errs)
	bob := b.principal(t, b.acme, b.signIn(t, b.acme, "bob@acme.example").Token)
	require.Equal(t, identity.RoleAdmin, bob.Role)
	u, err := b.GetUser(ctx, b.acme, bob.UserID)
	require.NoError(t, err)
	require.Equal(t, new(b.clock.Now()), u.EmailVerifiedAt)
	_, err = b.InvitationByToken(ctx, b.acme, token)
	requireCode(t, apperr.NotFound, err)
	_, err = b.Invite(ctx, b.acme, owner, identity.NewInvitation{Email: "bob@acme.example", Role: identity.RoleGuest})
	requireCode(t, apperr.Conflict, err)
	list, err := b.ListInvitations(ctx, b.acme)
	require.NoError(t, err)
	require.Empty(t, list)
}

func TestInvitationsAreGivenByWhoMay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	owner, member := b.owner(t, b.acme), b.user(t, b.acme, "mia@acme.example", identity.RoleMember)
	in := identity.NewInvitation{Email: "bob@acme.example", Role: identity.RoleMember}
	_, err := b.Invite(ctx, b.acme, member, in)
	requireCode(t, apperr.Forbidden, err)
	_, err = b.Invite(ctx, b.acme, owner, identity.NewInvitation{Email: "bob", Role: identity.RoleOwner})
	requireInvalid(t, err, "email", "role")
	made, err := b.Invite(ctx, b.acme, identity.Principal{KeyID: uuid.Max, Scopes: []string{"admin"}}, in)
	require.NoError(t, err)
	require.Nil(t, made.InvitedBy)
	requireCode(t, apperr.Forbidden, b.RevokeInvitation(ctx, b.acme, member, made.ID))
	_, err = b.ResendInvitation(ctx, b.acme, member, made.ID)
	requireCode(t, apperr.Forbidden, err)
	requireCode(t, apperr.NotFound, b.RevokeInvitation(ctx, b.globex, owner, made.ID))
	_, err = b.ResendInvitation(ctx, b.globex, owner, made.ID)
	requireCode(t, apperr.NotFound, err)
	list, err := b.ListInvitations(ctx, b.globex)
	require.NoError(t, err)
	require.Empty(t, list)

	first := b.link(t, b.acme, identity.LetterInvitation)
	_, err = b.ResendInvitation(ctx, b.acme, owner, made.ID)
	requireCode(t, apperr.RateLimited, err)
	b.clock.advance(time.Minute)
	again, err := b.ResendInvitation(ctx, b.acme, owner, made.ID)
	require.NoError(t, err)
	require.Equal(t, b.clock.Now().Add(7*24*time.Hour), again.ExpiresAt)
	second := b.link(t, b.acme, identity.LetterInvitation)
	_, err = b.InvitationByToken(ctx, b.acme, first)
	requireCode(t, apperr.NotFound, err)
	_, err = b.InvitationByToken(ctx, b.acme, second)
	require.NoError(t, err)

	b.clock.advance(7 * 24 * time.Hour)
	_, err = b.InvitationByToken(ctx, b.acme, second)
	requireCode(t, apperr.NotFound, err)
	third, err := b.Invite(ctx, b.acme, b.principal(t, b.acme, b.signIn(t, b.acme, "ada@acme.example").Token), in)
	require.NoError(t, err, "what has expired makes room")
	require.NoError(t, b.RevokeInvitation(ctx, b.acme, owner, third.ID))
	require.Empty(t, b.mailed(t, b.acme), "what was revoked is not mailed")
	requireCode(t, apperr.NotFound, b.RevokeInvitation(ctx, b.acme, owner, third.ID))
}
