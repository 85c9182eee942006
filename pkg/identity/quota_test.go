package identity_test

import (
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/identity"
)

type seats struct {
	mu sync.Mutex
	by map[string]int64
}

func (s *seats) MaxUsers(id string) (int64, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.by[id], "free"
}

// A person who is let in again takes a seat; of two who come at once for the last one, one gets it. Another tenant has its own.
func TestUserQuota(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	plan := &seats{by: map[string]int64{}}
	b := setupWith(t, identity.Config{Quota: plan})
	owner := b.owner(t, b.acme)
	ids := []uuid.UUID{}
	for _, email := range []string{"bob@acme.example", "eve@acme.example", "kim@acme.example"} {
		ids = append(ids, b.user(t, b.acme, email, identity.RoleMember).UserID)
	}
	for _, id := range ids {
		_, err := b.ChangeUser(ctx, b.acme, owner, id, identity.UserPatch{Disabled: new(true)})
		require.NoError(t, err)
	}
	plan.mu.Lock()
	plan.by[b.acme.Tenant().ID] = 2
	plan.mu.Unlock()
	errs := make([]error, len(ids))
	var wg sync.WaitGroup
	for i, id := range ids {
		wg.Go(func() { _, errs[i] = b.ChangeUser(ctx, b.acme, owner, id, identity.UserPatch{Disabled: new(false)}) })
	}
	wg.Wait()
	in := 0
	for _, err := range errs {
		if err == nil {
			in++
			continue
		}
		require.Equal(t, apperr.Conflict, apperr.CodeOf(err), "%v", err)
		require.ErrorContains(t, err, `The plan "free" allows 2 people`)
	}
	require.Equal(t, 1, in)
	_, err := b.Invite(ctx, b.acme, owner, identity.NewInvitation{Email: "new@acme.example", Role: identity.RoleMember})
	require.Equal(t, apperr.Conflict, apperr.CodeOf(err), "%v", err)
	plan.mu.Lock()
	plan.by[b.acme.Tenant().ID] = 3
	plan.mu.Unlock()
	for i := range errs { // An invitation that is open has a seat.
		wg.Go(func() {
			email := string(rune('a'+i)) + "@acme.example"
			_, errs[i] = b.Invite(ctx, b.acme, owner, identity.NewInvitation{Email: email, Role: identity.RoleMember})
		})
	}
	wg.Wait()
	refused := 0
	for _, err := range errs {
		if err != nil {
			require.ErrorContains(t, err, `The plan "free" allows 3 people`)
			refused++
		}
	}
	require.Equal(t, 2, refused)

	other := b.owner(t, b.globex)
	them := b.user(t, b.globex, "bob@globex.example", identity.RoleMember).UserID
	for _, disabled := range []bool{true, false} {
		_, err := b.ChangeUser(ctx, b.globex, other, them, identity.UserPatch{Disabled: &disabled})
		require.NoError(t, err)
	}
}

// Whoever invites or creates somebody takes a seat; whoever accepts has been counted.
func TestSeatsAreTakenByInvitation(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	plan := &seats{by: map[string]int64{}}
	b := setupWith(t, identity.Config{Quota: plan})
	owner := b.owner(t, b.acme)
	plan.mu.Lock()
	plan.by[b.acme.Tenant().ID] = 2
	plan.mu.Unlock()
	in := func(name string) identity.NewInvitation {
		return identity.NewInvitation{Email: name + "@acme.example", Role: identity.RoleGuest}
	}
	_, err := b.Invite(ctx, b.acme, owner, in("bob"))
	require.NoError(t, err)
	_, err = b.Invite(ctx, b.acme, owner, in("eve"))
	requireCode(t, apperr.Conflict, err)
	_, err = b.CreateUser(ctx, b.acme, owner, identity.NewUser{Email: "eve@acme.example", DisplayName: "Eve"}, identity.RoleGuest)
	requireCode(t, apperr.Conflict, err)
	accept := identity.AcceptInvitation{DisplayName: "Bob", Password: password}
	_, err = b.AcceptInvitation(ctx, b.acme, b.link(t, b.acme, identity.LetterInvitation), accept, browser())
	require.NoError(t, err)
	_, err = b.Invite(ctx, b.acme, owner, in("eve"))
	requireCode(t, apperr.Conflict, err)
	_, err = b.Invite(ctx, b.globex, identity.Operator(), in("eve"))
	require.NoError(t, err, "another tenant has its own")
}
