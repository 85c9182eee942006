package identity_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/identity"
)

const another = "another row of other houses"

func TestResetPassword(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.owner(t, b.acme)
	old := b.signIn(t, b.acme, "ada@acme.example").Token
	for range 6 {
		_, err := b.SignIn(ctx, b.acme, "ada@acme.example", "forgotten", browser())
		require.Error(t, err)
	}
	require.NoError(t, b.ForgotPassword(ctx, b.acme, "ADA@acme.example"))
	token := b.link(t, b.acme, identity.LetterReset)
	reset := func(s string, password string) (identity.SignedIn, error) {
		return b.ResetPassword(ctx, b.acme, s, password, browser())
	}
	_, err := b.ResetPassword(ctx, b.globex, token, another, browser())
	requireCode(t, apperr.NotFound, err)
	_, err = reset("rv_"+token[3:], another)
	requireCode(t, apperr.NotFound, err)
	_, err = b.VerifyEmail(ctx, b.acme, "rv_"+token[3:]) // A link opens what it is for, and nothing else.
	requireCode(t, apperr.NotFound, err)
	_, err = reset(token, "short")
	requireInvalid(t, err, "password")
	in, err := reset(token, another)
	require.NoError(t, err)
	require.NotNil(t, in.User.EmailVerifiedAt)
	b.principal(t, b.acme, in.Token)
	_, err = b.AuthenticateSession(ctx, b.acme, old)
	requireCode(t, apperr.Unauthenticated, err)
	_, err = reset(token, another)
	requireCode(t, apperr.NotFound, err)
	_, err = b.SignIn(ctx, b.acme, "ada@acme.example", another, browser())
	require.NoError(t, err, "who has reset the password has nothing to wait for")
	letters := b.mailed(t, b.acme)
	require.Len(t, letters, 1)
	require.Equal(t, identity.LetterNotice, letters[0].Kind)

	require.NoError(t, b.ForgotPassword(ctx, b.acme, "ada@acme.example"))
	token = b.link(t, b.acme, identity.LetterReset)
	b.clock.advance(time.Hour)
	_, err = reset(token, another)
	requireCode(t, apperr.NotFound, err)
}

// Known or not, the caller sees the same, and the same is put into the queue; the mails are few.
func TestForgotPasswordIsUniform(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	ada := b.owner(t, b.acme)
	off := b.user(t, b.acme, "off@acme.example", identity.RoleMember)
	b.user(t, b.globex, "eve@globex.example", identity.RoleOwner)
	_, err := b.acme.Exec(ctx, `UPDATE users SET disabled_at = now() WHERE id = $1`, off.UserID)
	require.NoError(t, err)
	unknown := []string{"off@acme.example", "eve@globex.example", "nobody@acme.example", "", "\x00", "\xff", strings.Repeat("x", 1<<20)}
	for i, email := range unknown {
		require.NoError(t, b.ForgotPassword(ctx, b.acme, email))
		require.Len(t, b.post.due, i+1)
	}
	var jobs int
	require.NoError(t, b.db.Control.QueryRow(ctx, `SELECT count(*) FROM river.river_job WHERE args::text LIKE '%@%'`).Scan(&jobs))
	require.Zero(t, jobs, "the queue holds no address")
	require.Empty(t, b.mailed(t, b.acme))
	for range 10 {
		require.NoError(t, b.ForgotPassword(ctx, b.acme, "ada@acme.example"))
	}
	require.Len(t, b.mailed(t, b.acme), 3)
	require.NoError(t, b.SendMail(ctx, b.globex, identity.MailDue{What: identity.LetterReset, ID: ada.UserID, Once: uuid.Max}))
	require.Empty(t, b.mailed(t, b.globex), "acme's Ada is nobody at globex")
}

func TestChangePassword(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	p := b.owner(t, b.acme)
	other := b.signIn(t, b.acme, "ada@acme.example").Token
	require.NoError(t, b.ForgotPassword(ctx, b.acme, "ada@acme.example"))
	link := b.link(t, b.acme, identity.LetterReset)
	requireInvalid(t, b.ChangePassword(ctx, b.acme, p, "wrong", another), "current")
	requireInvalid(t, b.ChangePassword(ctx, b.acme, p, password, "short"), "password")
	requireCode(t, apperr.NotFound, b.ChangePassword(ctx, b.globex, p, password, another))
	require.NoError(t, b.ChangePassword(ctx, b.acme, p, password, another))
	_, err := b.AuthenticateSession(ctx, b.acme, other)
	requireCode(t, apperr.Unauthenticated, err)
	sessions, err := b.ListSessions(ctx, b.acme, p)
	require.NoError(t, err)
	require.Len(t, sessions, 1)
	require.True(t, sessions[0].Current)
	_, err = b.SignIn(ctx, b.acme, "ada@acme.example", password, browser())
	requireCode(t, apperr.Unauthenticated, err)
	_, err = b.ResetPassword(ctx, b.acme, link, password, browser())
	requireCode(t, apperr.NotFound, err)

	_, err = b.acme.Exec(ctx, `UPDATE users SET password_hash = NULL`)
	require.NoError(t, err)
	require.NoError(t, b.ChangePassword(ctx, b.acme, p, "", password), "who has none chooses one")
	_, err = b.acme.Exec(ctx, `UPDATE users SET password_hash = NULL`)
	require.NoError(t, err)
	b.clock.advance(time.Hour)
	requireCode(t, apperr.Refused, b.ChangePassword(ctx, b.acme, p, "", password))
}

func TestWelcome(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	u, err := b.CreateOwner(ctx, b.acme, identity.NewUser{Email: "ada@acme.example", DisplayName: "Ada"})
	require.NoError(t, err)
	token, err := b.NewWelcome(ctx, b.acme, u.ID)
	require.NoError(t, err)
	_, err = b.Welcome(ctx, b.globex, token, browser())
	requireCode(t, apperr.NotFound, err)
	in, err := b.Welcome(ctx, b.acme, token, browser())
	require.NoError(t, err)
	require.Equal(t, u.ID, b.principal(t, b.acme, in.Token).UserID)
	_, err = b.Welcome(ctx, b.acme, token, browser())
	requireCode(t, apperr.NotFound, err)
	late, err := b.NewWelcome(ctx, b.acme, u.ID)
	require.NoError(t, err)
	b.clock.advance(15 * time.Minute)
	_, err = b.Welcome(ctx, b.acme, late, browser())
	requireCode(t, apperr.NotFound, err)
}

func TestVerifyEmail(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	p := b.owner(t, b.acme)
	b.user(t, b.acme, "bob@acme.example", identity.RoleMember)
	require.NoError(t, b.SendVerification(ctx, b.acme, p))
	token := b.link(t, b.acme, identity.LetterVerify)
	_, err := b.VerifyEmail(ctx, b.globex, token)
	requireCode(t, apperr.NotFound, err)
	u, err := b.VerifyEmail(ctx, b.acme, token)
	require.NoError(t, err)
	require.Equal(t, new(b.clock.Now()), u.EmailVerifiedAt)
	_, err = b.VerifyEmail(ctx, b.acme, token)
	requireCode(t, apperr.NotFound, err)
	require.NoError(t, b.SendVerification(ctx, b.acme, p))
	require.Empty(t, b.mailed(t, b.acme), "there is nothing to verify")

	// Another address is theirs when it is verified, and not before.
	u, err = b.ChangeProfile(ctx, b.acme, p, identity.ProfilePatch{DisplayName: new("Ada L."), Email: new("ada@other.example")})
	require.NoError(t, err)
	require.Equal(t, "ada@acme.example", u.Email)
	require.Equal(t, "Ada L.", u.DisplayName)
	letters := b.mailed(t, b.acme)
	require.Len(t, letters, 1)
	require.Equal(t, "ada@other.example", letters[0].Address)
	require.NoError(t, b.ForgotPassword(ctx, b.acme, "ada@acme.example"))
	reset := b.link(t, b.acme, identity.LetterReset)
	u, err = b.VerifyEmail(ctx, b.acme, letters[0].URL[strings.LastIndexByte(letters[0].URL, '/')+1:])
	require.NoError(t, err)
	require.Equal(t, "ada@other.example", u.Email)
	_, err = b.ResetPassword(ctx, b.acme, reset, another, browser())
	requireCode(t, apperr.NotFound, err) // It was mailed to an address that is no longer hers.
	letters = b.mailed(t, b.acme)
	require.Equal(t, "ada@acme.example", letters[0].Address, "the old address is told")

	_, err = b.ChangeProfile(ctx, b.acme, p, identity.ProfilePatch{Email: new("BOB@acme.example")})
	require.NoError(t, err, "who asks is not told who is here")
	_, err = b.VerifyEmail(ctx, b.acme, b.link(t, b.acme, identity.LetterVerify))
	requireCode(t, apperr.Conflict, err)
	_, err = b.ChangeProfile(ctx, b.acme, p, identity.ProfilePatch{DisplayName: new(""), Email: new("x")})
	requireInvalid(t, err, "display_name", "email")
	for range 2 {
		_, err = b.ChangeProfile(ctx, b.acme, p, identity.ProfilePatch{Email: new("next@acme.example")})
		require.NoError(t, err)
	}
	_, err = b.ChangeProfile(ctx, b.acme, p, identity.ProfilePatch{Email: new("next@acme.example")})
	requireCode(t, apperr.RateLimited, err)
	b.clock.advance(time.Hour)
	_, err = b.ChangeProfile(ctx, b.acme, p, identity.ProfilePatch{Email: new("next@acme.example")})
	requireCode(t, apperr.Refused, err)
	_, err = b.ChangeProfile(ctx, b.globex, p, identity.ProfilePatch{DisplayName: new("Eve")})
	requireCode(t, apperr.NotFound, err)
}

func TestSweep(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	owner := b.owner(t, b.acme)
	fill := func() {
		_, err := b.Invite(ctx, b.acme, owner, identity.NewInvitation{Email: "bob@acme.example", Role: identity.RoleGuest})
		require.NoError(t, err)
		_, err = b.NewWelcome(ctx, b.acme, owner.UserID)
		require.NoError(t, err)
		_, err = b.SignIn(ctx, b.acme, "nobody@acme.example", "wrong", browser())
		require.Error(t, err)
	}
	fill()
	rows := func() (n [4]int) {
		const sql = `SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM invitations), (SELECT count(*) FROM user_tokens),
(SELECT count(*) FROM sign_in_failures)`
		require.NoError(t, b.acme.QueryRow(ctx, sql).Scan(&n[0], &n[1], &n[2], &n[3]))
		return n
	}
	before := rows()
	require.NoError(t, b.Sweep(ctx, b.acme))
	require.Equal(t, before, rows(), "nothing has expired")
	b.clock.advance(100 * 24 * time.Hour)
	require.NoError(t, b.Sweep(ctx, b.globex))
	require.Equal(t, before, rows(), "another tenant's sweep is another's")
	require.NoError(t, b.Sweep(ctx, b.acme))
	require.Equal(t, [4]int{}, rows())
}
