package identity_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/identity"
)

// The whole policy, as an auditor would write it down: o owner, a admin, m member, g guest; R, W, A a key that reads, writes, administers.
func TestPolicy(t *testing.T) {
	t.Parallel()
	callers := map[rune]identity.Principal{
		'o': {UserID: uuid.Max, Role: identity.RoleOwner}, 'a': {UserID: uuid.Max, Role: identity.RoleAdmin},
		'm': {UserID: uuid.Max, Role: identity.RoleMember}, 'g': {UserID: uuid.Max, Role: identity.RoleGuest},
		'R': {KeyID: uuid.Max, Scopes: []string{"read"}}, 'W': {KeyID: uuid.Max, Scopes: []string{"write"}},
		'A': {KeyID: uuid.Max, Scopes: []string{"admin"}},
		'?': {UserID: uuid.Max, Role: "king"}, '0': {}, 'k': {KeyID: uuid.Max}, 'x': {KeyID: uuid.Max, Scopes: []string{"root", ""}},
		'r': {KeyID: uuid.Max, Role: identity.RoleOwner}, // A role says nothing of who is no person,
		'O': identity.Operator(),
		's': {UserID: uuid.Max, Scopes: []string{"admin"}}, // and scopes nothing of who is one.
	}
	for action, may := range map[identity.Action]string{
		identity.ActionRead:           "oamgRWAO",
		identity.ActionComment:        "oamgWAO",
		identity.ActionWrite:          "oamWAO",
		identity.ActionSeeMembers:     "oamRWAO",
		identity.ActionSeeUsage:       "oaRWAO",
		identity.ActionManageMembers:  "oaAO",
		identity.ActionManageKeys:     "oaAO",
		identity.ActionManageWebhooks: "oaAO",
		identity.ActionManageSettings: "oaAO",
		identity.ActionExport:         "oaAO",
		identity.ActionOwn:            "oO",
		"something.else":              "",
		"":                            "",
	} {
		for name, p := range callers {
			want := false
			for _, c := range may {
				want = want || c == name
			}
			require.Equal(t, want, p.May(action), "%c %s", name, action)
		}
	}
}

func TestCan(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		identity.Principal

		can []string
	}{
		{identity.Principal{Scopes: []string{"read"}}, []string{"read"}},
		{identity.Principal{Scopes: []string{"write"}}, []string{"read", "write"}},
		{identity.Principal{Scopes: []string{"admin"}}, []string{"read", "write", "admin"}},
		{identity.Principal{UserID: uuid.Max, Role: identity.RoleGuest}, []string{"read"}},
		{identity.Principal{UserID: uuid.Max, Role: identity.RoleMember}, []string{"read", "write"}},
		{identity.Principal{UserID: uuid.Max, Role: identity.RoleAdmin}, []string{"read", "write", "admin"}},
		{identity.Principal{}, nil},
	} {
		var can []string
		for _, scope := range []string{"", "read", "write", "admin", "root"} {
			if c.Can(scope) {
				can = append(can, scope)
			}
		}
		require.Equal(t, c.can, can, "%+v", c.Principal)
	}
}

func TestKeysAreGivenByWhoMay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	owner, member := b.owner(t, b.acme), b.user(t, b.acme, "mia@acme.example", identity.RoleMember)
	in := identity.NewKey{Name: "ci", Scopes: []string{identity.ScopeAdmin}}

	_, _, err := b.CreateKeyAs(ctx, b.acme, member, in)
	require.Equal(t, apperr.Forbidden, apperr.CodeOf(err))
	_, _, err = b.CreateKeyAs(ctx, b.acme, identity.Principal{KeyID: uuid.Max, Scopes: []string{"write"}}, in)
	require.Equal(t, apperr.Forbidden, apperr.CodeOf(err))

	key, token, err := b.CreateKeyAs(ctx, b.acme, owner, in)
	require.NoError(t, err)
	require.Equal(t, &owner.UserID, key.CreatedBy)
	program, err := b.Authenticate(ctx, b.acme, token)
	require.NoError(t, err)
	require.True(t, program.May(identity.ActionManageKeys))
	second, _, err := b.CreateKeyAs(ctx, b.acme, program, in)
	require.NoError(t, err)
	require.Nil(t, second.CreatedBy)
}
