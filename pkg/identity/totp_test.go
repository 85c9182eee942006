package identity_test

import (
	"bytes"
	"image/png"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/identity"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// authenticator is an app on somebody's phone.
type authenticator struct {
	b      *bundle
	secret string
}

func (a authenticator) code(t *testing.T) string {
	t.Helper()
	code, err := totp.GenerateCode(a.secret, a.b.clock.Now())
	require.NoError(t, err)
	return code
}

// twoFactor sets p's second factor up, and moves the clock past the code that it took.
func (b *bundle) twoFactor(t *testing.T, scope tenantschema.Scope, p identity.Principal) (authenticator, []string) {
	t.Helper()
	setup, err := b.BeginTOTP(t.Context(), scope, p)
	require.NoError(t, err)
	a := authenticator{b, setup.Secret}
	codes, err := b.ConfirmTOTP(t.Context(), scope, p, a.code(t))
	require.NoError(t, err)
	b.clock.advance(30 * time.Second)
	return a, codes
}

func TestTOTP(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	p := b.owner(t, b.acme)
	setup, err := b.BeginTOTP(ctx, b.acme, p)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(setup.URL, "otpauth://totp/acme:ada@acme.example?"), setup.URL)
	picture, err := png.Decode(bytes.NewReader(setup.QR))
	require.NoError(t, err)
	require.Equal(t, 256, picture.Bounds().Dx())
	require.NotEmpty(t, b.signIn(t, b.acme, "ada@acme.example").Token, "not yet")
	_, err = b.ConfirmTOTP(ctx, b.acme, p, "000000")
	requireInvalid(t, err, "code")
	app := authenticator{b, setup.Secret}
	codes, err := b.ConfirmTOTP(ctx, b.acme, p, app.code(t))
	require.NoError(t, err)
	require.Len(t, codes, 10)
	_, err = b.BeginTOTP(ctx, b.acme, p)
	requireCode(t, apperr.Conflict, err)
	_, err = b.ConfirmTOTP(ctx, b.acme, p, app.code(t))
	requireCode(t, apperr.Conflict, err)

	var row string
	require.NoError(t, b.acme.QueryRow(ctx, `SELECT u::text || (SELECT string_agg(c::text, ' ') FROM recovery_codes c) FROM users u`).Scan(&row))
	require.NotContains(t, row, setup.Secret)
	require.NotContains(t, row, codes[0][:4])

	half := b.signIn(t, b.acme, "ada@acme.example")
	require.Empty(t, half.Token)
	require.True(t, half.User.TwoFactor)
	second := func(step, code string) (identity.SignedIn, error) {
		return b.SecondFactor(ctx, b.acme, step, code, browser())
	}
	_, err = second(half.SecondFactor, app.code(t))
	requireInvalid(t, err, "code") // It was used to confirm.
	b.clock.advance(30 * time.Second)
	_, err = b.SecondFactor(ctx, b.globex, half.SecondFactor, app.code(t), browser())
	requireCode(t, apperr.Unauthenticated, err)
	in, err := second(half.SecondFactor, " "+app.code(t)[:3]+" "+app.code(t)[3:])
	require.NoError(t, err)
	require.Equal(t, p.UserID, b.principal(t, b.acme, in.Token).UserID)
	_, err = second(half.SecondFactor, app.code(t))
	requireCode(t, apperr.Unauthenticated, err)
	sessions, err := b.ListSessions(ctx, b.acme, p)
	require.NoError(t, err)
	require.Equal(t, "password+code", sessions[0].Method)

	// A recovery code works once.
	half = b.signIn(t, b.acme, "ada@acme.example")
	_, err = second(half.SecondFactor, strings.ToUpper(codes[3]))
	require.NoError(t, err)
	half = b.signIn(t, b.acme, "ada@acme.example")
	_, err = second(half.SecondFactor, codes[3])
	requireInvalid(t, err, "code")
	p = b.principal(t, b.acme, in.Token)
	fresh, err := b.NewRecoveryCodes(ctx, b.acme, p)
	require.NoError(t, err)
	_, err = second(half.SecondFactor, codes[4])
	requireInvalid(t, err, "code")
	_, err = second(half.SecondFactor, fresh[4])
	require.NoError(t, err)

	// A reset does not go past it.
	require.NoError(t, b.ForgotPassword(ctx, b.acme, "ada@acme.example"))
	letters := b.mailed(t, b.acme)
	url := letters[len(letters)-1].URL
	half, err = b.ResetPassword(ctx, b.acme, url[strings.LastIndexByte(url, '/')+1:], another, browser())
	require.NoError(t, err)
	require.Empty(t, half.Token)
	b.clock.advance(30 * time.Second)
	in, err = second(half.SecondFactor, app.code(t))
	require.NoError(t, err)
	p = b.principal(t, b.acme, in.Token)

	requireInvalid(t, b.DisableTOTP(ctx, b.acme, p, "wrong"), "password")
	require.NoError(t, b.DisableTOTP(ctx, b.acme, p, another))
	in, err = b.SignIn(ctx, b.acme, "ada@acme.example", another, browser())
	require.NoError(t, err)
	require.NotEmpty(t, in.Token)
	_, err = b.NewRecoveryCodes(ctx, b.acme, p)
	requireCode(t, apperr.Conflict, err)
}

func TestCodesCannotBeGuessed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	app, _ := b.twoFactor(t, b.acme, b.owner(t, b.acme))
	half := b.signIn(t, b.acme, "ada@acme.example")
	for range 5 {
		_, err := b.SecondFactor(ctx, b.acme, half.SecondFactor, "123", browser())
		requireInvalid(t, err, "code")
	}
	_, err := b.SecondFactor(ctx, b.acme, half.SecondFactor, app.code(t), browser())
	requireCode(t, apperr.Unauthenticated, err) // The step is used up,
	half = b.signIn(t, b.acme, "ada@acme.example")
	_, err = b.SecondFactor(ctx, b.acme, half.SecondFactor, app.code(t), browser())
	requireCode(t, apperr.RateLimited, err) // and another one makes nobody quicker.
	b.clock.advance(10 * time.Minute)
	_, err = b.SecondFactor(ctx, b.acme, half.SecondFactor, app.code(t), browser())
	requireCode(t, apperr.Unauthenticated, err) // A step lives for ten minutes.
	half = b.signIn(t, b.acme, "ada@acme.example")
	_, err = b.SecondFactor(ctx, b.acme, half.SecondFactor, app.code(t), browser())
	require.NoError(t, err)
}

// One code lets one in, however many come with it at the same time.
func TestOneCodeIsOneSession(t *testing.T) {
	t.Parallel()
	b := setup(t)
	app, _ := b.twoFactor(t, b.acme, b.owner(t, b.acme))
	code := app.code(t)
	var wg sync.WaitGroup
	got := make([]error, 4)
	for i := range got {
		half := b.signIn(t, b.acme, "ada@acme.example")
		wg.Go(func() { _, got[i] = b.SecondFactor(t.Context(), b.acme, half.SecondFactor, code, browser()) })
	}
	wg.Wait()
	entered := 0
	for _, err := range got {
		if err == nil {
			entered++
		}
	}
	require.Equal(t, 1, entered, "%v", got)
}

// What is encrypted for one tenant does not open for another, even if it is put there.
func TestSecretsAreTheTenants(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	app, _ := b.twoFactor(t, b.acme, b.owner(t, b.acme))
	b.owner(t, b.globex)
	var sealed []byte
	require.NoError(t, b.acme.QueryRow(ctx, `SELECT totp_secret FROM users`).Scan(&sealed))
	_, err := b.globex.Exec(ctx, `UPDATE users SET totp_secret = $1, totp_confirmed_at = now()`, sealed)
	require.NoError(t, err)
	half := b.signIn(t, b.globex, "ada@acme.example")
	_, err = b.SecondFactor(ctx, b.globex, half.SecondFactor, app.code(t), browser())
	requireCode(t, apperr.Internal, err)
}
